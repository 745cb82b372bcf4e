"""The layout of images in an array: `ImageLayout`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._validation import check_sizes
from ._array import as_array

__all__ = ["ImageLayout"]

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
            (height, width) or (height, width, channels). Needed where flat rows are not square
            images and where the position of the channels is ambiguous.

        Returns
        -------
        ImageLayout
            The layout. Flat rows without `image_shape` are square images of one channel, filled up
            to the next square.

        Raises
        ------
        ValueError
            If X does not have the shape of images, if it disagrees with `image_shape`, or if the
            position of the channels is ambiguous.
        """
        X = as_array(X)
        if image_shape is not None:
            image_shape = check_sizes("image_shape", image_shape, lengths=(2, 3))
            image_shape = (*image_shape, 1) if len(image_shape) == 2 else image_shape
        if np.ndim(X) > 2:
            channels_first = _channels_first(X.shape, image_shape)
            height, width, channels = _height_width_channels(X.shape, channels_first)
            return cls(height, width, channels, channels_first)
        n_features = X.shape[-1] if np.ndim(X) else 1
        if image_shape is None:
            side = math.ceil(math.sqrt(n_features))
            return cls(side, side)
        if n_features != math.prod(image_shape):
            raise ValueError(
                f"X must have {math.prod(image_shape)} features for image_shape={image_shape}, "
                f"got {n_features}."
            )
        height, width, channels = image_shape
        return cls(height, width, channels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def n_values(self) -> int:
        """Numbers that make an image: height times width times channels."""
        return math.prod(self.shape)

    def flatten(self, X: Any) -> Any:
        """View images as flat rows.

        Parameters
        ----------
        X : array or data frame
            Images in any of the shapes that `from_images` reads, or flat rows.

        Returns
        -------
        array of shape (n_samples, n_features), or X itself where it has flat rows
            The rows, in the order of this layout.

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
        return X.reshape(len(X), self.n_values)

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
