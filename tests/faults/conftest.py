"""One trainer for all tests that disturb trainings: each import of TensorFlow would cost seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.zygote import Zygote, open_zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with open_zygote() as opened:
        yield opened
