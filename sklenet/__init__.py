"""A deep LeNet-5 for small images behind the scikit-learn estimator interface."""

from .activations import LReLU
from .baselines import METHODS, PixelScaler, make_method, search_grid, search_space
from .classifier import DeepLeNetClassifier
from .comparison import compare_methods
from .datasets import fetch_mnist, load_digits_images, load_idx, load_idx_folder
from .network import DeepLeNet
from .plotting import (
    ActivationDisplay,
    FeatureMapDisplay,
    GradientFlowDisplay,
    KernelDisplay,
    MistakesDisplay,
    TrainingHistoryDisplay,
)

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "ActivationDisplay",
    "DeepLeNet",
    "DeepLeNetClassifier",
    "FeatureMapDisplay",
    "GradientFlowDisplay",
    "KernelDisplay",
    "LReLU",
    "MistakesDisplay",
    "PixelScaler",
    "TrainingHistoryDisplay",
    "compare_methods",
    "fetch_mnist",
    "load_digits_images",
    "load_idx",
    "load_idx_folder",
    "make_method",
    "search_grid",
    "search_space",
]
