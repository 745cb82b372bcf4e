"""Whatever images the user has, as batches for the network."""

import math
import warnings
from copy import copy

import numpy as np
import torch
from scipy.sparse import issparse
from torch.nn import functional

__all__ = ["ImageFormat", "as_array", "as_tensor", "to_device"]

_CHANNEL_COUNTS = (1, 3, 4)
IMAGE_SIZE = 32
_SMALLEST_CENTRED = 24
_EXACT_IN_FLOAT32 = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.float32)
_PIXELS_AT_ONCE = 2**18


class ImageFormat:
    """How rows of numbers become standardised images of 32x32 pixels.

    It is made from the training images, remembers their shape and the mean and standard deviation
    of their pixels, and treats every later image in the same way.

    Parameters
    ----------
    X : array, data frame or list
        The training images: flat rows of shape (n_samples, n_features), or images of shape
        (n_samples, height, width), (n_samples, height, width, channels) or
        (n_samples, channels, height, width).
    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels). Needed where flat rows are not square images
        and where the position of the channels is ambiguous.

    Attributes
    ----------
    shape : tuple of int
        (height, width, channels).
    channels_first : bool
        Whether a flat row holds its pixels channel by channel.
    mean, std : torch.Tensor of shape (channels, 1, 1), float64
        Statistics of the training pixels; set by `measure`.

    Raises
    ------
    ValueError
        If X has no shape of images, if it disagrees with `image_shape`, or if the position of the
        channels is ambiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.images import ImageFormat
    >>> ImageFormat(np.zeros((10, 3, 20, 30))).shape
    (20, 30, 3)
    """

    def __init__(self, X, image_shape=None):
        if image_shape is not None:
            image_shape = (*image_shape, 1) if len(image_shape) == 2 else tuple(image_shape)
        if np.ndim(X) > 2:
            self.channels_first = _channels_first(X.shape, image_shape)
            self.shape = _height_width_channels(X.shape, self.channels_first)
        else:
            n_features = X.shape[-1] if np.ndim(X) else 1
            side = math.ceil(math.sqrt(n_features))
            self.channels_first = False
            self.shape = image_shape or (side, side, 1)
            if image_shape and n_features != math.prod(image_shape):
                raise ValueError(
                    f"X has {n_features} features, but image_shape={image_shape} has "
                    f"{math.prod(image_shape)} pixels."
                )

    def flatten(self, X):
        """View images as flat rows in the order of the training images.

        Parameters
        ----------
        X : array, data frame or list
            Images in any of the shapes that the class knows.

        Returns
        -------
        array of shape (n_samples, n_features), or X itself where it has flat rows
            The rows.

        Raises
        ------
        ValueError
            If the images have another height, width or number of channels.
        """
        if np.ndim(X) <= 2:
            return X
        if X.ndim > 4 or _height_width_channels(X.shape, self.channels_first) != self.shape:
            channels_first = _channels_first(X.shape, self.shape)
            X = np.moveaxis(X, 1, -1) if channels_first else np.moveaxis(X, -1, 1)
        return X.reshape(len(X), math.prod(self.shape))

    def measure(self, pixels, index, sample_weight):
        """Remember the mean and standard deviation of the training pixels, channel by channel.

        Parameters
        ----------
        pixels : torch.Tensor of shape (n_samples, n_features)
            The flat rows.
        index : torch.Tensor of shape (n_selected,), int64
            The rows that count.
        sample_weight : torch.Tensor of shape (n_selected,), float64
            How much each of them counts.

        Returns
        -------
        ImageFormat
            The object itself.

        Raises
        ------
        ValueError
            If the values are so large that their variance is no float64.

        References
        ----------
        .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample
           Variance: Analysis and Recommendations", The American Statistician 37(3), 1983.
        """
        height, width, channels = self.shape
        n_features = pixels.shape[1]
        feature = torch.arange(n_features)
        channel = feature // (height * width) if self.channels_first else feature % channels
        n_pixels = torch.bincount(channel)
        total, (mean, variance) = 0.0, torch.zeros(2, len(n_pixels), dtype=torch.float64)
        # Chunks that stay in the cache, each read once; their variances add up as Chan et al. say.
        chunk = max(1, _PIXELS_AT_ONCE // n_features)
        for rows, weight in zip(index.split(chunk), sample_weight.split(chunk), strict=True):
            values = pixels[rows].double()
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
        self.mean, self.std = mean[:, None, None], std[:, None, None]
        return self

    def to(self, device):
        """Copy the format with its statistics on a device, where `batch` is to run.

        Parameters
        ----------
        device : torch.device
            The device.

        Returns
        -------
        ImageFormat
            The copy.
        """
        moved = copy(self)
        moved.mean, moved.std = to_device(self.mean, device), to_device(self.std, device)
        return moved

    def batch(self, pixels):
        """Turn flat rows into standardised images for the network.

        Images whose sides are 24 to 32 pixels long are centred in 32x32 and their edge pixels are
        repeated outwards; others are resampled with antialiasing so that the longer side fills
        32 pixels, and then centred likewise. Pixels that a flat row lacks take the mean.

        Parameters
        ----------
        pixels : torch.Tensor of shape (n_samples, n_features)
            The rows of one batch, of any type.

        Returns
        -------
        torch.Tensor of shape (n_samples, channels, 32, 32), float32
            The images, on the device of `pixels`.
        """
        height, width, channels = self.shape
        if not all(_SMALLEST_CENTRED <= side <= IMAGE_SIZE for side in (height, width)):
            zoom = IMAGE_SIZE / max(height, width)
            height, width = (max(1, round(side * zoom)) for side in (height, width))
        top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
        bottom, right = top + height, left + width
        square = torch.empty(
            *(len(pixels), channels, IMAGE_SIZE, IMAGE_SIZE),
            dtype=torch.float32,
            device=pixels.device,
        )
        centre = square[:, :, top:bottom, left:right]
        # Pixels go to their place as they are standardised, without a copy in between.
        if (height, width) == self.shape[:2]:
            self._standardize(pixels, centre)
        else:
            images = self._standardize(
                pixels, square.new_empty(len(pixels), channels, *self.shape[:2])
            )
            centre.copy_(
                functional.interpolate(
                    images, (height, width), mode="bilinear", antialias=True, align_corners=False
                )
            )
        square[:, :, :top] = square[:, :, top : top + 1]
        square[:, :, bottom:] = square[:, :, bottom - 1 : bottom]
        square[..., :left] = square[..., left : left + 1]
        square[..., right:] = square[..., right - 1 : right]
        return square

    def _standardize(self, pixels, out):
        """Write flat rows as standardised images into a float32 tensor."""
        height, width, channels = self.shape
        statistic = torch.float32 if pixels.dtype in _EXACT_IN_FLOAT32 else torch.float64
        missing = math.prod(self.shape) - pixels.shape[1]
        if missing:
            pixels = functional.pad(pixels.to(statistic), (0, missing), value=math.nan)
        if self.channels_first:
            images = pixels.reshape(-1, channels, height, width)
        else:
            images = pixels.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        mean, std = self.mean.to(statistic), self.std.to(statistic)
        if statistic == torch.float32:
            out.copy_(images).sub_(mean).div_(std)
        else:
            out.copy_((images - mean) / std)
        return out.nan_to_num_(nan=0.0) if missing else out


def as_array(X):
    """Give X a shape, without copying what has one.

    Parameters
    ----------
    X : array, data frame, sparse matrix, torch.Tensor, list or any object with `__array__`
        The images.

    Returns
    -------
    array, data frame or sparse matrix
        X itself, a view of its memory, or a new array.
    """
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        return (X.float() if X.dtype == torch.bfloat16 else X).numpy()
    if isinstance(X, np.ndarray) or issparse(X) or len(getattr(X, "shape", ())) == 2:
        return X
    return np.asarray(X)


def as_tensor(array):
    """Share the memory of a numeric array with a tensor, where PyTorch knows its type.

    Parameters
    ----------
    array : ndarray
        Numbers; nobody writes to the tensor.

    Returns
    -------
    torch.Tensor
        Of the same type or, where PyTorch does not compute with that (unsigned integers of more
        than 8 bits, long double, foreign byte order), of float32 for 16 bits and float64 for more.
    """
    foreign = array.dtype.kind == "u" and array.dtype.itemsize > 1
    foreign |= array.dtype == np.longdouble or not array.dtype.isnative
    if foreign:
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    elif min(array.strides, default=0) < 0:
        array = array.copy()
    with warnings.catch_warnings():
        # A memory map may be read-only.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def to_device(pixels, device):
    """Move pixels to a device in the type that they have, if the device knows it.

    Parameters
    ----------
    pixels : torch.Tensor
        The pixels.
    device : torch.device
        The device.

    Returns
    -------
    torch.Tensor
        The pixels on the device; float32 where the device has no float64 to convert them with.
    """
    if device.type == "mps" and pixels.dtype not in _EXACT_IN_FLOAT32:
        pixels = pixels.float()
    return pixels.to(device)


def _channels_first(X_shape, image_shape=None):
    """Whether the channels of images are the second axis, as `image_shape` or convention says."""
    if not 3 <= len(X_shape) <= 4:
        raise ValueError(
            "X must have the shape (n_samples, n_features), (n_samples, height, width), "
            "(n_samples, height, width, channels) or (n_samples, channels, height, width), "
            f"got {X_shape}."
        )
    if 0 in X_shape[1:]:
        raise ValueError(f"X has images without pixels: its shape is {X_shape}.")
    layouts = (False, True) if len(X_shape) == 4 else (False,)
    if image_shape is not None:
        for channels_first in layouts:
            if _height_width_channels(X_shape, channels_first) == image_shape:
                return channels_first
        raise ValueError(
            f"X has images of shape {X_shape[1:]}; "
            f"expected the (height, width, channels) {image_shape}."
        )
    if len(layouts) == 1:
        return False
    first, last = (X_shape[axis] in _CHANNEL_COUNTS for axis in (1, 3))
    # More channels than rows or columns would be odd: the images are rather something else.
    unlikely = not last and X_shape[1] >= min(X_shape[2:])
    if (first and last) or unlikely:
        raise ValueError(
            "The position of the channels is ambiguous: either the second or the last axis of X, "
            f"of shape {X_shape}, may hold them. Pass image_shape=(height, width, channels)."
        )
    return not last


def _height_width_channels(X_shape, channels_first):
    if len(X_shape) == 3:
        return (*X_shape[1:], 1)
    return (*X_shape[2:], X_shape[1]) if channels_first else tuple(X_shape[1:])
