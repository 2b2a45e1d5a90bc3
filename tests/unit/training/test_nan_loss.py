import numpy as np
import pytest

from ml_assets.training import handle_nan_loss
from tests.unit.training.nets import data, net

BAD = [0.5, 0.3, float("nan"), float("nan")]


class History:
    history = {"loss": BAD, "accuracy": [0.1] * 4}  # noqa: RUF012


@pytest.mark.parametrize("history", [BAD, {"loss": BAD}, History()])
def test_the_first_bad_epoch_is_found_in_every_form_of_history(history, caplog):
    model = net()
    model(data()[0])
    found = handle_nan_loss(model, history, gradient_norms={"dense/kernel": 12.5})
    assert found["stopped_early"] is True
    assert "NaN loss detected at epoch 3" in found["stop_reason"]
    assert (found["nan_epoch"], found["last_good_loss"]) == (2, 0.3)
    assert len(found["layer_norms"]) == 4
    assert all(np.isfinite(v) for v in found["layer_norms"].values())
    assert "dense/kernel 12.5" in caplog.text
    assert "Lower the learning rate" in caplog.text


def test_infinite_counts_and_finite_does_not():
    assert handle_nan_loss(None, [float("inf")])["nan_epoch"] == 0
    fine = handle_nan_loss(None, [0.5, 0.3])
    assert (fine["stopped_early"], fine["stop_reason"], fine["last_good_loss"]) == (False, None, 0.3)
    assert handle_nan_loss(None, [])["stopped_early"] is False
