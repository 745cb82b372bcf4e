"""From arrays of images to standardized batches, and random changes of them."""

from ._array import as_array, tensor_to_array
from ._augmentation import AUGMENTATIONS, check_augmentation, compose_augmentations
from ._files import ImageReader, holds_files, read_images
from ._layout import ImageLayout, has_ambiguous_channels, warn_of_color_rows
from ._preprocessor import ImagePreprocessor, as_tensor, to_device
from ._shift import PixelReference, update_reference, warn_of_shift

__all__ = [
    "AUGMENTATIONS",
    "ImageLayout",
    "ImagePreprocessor",
    "ImageReader",
    "PixelReference",
    "as_array",
    "as_tensor",
    "check_augmentation",
    "compose_augmentations",
    "has_ambiguous_channels",
    "holds_files",
    "read_images",
    "tensor_to_array",
    "to_device",
    "warn_of_color_rows",
    "update_reference",
    "warn_of_shift",
]
