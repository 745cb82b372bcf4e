"""Displays in the style of scikit-learn; matplotlib is imported when something is drawn."""

from .activation import ActivationDisplay
from .feature_maps import FeatureMapDisplay
from .gradient_flow import GradientFlowDisplay
from .kernels import KernelDisplay
from .mistakes import MistakesDisplay
from .training_history import TrainingHistoryDisplay

__all__ = [
    "ActivationDisplay",
    "FeatureMapDisplay",
    "GradientFlowDisplay",
    "KernelDisplay",
    "MistakesDisplay",
    "TrainingHistoryDisplay",
]
