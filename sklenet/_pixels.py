"""What is true of images with and without PyTorch and Pillow: their fitted size and their luma."""

import math

import numpy as np

__all__ = ["LUMA", "SMALLEST_CENTERED", "fitted_size"]

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601, as in Pillow
SMALLEST_CENTERED = 24  # pixels of a side that is not resized to 32


def fitted_size(
    shape: tuple[int, int], size: tuple[int, int], smallest_centered: float = math.inf
) -> tuple[int, int]:
    """Return the height and width of an image within another size, before its edges are repeated.

    An image keeps its size if its sides are from `smallest_centered` to those of `size`.
    """
    if all(smallest_centered <= side <= most for side, most in zip(shape, size, strict=True)):
        return shape
    zoom = min(most / side for side, most in zip(shape, size, strict=True))
    return max(1, round(shape[0] * zoom)), max(1, round(shape[1] * zoom))
