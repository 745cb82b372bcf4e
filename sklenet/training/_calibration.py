"""The temperature with which the probabilities mean what they say.

A network that is trained with smoothed labels predicts timidly. Its scores are divided by a
temperature below one, as C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger ("On Calibration of Modern
Neural Networks", ICML 2017, arXiv:1706.04599) do with validation data. Without any, it is the
temperature that undoes the smoothing on training images: where these are fitted, it is near the
expected one, and nearer to one for images of classes that are hard to tell apart.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = ["expected_temperature", "fit_temperature"]

_SMOOTHINGS, _TEMPERATURES = (0.0, 0.05, 0.1), (1.0, 0.65, 0.55)
_LARGEST = 8.0  # temperature, and its inverse is the smallest
_DEVIATION = 0.25  # of the logarithm of the temperature from that of the expected one


def expected_temperature(label_smoothing):
    """Return the temperature that suits a label smoothing on most images."""
    return float(np.interp(label_smoothing, _SMOOTHINGS, _TEMPERATURES))


def fit_temperature(loss, logits, proba, sample_weight=None):
    """Return the temperature with which logits predict given probabilities best.

    Logits and probabilities have the shape (n_samples, n_classes), `sample_weight`, whose mean
    counts as one, (n_samples,). The logarithm of the temperature has a normal prior, because there
    may be few samples.
    """
    largest, expected = math.log(_LARGEST), math.log(expected_temperature(loss.label_smoothing))

    def surprise(log_temperature):
        log_proba = loss.log_proba(logits * math.exp(-log_temperature))
        likelihoods = (proba * log_proba).sum(dim=1)
        if sample_weight is not None:
            likelihoods = likelihoods * sample_weight / sample_weight.mean()
        deviation = (log_temperature - expected) / _DEVIATION
        return deviation**2 / 2 - float(likelihoods.sum())

    return math.exp(minimize_scalar(surprise, bounds=(-largest, largest), method="bounded").x)
