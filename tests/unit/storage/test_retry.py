"""retry: bounded, spaced out, and it keeps the cause."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.storage import RetryError, backoff, retry, retrying


class Flaky:
    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "done"


@given(attempts=st.integers(1, 8), failures=st.integers(0, 10))
def test_retry_calls_until_success_and_never_more_than_attempts(attempts: int, failures: int) -> None:
    fn, waits = Flaky(failures, OSError("busy")), []
    if failures < attempts:
        assert retry(fn, attempts=attempts, sleep=waits.append) == "done"
        assert fn.calls == failures + 1
    else:
        with pytest.raises(RetryError) as caught:
            retry(fn, attempts=attempts, sleep=waits.append)
        assert caught.value.__cause__ is fn.error
        assert caught.value.attempts == fn.calls == attempts
        assert "busy" in str(caught.value)
    assert len(waits) == fn.calls - 1


def test_retry_raises_other_errors_at_once() -> None:
    fn = Flaky(1, ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        retry(fn, exceptions=OSError, sleep=pytest.fail)
    assert fn.calls == 1


@given(first=st.floats(0.001, 1), growth=st.floats(1, 100), jitter=st.floats(0, 1), factor=st.floats(1, 4))
def test_backoff_grows_to_its_cap_within_its_jitter(
    first: float, growth: float, jitter: float, factor: float
) -> None:
    cap = first * growth
    for k, wait in enumerate(itertools.islice(backoff(first, cap, factor=factor, jitter=jitter), 12)):
        full = min(cap, first * factor**k)
        assert full * (1 - jitter) * 0.999999 <= wait <= full * 1.000001


def test_backoff_of_two_workers_differs() -> None:
    one, other = (list(itertools.islice(backoff(1, 8), 6)) for _ in range(2))
    assert one != other


@pytest.mark.parametrize(
    "bad", [{"first": 0, "cap": 1}, {"first": 2, "cap": 1}, {"first": 1, "cap": 2, "factor": 0.5}]
)
def test_backoff_refuses_nonsense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="waiting times"):
        next(backoff(**bad))


def test_retry_refuses_zero_attempts() -> None:
    with pytest.raises(ValueError, match="at least one"):
        retry(lambda: None, attempts=0)


def test_retrying_keeps_name_and_arguments() -> None:
    calls = []

    @retrying(attempts=3, exceptions=ConnectionError, sleep=lambda _: None)
    def fetch(url: str, *, size: int) -> int:
        """Fetch."""
        calls.append(url)
        if len(calls) < 3:
            raise ConnectionError("gone")
        return size

    assert fetch("u", size=3) == 3
    assert calls == ["u"] * 3
    assert (fetch.__name__, fetch.__doc__) == ("fetch", "Fetch.")
