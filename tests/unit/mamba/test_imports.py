import subprocess
import sys

import pytest

import ml_assets.mamba


@pytest.mark.parametrize(
    "module", ["ml_assets", "ml_assets.mamba", "ml_assets.training", "ml_assets.gates.models.training"]
)
def test_importing_the_package_imports_no_tensorflow(module):
    code = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_exists():
    for name in ml_assets.mamba.__all__:
        assert getattr(ml_assets.mamba, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ml_assets.mamba.nothing  # noqa: B018
