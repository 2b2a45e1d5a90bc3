"""The Mamba model as a Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig
from ml_assets.mamba.initializers import derived_seed
from ml_assets.mamba.layers import MambaBlock, RMSNorm, State
from ml_assets.mamba.shapes import layer_of
from ml_assets.mamba.weights import WeightSource, read_arrays
from ml_assets.training.backend import keras

__all__ = ["LayerLoadReport", "MambaModel"]

Tensor = Any
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class LayerLoadReport:
    """What :meth:`MambaModel.load_weights_by_layer` did: layers loaded, layers skipped and why."""

    loaded: tuple[str, ...]
    skipped: Mapping[str, str]


@keras.saving.register_keras_serializable("ml_assets")
class MambaModel(keras.Model):  # type: ignore[misc]
    """Mamba forecaster of the next return's direction from a window of features.

    ``model(x)`` maps (B, L, F) to the direction logit of the *last* step, (B, 1): positive means up, and
    the sigmoid is the probability. That is what ``compile`` and ``fit`` train. :meth:`call_steps` gives
    every step.

    Parameters
    ----------
    config : MambaConfig, optional
        Shape of the model; the default configuration if left out.
    seed : int, optional
        Seed of the initial weights and of dropout. Without it Keras' global seed decides.
    **kwargs
        Passed to ``keras.Model``: ``name``, ``dtype``, ``trainable``.

    Examples
    --------
    >>> model = MambaModel(MambaConfig())
    >>> model.built
    False
    >>> model.build((None, 60, 25))
    >>> model.built, model.count_params()
    (True, 8794)
    """

    def __init__(self, config: MambaConfig | None = None, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config or MambaConfig()
        self.seed = seed
        config, policy = self.config, self.dtype_policy
        glorot = keras.initializers.GlorotUniform(derived_seed(seed, "embed"))
        self.embed = keras.layers.Dense(config.d_model, kernel_initializer=glorot, name="embed", dtype=policy)
        # The keys of a weight file are attribute names, visited in alphabetical order. Blocks are therefore
        # attributes, not a list (names stay when a block is added), and no layer's name sorts after
        # 'layers', a list that Keras keeps: it would be filed there by position.
        for i in range(config.n_blocks):
            block = MambaBlock(config, derived_seed(seed, f"block_{i}"), name=f"block_{i}", dtype=policy)
            setattr(self, f"block_{i}", block)
        self.final_norm = RMSNorm(name="final_norm", dtype=policy)
        self.dropout = keras.layers.Dropout(config.dropout, seed=derived_seed(seed, "dropout"), dtype=policy)
        # With the skip the recurrent part starts at a tenth of its usual size, near "no opinion".
        size = 0.01 if config.linear_skip else 1.0
        small = keras.initializers.VarianceScaling(
            size, "fan_avg", "uniform", seed=derived_seed(seed, "head")
        )
        if config.variance_heads:  # exactly the forecast that it starts from
            small = "zeros"
        self.head = keras.layers.Dense(config.outputs, kernel_initializer=small, name="head", dtype=policy)
        self.feature_skip = None
        if config.linear_skip:
            self.feature_skip = keras.layers.Dense(
                config.outputs, use_bias=False, kernel_initializer="zeros", name="feature_skip", dtype=policy
            )

    @property
    def blocks(self) -> list[MambaBlock]:
        """The residual blocks in order."""
        return [getattr(self, f"block_{i}") for i in range(self.config.n_blocks)]

    def build(self, input_shape: Shape) -> None:
        """Create every weight for inputs (B, L, F).

        Raises
        ------
        ValueError
            If `input_shape` is not (batch, steps, features) with known steps and features.
        """
        if len(input_shape) != 3 or input_shape[1] is None or input_shape[2] is None:
            raise ValueError(
                f"MambaModel.build got {tuple(input_shape)}; give (None, steps, features), "
                "for instance (None, 60, 25)"
            )
        batch, length, _ = input_shape
        hidden = (batch, length, self.config.d_model)
        self.embed.build(input_shape)
        for block in self.blocks:
            block.build(hidden)
        for layer in (self.final_norm, self.dropout, self.head):
            layer.build(hidden)
        if self.feature_skip is not None:
            self.feature_skip.build(input_shape)
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Return the direction logit of the last step: (B, L, F) -> (B, 1)."""
        return self.call_last(x, training)[:, :1]

    def call_last(self, x: Tensor, training: bool = False) -> Tensor:
        """Return all outputs of the last step: (B, L, F) -> (B, outputs). Cheaper than every step."""
        return self._forward(x, training, last_only=True)

    def call_steps(self, x: Tensor, training: bool = False) -> Tensor:
        """Return all outputs of every step: (B, L, F) -> (B, L, outputs).

        Output 0 is the direction logit, output 1 (with a return head) the standardized return; with variance
        heads, output i is the logarithm of the variance ratio at horizon i. Step t is computed from steps up
        to t alone.
        """
        return self._forward(x, training, last_only=False)

    def _forward(self, x: Tensor, training: bool, *, last_only: bool) -> Tensor:
        h = self.embed(x)
        *first, final = self.blocks
        for block in first:
            h = block(h, training=training)
        h = final(h, last_only=last_only, training=training)
        out = self.head(self.dropout(self.final_norm(h), training=training))
        if self.feature_skip is None:
            return out
        return out + self.feature_skip(x[:, -1] if last_only else x)

    def initial_state(self, batch: int = 1) -> list[State]:
        """Return what :meth:`step` carries, before the first step: one state per block, all zero.

        Raises
        ------
        ValueError
            If the model is not built.
        """
        if not self.built:
            raise ValueError("build the model first: model.build((None, steps, features))")
        return [block.mixer.initial_state(batch) for block in self.blocks]

    def step(self, x: Tensor, state: list[State]) -> tuple[Tensor, list[State]]:
        """Take one step of a stream: the outputs of :meth:`call_steps`, one step at a time.

        A step costs the same however long the stream is; the state has a fixed size.

        Parameters
        ----------
        x : tensor (B, F)
            Features of one step.
        state : list
            From :meth:`initial_state`, or from the step before.

        Returns
        -------
        outputs : tensor (B, outputs)
        state : list
            After this step.

        Raises
        ------
        ValueError
            If `x` has another shape.
        """
        features = self.embed.kernel.shape[0]
        if len(x.shape) != 2 or x.shape[1] != features:
            raise ValueError(f"a step takes features of shape (batch, {features}), got {tuple(x.shape)}")
        h, after = self.embed(x), []
        for block, before in zip(self.blocks, state, strict=True):
            h, carried = block.step(h, before)
            after.append(carried)
        out = self.head(self.final_norm(h))
        return (out if self.feature_skip is None else out + self.feature_skip(x)), after

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (B, 1)."""
        return (input_shape[0], 1)

    def get_config(self) -> dict[str, Any]:
        """Return what :meth:`from_config` rebuilds the model from."""
        return {**super().get_config(), "config": self.config.to_dict(), "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MambaModel:
        """Rebuild a model; its weights are fresh."""
        return cls(**{**config, "config": MambaConfig.from_dict(config["config"])})

    def named_weights(self) -> dict[str, Any]:
        """Return the weight variables by their path in a ``.weights.h5`` file."""
        layers = {"embed": self.embed}
        for i, block in enumerate(self.blocks):
            layers |= {f"block_{i}/norm": block.norm, f"block_{i}/mixer": block.mixer}
        layers |= {"final_norm": self.final_norm, "head": self.head}
        if self.feature_skip is not None:
            layers["feature_skip"] = self.feature_skip
        return {f"{name}/vars/{i}": w for name, layer in layers.items() for i, w in enumerate(layer.weights)}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the weights by their path in a ``.weights.h5`` file."""
        return {
            path: np.asarray(keras.ops.convert_to_tensor(w)).copy()
            for path, w in self.named_weights().items()
        }

    def assign_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Set every weight; raise ``ValueError`` naming the first path that is missing or misshaped."""
        for path, weight in self.named_weights().items():
            if path not in arrays or arrays[path].shape != tuple(weight.shape):
                found = arrays[path].shape if path in arrays else "nothing"
                raise ValueError(
                    f"weight {path} needs shape {tuple(weight.shape)}, found {found}; build the model from "
                    "the configuration the weights were trained with, or use load_weights_by_layer"
                )
            weight.assign(arrays[path])

    def load_weights_by_layer(self, source: WeightSource) -> LayerLoadReport:
        """Load the layers that fit and leave the others as they are, for transfer learning.

        Parameters
        ----------
        source : path, bytes, MambaWeights or mapping of path to array
            A Keras ``.weights.h5`` file or what was read from one.

        Returns
        -------
        LayerLoadReport
            The layers loaded, and for each layer of this model that was skipped, the reason.

        Raises
        ------
        ValueError
            If the model is not built, or no layer at all fits.
        """
        if not self.built:
            raise ValueError("build the model before loading weights: model.build((None, steps, features))")
        arrays = read_arrays(source)
        own: dict[str, dict[str, Any]] = {}
        for path, weight in self.named_weights().items():
            own.setdefault(layer_of(path), {})[path] = weight
        skipped: dict[str, str] = {}
        for layer, weights in own.items():
            if reason := _misfit(weights, arrays):
                skipped[layer] = reason
                continue
            for path, weight in weights.items():
                weight.assign(arrays[path])
        loaded = tuple(layer for layer in own if layer not in skipped)
        if not loaded:
            raise ValueError(f"no layer of the source fits this model: {skipped}")
        return LayerLoadReport(loaded, skipped)


def _misfit(weights: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str | None:
    for path, weight in weights.items():
        if path not in arrays:
            return f"{path} is not in the source"
        if arrays[path].shape != tuple(weight.shape):
            return f"{path} has shape {arrays[path].shape} in the source, {tuple(weight.shape)} here"
    return None
