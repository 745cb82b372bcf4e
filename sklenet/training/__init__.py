"""From a training set to a trained network."""

from ._callbacks import LR_SCHEDULES, early_stopping_callbacks
from ._data import LabelledImages
from ._losses import LOSSES
from ._net import OPTIMIZERS, ImageClassifierNet, training_budget

__all__ = [
    "LOSSES",
    "LR_SCHEDULES",
    "OPTIMIZERS",
    "ImageClassifierNet",
    "LabelledImages",
    "early_stopping_callbacks",
    "training_budget",
]
