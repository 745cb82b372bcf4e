"""Images unlike those of the training: `PixelReference`."""

import inspect
import math
import warnings
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ._layout import ImageLayout

__all__ = ["PixelReference", "update_reference", "warn_of_shift"]

_FEWEST = 10  # training images: fewer do not show how much images differ
_MOST_WAITING = 100  # training images that are kept until enough of them differ
_MOST = 2000  # training images that are measured
_MOST_VALUES = 2**22  # of them
_MOST_ROWS = 128  # images to predict that are measured
_MOST_ROW_VALUES = 2**19  # of them
_INDEPENDENT = 50  # images of a batch: those of sorted data resemble each other
_BLOCKS = 4  # along each axis of a thumbnail
_ROUNDING = 1e-12  # variance of a constant image, relative to its squared mean
# Of the statistics: variances of their mean over the training images.
_UNCERTAINTY = np.array([9.0, 9.0, 9.0, 4.0])
_MAX_SCORE = 1.5  # in absolute value
_MAX_SKEWNESS = 3.0  # likewise
_EXTREME = 0.9  # a bright pixel, where the training pixels range from -1 to 1
_N_ASYMMETRIES = 2
_MIN_RATIO = 1e-3  # added to the roughness, which may be zero, for its logarithm
# Statistics of an image: the mean in half ranges of the training pixels, the logarithms of the
# contrast and of the roughness, and the score of an image against its inversion.
_NAMES = ("mean pixel", "contrast", "roughness", "score against inverted images")
_LARGEST = 700  # its exponential is a number
_MARGINS = np.array([0.2, 0.7, 0.7, 0.3])  # at least, beyond the extreme training image
_MARGIN, _MARGIN_OF_FEW = 0.5, 8.0  # as shares of the range: the latter divided by sqrt(n_images)
# Standard errors that the mean of a batch may be beyond that of a class.
_DEVIATIONS = np.array([4.5, 4.5, 4.5, 3.5])
# The contrast has a long tail of high values where each pixel was standardized by its deviation.
_FACTORS = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 1.0, 1.0]])  # of the margins below and above
_OUTSIDE = np.array([[-1.0], [1.0]])
# What arrays of pixels usually range over.
_RANGES = [(0.0, 1.0), (-0.5, 0.5), (-1.0, 1.0), (0.0, 16.0), (0.0, 255.0), (0.0, 65535.0)]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PixelReference:
    """Statistics of training images, and what of other images deviates from them.

    `low` and `high` are the extreme pixels, `n_images` counts the images. `bounds` has the shape
    (2, 2, 4): the extreme images and the extreme means of a class, each from below and from above,
    of the four statistics; `deviations` are their standard deviations within the classes.
    `weights` are those of the features in the score for inversion, of shape (n_features,), or of
    shape (0,) without it. A batch counts as `n_independent` images at most: as
    one if later training images may be of other kinds.
    """

    low: float
    high: float
    n_images: int
    n_independent: int
    bounds: Floats
    deviations: Floats
    weights: Floats

    def __eq__(self, other: Any) -> bool:
        names = [each.name for each in fields(self)]
        return isinstance(other, PixelReference) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in names
        )

    @classmethod
    def fit(
        cls,
        rows: NDArray[Any],
        index: NDArray[np.int64],
        target: NDArray[np.int64],
        layout: ImageLayout,
        *,
        is_partial: bool = False,
    ) -> Self | None:
        """Measure the flat rows of an index and their classes; None if they are too few."""
        selected = _spread_over(len(index), max(256, min(_MOST, _MOST_VALUES // rows.shape[1])))
        rows, target = rows[index[selected]].astype(np.float64), target[selected]
        low, high = float(rows.min()), float(rows.max())
        n_independent = 1 if is_partial else _INDEPENDENT
        weights = np.zeros(0)
        empty = cls(low, high, 0, n_independent, np.zeros((2, 2, 4)), np.zeros(4), weights)
        if not 0 < (high - low) / 2 < math.inf:
            return None
        measured = [empty._measure(part, layout) for part in _chunks(rows)]
        values, odd, kept = (np.concatenate(parts) for parts in zip(*measured, strict=True))
        if np.count_nonzero(kept) < _FEWEST:
            return None
        values = values[kept]
        if rows.shape[1] == layout.n_values:  # not a table
            weights, score = _fit_polarity(odd[kept])
            values[:, 3] = np.clip(score, -_MAX_SCORE, _MAX_SCORE)
        target, deviations = target[kept], np.zeros(4)
        for label in np.unique(target):
            of_class = values[target == label]
            deviations += of_class.var(axis=0) * len(of_class) / len(values)
        return replace(
            empty,
            n_images=len(values),
            bounds=_bounds(values, target),
            deviations=np.sqrt(deviations),
            weights=weights,
        )

    def widen(
        self,
        rows: NDArray[Any],
        index: NDArray[np.int64],
        target: NDArray[np.int64],
        layout: ImageLayout,
    ) -> Self:
        """Return a reference that also covers other training images."""
        selected = _spread_over(len(index), _MOST_ROWS)
        with np.errstate(all="ignore"):
            values, _, kept = self._measure(rows[index[selected]], layout)
        kept &= np.isfinite(values).all(axis=1)
        if not kept.any():
            return self
        others = _bounds(values[kept], target[selected][kept])
        below, above = np.minimum(self.bounds, others)[:, 0], np.maximum(self.bounds, others)[:, 1]
        n_images = self.n_images + int(np.count_nonzero(kept))
        return replace(self, n_images=n_images, bounds=np.stack([below, above], axis=1))

    def is_consistent(self, layout: ImageLayout, n_features: int) -> bool:
        """Tell whether the attributes, as read from a file, fit together and to the images."""
        arrays = (self.bounds, self.deviations, self.weights)
        blocks = [min(side, _BLOCKS) for side in layout.shape[:2]]
        n_weights = 0
        if n_features == layout.n_values:
            n_weights = 2 * math.prod(blocks) * layout.channels + _N_ASYMMETRIES
        return (
            all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays)
            and [array.shape for array in arrays] == [(2, 2, 4), (4,), (n_weights,)]
            and bool((self.bounds[:, 0] <= self.bounds[:, 1]).all())
            and bool((np.abs(self.bounds) < _LARGEST).all())
            and -math.inf < self.low < self.high < math.inf
            and min(self.n_images, self.n_independent) >= 1
        )

    def describe(self, rows: NDArray[Any], layout: ImageLayout) -> str | None:
        """Say how images deviate from those of the training; None if they do not."""
        most = max(16, min(_MOST_ROWS, _MOST_ROW_VALUES // rows.shape[1]))
        rows = rows[:: -(-len(rows) // most)]
        with np.errstate(all="ignore"):
            excess = self._excess(rows, layout)
            if excess is None or not np.fmax.reduce(excess, axis=None) > 0:
                return None
            return self._diagnose(rows.astype(np.float64), layout, excess)

    def _measure(self, rows, layout):
        """Return the statistics of images, the features of their score, and which are not constant.

        The features change their sign with the inversion of an image.
        """
        n_features = rows.shape[1]
        pixels = rows.astype(np.float64)
        pixels -= (self.low + self.high) / 2
        pixels *= 2 / (self.high - self.low)
        values = np.empty((len(rows), len(_NAMES)))
        mean = np.add.reduce(pixels, axis=1) / n_features
        values[:, 0] = mean
        is_table = n_features != layout.n_values
        if not is_table:
            thumbnails, asymmetries = _shrink(pixels, layout), _measure_asymmetries(pixels, layout)
        lag = 1 if layout.channels_first else layout.channels
        steps = pixels[:, lag:] - pixels[:, :-lag]
        pixels -= mean[:, None]
        variance = np.einsum("ij,ij->i", pixels, pixels) / n_features
        kept = variance > _ROUNDING * (mean * mean + _ROUNDING)
        if not np.logical_and.reduce(kept):
            variance = np.where(kept, variance, 1.0)
        values[:, 1] = np.log(variance) / 2
        roughness = np.einsum("ij,ij->i", steps, steps) / max(1, n_features - lag)
        values[:, 2] = np.log(roughness / variance + _MIN_RATIO)
        values[:, 3] = 0.0
        if is_table:
            return values, np.zeros((len(rows), 0)), kept
        contrast = np.sqrt(variance)[:, None]
        odd = np.concatenate([thumbnails, thumbnails * contrast, asymmetries], axis=1)
        if self.weights.size:
            values[:, 3] = np.minimum(np.maximum(odd @ self.weights, -_MAX_SCORE), _MAX_SCORE)
        return values, odd, kept

    def _excess(self, rows, layout):
        """Return how far the mean statistics of images are outside of what is usual.

        Of shape (2, 4): below and above, as a share of the distance to the limit.
        """
        values, _, kept = self._measure(rows, layout)
        if not np.logical_and.reduce(kept):
            values = values[kept]
            if not len(values):
                return None
        clips, reach_of_one = self._limits
        n_independent = min(len(values), self.n_independent)
        if len(values) > 1:
            values = np.clip(values, *clips)
            values = np.add.reduce(values, axis=0) / len(values)
        reach = reach_of_one / n_independent
        if n_independent > 1:
            spread = np.sqrt(1 / n_independent + _UNCERTAINTY / self.n_images)
            reach += _DEVIATIONS * spread * self.deviations
        return _OUTSIDE * (values - self.bounds[1]) / reach - 1

    @cached_property
    def _limits(self):
        """What images are clipped to, and how far one image may be from the extreme means."""
        extremes, means = self.bounds
        share = _MARGIN + _MARGIN_OF_FEW / math.sqrt(self.n_images)
        margin = np.maximum(share * (extremes[1] - extremes[0]), _MARGINS) * _FACTORS
        reach = _OUTSIDE * (extremes - means) + margin
        reach[1, 3] = math.inf  # a high score is the opposite of an inversion
        return extremes + 1.2 * _OUTSIDE * margin, reach

    def _is_usual(self, rows, layout):
        excess = self._excess(rows, layout)
        return excess is not None and not np.fmax.reduce(excess, axis=None) > 0

    def _diagnose(self, rows, layout, excess):
        """Find the change of the pixels that makes images usual, and describe it."""
        low, high = float(rows.min()), float(rows.max())
        theirs = f"from {_number(low)} to {_number(high)}"
        ours = f"from {_number(self.low)} to {_number(self.high)}"
        off = "check_pixels=False turns this warning off."
        plain = np.fmax.reduce(excess[:, :3], axis=0)  # the score is harder to explain
        number = int(np.nanargmax(plain)) if np.fmax.reduce(plain) > 0 else 3
        if self._is_usual(self.low + self.high - rows, layout):
            return (
                f"X looks inverted: {self._compare(rows, layout, number)}. If dark and bright are "
                f"swapped, {_number(self.low + self.high)} - X is right. {off}"
            )
        start, end = _usual_range(self.low, self.high)
        for their_start, their_end in [*_ranges_around(low, high), (low, high)]:
            factor = (end - start) / (their_end - their_start)
            rescaled = (rows - their_start) * factor + start
            is_inverted = not self._is_usual(rescaled, layout)
            if is_inverted and not self._is_usual(self.low + self.high - rescaled, layout):
                continue
            change = _formula(their_start, factor, start)
            swapped = "X looks inverted and on another scale" if is_inverted else "X looks rescaled"
            change = f"{_number(self.low + self.high)} - ({change})" if is_inverted else change
            return (
                f"{swapped}: it has pixels {theirs}, the training images {ours}. "
                f"{change} has their scale. {off}"
            )
        return (
            f"X looks unlike the training images: {self._compare(rows, layout, number)}; its "
            f"pixels range {theirs}, theirs {ours}. Prepare X as the training images "
            f"were prepared. {off}"
        )

    def _in_pixels(self, number, value):
        """Convert a statistic to the units of its name."""
        half = (self.high - self.low) / 2
        if number == 0:
            return _number((self.low + self.high) / 2 + half * value)
        if number == 1:
            return _number(half * math.exp(value))
        return _number(math.exp(value) if number == 2 else value)

    def _compare(self, rows, layout, number):
        """Say what a statistic of images is, and what it is in the classes of the training."""
        values, _, kept = self._measure(rows, layout)
        seen = self._in_pixels(number, values[kept, number].mean())
        below, above = (self._in_pixels(number, value) for value in self.bounds[1, :, number])
        return (
            f"its {_NAMES[number]} is {seen}, that of the training images {below} to {above}, "
            "depending on the class"
        )


def update_reference(
    reference: PixelReference | None,
    waiting: tuple[NDArray[Any], NDArray[np.int64]] | None,
    rows: NDArray[Any],
    index: NDArray[np.int64],
    target: NDArray[np.int64],
    layout: ImageLayout,
) -> tuple[PixelReference | None, tuple[NDArray[Any], NDArray[np.int64]] | None]:
    """Return the reference after a call of `partial_fit`.

    Images that are too few for one, and their classes, wait for those of the next calls.
    """
    if reference is not None:
        return reference.widen(rows, index, target, layout), None
    if waiting is not None:
        rows = np.concatenate([waiting[0], rows[index]])
        target = np.concatenate([waiting[1], target])
        index = np.arange(len(rows))
    reference = PixelReference.fit(rows, index, target, layout, is_partial=True)
    if reference is not None:
        return reference, None
    return None, (rows[index[-_MOST_WAITING:]], target[-_MOST_WAITING:])


def warn_of_shift(reference, rows, layout):
    """Warn of images unlike those of the training, at the line that called the package."""
    message = reference.describe(rows, layout)
    if message is None:
        return
    level, frame = 1, inspect.currentframe()
    while frame is not None and _is_internal(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


def _is_internal(frame):
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in ("sklenet", "sklearn", "joblib")


def _spread_over(n_rows, most):
    """Return at most so many positions, evenly spread."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.arange(most) * n_rows // most


def _chunks(rows, size=128):
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _shrink(pixels, layout):
    """Return the sum of each block of pixels of images, channel by channel."""
    height, width, channels = layout.shape
    top, left = _block_starts(height), _block_starts(width)
    if layout.channels_first:
        images = pixels.reshape(-1, channels, height, width)
        sums = np.add.reduceat(np.add.reduceat(images, top, axis=2), left, axis=3)
    else:
        images = pixels.reshape(-1, height, width * channels)
        sums = np.add.reduceat(images, top, axis=1).reshape(len(pixels), -1, width, channels)
        sums = np.add.reduceat(sums, left, axis=2)
    return sums.reshape(len(pixels), -1)


def _measure_asymmetries(pixels, layout):
    """Return the skewness of the Laplacian of images, and the excess of bright over dark pixels.

    The small details of natural images are more often bright than dark, or the reverse.
    """
    height, width, channels = layout.shape
    if layout.channels_first:
        images = np.moveaxis(pixels.reshape(-1, channels, height, width), 1, 3)
    else:
        images = pixels.reshape(-1, height, width, channels)
    laplacian = 4 * images[:, 1:-1, 1:-1]
    laplacian -= images[:, :-2, 1:-1]
    laplacian -= images[:, 2:, 1:-1]
    laplacian -= images[:, 1:-1, :-2]
    laplacian -= images[:, 1:-1, 2:]
    laplacian = laplacian.reshape(len(pixels), -1)
    squares = laplacian * laplacian
    n_values = max(1, squares.shape[1])
    variance = np.add.reduce(squares, axis=1) / n_values + _ROUNDING
    skewness = np.einsum("ij,ij->i", squares, laplacian) / n_values / variance**1.5
    skewness = np.minimum(np.maximum(skewness, -_MAX_SKEWNESS), _MAX_SKEWNESS)
    extremes = (pixels > _EXTREME).sum(axis=1) - (pixels < -_EXTREME).sum(axis=1)
    return np.stack([skewness, extremes / pixels.shape[1]], axis=1)


def _block_starts(side):
    n_blocks = min(side, _BLOCKS)
    return [block * side // n_blocks for block in range(n_blocks)]


def _fit_polarity(odd):
    """Fit the score of images, about 1, which is that of their inversion with the other sign.

    `odd` are features that change their sign with the inversion, so that a ridge regression of 1
    on them without an intercept separates images from their inversions. Returns its weights and the
    score of each image by the weights of the others.
    """
    scale = np.sqrt(np.square(odd).mean(axis=0)) + 1e-12
    odd, n_images = odd / scale, len(odd)
    ridge = 0.02 + 10 / n_images
    inverse = np.linalg.inv(odd.T @ odd / n_images + ridge * np.eye(odd.shape[1]))
    weights = inverse @ odd.mean(axis=0)
    leverage = np.einsum("ij,jk,ik->i", odd, inverse, odd, optimize=True) / n_images
    return weights / scale, (odd @ weights - leverage) / (1 - leverage)


def _bounds(values, target):
    means = np.stack([values[target == label].mean(axis=0) for label in np.unique(target)])
    return np.array([[each.min(axis=0), each.max(axis=0)] for each in (values, means)])


def _ranges_around(low, high):
    """Return the usual ranges that pixels may be meant to have, the narrowest first."""
    slack = 0.05 * (high - low)
    return [(start, end) for start, end in _RANGES if start - slack <= low and high <= end + slack]


def _usual_range(low, high):
    ranges = [(a, b) for a, b in _ranges_around(low, high) if high - low > 0.5 * (b - a)]
    return ranges[0] if ranges else (low, high)


def _number(value):
    """Write a number with four digits, or all of an integer."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _formula(their_start, factor, start):
    """Write a linear change of X."""
    shift = start - their_start * factor
    if abs(factor - 1) < 1e-9:
        text = "X"
    else:
        text = f"X * {factor:.6g}" if factor > 1 else f"X / {1 / factor:.6g}"
    if abs(shift) < 1e-9 * max(1.0, abs(factor)):
        return text
    return f"{text} {'+' if shift > 0 else '-'} {abs(shift):.6g}"
