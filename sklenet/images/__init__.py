"""From arrays of images to standardized batches, and random changes of them."""

from ._augmentation import AUGMENTATIONS, random_affine
from ._layout import IMAGE_SIZE, ImageFormat, as_array, as_tensor, to_device

__all__ = [
    "AUGMENTATIONS",
    "IMAGE_SIZE",
    "ImageFormat",
    "as_array",
    "as_tensor",
    "random_affine",
    "to_device",
]
