"""Fixtures of the option tests."""

from tests.pinn_fixtures import pinn_store, quick_weights

__all__ = ["pinn_store", "quick_weights"]
