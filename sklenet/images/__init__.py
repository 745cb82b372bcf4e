"""From arrays of images to standardized batches, and random changes of them."""

from ._array import as_array, tensor_to_array
from ._augmentation import AUGMENTATIONS, random_affine
from ._layout import ImageLayout, has_ambiguous_channels, warn_of_color_rows
from ._preprocessor import ImagePreprocessor, as_tensor, to_device

__all__ = [
    "AUGMENTATIONS",
    "ImageLayout",
    "ImagePreprocessor",
    "as_array",
    "as_tensor",
    "has_ambiguous_channels",
    "random_affine",
    "tensor_to_array",
    "to_device",
    "warn_of_color_rows",
]
