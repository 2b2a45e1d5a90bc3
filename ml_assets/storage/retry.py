"""Try again, a little later each time, and not at the same instant as everybody else."""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

__all__ = ["RetryError", "backoff", "retry", "retrying"]

_log = logging.getLogger(__name__)
# From the operating system: forked workers share the state of the ordinary generator and would stay in step.
_random = random.SystemRandom()

P = ParamSpec("P")
T = TypeVar("T")


class RetryError(RuntimeError):
    """Every attempt failed; the last error is the ``__cause__``.

    Attributes
    ----------
    attempts : int
        How often it was tried.
    """

    def __init__(self, message: str, attempts: int = 0) -> None:
        super().__init__(message)
        self.attempts = attempts


def backoff(first: float, cap: float, *, factor: float = 2.0, jitter: float = 0.5) -> Iterator[float]:
    """Yield waiting times without end: exponential, capped, jittered.

    Parameters
    ----------
    first, cap : float
        First and longest waiting time [s].
    factor : float, default 2
        Growth from one to the next, at least 1.
    jitter : float, default 0.5
        Share of each waiting time that is drawn at random, in [0, 1].

    Yields
    ------
    float
        In ``[(1 - jitter) * w, w]`` with ``w = min(cap, first * factor**k)``.
    """
    if first <= 0 or cap < first or factor < 1 or not 0 <= jitter <= 1:
        raise ValueError(
            f"waiting times need 0 < first <= cap, factor >= 1 and jitter in [0, 1], not {first=}, {cap=}, "
            f"{factor=}, {jitter=}"
        )
    wait = first
    while True:
        yield wait * (1 - jitter * _random.random())
        wait = min(cap, wait * factor)


def retry(
    fn: Callable[[], T],
    *,
    attempts: int = 5,
    exceptions: type[Exception] | tuple[type[Exception], ...] = OSError,
    first: float = 0.05,
    cap: float = 2.0,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Call a function until it succeeds, waiting longer after each failure.

    Parameters
    ----------
    fn : callable
        Called without arguments.
    attempts : int, default 5
        Most calls made, at least 1.
    exceptions : exception type or tuple of them, default OSError
        What is worth another try; anything else is raised at once.
    first, cap : float
        First and longest waiting time [s], see :func:`backoff`.
    sleep : callable
        What waits; tests put their own.

    Returns
    -------
    object
        What ``fn`` returned.

    Raises
    ------
    RetryError
        If every attempt failed. Its ``__cause__`` is the last error.

    Examples
    --------
    >>> retry(lambda: 42)
    42
    """
    if attempts < 1:
        raise ValueError(f"attempts={attempts}: at least one is needed")
    name = getattr(fn, "__qualname__", repr(fn))
    for attempt, wait in enumerate(backoff(first, cap), 1):
        try:
            return fn()
        except exceptions as error:
            failure = f"{type(error).__name__}: {error}"
            if attempt == attempts:
                raise RetryError(
                    f"{name} failed {attempts} times, at last with {failure}. "
                    "Remove the cause, then run it again (more attempts= help only if it passes by itself).",
                    attempts,
                ) from error
        _log.info("%s failed (%s), attempt %d of %d, next in %.2f s", name, failure, attempt, attempts, wait)
        sleep(wait)
    raise AssertionError("unreachable")  # pragma: no cover


def retrying(**options: Any) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function so that each call goes through :func:`retry`; same parameters.

    Examples
    --------
    >>> @retrying(attempts=3, exceptions=ConnectionError)
    ... def download(url: str) -> bytes: ...
    """

    def decorate(fn: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(fn)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            bound = functools.wraps(fn)(lambda: fn(*args, **kwargs))
            return retry(bound, **options)

        return call

    return decorate
