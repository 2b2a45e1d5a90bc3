"""Speed of our Mamba against its PyTorch and Keras peers, in one run on one core.

    .venv/bin/pip install torch mambapy     # the peers; on Linux without a GPU take a CPU build of torch
    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.mamba_speed [--rounds 7] [--output FILE]

One training step is forward, backward and Adam on 128 windows of 60 x 25; 32 wide, state 16, two blocks,
float32. Times are CPU seconds of this process, which runs one thread, so that other programs disturb them
less; all implementations take turns, and the median over the rounds stands in the table with the spread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # before TensorFlow: the LLVM of its triton and TensorFlow's clash in the other order

from benchmarks.machine import described
from benchmarks.peers import Mamba2Minimal, MambaPy
from ml_assets.mamba import MambaConfig, MambaModel
from ml_assets.mamba import layers as our_layers
from ml_assets.mamba.scan import _selective_scan_ops
from ml_assets.training.backend import keras, limit_threads, tf

BATCH, LENGTH, FEATURES, WIDTH, STATE, BLOCKS = 128, 60, 25, 32, 16, 2
TURN = 0.6  # seconds per implementation and round
PEER_2, PEER_1 = "mamba2-minimal (PyTorch SSD)", "mamba.py pscan (PyTorch, Mamba-1)"


@dataclass
class Contestant:
    """One implementation: a training step, a one-window forward pass, and its times."""

    name: str
    step: Callable[[], Any]
    forward: Callable[[], Any]
    parameters: int
    samples: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Samples per second, median."""
        return statistics.median(self.samples)

    @property
    def latency(self) -> float:
        """Milliseconds per one-window forward pass, median."""
        return statistics.median(self.milliseconds)


def config(variant: str, heads: int) -> MambaConfig:
    return MambaConfig(
        d_model=WIDTH, n_blocks=BLOCKS, d_state=STATE, head_dim=2 * WIDTH // heads, dropout=0.0,
        variant=variant, linear_skip=False, return_head=False,
    )  # fmt: skip


def ours(name: str, variant: str, heads: int, *, every_step: bool = False, xla: bool = True) -> Contestant:
    model = MambaModel(config(variant, heads), seed=0)
    model.build((None, LENGTH, FEATURES))
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    x, y = (tf.constant(v) for v in windows())

    @tf.function(jit_compile=xla)
    def step() -> Any:
        with tf.GradientTape() as tape:
            logit = model.call_steps(x)[..., 0] if every_step else model.call_last(x)
            target = tf.tile(y, (1, LENGTH)) if every_step else y
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logit))
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    forward = tf.function(model.call_last, jit_compile=xla)
    one = x[:1]
    return Contestant(name, lambda: step().numpy(), lambda: forward(one).numpy(), model.count_params())


def keras_scan(name: str) -> Contestant:
    """Our Mamba-1 with Keras' own sequential scan in the place of ours; XLA refuses it."""
    original = our_layers.selective_scan
    our_layers.selective_scan = _selective_scan_ops  # type: ignore[assignment]
    try:
        contestant = ours(name, "mamba1", 1, xla=False)
        contestant.step()  # traced here, while the replacement is in place
        contestant.forward()
    finally:
        our_layers.selective_scan = original  # type: ignore[assignment]
    return contestant


def peer(name: str, model: torch.nn.Module) -> Contestant:
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y = (torch.from_numpy(v) for v in windows())
    loss_of = torch.nn.BCEWithLogitsLoss()

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    def forward() -> Any:
        with torch.inference_mode():
            return model(x[:1]).numpy()

    return Contestant(name, step, forward, sum(p.numel() for p in model.parameters()))


def windows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, LENGTH, FEATURES)).astype(np.float32)
    return x, (rng.random((BATCH, 1)) > 0.5).astype(np.float32)


def contestants() -> list[Contestant]:
    shape = (FEATURES, WIDTH, STATE, BLOCKS)
    return [
        ours("ours: SSD, 1 head", "ssd", 1),
        ours("ours: SSD, 4 heads", "ssd", 4),
        ours("ours: SSD, 4 heads, loss at every step", "ssd", 4, every_step=True),
        ours("ours: Mamba-1", "mamba1", 1),
        peer(f"{PEER_2}, 1 head", Mamba2Minimal(*shape, heads=1)),
        peer(f"{PEER_2}, 4 heads", Mamba2Minimal(*shape, heads=4)),
        peer(PEER_1, MambaPy(*shape, pscan=True)),
        peer("mamba.py sequential (PyTorch, as mamba-minimal)", MambaPy(*shape, pscan=False)),
        keras_scan("keras.ops.scan (Keras 3, Mamba-1, no XLA)"),
    ]


def timed(call: Callable[[], Any], seconds: float) -> float:
    """CPU seconds per call, over at least so many seconds."""
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds or not calls:
        call()
        calls += 1
    return spent / calls


def measure(entries: list[Contestant], rounds: int) -> None:
    for entry in entries:  # compile, and warm the caches
        entry.step()
        entry.forward()
    for round_ in range(rounds):
        for entry in entries:
            entry.samples.append(BATCH / timed(entry.step, TURN))
            entry.milliseconds.append(1e3 * timed(entry.forward, TURN / 4))
        print(f"round {round_ + 1} of {rounds}", flush=True)


def parity(variant: str, heads: int) -> float:
    """Largest relative error of outputs and of each weight's gradient, float32 against float64."""
    found = {}
    for dtype in ("float32", "float64"):
        model = MambaModel(config(variant, heads), seed=3, dtype=dtype)
        model.build((None, LENGTH, FEATURES))
        if dtype == "float32":
            start = model.to_arrays()
        model.assign_arrays(start)
        x = tf.constant(windows()[0].astype(dtype))
        with tf.GradientTape() as tape:
            out = model.call_steps(x)
            loss = tf.reduce_mean(tf.square(out))
        found[dtype] = [out, *tape.gradient(loss, model.trainable_variables)]
    errors = [
        np.linalg.norm(a.numpy() - b.numpy()) / np.linalg.norm(b.numpy())
        for a, b in zip(found["float32"], found["float64"], strict=True)
    ]
    return float(max(errors))


def report(entries: list[Contestant], errors: dict[str, float]) -> str:
    by_name = {entry.name: entry for entry in entries}
    base = by_name[PEER_1].rate
    lines = [
        "| implementation | weights | samples/s (CPU) | spread | x mamba.py | one window, ms |",
        "|---|---|---|---|---|---|",
    ]
    for e in entries:
        spread = f"{min(e.samples):,.0f}-{max(e.samples):,.0f}"
        ratio = e.rate / base
        lines.append(
            f"| {e.name} | {e.parameters:,} | {e.rate:,.0f} | {spread} | {ratio:.1f} | {e.latency:.2f} |"
        )
    noise = max(max(e.samples) / min(e.samples) for e in entries)
    lines += [
        "",
        f"Noise: slowest and fastest round of one row differ by up to {noise:.2f}x. {described()}",
        "",
    ]
    lines += ["| target | measured | |", "|---|---|---|"]
    for text, value, wanted in _targets(by_name):
        lines.append(f"| {text} >= {wanted:g} x | {value:.1f} x | {'met' if value >= wanted else 'MISSED'} |")
    for name, error in errors.items():
        met = "met" if error <= 1e-5 else "MISSED"
        lines.append(f"| {name}: outputs and gradients, relative error <= 1e-5 | {error:.1e} | {met} |")
    return "\n".join(lines) + "\n"


def _targets(entries: dict[str, Contestant]) -> list[tuple[str, float, float]]:
    torch_latency = min(e.latency for e in entries.values() if "PyTorch" in e.name)
    one, four = entries["ours: SSD, 1 head"], entries["ours: SSD, 4 heads"]
    mamba_py = entries[PEER_1].rate
    return [
        ("SSD over mamba2-minimal, 1 head", one.rate / entries[f"{PEER_2}, 1 head"].rate, 2.5),
        ("SSD over mamba2-minimal, 4 heads", four.rate / entries[f"{PEER_2}, 4 heads"].rate, 2.5),
        ("SSD, 4 heads, over mamba.py", four.rate / mamba_py, 10.0),
        ("Mamba-1 over mamba.py", entries["ours: Mamba-1"].rate / mamba_py, 4.0),
        ("one window, SSD, over the fastest PyTorch peer", torch_latency / four.latency, 3.0),
        ("one window, Mamba-1, over it", torch_latency / entries["ours: Mamba-1"].latency, 3.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, help="write the tables here, too")
    options = parser.parse_args()
    limit_threads(1)
    torch.set_num_threads(1)
    entries = contestants()
    measure(entries, options.rounds)
    errors = {"SSD": parity("ssd", 4), "Mamba-1": parity("mamba1", 1)}
    text = report(entries, errors)
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
