"""A deep LeNet-5 for small images behind the scikit-learn estimator interface."""

from .activations import LReLU
from .classifier import DeepLeNetClassifier
from .network import DeepLeNet

__all__ = ["DeepLeNet", "DeepLeNetClassifier", "LReLU"]
