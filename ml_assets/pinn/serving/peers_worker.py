"""What else prices European options, measured in a process of its own: ``python -m
ml_assets.pinn.serving.peers_worker '{"quotes": ...}'`` prints one JSON line.

Apart from the serving process, whose memory and imports are judged. QuantLib and py_vollib are optional
(``pip install -e '.[benchmarks]'``); without them the report says so.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np

from ml_assets.pinn.european.closed_form import black_scholes
from ml_assets.pinn.serving.timing import call_times, random_options, records, repeat_times

__all__ = ["main", "measure"]

_LOOPED = 2000  # options in the batch of a peer that takes one at a time: more tell nothing new

Call = Callable[..., Any]


class _Functions(NamedTuple):
    """How to ask a peer for one option: price and five Greeks, price alone; the first figure is the price."""

    greeks: Call
    price: Call


def _py_vollib() -> _Functions:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its new name is vollib; this is the one that people have
        from py_vollib.black_scholes_merton import black_scholes_merton
        from py_vollib.black_scholes_merton.greeks import analytical

    derivatives = (
        analytical.delta,
        analytical.gamma,
        analytical.vega,
        analytical.theta,
        analytical.rho,
    )

    def price(S: float, K: float, tau: float, r: float, sigma: float, q: float, option_type: str) -> float:
        return float(black_scholes_merton(option_type[0], S, K, tau, r, sigma, q))

    def greeks(
        S: float, K: float, tau: float, r: float, sigma: float, q: float, option_type: str
    ) -> tuple[float, ...]:
        flag = option_type[0]
        first = float(black_scholes_merton(flag, S, K, tau, r, sigma, q))
        return first, *(derivative(flag, S, K, tau, r, sigma, q) for derivative in derivatives)

    return _Functions(greeks, price)


def _quantlib() -> _Functions:
    import QuantLib as ql  # noqa: N813  its documentation's name

    types = {"call": ql.Option.Call, "put": ql.Option.Put}

    def calculator(S: float, K: float, tau: float, r: float, sigma: float, q: float, option_type: str) -> Any:
        payoff = ql.PlainVanillaPayoff(types[option_type], K)
        forward, discount = S * math.exp((r - q) * tau), math.exp(-r * tau)
        return ql.BlackCalculator(payoff, forward, sigma * math.sqrt(tau), discount)

    def price(**option: Any) -> float:
        return float(calculator(**option).value())

    def greeks(**option: Any) -> tuple[float, ...]:
        c, S, tau = calculator(**option), option["S"], option["tau"]
        return c.value(), c.delta(S), c.gamma(S), c.vega(tau), c.theta(S, tau), c.rho(tau)

    return _Functions(greeks, price)


_PEERS: dict[str, tuple[str, Callable[[], _Functions]]] = {
    "py_vollib": ("py_vollib", _py_vollib),
    "QuantLib BlackCalculator": ("QuantLib", _quantlib),
}


def measure(quotes: int, batches: list[int]) -> list[dict[str, Any]]:
    """Measure the closed form and each peer; see `latency.Peer` for the keys."""
    options = records(random_options(quotes, seed=0))
    found = [_closed_form(options, batches)]
    for name, (package, load) in _PEERS.items():
        try:
            functions = load()
            installed = version(package)
        except (ImportError, PackageNotFoundError):
            found.append({"name": name, "missing": "not installed: pip install -e '.[benchmarks]'"})
        else:
            found.append({"name": name, "version": installed, **_looped(functions, options)})
    return found


def _closed_form(options: list[dict[str, Any]], batches: list[int]) -> dict[str, Any]:
    """Our own closed form in NumPy, which takes arrays."""
    black_scholes(**options[0])
    batch = {str(n): random_options(n, seed=n) for n in batches}
    times = {n: repeat_times(lambda c=columns: black_scholes(**c)) for n, columns in batch.items()}  # type: ignore[misc]
    return {
        "name": "closed form (NumPy)",
        "version": np.__version__,
        "single_ms": call_times(black_scholes, options),
        "batch_per_second": {n: 1e3 * int(n) / float(np.median(ms)) for n, ms in times.items()},
    }


def _looped(functions: _Functions, options: list[dict[str, Any]]) -> dict[str, Any]:
    """A peer that takes one option at a time."""
    many = records(random_options(_LOOPED, seed=_LOOPED))
    exact = black_scholes(**random_options(_LOOPED, seed=_LOOPED))["price"]
    found = np.array([functions.greeks(**option)[0] for option in many])
    strikes = np.array([option["K"] for option in many])
    rates = {}
    for name, call in (("batch_per_second", functions.greeks), ("price_batch_per_second", functions.price)):
        times = repeat_times(lambda call=call: [call(**option) for option in many])  # type: ignore[misc]
        rates[name] = {str(_LOOPED): 1e3 * _LOOPED / float(np.median(times))}
    return {
        "single_ms": call_times(functions.greeks, options),
        "price_ms": call_times(functions.price, options),
        **rates,
        "largest_difference": float(np.max(np.abs(found - exact) / strikes)),
    }


def main(argument: str) -> None:
    """Run the measurement that the JSON argument asks for and print the result as the last line."""
    print(json.dumps(measure(**json.loads(argument))))


if __name__ == "__main__":
    main(sys.argv[1])
