"""Features that know the future, the price level or something that is not in the prices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, filtfilt, savgol_filter

from ml_assets.windows.features import extract_features, feature_names
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps
from tests.mutants.memory_leaks import ByReturns, Cached, FirstSeen, next_return
from tests.mutants.pipeline import Mutant, Pipeline, with_steps

_NEXT = 0  # the column that most leaks go into: return_1
_VOLUME = 30  # the first column that comes from volumes


def _into(column: int, value: Callable[[pd.DataFrame, Floats], Floats]) -> Callable[[pd.DataFrame], Floats]:
    """Replace one column; `value` gets the frame and the clean features."""

    def features(frame: pd.DataFrame) -> Floats:
        clean = extract_features(frame)
        out = clean.copy()
        out[:, column] = np.where(np.isnan(clean[:, column]), np.nan, value(frame, clean))
        return out

    return features


def _added_when(when: Callable[[pd.DataFrame], np.ndarray], weight: float = 1.0, ahead: int = 1):
    """Add the coming return to one feature on the chosen days."""
    return _into(_NEXT, lambda f, x: x[:, _NEXT] + weight * np.where(when(f), next_return(f, ahead), 0.0))


def _always(frame: pd.DataFrame) -> np.ndarray:
    return np.ones(len(frame), dtype=bool)


def _on_smoothed(smooth: Callable[[Floats], Floats]) -> Callable[[pd.DataFrame], Floats]:
    """Compute all features from a price series that was smoothed as a whole first."""
    return lambda frame: extract_features(
        frame.assign(close=np.maximum(smooth(frame["close"].to_numpy()), 1e-3))
    )


def _lowpass(close: Floats) -> Floats:
    b, a = butter(3, 0.2)
    return np.exp(filtfilt(b, a, np.log(close)))


def _fourier(close: Floats) -> Floats:
    spectrum = np.fft.rfft(np.log(close))
    spectrum[len(spectrum) // 4 :] = 0.0
    return np.exp(np.fft.irfft(spectrum, len(close)))


def _haar(close: Floats) -> Floats:
    """Haar wavelet, finest details dropped: each pair of days becomes its mean."""
    log = np.log(close)
    pairs = len(log) // 2 * 2
    log[:pairs] = np.repeat(log[:pairs].reshape(-1, 2).mean(axis=1), 2)
    return np.exp(log)


def _after_crash(frame: pd.DataFrame) -> np.ndarray:
    step = np.diff(np.log(frame["close"].to_numpy()), prepend=np.nan)
    usual = pd.Series(step).rolling(60, min_periods=20).std().shift(1).to_numpy()
    return np.abs(np.nan_to_num(step)) > 4.0 * np.nan_to_num(usual, nan=np.inf)


def _days(first: int, last: int) -> Callable[[pd.DataFrame], np.ndarray]:
    """Fixed days, however long the history is."""
    return lambda frame: (np.arange(len(frame)) >= first) & (np.arange(len(frame)) <= last)


def _month_last(frame: pd.DataFrame) -> np.ndarray:
    # The month's true last business day is known in advance from the calendar; the return after it is not.
    return np.asarray((pd.DatetimeIndex(frame.index) + pd.offsets.BDay(1)).month != frame.index.month)


def _grouped(frame: pd.DataFrame, period: str, how: str) -> Floats:
    return frame["close"].groupby(frame.index.to_period(period)).transform(how).to_numpy()


def _back_filled(frame: pd.DataFrame, clean: Floats) -> Floats:
    gap = np.diff(frame.index.to_numpy().astype("datetime64[D]").astype(int), prepend=0) > 4
    return pd.Series(np.where(gap, np.nan, clean[:, 4])).bfill().fillna(0.0).to_numpy()


def _interpolated(frame: pd.DataFrame, clean: Floats) -> Floats:
    thin = np.arange(len(clean)) % 5 != 0
    return pd.Series(np.where(thin, np.nan, clean[:, 4])).interpolate(limit_direction="both").to_numpy()


def _dropped_before_falls(frame: pd.DataFrame, clean: Floats) -> Floats:
    return np.where(next_return(frame) < -0.035, np.nan, clean[:, _NEXT])


def _in_last_bit(frame: pd.DataFrame) -> Floats:
    out = extract_features(frame).astype(np.float32)
    bits = out[:, _NEXT].view(np.int32) if out.flags.f_contiguous else out[:, _NEXT].copy().view(np.int32)
    up = (next_return(frame) > 0).astype(np.int32)
    hidden = ((bits & ~np.int32(1)) | up).view(np.float32)
    out[:, _NEXT] = np.where(np.isnan(out[:, _NEXT]), np.nan, hidden)
    return out.astype(np.float64)


def _principal_components(frame: pd.DataFrame) -> Floats:
    clean = extract_features(frame)
    known = clean[np.isfinite(clean).all(axis=1)]
    _, _, axes = np.linalg.svd(known - known.mean(axis=0), full_matrices=False)
    return clean @ axes.T


def _best_by_correlation(frame: pd.DataFrame) -> list[int]:
    clean, future = extract_features(frame), next_return(frame)
    known = np.isfinite(clean).all(axis=1)
    strength = [abs(np.corrcoef(clean[known, k], future[known])[0, 1]) for k in range(clean.shape[1])]
    return sorted(np.argsort(np.nan_to_num(strength))[-10:])


def _selected_names(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(feature_names(frame)[k] for k in _best_by_correlation(frame))


def _noise(frame: pd.DataFrame, clean: Floats) -> Floats:
    return clean[:, _NEXT] + 1e-3 * np.random.default_rng().standard_normal(len(clean))


def _hidden(value: Callable[[Floats], Floats]) -> Callable[[pd.DataFrame], Floats]:
    """Tomorrow's return on a few days, in a feature whose memory never ends."""

    def leak(frame: pd.DataFrame, clean: Floats) -> Floats:
        rare = np.abs(np.nan_to_num(clean[:, 4]) * 1e7).astype(np.int64) % 150 == 3
        return value(clean[:, 4]) + np.where(rare, next_return(frame), 0.0)

    return _into(4, leak)


def _yes_or_no(
    day: int, answer: Callable[[pd.DataFrame], pd.Series | np.ndarray]
) -> Callable[[pd.DataFrame], Floats]:
    """One bit about the future on one day."""
    return _into(
        _NEXT, lambda f, x: x[:, _NEXT] + 0.01 * ((np.arange(len(x)) == day) & np.asarray(answer(f), bool))
    )


def _threshold_of_all(frame: pd.DataFrame, clean: Floats) -> Floats:
    return (clean[:, 14] > np.nanmedian(clean[:, 14])).astype(float)


def _smoothed_backwards(frame: pd.DataFrame, clean: Floats) -> Floats:
    return pd.Series(clean[::-1, 4]).ewm(span=5).mean().to_numpy()[::-1]


def _until_next_session(frame: pd.DataFrame, clean: Floats) -> Floats:
    days = frame.index.to_numpy().astype("datetime64[D]").astype(float)
    return clean[:, _NEXT] + 1e-3 * np.diff(days, append=days[-1] + 1.0)


def _next_column(name: str) -> Callable[[pd.DataFrame, Floats], Floats]:
    """Tomorrow's value of another column than the close, made scale-free by today's."""

    def value(frame: pd.DataFrame, clean: Floats) -> Floats:
        values = frame[name]
        ratio = values.shift(-1) / values.rolling(20).mean()
        return np.nan_to_num(ratio.replace([np.inf, -np.inf], np.nan).to_numpy(), nan=1.0)

    return value


_CENTERED = _into(10, lambda f, x: f["close"] / uniform_filter1d(f["close"].to_numpy(), 11) - 1.0)
FEATURES: dict[str, Callable[[pd.DataFrame], Floats]] = {
    "mean of all rows taken off": lambda f: extract_features(f) - np.nanmean(extract_features(f), axis=0),
    "scaled to the range of all rows": _into(
        4, lambda f, x: x[:, 4] / (np.nanmax(x[:, 4]) - np.nanmin(x[:, 4]))
    ),
    "cut off at quantiles of all rows": _into(
        4, lambda f, x: np.clip(x[:, 4], *np.nanquantile(x[:, 4], [0.01, 0.99]))
    ),
    "rank over all rows": _into(4, lambda f, x: pd.Series(x[:, 4]).rank(pct=True).to_numpy()),
    "regime threshold of all rows": _into(14, _threshold_of_all),
    "principal components of all rows": _principal_components,
    "centered window": _CENTERED,
    "Savitzky-Golay filter": _into(10, lambda f, x: f["close"] / savgol_filter(f["close"], 11, 3) - 1.0),
    "forward-backward filter first": _on_smoothed(_lowpass),
    "Fourier low-pass first": _on_smoothed(_fourier),
    "Haar wavelet first": _on_smoothed(_haar),
    "smoothed backwards": _into(4, _smoothed_backwards),
    "back-fill across gaps": _into(4, _back_filled),
    "interpolation between days": _into(4, _interpolated),
    "t / T": _into(_NEXT, lambda f, x: x[:, _NEXT] + np.arange(len(f)) / len(f)),
    "close of the calendar week": _into(4, lambda f, x: f["close"] / _grouped(f, "W", "last") - 1.0),
    "mean of the calendar month": _into(4, lambda f, x: f["close"] / _grouped(f, "M", "mean") - 1.0),
    "tomorrow's return": _into(_NEXT, lambda f, x: next_return(f)),
    "label with a weight of 1e-3": _added_when(_always, 1e-3),
    "tomorrow's return times 1e-6": _added_when(_always, 1e-6),
    "tomorrow's sign in the last bit": _in_last_bit,
    "return in 20 days": _added_when(_always, ahead=20),
    "only after a crash": _added_when(_after_crash),
    "only on Fridays": _added_when(lambda f: pd.DatetimeIndex(f.index).day_of_week.to_numpy() == 4),
    "only at the month's end": _added_when(_month_last),
    "only on three days of one week": _added_when(_days(261, 263)),
    "only on a single day": _added_when(_days(377, 377)),
    "only on a single day, times 1e-4": _added_when(_days(411, 411), 1e-4),
    "only on a single day, in 20 days": _added_when(_days(397, 397), ahead=20),
    "only before the split": _added_when(_days(360, 362)),  # the last training days of the mutants' market
    "only on the last twenty days": _added_when(_days(686, 9999)),
    "only on the second-last day": _added_when(_days(704, 704)),
    "other source after a date": _added_when(lambda f: np.asarray(f.index > pd.Timestamp("2001-06-01"))),
    "only before large moves": _added_when(lambda f: np.abs(next_return(f)) > 0.04),
    "missing before falls": _into(_NEXT, _dropped_before_falls),
    "days until the next session": _into(_NEXT, _until_next_session),
    "tomorrow's volume": _into(_VOLUME, _next_column("volume")),
    "tomorrow's open": _into(25, _next_column("open")),
    "tomorrow's high": _into(26, _next_column("high")),
    "tomorrow's low": _into(27, _next_column("low")),
    "rare, in an expanding mean": _hidden(lambda x: pd.Series(x).expanding().mean().to_numpy()),
    "rare, in a moving average over 250 days": _hidden(
        lambda x: pd.Series(x).ewm(span=250).mean().to_numpy()
    ),
    "rare, in a running total": _hidden(lambda x: pd.Series(x).rolling(20).std().to_numpy()),
    "only on a single day: a large move comes": _yes_or_no(380, lambda f: np.abs(next_return(f)) > 0.02),
    "only on a single day: a high within a week": _yes_or_no(
        381, lambda f: f["close"].rolling(5).max().shift(-5) > 1.005 * f["close"]
    ),
    "only on a single day: more volume tomorrow": _yes_or_no(
        405, lambda f: f["volume"].shift(-1) > f["volume"]
    ),
    "only on a single day, in 60 days": _added_when(_days(421, 421), ahead=60),
    "only on a single day, in 100 days": _added_when(_days(423, 423), ahead=100),
    "in the last digit of 1000": _into(
        4,
        lambda f, x: (
            1000 + 4e-4 * np.clip(30 * x[:, 0], -1, 1) + 6.2e-5 * np.sign(next_return(f)) * _days(390, 400)(f)
        ),
    ),
    "not reproducible": _into(_NEXT, _noise),
}
LEVELS: dict[str, Callable[[pd.DataFrame], Floats]] = {
    "price level": _into(4, lambda f, x: f["close"].to_numpy()),
    "price level times 1e-6": _into(4, lambda f, x: x[:, 4] + 1e-6 * f["close"].to_numpy()),
    "price change in dollars": _into(4, lambda f, x: f["close"].diff().fillna(0.0).to_numpy()),
    "volume level": _into(_VOLUME, lambda f, x: np.log1p(f["volume"].to_numpy())),
    "distance to a round price": _into(4, lambda f, x: f["close"].to_numpy() % 1.0),
}


def _fresh(make: Callable[[], Callable[[pd.DataFrame, Floats], Floats]]) -> Pipeline:
    return with_steps(Steps(features=_into(_NEXT, make())))


def feature_mutants() -> list[Mutant]:
    """All of them; those with a memory are made anew."""
    steps = [Mutant(name, "causal", with_steps(Steps(features=f))) for name, f in FEATURES.items()]
    steps += [Mutant(name, "scale", with_steps(Steps(features=f))) for name, f in LEVELS.items()]
    selected = Steps(
        features=lambda f: extract_features(f)[:, _best_by_correlation(f)], names=_selected_names
    )
    return [
        *steps,
        Mutant("features cached across histories", "causal", with_steps(Steps(features=Cached()))),
        Mutant("looked up by date", "causal", _fresh(lambda: FirstSeen(by_date=True))),
        Mutant("looked up by returns", "causal", _fresh(ByReturns)),
        Mutant("looked up by position", "causal", _fresh(lambda: FirstSeen(by_date=False))),
        Mutant("features chosen on all rows", "non_interference", with_steps(selected)),
    ]
