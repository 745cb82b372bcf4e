"""From arrays of images to standardized batches, and random changes of them."""

from ._augmentation import AUGMENTATIONS, random_affine
from ._layout import ImageLayout, as_array
from ._preprocessor import ImagePreprocessor, as_tensor, to_device

__all__ = [
    "AUGMENTATIONS",
    "ImageLayout",
    "ImagePreprocessor",
    "as_array",
    "as_tensor",
    "random_affine",
    "to_device",
]
