"""Which weights a configuration has: the statement that stored weights are checked against.

Names are the paths of a Keras ``.weights.h5`` file: layer attributes, then the position of the weight.
"""

from __future__ import annotations

from ml_assets.mamba.config import MambaConfig

__all__ = ["layer_of", "weight_shapes"]

Shape = tuple[int, ...]


def weight_shapes(config: MambaConfig, n_features: int) -> dict[str, Shape]:
    """Return the path and the shape of every weight of a model.

    Parameters
    ----------
    config : MambaConfig
        The model's configuration.
    n_features : int
        Number of input features F.

    Returns
    -------
    dict of str to tuple of int
        For instance ``{'embed/vars/0': (25, 16), ...}`` in the order of the layers.
    """
    d_model = config.d_model
    mixer = _ssd_shapes(config) if config.variant == "ssd" else _mamba1_shapes(config)
    layers: dict[str, list[Shape]] = {"embed": [(n_features, d_model), (d_model,)]}
    for i in range(config.n_blocks):
        layers[f"block_{i}/norm"] = [(d_model,)]
        layers[f"block_{i}/mixer"] = mixer
    layers["final_norm"] = [(d_model,)]
    layers["head"] = [(d_model, config.outputs), (config.outputs,)]
    if config.linear_skip:
        layers["feature_skip"] = [(n_features, config.outputs)]
    return {f"{layer}/vars/{i}": shape for layer, shapes in layers.items() for i, shape in enumerate(shapes)}


def layer_of(path: str) -> str:
    """Return the layer part of a weight's path: ``'block_0/norm'`` of ``'block_0/norm/vars/0'``."""
    return path.rsplit("/vars/", 1)[0]


def _ssd_shapes(config: MambaConfig) -> list[Shape]:
    inner, state, heads = config.d_inner, config.d_state, config.n_heads
    mixed = inner + 2 * state
    return [
        (config.d_model, inner + mixed + heads),  # in_proj: gate, (x, B, C), step
        (config.d_conv, mixed),  # conv_kernel
        (mixed,),  # conv_bias
        (heads,),  # dt_bias
        (heads,),  # A_log
        (heads,),  # D
        (inner,),  # gate_scale
        (inner, config.d_model),  # out_proj
    ]


def _mamba1_shapes(config: MambaConfig) -> list[Shape]:
    inner, state, rank = config.d_inner, config.d_state, config.dt_rank
    return [
        (config.d_model, 2 * inner),  # in_proj: x, gate
        (config.d_conv, inner),  # conv_kernel
        (inner,),  # conv_bias
        (inner, rank + 2 * state),  # x_proj: step, B, C
        (rank, inner),  # dt_proj
        (inner,),  # dt_bias
        (inner, state),  # A_log
        (inner,),  # D
        (inner, config.d_model),  # out_proj
    ]
