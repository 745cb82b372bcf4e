"""Losses and their link functions."""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import nn
from torch.nn import functional

__all__ = ["LOSSES", "OneVsRestLoss", "SoftmaxLoss", "fit_temperature"]

_LARGEST_TEMPERATURE = 8.0  # and its inverse is the smallest
_PRIOR_DEVIATION = 0.25  # of the logarithm of a temperature around what is known before


class _Loss(nn.Module):
    """The loss of each sample, in nats, and the probabilities: the softmax of linked logits."""

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    @staticmethod
    def link(logits):
        """Convert logits to what the softmax normalizes over the classes."""
        return logits

    @classmethod
    def log_proba(cls, logits):
        """Compute the logarithm of the probability of each class."""
        return torch.log_softmax(cls.link(logits), dim=1)

    @classmethod
    def proba(cls, logits):
        """Compute the probability of each class."""
        return cls.log_proba(logits).exp()


class SoftmaxLoss(_Loss):
    """Cross-entropy."""

    def forward(self, logits, target):
        return functional.cross_entropy(
            logits, target, label_smoothing=self.label_smoothing, reduction="none"
        )


class OneVsRestLoss(_Loss):
    """Logistic loss of each class against the rest, summed over the classes."""

    def forward(self, logits, target):
        n_classes = logits.shape[1]
        soft_target = functional.one_hot(target, n_classes) * (1 - self.label_smoothing)
        soft_target = (soft_target + self.label_smoothing / n_classes).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, soft_target, reduction="none")
        return losses.sum(dim=1)

    @staticmethod
    def link(logits):
        return functional.logsigmoid(logits)


LOSSES = {"softmax": SoftmaxLoss, "sigmoid": OneVsRestLoss}


def fit_temperature(loss, logits, target, sample_weight, expected=1.0):
    """Choose the temperature, a divisor of the logits, that makes the probabilities most likely.

    The temperature scaling of C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger ("On Calibration of
    Modern Neural Networks", ICML 2017, arXiv:1706.04599), with a log-normal prior around the
    expected temperature, because there are few validation images.
    """
    largest = math.log(_LARGEST_TEMPERATURE)
    sample_weight = sample_weight / sample_weight.mean()

    def surprise(log_temperature):
        log_proba = loss.log_proba(logits * math.exp(-log_temperature))
        of_target = log_proba.gather(1, target[:, None])[:, 0]
        deviation = (log_temperature - math.log(expected)) / _PRIOR_DEVIATION
        return deviation**2 / 2 - float(of_target @ sample_weight)

    result = minimize_scalar(surprise, bounds=(-largest, largest), method="bounded")
    return math.exp(result.x)
