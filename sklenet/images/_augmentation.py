"""Random changes of training images that preserve their class."""

import math

import torch
from torch.nn import functional

__all__ = ["AUGMENTATIONS", "random_affine"]

MAX_ROTATION = 10.0  # degrees, in either direction
MAX_SCALING = 0.1  # relative change of each side
MAX_SHIFT = 2.0  # pixels of the 32x32 image, along each axis
MAX_SHEAR = 0.2  # horizontal shift of a row per row of distance from the center


def random_affine(images, generator=None):
    """Rotate, scale, shift and shear each image of a batch slightly and at random.

    Each image has its own transformation, uniform within the ranges of this module. Values between
    pixels are interpolated bilinearly, edge pixels are repeated outwards. The generator, one of
    the CPU, is PyTorch's own by default.
    """
    n_samples, _, height, width = images.shape
    # Drawn on the CPU, so that they are the same for every device.
    uniform = (torch.rand(6, n_samples, generator=generator) * 2 - 1).to(images.device)
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
