"""The private modules of sklenet that experiments use, and callbacks for its networks."""

import time

import numpy as np
import torch
from skorch.callbacks import Callback

from sklenet import _torch
from sklenet._torch import resolve_device
from sklenet.images import as_tensor
from sklenet.network import activation_gain, make_activation
from sklenet.plotting._style import COLORS, MARKERS
from sklenet.training import predict_logits

__all__ = ["COLORS", "MARKERS", "resolve_device"]

ACTIVATIONS = ["l_relu", "relu", "leaky_relu", "elu", "tanh", "sigmoid"]
# The networks of the paper, for experiments on their parts.
PLAIN = {"normalization": None, "augmentation": None}
NORMALIZED = {**PLAIN, "normalization": "batch"}
ARCHITECTURES = {
    "Deep LeNet": {},
    "LeNet-5": {"conv_channels": (6, 16), "pooling": "avg", "hidden_layer_sizes": (120, 84)},
}


def resolve_precision(precision="auto", device=None):
    """Return the name of the dtype that networks are trained in."""
    dtype = _torch.resolve_precision(precision, device or resolve_device("auto"))
    return str(dtype).removeprefix("torch.")


def accelerate(method):
    """Replace the classifier of a pipeline by that of scikit-learn-intelex, if it has the same."""
    from sklearnex import neighbors, svm

    fast = {"SVC": svm.SVC, "KNeighborsClassifier": neighbors.KNeighborsClassifier}
    classifier = method["classifier"]
    name = type(classifier).__name__
    if name in fast:
        method.set_params(classifier=fast[name](**classifier.get_params()))
    return method


class UnitGain(Callback):
    """Start from the weights of LeCun et al. (1998, "Efficient BackProp", section 4.6).

    Their standard deviation is ``fan_in ** -0.5``; sklenet scales those of hidden layers by the
    gain that suits the activation.
    """

    def on_train_begin(self, net, **kwargs):
        gain = activation_gain(make_activation(net.module.keywords["activation"]))
        hidden = [*net.module_.features, *net.module_.head][:-1]
        with torch.no_grad():
            for layer in hidden:
                if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                    layer.weight /= gain


class AccuracyClock(Callback):
    """Record (seconds of training, test accuracy) after each epoch, without the scoring time."""

    def __init__(self, X, y):
        self.rows, self.target = as_tensor(X).flatten(1), y
        self.points, self.pause = [], 0.0
        self.start = time.perf_counter()

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        now = time.perf_counter()
        preprocessor, device = dataset_train.preprocessor, torch.device(net.device)
        logits = predict_logits(net.module_, preprocessor, self.rows, device)
        accuracy = np.mean(logits.argmax(dim=1).numpy() == self.target)
        self.points.append((now - self.start - self.pause, float(accuracy)))
        self.pause += time.perf_counter() - now
