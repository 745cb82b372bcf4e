"""What is true of images with and without PyTorch and Pillow: their fitted size and their luma."""

import numpy as np

__all__ = ["LUMA", "SMALLEST_CENTERED", "fitted_size", "smallest_centered"]

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601, as in Pillow
SMALLEST_CENTERED = 24  # pixels of a side that is not resized to 32


def smallest_centered(size: tuple[int, int]) -> int | None:
    """Return the smallest side of images that keep theirs in images of a size, if there is one.

    Only 32x32 has one, as the network's preprocessing makes images of this size.
    """
    return SMALLEST_CENTERED if tuple(size) == (32, 32) else None


def fitted_size(
    shape: tuple[int, int], size: tuple[int, int], smallest: int | None = None
) -> tuple[int, int]:
    """Return the height and width of an image within another size, before its edges are repeated.

    An image keeps its size if its sides are from `smallest` to those of `size`.
    """
    if smallest is not None and all(
        smallest <= side <= most for side, most in zip(shape, size, strict=True)
    ):
        return shape
    zoom = min(most / side for side, most in zip(shape, size, strict=True))
    return max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))
