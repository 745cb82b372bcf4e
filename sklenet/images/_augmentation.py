"""Random changes of training images that leave their class as it is."""

import math

import torch
from torch.nn import functional

__all__ = ["AUGMENTATIONS", "random_affine"]

MAX_ROTATION = 10.0
"""Largest rotation, in degrees, in either direction."""
MAX_SCALING = 0.1
"""Largest relative change of each side."""
MAX_SHIFT = 2.0
"""Largest shift along each axis, in pixels of the 32x32 image."""
MAX_SHEAR = 0.2
"""Largest horizontal shift of a row per row of distance from the centre."""


def random_affine(images):
    """Rotate, scale, shift and shear each image at random, by a little.

    Each image gets its own transformation, uniformly drawn from the ranges of this module with
    PyTorch's random generator; a digit stays readable as the same digit. Values between pixels are
    interpolated bilinearly, edge pixels are repeated outwards.

    Parameters
    ----------
    images : torch.Tensor of shape (n_samples, n_channels, height, width), float
        The images, on any device.

    Returns
    -------
    torch.Tensor of the same shape and type
        The transformed images.

    Examples
    --------
    >>> import torch
    >>> from sklenet.images import random_affine
    >>> random_affine(torch.zeros(8, 1, 32, 32)).shape
    torch.Size([8, 1, 32, 32])
    """
    n_samples, _, height, width = images.shape
    uniform = torch.rand(6, n_samples, device=images.device) * 2 - 1
    angle = math.radians(MAX_ROTATION) * uniform[0]
    scale_x, scale_y = 1 + MAX_SCALING * uniform[1:3]
    shear = MAX_SHEAR * uniform[3]
    # affine_grid measures in half image sides.
    shift_x, shift_y = MAX_SHIFT * uniform[4] * 2 / width, MAX_SHIFT * uniform[5] * 2 / height
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([scale_x * cos, scale_x * (shear * cos - sin), shift_x], dim=1),
            torch.stack([scale_y * sin, scale_y * (shear * sin + cos), shift_y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta.to(images.dtype), images.shape, align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


AUGMENTATIONS = {"affine": random_affine}
