"""The training set, and the batches that the network is trained in."""

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import torch
from torch.utils.data import Dataset

from ..images import as_tensor

__all__ = ["CHUNK_SIZE", "Batches", "ImageDataset", "RandomBatches", "TrainingSet"]

CHUNK_SIZE = 256
"""Images to preprocess or predict at a time: enough for full speed, few enough for the cache."""

_MAX_CACHED_VALUES = 2**24  # 64 MB of standardized images, 16,384 gray ones
_MAX_DRAWS = 10  # in an epoch, as a multiple of the different samples


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Flat rows of pixels of any type, and which of them count with which class and weight.

    `rows` has the shape (n_rows, n_features); `index` (int64), `target` (int64, the position of the
    class) and `sample_weight` (float64) have the shape (n_samples,).

    A weight says how often a sample is drawn: `draws`, float64 of shape (n_samples,), is the mean
    number in an epoch of `n_draws`. The mean weight of the lighter half of the samples is one draw,
    unless heavy samples then fill the epoch: it is limited to ten times the number of samples.
    """

    rows: torch.Tensor
    index: torch.Tensor
    target: torch.Tensor
    sample_weight: torch.Tensor

    @classmethod
    def from_arrays(cls, rows, target, sample_weight):
        """Make a training set of arrays, in which equal rows of a class are one sample."""
        index, sample_weight = merge_repeated_rows(rows, target, sample_weight)
        columns = map(torch.from_numpy, (index, target[index], sample_weight))
        return cls(as_tensor(rows), *columns)

    def split(self, fraction, random_state):
        """Hold out a fraction of the samples at random, class by class.

        Unlike scikit-learn's splitters it divides classes of any size: each keeps one sample in
        the first part.
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
        return self._select(by_rank[n_second:]), self._select(by_rank[:n_second])

    def _select(self, positions):
        positions = torch.from_numpy(np.sort(positions))
        columns = (x[positions] for x in (self.index, self.target, self.sample_weight))
        return TrainingSet(self.rows, *columns)

    def __len__(self):
        return len(self.index)

    @cached_property
    def n_draws(self):
        # The rows that are given once are mostly the lighter half. Its mean, unlike the median of
        # all, varies little with the share of light rows.
        lighter_half = self.sample_weight.sort().values[: (len(self) + 1) // 2]
        total = self.sample_weight.sum()
        one_draw = max(lighter_half.mean(), total / (_MAX_DRAWS * len(self)))
        return round(float(total / one_draw))

    @property
    def draws(self):
        # Whole numbers for rows that are repeated: then the division is exact.
        return self.sample_weight / (self.sample_weight.sum() / self.n_draws)


class ImageDataset(Dataset):
    """A training set as inputs of the network, on the device of its `rows`; indexed by batches.

    A batch is ``({"images": ..., "sample_weight": ...}, target)``; the weights have a mean of one.
    `RandomBatches` replaces the weights by ones, because it samples by weight.
    """

    def __init__(self, training_set, preprocessor, rows):
        self.rows = rows
        self.preprocessor = preprocessor
        self.index = training_set.index.to(rows.device)
        self.target = training_set.target.to(rows.device)
        weight = training_set.sample_weight / training_set.sample_weight.mean()
        self.sample_weight = weight.float().to(rows.device)
        self.draws, self.n_draws = training_set.draws, training_set.n_draws

    def __len__(self):
        return len(self.index)

    def __getitem__(self, positions):
        if self._standardized is None:
            images = self.preprocessor(self.rows[self.index[positions]])
        else:
            images = self._standardized[positions]
        inputs = {"images": images, "sample_weight": self.sample_weight[positions]}
        return inputs, self.target[positions]

    @cached_property
    def _standardized(self):
        """Few images, standardized once instead of in each epoch."""
        size = self.preprocessor.size
        shape = (len(self), self.preprocessor.layout.channels, size, size)
        if math.prod(shape) > _MAX_CACHED_VALUES:
            return None
        images = torch.empty(shape, dtype=torch.float32, device=self.rows.device)
        for part, chunk in zip(images.split(CHUNK_SIZE), self.index.split(CHUNK_SIZE), strict=True):
            part.copy_(self.preprocessor(self.rows[chunk]))
        return images


class Batches:
    """All samples of an `ImageDataset` in order, in batches."""

    def __init__(self, dataset, batch_size):
        self.dataset = dataset
        self.batch_size = batch_size

    def __len__(self):
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self):
        order = torch.arange(len(self.dataset), device=self.dataset.index.device)
        for positions in order.split(self.batch_size):
            yield self.dataset[positions]


class RandomBatches(Batches):
    """Samples drawn as often as their weights say, in a new random order in each epoch.

    A last batch of less than half the size joins the one before: the step of a few samples is as
    long as that of many, but its direction is mostly chance.
    `generator` is one of the CPU, so that the samples are the same for every device; `augment` is a
    function of images or None.
    """

    def __init__(self, dataset, batch_size, generator=None, augment=None):
        super().__init__(dataset, batch_size)
        self.generator = generator
        self.augment = augment

    def __len__(self):
        return max(1, (self.dataset.n_draws + self.batch_size // 2) // self.batch_size)

    def __iter__(self):
        for positions in self.positions():
            yield self.make(positions)

    def positions(self):
        """Return the positions of the samples of each batch of an epoch."""
        drawn = self.draw()
        order = drawn[torch.randperm(len(drawn), generator=self.generator)]
        ends = [number * self.batch_size for number in range(1, len(self))]
        return order.to(self.dataset.index.device).tensor_split(ends)

    def make(self, positions):
        """Return the batch of the samples at the positions."""
        inputs, target = self.dataset[positions]
        if self.augment:
            inputs["images"] = self.augment(inputs["images"])
        return inputs | {"sample_weight": torch.ones_like(inputs["sample_weight"])}, target

    def draw(self):
        """Draw the positions of an epoch by systematic sampling.

        Each sample is drawn as often as its mean says, rounded up or down at random (Madow, "On
        the theory of systematic sampling, II", Annals of Mathematical Statistics 20(3), 1949).
        """
        n_draws = self.dataset.n_draws
        start = torch.rand(1, dtype=torch.float64, generator=self.generator)
        ends = (self.dataset.draws.cumsum(0) + start).long().clamp(max=n_draws)
        ends[-1] = n_draws  # in spite of rounding
        return torch.repeat_interleave(ends.diff(prepend=torch.zeros(1, dtype=torch.int64)))


def merge_repeated_rows(rows, target, sample_weight):
    """Merge equal rows of equal class, adding up their weights, and drop rows of weight zero.

    A weight of two is then exactly the row given twice. Returns the index of one row of each set
    and the weight of the set. The order depends on the values of the rows alone, so that a model
    fitted on them does not depend on the order of the data nor on their type.
    """
    kept = np.flatnonzero(sample_weight)
    dtype = _smallest_exact_dtype(rows, kept)
    # A digest of 128 bits represents the row: a collision would take about 2**64 rows.
    digests = np.array(
        [
            blake2b(row.tobytes() + b"%d" % label, digest_size=16).digest()
            for part in _chunks(kept)
            # Zero is added because -0.0 equals 0.0.
            for row, label in zip(
                rows[part].astype(dtype) + dtype.type(0), target[part], strict=True
            )
        ],
        dtype="V16",
    ).view([("high", ">u8"), ("low", ">u8")])
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return kept[first], np.bincount(inverse, weights=sample_weight[kept])


def _smallest_exact_dtype(rows, kept):
    """Return the first of uint8, float32 and float64 that holds all kept rows exactly."""
    for dtype in map(np.dtype, ("u1", "<f4")):
        if rows.dtype == dtype or all(_is_exact(rows[part], dtype) for part in _chunks(kept)):
            return dtype
    return np.dtype("<f8")


def _is_exact(values, dtype):
    with np.errstate(invalid="ignore", over="ignore"):
        return np.array_equal(values.astype(dtype), values)


def _chunks(rows):
    return (rows[start : start + CHUNK_SIZE] for start in range(0, len(rows), CHUNK_SIZE))
