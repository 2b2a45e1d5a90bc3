"""The augmented training set: after the split, from training rows alone.

`augment_data` works on plain arrays; `augment_sequences` applies it to the training rows of a certified
`SequenceSet` and packs what training needs into an `AugmentedSet`.
"""

from __future__ import annotations

from ml_assets.windows.augment_rows import AugmentConfig, augment_data, augmentation_parents
from ml_assets.windows.augmented_set import AugmentedSet, augment_sequences

__all__ = ["AugmentConfig", "AugmentedSet", "augment_data", "augment_sequences", "augmentation_parents"]
