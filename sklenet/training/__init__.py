"""From a training set to a trained network, and from the network to class scores."""

from ._calibration import expected_temperature, fit_temperature, undo_smoothing
from ._callbacks import LR_SCHEDULES, GradientNorm, sees_batches
from ._data import TrainingSet
from ._losses import LOSSES
from ._net import ImageClassifierNet
from ._predict import predict_logits
from ._recipe import OPTIMIZERS, Recipe, training_budget
from ._train import fit_network, restore_net

__all__ = [
    "LOSSES",
    "LR_SCHEDULES",
    "OPTIMIZERS",
    "GradientNorm",
    "ImageClassifierNet",
    "Recipe",
    "TrainingSet",
    "expected_temperature",
    "fit_network",
    "fit_temperature",
    "predict_logits",
    "restore_net",
    "sees_batches",
    "training_budget",
    "undo_smoothing",
]
