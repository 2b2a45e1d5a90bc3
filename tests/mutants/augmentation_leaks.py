"""Augmented sets that mix the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ml_assets.windows.augmentation import AugmentedSet, augment_data, augment_sequences
from ml_assets.windows.scaling import fit_scale, normalize
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.steps import Steps
from tests.mutants.pipeline import Mutant, Pipeline, with_steps


def _copies(change: Callable[[SequenceSet, AugmentedSet], Any]) -> Callable[[SequenceSet], AugmentedSet]:
    """Replace the copies; the originals stay."""

    def augment(sequences: SequenceSet) -> AugmentedSet:
        clean = augment_sequences(sequences)
        X = clean.X.copy()
        X[clean.is_copy] = change(sequences, clean)
        return replace(clean, X=X)

    return augment


def _from_validation(sequences: SequenceSet, clean: AugmentedSet) -> Any:
    """The parent is claimed to be a training row."""
    return clean.X_val[np.arange(int(clean.is_copy.sum())) % len(clean.X_val)]


def _mixed(weight: float) -> Callable[[SequenceSet, AugmentedSet], Any]:
    return lambda s, a: (1 - weight) * a.X[a.is_copy] + weight * _from_validation(s, a)


def _noise_of_all(sequences: SequenceSet, clean: AugmentedSet) -> Any:
    days = sequences.normalize(sequences.features[np.isfinite(sequences.features).all(axis=1)])
    rng = np.random.default_rng(0)
    parents = clean.X[clean.parent[clean.is_copy]]
    return parents + 0.05 * days.std(axis=0) * rng.standard_normal(parents.shape, dtype=np.float32)


def _before_split(sequences: SequenceSet) -> AugmentedSet:
    """Augment all rows, then call the result training rows."""
    clean = augment_sequences(sequences)
    rows = len(clean.as_of_train)
    X_all = np.concatenate([clean.X[:rows], clean.X_val])
    y_all = np.concatenate([clean.y[:rows], clean.y_val])
    steps = np.concatenate([clean.step_returns[:rows], clean.step_returns_val])
    X, y = augment_data(X_all, y_all, every=4)
    parent = np.concatenate([np.arange(len(X_all)), np.arange(0, len(X_all), 4)])
    keep = np.concatenate([np.arange(rows), np.arange(len(X_all), len(X))])
    return replace(
        clean,
        X=X[keep],
        y=y[keep],
        step_returns=steps[parent[keep]],
        parent=parent[keep],
        is_copy=np.arange(len(keep)) >= rows,
    )


def _validation_augmented(sequences: SequenceSet) -> AugmentedSet:
    clean = augment_sequences(sequences)
    noise = 0.01 * np.random.default_rng(0).standard_normal(clean.X_val.shape, dtype=np.float32)
    return replace(clean, X_val=clean.X_val + noise)


def _own_statistics(sequences: SequenceSet) -> AugmentedSet:
    """Validation rows standardized with their own center and scale."""
    clean = augment_sequences(sequences)
    raw = sequences.X("validation")
    days = raw[:, -1]
    return replace(clean, X_val=normalize(raw, *fit_scale(days, np.ones(len(days), dtype=bool))))


def _unseeded(X: Any, y: Any, **options: Any) -> Any:
    return augment_data(X, y, **{**options, "seed": int(np.random.default_rng().integers(1 << 30))})


def _noisy_labels(X: Any, y: Any, **options: Any) -> Any:
    out, labels = augment_data(X, y, **options)
    labels[len(y) :] *= 1.01
    return out, labels


def _shuffled(X: Any, y: Any, **options: Any) -> Any:
    out, labels = augment_data(X, y, **options)
    order = np.random.default_rng(0).permutation(len(out))
    return out[order], labels[order]


def _shifted_steps(sequences: SequenceSet) -> AugmentedSet:
    clean = augment_sequences(sequences)
    return replace(clean, step_returns=np.roll(clean.step_returns, -1, axis=1))


def _validation_cut(sequences: SequenceSet) -> AugmentedSet:
    """Hard validation rows left out."""
    clean = augment_sequences(sequences)
    easy = np.abs(clean.y_val) < np.quantile(np.abs(clean.y_val), 0.9)
    return replace(
        clean,
        X_val=clean.X_val[easy],
        y_val=clean.y_val[easy],
        step_returns_val=clean.step_returns_val[easy],
        as_of_val=clean.as_of_val[easy],
    )


def _test_as_validation(sequences: SequenceSet) -> AugmentedSet:
    return replace(
        augment_sequences(sequences),
        X_val=sequences.normalized("test"),
        y_val=sequences.y("test"),
        step_returns_val=sequences.step_returns("test"),
        as_of_val=sequences.as_of("test"),
    )


def _tuned_by_validation(sequences: SequenceSet) -> AugmentedSet:
    """The amount of noise is chosen on the validation part: as wild as that is."""
    spread = float(np.abs(sequences.y("validation")).mean())
    return augment_sequences(
        sequences, steps=Steps(augment=lambda X, y, **o: augment_data(X, y, **{**o, "jitter": spread}))
    )


AUGMENTS: dict[str, tuple[str, Callable[[SequenceSet], AugmentedSet]]] = {
    "augmented before the split": ("augmented/ledger", _before_split),
    "copies of validation rows": ("augmented/ledger", _copies(_from_validation)),
    "copies of the next training row": (
        "augmented/ledger",
        _copies(lambda s, a: a.X[np.minimum(a.parent[a.is_copy] + 30, len(a.as_of_train) - 1)]),
    ),
    "copies mixed with 5 % validation": ("augmented/non_interference", _copies(_mixed(0.05))),
    "copies mixed with 0.01 % validation": ("augmented/non_interference", _copies(_mixed(1e-4))),
    "noise from the deviation of all rows": ("augmented/non_interference", _copies(_noise_of_all)),
    "noise tuned on validation": ("augmented/non_interference", _tuned_by_validation),
    "validation rows augmented": ("augmented/ledger", _validation_augmented),
    "validation standardized by itself": ("augmented/ledger", _own_statistics),
    "hard validation rows left out": ("augmented/ledger", _validation_cut),
    "test rows as validation": ("augmented/ledger", _test_as_validation),
    "step labels moved": ("augmented/ledger", _shifted_steps),
}


def _labels_in_copies(X: Any, y: Any, **options: Any) -> Any:
    out, labels = augment_data(X, y, **options)
    out[len(X) :, -1, 0] += 0.1 * np.sign(labels[len(X) :])
    return out, labels


def _mixed_with(days: int) -> Callable[..., Any]:
    """A fifth of each copy comes from the window that ends some days later."""

    def augment(X: Any, y: Any, **options: Any) -> Any:
        out, labels = augment_data(X, y, **options)
        other = np.minimum(np.arange(0, len(X), options["every"]) + days, len(X) - 1)
        out[len(X) :] = 0.8 * out[len(X) :] + 0.2 * X[other]
        return out, labels

    return augment


STEPS: dict[str, tuple[str, Callable[..., Any]]] = {
    "labels in the features of copies": ("augmented/non_interference", _labels_in_copies),
    "copies mixed with the next row": ("augmented/non_interference", _mixed_with(1)),
    "copies mixed with later training rows": ("augmented/non_interference", _mixed_with(30)),
    "noise without a seed": ("augmented/non_interference", _unseeded),
    "labels of copies changed": ("augmented/ledger", _noisy_labels),
    "rows shuffled": ("augmented/ledger", _shuffled),
}


def _parents_beyond(staged: AugmentedSet) -> AugmentedSet:
    parent = staged.parent.copy()
    parent[-1] = len(staged.as_of_train)
    return replace(staged, parent=parent)


def _parents_wrong(staged: AugmentedSet) -> AugmentedSet:
    parent = staged.parent.copy()
    parent[staged.is_copy] = parent[staged.is_copy][::-1]
    return replace(staged, parent=parent, y=staged.y[parent], step_returns=staged.step_returns[parent])


STORED: dict[str, tuple[str, Callable[[AugmentedSet], AugmentedSet]]] = {
    "parent outside the training rows": ("augmented/ledger", _parents_beyond),
    "parents of other rows": ("augmented/ledger", _parents_wrong),
    "no copies": (
        "augmented/ledger",
        lambda a: replace(
            a,
            **{f: getattr(a, f)[~a.is_copy] for f in ("X", "y", "step_returns", "parent")},
            is_copy=a.is_copy[~a.is_copy],
        ),
    ),
    "other center than the sequences": ("augmented/ledger", lambda a: replace(a, center=a.center + 1e-6)),
}


def augmentation_mutants() -> list[Mutant]:
    """All of them."""
    mutants = [Mutant(name, gate, Pipeline(augment=f)) for name, (gate, f) in AUGMENTS.items()]
    mutants += [Mutant(name, gate, with_steps(Steps(augment=f))) for name, (gate, f) in STEPS.items()]
    mutants += [Mutant(name, gate, Pipeline(stored_augmented=f)) for name, (gate, f) in STORED.items()]
    return mutants
