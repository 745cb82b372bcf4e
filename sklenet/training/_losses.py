"""The losses: what is minimized in training, and the probabilities that belong to it."""

import torch
from torch import nn
from torch.nn import functional

__all__ = ["LOSSES", "OneVsRestLoss", "SoftmaxLoss"]


class SoftmaxLoss(nn.CrossEntropyLoss):
    """Cross-entropy of each sample, in nats."""

    def __init__(self, label_smoothing=0.0):
        super().__init__(label_smoothing=label_smoothing, reduction="none")

    @classmethod
    def log_proba(cls, logits):
        """Compute the logarithm of the probability of each class."""
        return torch.log_softmax(logits, dim=1)

    @classmethod
    def proba(cls, logits):
        """Compute the probability of each class."""
        return cls.log_proba(logits).exp()


class OneVsRestLoss(SoftmaxLoss):
    """Logistic loss of each class against the rest, summed over the classes, in nats."""

    def forward(self, logits, target):
        n_classes = logits.shape[1]
        wanted = functional.one_hot(target, n_classes) * (1 - self.label_smoothing)
        wanted = (wanted + self.label_smoothing / n_classes).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return losses.sum(dim=1)

    @classmethod
    def log_proba(cls, logits):
        """Compute the logarithms of the probabilities, normalized over the classes."""
        return torch.log_softmax(functional.logsigmoid(logits), dim=1)


LOSSES = {"softmax": SoftmaxLoss, "sigmoid": OneVsRestLoss}
