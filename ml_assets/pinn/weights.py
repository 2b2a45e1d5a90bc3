"""The trained network as a value: arrays, domain and training figures in one deterministic ``.npz``."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ml_assets.training.policy import TrainingRecord

__all__ = [
    "NetworkWeights",
    "WeightsError",
    "glorot_parameters",
    "layer_shapes",
]

_FORMAT = 2
_META = "meta"
# What numpy and zipfile raise on damaged archives; RuntimeError is an unknown compression or a password.
_UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile)

Array = npt.NDArray[np.float64]


class WeightsError(ValueError):
    """The bytes or arrays are no usable network."""


def layer_shapes(width: int, depth: int, inputs: int) -> tuple[tuple[int, int], ...]:
    """Kernel shapes of ``depth`` tanh layers of ``width`` units and the linear output."""
    return ((inputs, width), *(((width, width),) * (depth - 1)), (width, 1))


def glorot_parameters(shapes: Sequence[tuple[int, int]], seed: int, output_bias: float) -> Array:
    """Draw a flat parameter vector: Glorot-uniform kernels, zero biases except the output's.

    Returns
    -------
    ndarray of shape (n_parameters,)
    """
    rng = np.random.default_rng(seed)
    parts: list[Array] = []
    for fan_in, fan_out in shapes:
        limit = np.sqrt(6.0 / (fan_in + fan_out))
        parts += [rng.uniform(-limit, limit, fan_in * fan_out), np.zeros(fan_out)]
    parts[-1][:] = output_bias
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class NetworkWeights:
    """A network of tanh layers as a value; base of the artifacts.

    Parameters
    ----------
    kernels : tuple of ndarray, shapes ``(inputs, width), (width, width), ..., (width, 1)``
        Float64 kernels, in order.
    biases : tuple of ndarray, shapes ``(width,), ..., (1,)``
        Float64 biases, in order.
    domain
        Where the network was trained.
    seed : int
        Seed of the training.
    figures : mapping, optional
        Training figures (steps, losses by term). No wall-clock times: equal trainings give equal bytes.
    history : ndarray of shape (n, 2), optional
        Step and loss along the training, for the picture in the report.
    recovery : TrainingRecord, optional
        What went wrong in the training; stored only if anything did.

    Raises
    ------
    WeightsError
        If the shapes do not chain or a number is not finite.
    """

    kind: ClassVar[str]
    extension: ClassVar[str] = ".npz"
    inputs: ClassVar[int]
    domain_type: ClassVar[type[Any]]
    name: ClassVar[str]
    command: ClassVar[str]

    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    domain: Any = None
    seed: int = 0
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    history: Array = field(default_factory=lambda: np.zeros((0, 2)))
    recovery: TrainingRecord = field(default_factory=TrainingRecord)

    def __post_init__(self) -> None:
        _check_arrays(self.kernels, self.biases, self.inputs)
        for array in (*self.kernels, *self.biases, self.history):
            array.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    @classmethod
    def from_parameters(cls, parameters: Array, width: int, depth: int, **fields: Any) -> Self:
        """Cut a flat parameter vector (kernel, bias, kernel, bias, ...) into layers."""
        kernels, biases, at = [], [], 0
        for fan_in, fan_out in layer_shapes(width, depth, cls.inputs):
            kernels.append(parameters[at : at + fan_in * fan_out].reshape(fan_in, fan_out).copy())
            at += fan_in * fan_out
            biases.append(parameters[at : at + fan_out].copy())
            at += fan_out
        if at != parameters.size:
            raise WeightsError(
                f"{parameters.size} parameters do not fill a {depth} x {width} network of {at}"
            )
        return cls(kernels=tuple(kernels), biases=tuple(biases), **fields)

    @property
    def parameters(self) -> Array:
        """The flat parameter vector."""
        pairs = zip(self.kernels, self.biases, strict=True)
        return np.concatenate([part.ravel() for pair in pairs for part in pair])

    @property
    def width(self) -> int:
        """Units of the first tanh layer."""
        return int(self.kernels[0].shape[1])

    @property
    def depth(self) -> int:
        """Number of tanh layers."""
        return len(self.kernels) - 1

    def to_bytes(self) -> bytes:
        """Encode as ``.npz``; equal networks give equal bytes (zip entries carry no time)."""
        meta: dict[str, Any] = {
            "format": _FORMAT,
            "kind": self.kind,
            "architecture": {"width": self.width, "depth": self.depth, "activation": "tanh"},
            "domain": asdict(self.domain),
            "seed": self.seed,
            "figures": dict(self.figures),
        }
        if self.recovery != TrainingRecord():
            meta["recovery"] = self.recovery.to_dict()
        arrays: dict[str, npt.NDArray[Any]] = {"history": np.ascontiguousarray(self.history)}
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            arrays[f"kernel_{i}"] = np.ascontiguousarray(kernel)
            arrays[f"bias_{i}"] = np.ascontiguousarray(bias)
        encoded = json.dumps({**meta, "digest": _digest(arrays, meta)}, sort_keys=True).encode()
        arrays[_META] = np.frombuffer(encoded, dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` wrote; raises :class:`WeightsError` on anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            meta = json.loads(arrays.pop(_META).tobytes())
            if meta["format"] != _FORMAT:
                raise WeightsError(
                    f"weights of format {meta['format']}, this version reads {_FORMAT}: train again"
                )
            if meta["kind"] != cls.kind:
                raise WeightsError(
                    f"these are weights of kind {meta['kind']!r}, not {cls.kind!r}: "
                    f"pass the .npz that `make {cls.command}` wrote"
                )
            if meta.pop("digest") != _digest(arrays, meta):
                raise WeightsError(
                    "these weights are not those that the training wrote: something has changed them since; "
                    "load an untouched copy or train again"
                )
            layers = range(int(meta["architecture"]["depth"]) + 1)
            if (activation := meta["architecture"]["activation"]) != "tanh":
                raise WeightsError(
                    f"a network of {activation} layers, this version knows tanh alone: train again"
                )
            return cls(
                kernels=tuple(arrays[f"kernel_{i}"] for i in layers),
                biases=tuple(arrays[f"bias_{i}"] for i in layers),
                domain=cls.domain_type(**meta["domain"]),
                seed=int(meta["seed"]),
                figures=meta["figures"],
                history=arrays["history"],
                recovery=TrainingRecord.from_dict(meta["recovery"])
                if "recovery" in meta
                else TrainingRecord(),
            )
        except _UNREADABLE as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(
                f"these {len(data)} bytes are no {cls.name} weights ({error}): "
                f"pass the .npz that `make {cls.command}` wrote"
            ) from error


def _digest(arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> str:
    """Hash of all that a file holds: a loose file has no certificate that would show a change."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_arrays(kernels: Sequence[Array], biases: Sequence[Array], inputs: int) -> None:
    """Refuse layers that do not chain from the inputs to one output, or hold NaN."""
    if len(kernels) < 2 or len(kernels) != len(biases):
        raise WeightsError(
            f"a network needs a kernel and a bias per layer, got {len(kernels)} and {len(biases)}"
        )
    fan_in = inputs
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        if kernel.ndim != 2 or kernel.shape[0] != fan_in or bias.shape != (kernel.shape[1],):
            raise WeightsError(f"layer {i}: kernel {kernel.shape} and bias {bias.shape} after {fan_in} units")
        if kernel.dtype != np.float64 or bias.dtype != np.float64:
            raise WeightsError(f"layer {i} is not float64: the last digits of Greeks need double precision")
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise WeightsError(f"layer {i} holds NaN or infinity: the training diverged, train again")
        fan_in = kernel.shape[1]
    if fan_in != 1:
        raise WeightsError(f"the last layer has {fan_in} outputs, expected 1")
