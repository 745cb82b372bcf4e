"""Losses and their link functions."""

import torch
from torch import nn
from torch.nn import functional

__all__ = ["LOSSES", "OneVsRestLoss", "SoftmaxLoss"]


class _Loss(nn.Module):
    """The loss of each sample, in nats, and the probabilities that belong to it."""

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    @staticmethod
    def log_proba(logits):
        """Compute the logarithm of the probability of each class."""
        raise NotImplementedError

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

    @staticmethod
    def log_proba(logits):
        return torch.log_softmax(logits, dim=1)


class OneVsRestLoss(_Loss):
    """Logistic loss of each class against the rest, summed over the classes."""

    def forward(self, logits, target):
        n_classes = logits.shape[1]
        soft_target = functional.one_hot(target, n_classes) * (1 - self.label_smoothing)
        soft_target = (soft_target + self.label_smoothing / n_classes).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, soft_target, reduction="none")
        return losses.sum(dim=1)

    @staticmethod
    def log_proba(logits):
        # Normalized over the classes.
        return torch.log_softmax(functional.logsigmoid(logits), dim=1)


LOSSES = {"softmax": SoftmaxLoss, "sigmoid": OneVsRestLoss}
