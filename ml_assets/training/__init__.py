"""Training that survives what usually ends it: memory, CUDA, NaN, signals, full disks.

Importing this package imports no TensorFlow; the first training does.
"""

from ml_assets.training.checkpoints import CheckpointFolder, Snapshot
from ml_assets.training.errors import ErrorKind, TrainingError, advice, classify
from ml_assets.training.nan_loss import handle_nan_loss
from ml_assets.training.policy import Recovery, RecoveryState, TrainingRecord, handle_gpu_oom
from ml_assets.training.recovery import TrainingErrorHandler
from ml_assets.training.safe import safe_training

__all__ = [
    "CheckpointFolder",
    "ErrorKind",
    "Recovery",
    "RecoveryState",
    "Snapshot",
    "TrainingError",
    "TrainingErrorHandler",
    "TrainingRecord",
    "advice",
    "classify",
    "handle_gpu_oom",
    "handle_nan_loss",
    "safe_training",
]
