"""Fixtures of the option tests."""

from tests.american_fixtures import american_quick
from tests.pinn_fixtures import pinn_store, quick_weights

__all__ = ["american_quick", "pinn_store", "quick_weights"]
