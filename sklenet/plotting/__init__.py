"""Displays in the style of scikit-learn.

Drawing needs matplotlib, which is imported then: ``pip install 'sklenet[plots]'``.
"""

from ._activation import ActivationDisplay
from ._feature_maps import FeatureMapDisplay
from ._gradient_flow import GradientFlowDisplay
from ._kernels import KernelDisplay
from ._mistakes import MistakesDisplay
from ._training_history import TrainingHistoryDisplay

__all__ = [
    "ActivationDisplay",
    "FeatureMapDisplay",
    "GradientFlowDisplay",
    "KernelDisplay",
    "MistakesDisplay",
    "TrainingHistoryDisplay",
]
