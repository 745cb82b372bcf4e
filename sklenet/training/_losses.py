"""The losses that the network is trained with, by the name of its output."""

from functools import partial

from torch import nn
from torch.nn import functional

__all__ = ["LOSSES", "OneVsRestLoss"]


class OneVsRestLoss(nn.Module):
    """Logistic loss of each class against the rest, summed over the classes.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Share of each label that is spread evenly over all classes.
    """

    def __init__(self, label_smoothing=0.0):
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits, target):
        """Compute the loss of each sample.

        Parameters
        ----------
        logits : torch.Tensor of shape (n_samples, n_classes)
            Class scores.
        target : torch.Tensor of shape (n_samples,), int64
            The classes.

        Returns
        -------
        torch.Tensor of shape (n_samples,)
            The losses, in nats.
        """
        n_classes = logits.shape[1]
        wanted = functional.one_hot(target, n_classes) * (1 - self.label_smoothing)
        wanted = (wanted + self.label_smoothing / n_classes).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return losses.sum(dim=1)


LOSSES = {"softmax": partial(nn.CrossEntropyLoss, reduction="none"), "sigmoid": OneVsRestLoss}
