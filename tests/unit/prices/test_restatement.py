"""Downloads compared: what a vendor did to the past."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.prices import PriceHistory, clean_prices, compare_histories
from tests.unit.prices.makers import bars, raw

TODAY = dt.date(2030, 1, 1)


def history(frame: pd.DataFrame, symbol: str = "A") -> PriceHistory:
    return clean_prices(raw(frame, symbol), today=TODAY)


class TestRestatement:
    def test_new_rows_only(self) -> None:
        frame = bars(80).drop(columns="adj_close")
        found = compare_histories(history(frame[:60]), history(frame))
        assert (found.kind, found.changed, found.appended, found.compared) == ("extended", False, 20, 60)
        assert found.message == "A: the 60 common rows are unchanged; 20 rows are new."
        assert compare_histories(history(frame), history(frame)).kind == "same"

    @given(st.floats(0.05, 20).filter(lambda factor: abs(factor - 1) > 0.01), st.booleans())
    @settings(max_examples=12, deadline=None)
    def test_rescaled_by_split_or_dividend(self, factor: float, volumes: bool) -> None:
        frame = bars(60).drop(columns="adj_close")
        other = frame.copy()
        other[["open", "high", "low", "close"]] *= factor
        other["volume"] /= factor if volumes else 1
        found = compare_histories(history(frame[:50]), history(other))
        assert (found.kind, found.changed, found.restated) == ("rescaled", True, 0)
        assert found.factor == pytest.approx(factor)
        assert "rescaled by split or dividend" in found.message

    @given(st.integers(0, 59), st.sampled_from(["open", "high", "low", "close", "volume"]), st.booleans())
    @settings(max_examples=25, deadline=None)
    def test_one_changed_cell_is_found(self, row: int, column: str, rescaled: bool) -> None:
        frame = bars(60).drop(columns="adj_close")
        other = frame.copy()
        # Stay within the bar, so that cleaning keeps the row.
        widen = {"high": 1.01, "low": 0.99, "volume": 3.0}
        if column in widen:
            other.iloc[row, other.columns.get_loc(column)] *= widen[column]
        else:
            other.iloc[row, 1] *= 1.02
            other.iloc[row, 2] *= 0.98
            other.iloc[row, other.columns.get_loc(column)] *= 1.01
        other[["open", "high", "low", "close"]] *= 0.5 if rescaled else 1.0
        found = compare_histories(history(frame), history(other))
        assert (found.kind, found.restated, found.changed) == ("restated", 1, True)
        assert found.first_date == str(frame.index[row].date())
        assert found.columns[column] == 1
        assert found.factor == (0.5 if rescaled else 1.0)
        assert found.first_date in found.message

    def test_vanished_inserted_and_trimmed_rows(self) -> None:
        frame = bars(80).drop(columns="adj_close")
        old = history(frame[:60].drop(frame.index[20]))
        new = history(frame[5:].drop(frame.index[30]))
        found = compare_histories(old, new)
        assert (found.kind, found.vanished, found.inserted, found.trimmed) == ("restated", 1, 1, 5)
        assert found.first_date == str(frame.index[20].date())
        moved = compare_histories(history(frame[:60]), history(frame[5:]))
        assert (moved.kind, moved.trimmed, moved.changed) == ("extended", 5, False)

    def test_a_lost_column_counts(self) -> None:
        frame = bars(60).drop(columns="adj_close")
        found = compare_histories(history(frame), history(frame.drop(columns="volume")))
        assert found.columns == {"volume": 60}
        assert found.changed

    def test_nothing_in_common(self) -> None:
        frame = bars(80).drop(columns="adj_close")
        found = compare_histories(history(frame[:40]), history(frame[40:]))
        assert (found.compared, found.trimmed, found.appended) == (0, 40, 40)

    def test_rounded_rescaling_is_recognized(self) -> None:
        frame = bars(60).drop(columns="adj_close")
        other = frame.copy()
        other[["open", "high", "low", "close"]] = (other[["open", "high", "low", "close"]] * 0.9931).round(2)
        assert compare_histories(history(frame), history(other)).kind == "rescaled"

    def test_float32_noise_is_no_change(self) -> None:
        frame = bars(60).drop(columns="adj_close")
        noisy = frame.astype(np.float32).astype(float)
        assert compare_histories(history(frame), history(noisy)).kind == "same"

    def test_two_symbols_cannot_be_compared(self) -> None:
        with pytest.raises(ValueError, match="cannot compare A with B"):
            compare_histories(history(bars()), history(bars(), "B"))
