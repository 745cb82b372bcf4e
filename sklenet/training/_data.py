"""Labelled images, and the batches that they are trained in."""

import math
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import Dataset

from ..images import IMAGE_SIZE, as_tensor, to_device
from ._repetition import merge_repeated_rows

__all__ = ["CHUNK_SIZE", "ImageBatches", "LabelledImages"]

CHUNK_SIZE = 256
"""Images to prepare or predict at a time: enough for full speed, few enough for the cache."""

_WORTH_KEEPING = 2**24  # numbers: 64 MB of standardised images, 16,384 grey ones


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

    def to(self, device, pixels=None):
        """Move the data to a device, with weights in the precision of the loss.

        Parameters
        ----------
        device : torch.device
            The device.
        pixels : torch.Tensor, default=None
            The pixels, where another data set has moved them already.

        Returns
        -------
        LabelledImages
            The same data, on the device.
        """
        labels = (part.to(device) for part in (self.index, self.target, self.sample_weight.float()))
        pixels = to_device(self.pixels, device) if pixels is None else pixels
        return LabelledImages(pixels, self.image_format.to(device), *labels)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, positions):
        if self._standardized is None:
            images = self.image_format.batch(self.pixels[self.index[positions]])
        else:
            images = self._standardized[positions]
        return images, (self.target[positions], self.sample_weight[positions])

    @cached_property
    def _standardized(self):
        """Few images, standardised once in place of once an epoch: 2 % of a fit to the digits."""
        shape = (len(self), self.image_format.shape[2], IMAGE_SIZE, IMAGE_SIZE)
        if math.prod(shape) > _WORTH_KEEPING:
            return None
        images = torch.empty(shape, dtype=torch.float32, device=self.pixels.device)
        for part, rows in zip(images.split(CHUNK_SIZE), self.index.split(CHUNK_SIZE), strict=True):
            part.copy_(self.image_format.batch(self.pixels[rows]))
        return images


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
