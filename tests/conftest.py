"""One switch for all suites: `--torture` runs the fault tests in their long form (``make torture``).

Without it, tests marked ``torture`` are left out. They repeat for another asset what a test beside them does.
"""

import pytest
from hypothesis import settings as hypothesis_settings


def pytest_addoption(parser):
    parser.addoption("--torture", action="store_true", help="the long form of the fault tests")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--torture"):
        return
    long = [item for item in items if item.get_closest_marker("torture")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def rounds(request):
    """Choose how often a fault is tried: ``rounds(short=8, long=200)``."""

    def choose(*, short: int, long: int) -> int:
        return long if request.config.getoption("--torture") else short

    return choose


# No test of ours may fail because the machine is busy.
hypothesis_settings.register_profile("no deadline", deadline=None)
hypothesis_settings.load_profile("no deadline")
