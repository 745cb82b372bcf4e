"""The layout of images in an array: `ImageLayout`."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._validation import check_sizes
from ._array import as_array

__all__ = ["ImageLayout", "has_ambiguous_channels", "warn_of_color_rows"]

_CHANNEL_COUNTS = (1, 3, 4)


@dataclass(frozen=True)
class ImageLayout:
    """Height, width and channels of images, and the order of their pixels in a flat row.

    `from_images` reads it off an array.

    Parameters
    ----------
    height, width : int
        Pixels in a column and in a row of an image.
    channels : int, default=1
        Values of a pixel.
    channels_first : bool, default=False
        Whether a flat row holds one channel after the other instead of one pixel after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet import ImageLayout
    >>> ImageLayout.from_images(np.zeros((10, 3, 20, 30)))
    ImageLayout(height=20, width=30, channels=3, channels_first=True)
    """

    height: int
    width: int
    channels: int = 1
    channels_first: bool = False

    @classmethod
    def from_images(cls, X: Any, image_shape: Sequence[int] | None = None) -> Self:
        """Read the layout off images.

        Parameters
        ----------
        X : array-like
            Flat rows of shape (n_samples, n_features), or images of shape
            (n_samples, height, width), (n_samples, height, width, channels) or
            (n_samples, channels, height, width).
        image_shape : tuple of int, default=None
            (height, width), (height, width, channels) or (channels, height, width), the latter with
            1, 3 or 4 channels. Needed where flat rows are not square images of one channel and
            where the position of the channels is ambiguous.

        Returns
        -------
        ImageLayout
            The layout. Flat rows without `image_shape` are square images of one channel, filled up
            to the next square; with (channels, height, width) they hold one channel after the
            other. Images keep the order of their axes.

        Raises
        ------
        ValueError
            If X does not have the shape of images, if it disagrees with `image_shape`, or if the
            position of the channels is ambiguous.
        TypeError
            If X does not hold numbers.

        Notes
        -----
        Three numbers are (height, width, channels) if only the last is 1, 3 or 4, and (channels,
        height, width) if only the first is. Otherwise they are (height, width, channels), unless
        only (channels, height, width) makes square images, as (3, 4, 4) does.
        """
        X = as_array(X)
        given = None if image_shape is None else cls._from_image_shape(image_shape)
        if len(X.shape) > 2:
            channels_first = _channels_first(X.shape, given and given.shape)
            height, width, channels = _height_width_channels(X.shape, channels_first)
            return cls(height, width, channels, channels_first)
        n_features = X.shape[-1] if X.shape else 1
        if image_shape is None or given is None:
            side = math.ceil(math.sqrt(n_features))
            return cls(side, side)
        if len(X.shape) == 2 and n_features != given.n_values:
            sizes = tuple(int(size) for size in (*image_shape, 1)[:3])
            raise ValueError(
                f"X must have {given.n_values} features for image_shape={sizes}, got {n_features}."
            )
        return given

    @classmethod
    def _from_image_shape(cls, image_shape):
        sizes = check_sizes("image_shape", image_shape, lengths=(2, 3))
        if len(sizes) == 2:
            return cls(*sizes)
        first, middle, last = sizes
        may_be_first, may_be_last = (size in _CHANNEL_COUNTS for size in (first, last))
        # Where both hold, square images are more likely than others.
        if may_be_first and (not may_be_last or first != middle == last):
            return cls(middle, last, first, channels_first=True)
        return cls(*sizes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def n_values(self) -> int:
        """Numbers that make an image: height times width times channels."""
        return math.prod(self.shape)

    def flatten(self, X: Any, n_features: int | None = None) -> Any:
        """View images as flat rows.

        Parameters
        ----------
        X : array or data frame
            Images in any of the shapes that `from_images` reads, or flat rows.
        n_features : int, default=None
            Number of columns that flat rows should have. If given, X that is rather one image
            without the axis of the samples is refused.

        Returns
        -------
        array of shape (n_samples, n_features), or X itself where it has flat rows
            The rows, in the order of this layout.

        Raises
        ------
        ValueError
            If the images have another height, width or number of channels.
        """
        self._refuse_single_image(X, n_features)
        if len(X.shape) <= 2:
            return X
        if X.ndim > 4 or _height_width_channels(X.shape, self.channels_first) != self.shape:
            channels_first = _channels_first(X.shape, self.shape)
            X = np.moveaxis(X, 1, -1) if channels_first else np.moveaxis(X, -1, 1)
        return X.reshape(len(X), self.n_values)

    def _refuse_single_image(self, X, n_features):
        if not isinstance(X, np.ndarray):
            return  # the rows of a data frame
        shape, (height, width, channels) = X.shape, self.shape
        if len(shape) == 2:
            is_image = shape == (height, width) and channels == 1
            # Rows that are padded are hardly images.
            is_batch = n_features in (None, shape[1]) or n_features != self.n_values
        else:
            is_image = shape in (self.shape, (channels, height, width))
            is_batch = channels == 1 and shape[1:] == (height, width)
        if is_image and not is_batch:
            raise ValueError(
                f"X must have the shape (n_samples, {str(shape)[1:-1]}), got one image of shape "
                f"{shape}: pass X[np.newaxis]."
            )

    def unflatten(self, rows: Any) -> Any:
        """View flat rows as images, channels first.

        Parameters
        ----------
        rows : ndarray or torch.Tensor of shape (n_samples, n_values)
            The rows, in the order of this layout.

        Returns
        -------
        ndarray or torch.Tensor of shape (n_samples, channels, height, width)
            The images.
        """
        if self.channels_first:
            return rows.reshape(-1, self.channels, self.height, self.width)
        return rows.reshape(-1, *self.shape).swapaxes(1, 3).swapaxes(2, 3)


def _channels_first(X_shape, image_shape=None):
    """Tell whether the second axis of images holds the channels: `image_shape` or convention."""
    if not 3 <= len(X_shape) <= 4:
        raise ValueError(
            "X must have the shape (n_samples, n_features), (n_samples, height, width), "
            "(n_samples, height, width, channels) or (n_samples, channels, height, width), "
            f"got {X_shape}."
        )
    if 0 in X_shape[1:]:
        raise ValueError(f"X must have images with pixels, got the shape {X_shape}.")
    layouts = (False, True) if len(X_shape) == 4 else (False,)
    if image_shape is not None:
        for channels_first in layouts:
            if _height_width_channels(X_shape, channels_first) == image_shape:
                return channels_first
        raise ValueError(
            f"X must have images of (height, width, channels) {image_shape}, "
            f"got images of shape {X_shape[1:]}."
        )
    if len(layouts) == 1:
        return False
    if has_ambiguous_channels(X_shape):
        raise ValueError(
            "The position of the channels is ambiguous: either the second or the last axis of X, "
            f"of shape {X_shape}, may hold them. Pass image_shape, (height, width, channels) or "
            f"(channels, height, width): {_possible_image_shapes(X_shape)}."
        )
    return X_shape[3] not in _CHANNEL_COUNTS


def has_ambiguous_channels(X_shape):
    """Tell whether images have four axes of which either the second or the last may be channels."""
    if len(X_shape) != 4 or 0 in X_shape[1:]:
        return False
    first, last = (X_shape[axis] in _CHANNEL_COUNTS for axis in (1, 3))
    # More channels than rows or columns would be odd: the images are rather something else.
    unlikely = not last and X_shape[1] >= min(X_shape[2:])
    return (first and last) or unlikely


def _possible_image_shapes(X_shape):
    """Name the value of `image_shape` for each position of the channels; tiny images lack one."""
    second, last = (_height_width_channels(X_shape, is_first) for is_first in (True, False))
    if second == last:
        return (
            f"image_shape={last} if the last axis holds them; else pass np.moveaxis(X, 1, -1) as X"
        )
    return " or ".join(
        f"image_shape={shape} if the {axis} axis holds them"
        for axis, shape in (("second", second), ("last", last))
        if ImageLayout._from_image_shape(shape).shape == shape
    )


def warn_of_color_rows(layout, n_features):
    """Warn of flat rows that are read as gray images but could be square color images."""
    side = math.isqrt(n_features // 3)
    if side > 1 and 3 * side**2 == n_features:
        channel_wise = (
            f", or image_shape=(3, {side}, {side}) if it holds one channel after the other"
        )
        warnings.warn(
            f"X has {n_features} features, which are read as gray images of "
            f"{layout.height}x{layout.width} pixels, padded. For color images, pass "
            f"image_shape=({side}, {side}, 3) if a row holds one pixel after the other"
            f"{channel_wise if side != 3 else ''}.",  # (3, 3, 3) only says the former
            UserWarning,
            stacklevel=2,
        )


def _height_width_channels(X_shape, channels_first):
    if len(X_shape) == 3:
        return (*X_shape[1:], 1)
    return (*X_shape[2:], X_shape[1]) if channels_first else tuple(X_shape[1:])
