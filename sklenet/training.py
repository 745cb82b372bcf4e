"""The skorch net: batches, optimiser, schedule, loss and device."""

import math
import warnings
from functools import partial

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import Dataset

from .images import as_tensor, to_device
from .repetition import merge_repeated_rows

__all__ = [
    "LOSSES",
    "LR_SCHEDULES",
    "OPTIMIZERS",
    "ImageClassifierNet",
    "LabelledImages",
    "OneCycle",
    "OneVsRestLoss",
    "ValidationAccuracy",
    "early_stopping_callbacks",
    "resolve_device",
    "training_budget",
]

# One kernel updates all weights: a third of the time of the unfused step on a CPU.
OPTIMIZERS = {
    "adamw": partial(torch.optim.AdamW, fused=True),
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, fused=True),
}

_PREDICTION_BATCH = 256


class LabelledImages(Dataset):
    """Images with labels and weights: one tensor of pixels, indexed a batch at a time.

    Parameters
    ----------
    pixels : torch.Tensor of shape (n_rows, n_features)
        Flat rows of pixels of any type, on any device.
    image_format : ImageFormat
        How rows become images.
    index : torch.Tensor of shape (n_samples,), int64
        The rows that belong to the data set.
    target : torch.Tensor of shape (n_samples,), int64
        The class of each sample.
    sample_weight : torch.Tensor of shape (n_samples,), floating point
        The weight of each sample in the loss; they are scaled to a mean of one.
    """

    def __init__(self, pixels, image_format, index, target, sample_weight):
        self.pixels = pixels
        self.image_format = image_format
        self.index = index
        self.target = target
        self.sample_weight = sample_weight / sample_weight.mean()

    @classmethod
    def from_arrays(cls, rows, target, sample_weight, image_format):
        """Make a data set of arrays, in which equal rows are one sample.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Pixels; their memory is shared.
        target : ndarray of shape (n_rows,), int64
            The class of each row.
        sample_weight : ndarray of shape (n_rows,), float64
            The weight of each row; rows of weight zero are left out.
        image_format : ImageFormat
            How rows become images.

        Returns
        -------
        LabelledImages
            The data set.
        """
        index, sample_weight = merge_repeated_rows(rows, target, sample_weight)
        labels = (torch.from_numpy(part) for part in (index, target[index], sample_weight))
        return cls(as_tensor(rows), image_format, *labels)

    def split(self, fraction, random_state):
        """Divide the samples at random, class by class.

        Unlike scikit-learn's splitters it divides classes of any size: each keeps one sample in
        the first part.

        Parameters
        ----------
        fraction : float
            Share of the samples in the second part.
        random_state : numpy.random.RandomState
            Source of the division.

        Returns
        -------
        first, second : LabelledImages
            The parts.

        Raises
        ------
        ValueError
            If no class has two samples.
        """
        target = self.target.numpy()
        order = random_state.permutation(len(target))
        rank = np.empty(len(target))  # position among the samples of the class, in (0, 1]
        for label in np.unique(target):
            members = order[target[order] == label]
            rank[members] = np.arange(1, len(members) + 1) / len(members)
        n_second = min(math.ceil(fraction * len(target)), np.count_nonzero(rank < 1))
        if n_second == 0:
            raise ValueError(
                "early_stopping=True needs a class with at least two different samples, one of "
                "them to validate on."
            )
        by_rank = np.argsort(rank, kind="stable")
        return self._subset(np.sort(by_rank[n_second:])), self._subset(np.sort(by_rank[:n_second]))

    def _subset(self, positions):
        positions = torch.from_numpy(positions)
        labels = (part[positions] for part in (self.index, self.target, self.sample_weight))
        return LabelledImages(self.pixels, self.image_format, *labels)

    def measure(self):
        """Let the image format remember the statistics of these images."""
        self.image_format.measure(self.pixels, self.index, self.sample_weight)

    def to(self, device):
        """Move the data to a device, with weights in the precision of the loss.

        Parameters
        ----------
        device : torch.device
            The device.

        Returns
        -------
        LabelledImages
            The same data, on the device.
        """
        labels = (
            part.to(device) for part in (self.index, self.target, self.sample_weight.float())
        )
        return LabelledImages(to_device(self.pixels, device), self.image_format, *labels)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, positions):
        images = self.image_format.batch(self.pixels[self.index[positions]])
        return images, (self.target[positions], self.sample_weight[positions])


class ImageBatches:
    """Iterate over a data set in batches.

    Parameters
    ----------
    dataset : LabelledImages
        The data.
    batch_size : int
        Samples in a batch; the last one may have fewer.
    shuffle : bool, default=False
        Whether each pass has its own random order.
    augment : callable, default=None
        Applied to the images of each batch.
    """

    def __init__(self, dataset, batch_size, shuffle=False, augment=None):
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.augment = augment

    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        n_samples, device = len(self.dataset), self.dataset.index.device
        # The order is drawn on the CPU, so that it is the same for every device.
        order = torch.randperm(n_samples) if self.shuffle else torch.arange(n_samples)
        for positions in order.to(device).split(self.batch_size):
            images, labels = self.dataset[positions]
            yield (self.augment(images) if self.augment else images), labels


class OneVsRestLoss(nn.Module):
    """Logistic loss of each class against the rest, summed over the classes."""

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
        wanted = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return losses.sum(dim=1)


LOSSES = {"softmax": partial(nn.CrossEntropyLoss, reduction="none"), "sigmoid": OneVsRestLoss}


class ImageClassifierNet(NeuralNet):
    """skorch's net, reading batches as slices of one tensor and weighting the loss.

    Parameters
    ----------
    *args, **kwargs
        As for `skorch.NeuralNet`; the criterion returns a loss for each sample.
    augment : callable, default=None
        Applied to the images of each training batch.
    """

    def __init__(self, *args, augment=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.augment = augment

    def initialize_module(self):
        """Make the module, with its weights in the memory order that is fastest on a CPU.

        Returns
        -------
        ImageClassifierNet
            The net itself.
        """
        super().initialize_module()
        self.module_ = self.module_.to(memory_format=torch.channels_last)
        return self

    def get_iterator(self, dataset, training=False):
        """Iterate over batches, shuffled and augmented in training.

        Parameters
        ----------
        dataset : LabelledImages or any data set that skorch knows
            The data.
        training : bool, default=False
            Whether the batches are for training.

        Returns
        -------
        ImageBatches or torch.utils.data.DataLoader
            The batches.
        """
        if not isinstance(dataset, LabelledImages):
            return super().get_iterator(dataset, training=training)
        if training:
            return ImageBatches(dataset, self.batch_size, shuffle=True, augment=self.augment)
        return ImageBatches(dataset, _PREDICTION_BATCH)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the weighted mean loss of a batch.

        Parameters
        ----------
        y_pred : torch.Tensor of shape (n_samples, n_classes)
            The class scores.
        y_true : tuple of two torch.Tensor of shape (n_samples,)
            The classes and the sample weights, whose mean over the data set is one.
        X : torch.Tensor, default=None
            The images; ignored.
        training : bool, default=False
            Ignored.

        Returns
        -------
        torch.Tensor of shape ()
            The loss.
        """
        target, sample_weight = y_true
        return (self.criterion_(y_pred, target) * sample_weight).mean()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run skorch's epoch, and warn if the user interrupts it.

        Parameters
        ----------
        iterator, training, prefix, step_fn, **fit_params
            As for `skorch.NeuralNet.run_single_epoch`.
        """
        try:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        except KeyboardInterrupt:
            warnings.warn(
                f"Training was interrupted in epoch {len(self.history)}; "
                "the model is as far as it was trained.",
                stacklevel=2,
            )
            raise

    def logits(self, pixels, image_format):
        """Compute the class scores of images.

        Parameters
        ----------
        pixels : torch.Tensor of shape (n_samples, n_features)
            Flat rows of pixels.
        image_format : ImageFormat
            How rows become images.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_classes), float32
            The scores, on the CPU. Those of a row do not depend on the other rows.
        """
        self._set_training(False)
        scores = []
        with torch.inference_mode():
            for rows in pixels.split(_PREDICTION_BATCH):
                images = image_format.batch(to_device(rows, torch.device(self.device)))
                features = self.module_.features(images)
                # Matrix products sum in another order for a few rows than for many; a multiple of
                # eight rows for each thread gets the same order whatever their number.
                n_padded = -len(rows) % (8 * torch.get_num_threads())
                padded = functional.pad(features, (0, 0, 0, n_padded))
                scores.append(self.module_.head(padded)[: len(rows)].cpu())
        return torch.cat(scores)


class OneCycle(Callback):
    """Raise the learning rate to its peak and lower it to zero, once in a fit.

    The schedule of Smith and Topin [1]_ as PyTorch implements it, stepped with each batch.

    References
    ----------
    .. [1] L. N. Smith, N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", 2017, arXiv:1708.07120.
    """

    def on_train_begin(self, net, X=None, **kwargs):
        """Lay the schedule over all batches of the fit.

        Parameters
        ----------
        net : ImageClassifierNet
            The net.
        X : LabelledImages
            The training data.
        **kwargs
            Ignored.
        """
        self.scheduler_ = OneCycleLR(
            net.optimizer_,
            max_lr=net.lr,
            total_steps=net.max_epochs * len(net.get_iterator(X, training=True)),
            cycle_momentum=False,
        )
        self.is_first_ = True

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the rate of the batch.

        Parameters
        ----------
        net : ImageClassifierNet
            The net.
        training : bool
            Whether it is a training batch.
        **kwargs
            Ignored.
        """
        if training:
            if not self.is_first_:
                self.scheduler_.step()
            self.is_first_ = False

    def on_train_end(self, net, **kwargs):
        """Forget the schedule, which would keep the optimiser alive in a pickle.

        Parameters
        ----------
        net : ImageClassifierNet
            The net.
        **kwargs
            Ignored.
        """
        del self.scheduler_


LR_SCHEDULES = {"one_cycle": (OneCycle,), "constant": ()}


class ValidationAccuracy(Callback):
    """Record the weighted accuracy on the validation data as ``valid_acc``."""

    def on_epoch_begin(self, net, **kwargs):
        """Start counting.

        Parameters
        ----------
        net : ImageClassifierNet
            The net.
        **kwargs
            Ignored.
        """
        self.correct_, self.total_ = 0.0, 0.0

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Count the correct predictions of a validation batch.

        Parameters
        ----------
        net : ImageClassifierNet
            The net.
        batch : tuple
            Images and (classes, sample weights).
        training : bool
            Whether it is a training batch, which does not count.
        y_pred : torch.Tensor of shape (n_samples, n_classes)
            The class scores.
        **kwargs
            Ignored.
        """
        if not training:
            _, (target, sample_weight) = batch
            weight = sample_weight.double()
            self.correct_ += float(weight @ (y_pred.argmax(dim=1) == target).double())
            self.total_ += float(weight.sum())

    def on_epoch_end(self, net, **kwargs):
        """Record the accuracy.

        Parameters
        ----------
        net : ImageClassifierNet
            The net.
        **kwargs
            Ignored.
        """
        net.history.record("valid_acc", self.correct_ / self.total_)


def early_stopping_callbacks(n_iter_no_change):
    """Stop when the validation accuracy no longer improves, and restore the best weights.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without improvement after which training stops.

    Returns
    -------
    list of skorch.callbacks.Callback
        The callbacks, in their order.
    """
    stopping = EarlyStopping(
        "valid_acc",
        patience=n_iter_no_change,
        lower_is_better=False,
        threshold_mode="abs",
        load_best=True,
    )
    return [ValidationAccuracy(), stopping]


def training_budget(n_samples, augmented=False):
    """Choose the batch size and the number of epochs for a data set.

    Parameters
    ----------
    n_samples : int
        Number of training images.
    augmented : bool, default=False
        Whether the images are augmented, so that more passes keep paying.

    Returns
    -------
    batch_size : int
        Images in a batch.
    max_epochs : int
        Passes over the data.
    """
    batch_size = min(256, max(16, 2 ** round(math.log2(n_samples) / 2)))
    return batch_size, 10


def resolve_device(device):
    """Turn the `device` parameter into a device that is there.

    Parameters
    ----------
    device : str or torch.device
        "auto" (CUDA where there is one, then MPS, else the CPU) or any name that PyTorch knows.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If the name is unknown or this machine has no such device.

    Examples
    --------
    >>> from sklenet.training import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={str(device)!r} cannot be used: {reason}") from error
    return device
