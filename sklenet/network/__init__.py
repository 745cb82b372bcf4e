"""From a batch of images to class scores."""

from ._activations import ACTIVATIONS, LReLU, activation_gain, make_activation
from ._lenet import DeepLeNet

__all__ = ["ACTIVATIONS", "DeepLeNet", "LReLU", "activation_gain", "make_activation"]
