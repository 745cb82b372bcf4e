"""Losses and their link functions."""

import torch
from torch import nn
from torch.nn import functional

__all__ = ["LOSSES", "OneVsRestLoss", "SoftmaxLoss"]


class _Loss(nn.Module):
    """The loss of each sample, in nats, and the probabilities: the softmax of linked logits."""

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    @staticmethod
    def link(logits):
        """Convert logits to what the softmax normalizes over the classes."""
        return logits

    @staticmethod
    def predicted(logits):
        """Convert logits to what the loss compares with the smoothed labels."""
        return torch.softmax(logits, dim=1)

    def unsmoothed_proba(self, logits):
        """Compute the probabilities that smoothed labels would have taught as these logits.

        A probability p is smoothed to ``(1 - s) * p + s / n_classes``.
        """
        smoothed = self.predicted(logits)
        share = self.label_smoothing / logits.shape[1]
        proba = ((smoothed - share) / (1 - self.label_smoothing)).clamp(min=0)
        total = proba.sum(dim=1, keepdim=True)  # zero where one against the rest finds no class
        return proba / total.clamp(min=torch.finfo(proba.dtype).tiny)

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

    @staticmethod
    def predicted(logits):
        return torch.sigmoid(logits)


LOSSES = {"softmax": SoftmaxLoss, "sigmoid": OneVsRestLoss}
