"""The conversion of flat rows to standardized images: `ImagePreprocessor`."""

import math
import warnings
from typing import Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .._pixels import SMALLEST_CENTERED, fitted_size
from ._layout import ImageLayout

__all__ = ["ImagePreprocessor", "as_tensor", "to_device"]

_EXACT_IN_FLOAT32 = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.float32)
_CHUNK_PIXELS = 2**18


class ImagePreprocessor(nn.Module):
    """Convert flat rows of pixels to standardized square images.

    Images whose sides are 24 to `size` pixels long are centered and their edge pixels are repeated
    outwards; others are resampled with antialiasing so that the longer side has `size` pixels, and
    then centered likewise. Pixels are not standardized before `fit`.

    Parameters
    ----------
    layout : ImageLayout
        How a row holds an image.
    size : int, default=32
        Height and width of the images that come out, in pixels.

    Attributes
    ----------
    n_features : int
        Number of columns of the rows.
    mean, std : torch.Tensor of shape (channels, 1, 1), float64
        Mean and standard deviation of the training pixels, channel by channel, as buffers; the
        standard deviation of a constant channel is 1.
    low, high : torch.Tensor of shape (), float64
        The smallest and the largest training pixel, as buffers.

    Examples
    --------
    >>> import torch
    >>> from sklenet import ImageLayout, ImagePreprocessor
    >>> rows = torch.arange(8 * 784).reshape(8, 784)
    >>> ImagePreprocessor(ImageLayout(28, 28)).fit(rows)(rows).shape
    torch.Size([8, 1, 32, 32])
    """

    mean: torch.Tensor
    std: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, layout: ImageLayout, size: int = 32) -> None:
        super().__init__()
        self.layout = layout
        self.size = size
        self.n_features = layout.n_values
        self.register_buffer("mean", torch.zeros(layout.channels, 1, 1, dtype=torch.float64))
        self.register_buffer("std", torch.ones(layout.channels, 1, 1, dtype=torch.float64))
        self.register_buffer("low", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("high", torch.tensor(1.0, dtype=torch.float64))

    def fit(
        self,
        rows: torch.Tensor,
        sample_weight: torch.Tensor | None = None,
        index: torch.Tensor | None = None,
    ) -> Self:
        """Take the mean and standard deviation of each channel and the range of the pixels.

        Parameters
        ----------
        rows : torch.Tensor of shape (n_samples, n_features)
            The flat rows, on the CPU.
        sample_weight : torch.Tensor of shape (n_selected,), float64, default=None
            Weight of each selected row; 1 by default. Rows of weight zero are left out.
        index : torch.Tensor of shape (n_selected,), int64, default=None
            The selected rows, in the order of the summation, which determines the last bits; all
            rows by default.

        Returns
        -------
        self : ImagePreprocessor
            The fitted preprocessor.

        Raises
        ------
        ValueError
            If the variance of the values overflows float64.

        References
        ----------
        .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample
           Variance: Analysis and Recommendations", The American Statistician 37(3), 1983.
        """
        if index is None:
            index = torch.arange(len(rows))
        if sample_weight is None:
            sample_weight = torch.ones(len(index), dtype=torch.float64)
        index, sample_weight = index[sample_weight > 0], sample_weight[sample_weight > 0]
        height, width, channels = self.layout.shape
        n_features = rows.shape[1]
        feature = torch.arange(n_features)
        is_first = self.layout.channels_first
        channel = feature // (height * width) if is_first else feature % channels
        n_pixels = torch.bincount(channel)
        total, (mean, variance) = 0.0, torch.zeros(2, len(n_pixels), dtype=torch.float64)
        low, high = math.inf, -math.inf
        # Chunks that fit the cache, each read once; their variances add up as Chan et al. say.
        chunk = max(1, _CHUNK_PIXELS // n_features)
        for selected, weight in zip(index.split(chunk), sample_weight.split(chunk), strict=True):
            values = rows[selected].double()
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            share = weight / weight.sum()
            chunk_mean = torch.bincount(channel, share @ values) / n_pixels
            squares = values.sub_(chunk_mean[channel]).square_()
            chunk_variance = torch.bincount(channel, share @ squares) / n_pixels
            total += float(weight.sum())
            part, difference = weight.sum() / total, chunk_mean - mean
            variance = (1 - part) * (variance + part * difference**2) + part * chunk_variance
            mean = mean + part * difference
        std = variance.sqrt()
        if not std.isfinite().all():
            raise ValueError("The pixel values of X are too large: their variance overflows.")
        # Rounding leaves a constant channel a deviation of some units in the last place.
        std[std <= 1e-13 * mean.abs()] = 1.0
        self.mean, self.std, self.n_features = mean[:, None, None], std[:, None, None], n_features
        self.low, self.high = (torch.tensor(end, dtype=torch.float64) for end in (low, high))
        return self

    def resampling_weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the resizing, centering and padding of images as two matrices.

        ``rows @ image @ columns.T`` is what `forward` makes of the pixels of a channel, before or
        after their standardization: each pixel is a weighted mean.

        Returns
        -------
        rows : torch.Tensor of shape (size, height), float32
            The weights of each row of an image.
        columns : torch.Tensor of shape (size, width), float32
            The weights of each column of an image.
        """
        sides = zip(self.layout.shape[:2], self._resized(), strict=True)
        rows, columns = (_axis_weights(side, resized, self.size) for side, resized in sides)
        return rows, columns

    def _resized(self):
        """Return the height and the width of the images before they are padded."""
        height, width, _ = self.layout.shape
        return fitted_size((height, width), (self.size, self.size), SMALLEST_CENTERED)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Convert flat rows to standardized images.

        Parameters
        ----------
        rows : torch.Tensor of shape (n_samples, n_features)
            The rows, of any type, on the device of the preprocessor. Pixels that a row lacks take
            the mean.

        Returns
        -------
        torch.Tensor of shape (n_samples, channels, size, size), float32
            The images.

        Raises
        ------
        ValueError
            If the rows are not a tensor of that shape.
        """
        if not isinstance(rows, torch.Tensor) or rows.shape[1:] != (self.n_features,):
            raise ValueError(
                f"rows must be a tensor of shape (n_samples, {self.n_features}), got "
                f"{type(rows).__name__} of shape {tuple(np.shape(rows))}; "
                "`layout.flatten` makes rows of images."
            )
        (height, width), channels = self._resized(), self.layout.channels
        top, left = (self.size - height) // 2, (self.size - width) // 2
        bottom, right = top + height, left + width
        shape = (len(rows), channels, self.size, self.size)
        square = torch.empty(shape, dtype=torch.float32, device=rows.device)
        center = square[:, :, top:bottom, left:right]
        # Pixels are standardized into their place, without a copy in between.
        if (height, width) == self.layout.shape[:2]:
            self._standardize(rows, out=center)
        else:
            images = square.new_empty(len(rows), channels, *self.layout.shape[:2])
            self._standardize(rows, out=images)
            center.copy_(_resize(images, height, width))
        square[:, :, :top] = square[:, :, top : top + 1]
        square[:, :, bottom:] = square[:, :, bottom - 1 : bottom]
        square[..., :left] = square[..., left : left + 1]
        square[..., right:] = square[..., right - 1 : right]
        return square

    def _standardize(self, rows, out):
        """Write flat rows as standardized images, not resized, into a float32 tensor."""
        dtype = self.mean.dtype  # one for all rows: equal values give equal images
        missing = self.layout.n_values - rows.shape[1]
        if missing:
            rows = functional.pad(rows.to(dtype), (0, missing), value=math.nan)
        images = self.layout.unflatten(rows).to(dtype)
        out.copy_((images - self.mean).div_(self.std))
        if missing:
            out.nan_to_num_(nan=0.0)

    def __getstate__(self):
        # As arrays: pickles of a model trained on a GPU load without one, and skops knows them.
        buffers = {name: buffer.numpy(force=True) for name, buffer in self.named_buffers()}
        return self.__dict__ | {"_buffers": buffers}

    def __setstate__(self, state):
        buffers = {name: torch.from_numpy(array) for name, array in state["_buffers"].items()}
        super().__setstate__(state | {"_buffers": buffers})

    def extra_repr(self) -> str:
        """Show the layout where PyTorch prints the module.

        Returns
        -------
        str
            The text between the parentheses.
        """
        return f"{self.layout}, size={self.size}"


def _axis_weights(side, resized, size):
    """Return the weights of the pixels along an axis in each pixel that comes out."""
    identity = torch.eye(side)[None, None]
    weights = identity if resized == side else _resize(identity, resized, side)
    before = (size - resized) // 2
    padding = (0, 0, before, size - resized - before)
    return functional.pad(weights, padding, mode="replicate")[0, 0]


def _resize(images, height, width):
    # For one column PyTorch's kernel takes the nearest rows, for one row it takes the means.
    if width == 1:
        return _resize(images.mT.contiguous(), width, height).mT
    return functional.interpolate(
        images, (height, width), mode="bilinear", antialias=True, align_corners=False
    )


def as_tensor(array):
    """Share the memory of a numeric array with a tensor.

    Types that PyTorch does not compute with (unsigned integers of more than 8 bits, long double,
    foreign byte order) are converted to float32 from 16 bits, to float64 from more.
    """
    foreign = array.dtype.kind == "u" and array.dtype.itemsize > 1
    foreign |= array.dtype == np.longdouble or not array.dtype.isnative
    if foreign:
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    elif min(array.strides, default=0) < 0:
        array = array.copy()
    with warnings.catch_warnings():
        # A memory map may be read-only; nothing writes to the tensor.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def to_device(tensor, device):
    """Move a tensor to a device, as float32 where the device does not support its dtype (MPS)."""
    if device.type == "mps" and tensor.dtype not in _EXACT_IN_FLOAT32:
        tensor = tensor.float()
    return tensor.to(device)
