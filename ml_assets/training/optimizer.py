"""What recovery does to an optimizer: build it, slow it down, let it accumulate. Imports TensorFlow."""

from __future__ import annotations

from typing import Any

from ml_assets.training.backend import keras, tf

__all__ = ["accumulate", "build", "describe", "learning_rate", "lower_rate"]


def accumulate(model: Any, steps: int) -> None:
    """Let the model's optimizer add up the gradients of `steps` batches before each step.

    The optimizer is made anew, since Keras creates the sums when it builds one; its moments, rate and count
    of steps are carried over. A batch that an epoch leaves over is added to the first ones of the next.

    Parameters
    ----------
    model : keras.Model
        Compiled and built.
    steps : int
        Batches per step of the optimizer, at least 2.
    """
    old = model.optimizer
    before = old.gradient_accumulation_steps or 1
    new = type(old).from_config({**old.get_config(), "gradient_accumulation_steps": steps})
    new.build(model.trainable_variables)
    carried = {variable.path.split("/", 1)[-1]: variable for variable in old.variables}
    sums = {id(v) for v in new._accumulated_gradients}
    for variable in new.variables:
        if id(variable) not in sums:
            variable.assign(carried[variable.path.split("/", 1)[-1]])
    # Keras counts batches and derives the steps from them.
    new._iterations.assign(old._iterations // before * steps)
    for name, value in vars(old).items():
        if name.startswith("_exclude_from_weight_decay"):
            setattr(new, name, value)
    model.optimizer = new
    model.train_function = None  # traced with the old optimizer


def build(model: Any, X: Any) -> None:
    """Create the variables of model and optimizer, so that they can be saved before the first step."""
    if not model.built:
        model(_first_rows(X))
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def lower_rate(model: Any, factor: float) -> bool:
    """Multiply the learning rate; return whether that could be done."""
    rate = learning_rate(model)
    if rate is None:
        return True  # not compiled: there is no rate, and fit itself will say so
    try:
        model.optimizer.learning_rate = rate * factor
    except TypeError:
        return False
    return True


def learning_rate(model: Any) -> float | None:
    """Return the rate in force, or ``None`` if the model is not compiled."""
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(optimizer.learning_rate)


def describe(model: Any) -> dict[str, Any]:
    """Return the settings of a model's optimizer, to tell two trainings apart; empty if it has none."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return {}
    # Keras numbers the names of a process' optimizers.
    settings = {name: value for name, value in optimizer.get_config().items() if name != "name"}
    return settings | {"class": type(optimizer).__name__}


def _first_rows(X: Any) -> Any:
    """Some inputs of what ``fit`` is given: arrays, a dataset or a ``PyDataset``."""
    if isinstance(X, keras.utils.PyDataset):
        return X[0][0]
    if isinstance(X, tf.data.Dataset):
        batch = next(iter(X))
        return batch[0] if isinstance(batch, tuple) else batch
    if hasattr(X, "__next__"):
        raise ValueError("a generator can be read only once: build the model before training on it")
    return keras.tree.map_structure(lambda array: array[:1], X)
