"""Image files as arrays, through Pillow.

It is apart from `images`, whose import loads PyTorch: the processes that read files do without.
"""

import io
import math
import os
import stat
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ._pixels import LUMA, fitted_size, smallest_centered

__all__ = ["Chunk", "Failure", "Format", "read_chunk", "read_gray", "unify_sizes"]

# Those that Pillow decodes itself: for EPS, for instance, it would start another program.
_FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "BMP",
    "DIB",
    "TIFF",
    "WEBP",
    "PPM",
    "MPO",
    "AVIF",
    "JPEG2000",
    "ICO",
    "TGA",
    "PCX",
    "SGI",
)
_DEEP = {"I": np.float32, "F": np.float32} | dict.fromkeys(
    ("I;16", "I;16L", "I;16B", "I;16N"), np.uint16
)
_GRAY = ("1", "L", "LA")
_GRAY_STEPS = {"L;2": 85, "L;4": 17}  # Pillow scales these pixels, but not the transparent one
_DIRECT_TO_GRAY = (*_GRAY, "P", "RGB")
_LARGEST = 256  # pixels of a side; larger images are not kept at their size
_MIXED_SIZE = (32, 32)
_REDUCING_GAP = 3.0  # JPEG files and large images are first reduced to this multiple of their size


class Format(NamedTuple):
    """The format that images are converted to; None is read off the images."""

    size: tuple[int, int] | None  # height and width
    mode: str | None  # "L" or "RGB"
    background: tuple[int, int, int]


class Failure(NamedTuple):
    """Why the image at a position cannot be read."""

    position: int
    error: Exception


@dataclass
class Chunk:
    """Images that were read one after the other, and what is known of them."""

    images: Any = field(default_factory=list)  # arrays, or one array of them all
    sizes: set[tuple[int, int]] = field(default_factory=set)  # of the images as they came
    failures: list[Failure] = field(default_factory=list)


def read_chunk(sources, first, format, on_error):
    """Read images as arrays of shape (height, width) or (height, width, 3).

    Without a size in `format`, images of one size keep it if no side is longer than 256 pixels;
    others are resized to 32x32. Without a mode, gray images have two axes. `first` is the position
    of the first source, for the errors; with ``on_error="raise"`` the first failure is the last.
    """
    chunk = Chunk()
    with _without_bomb_warnings():
        for index, source in enumerate(sources, start=first):
            try:
                pixels, size = _read(source, format)
            except Exception as error:  # Pillow's plugins raise any on malformed files
                chunk.failures.append(Failure(index, _explain(error, source, index)))
                if on_error == "raise":
                    break
            else:
                chunk.images.append(pixels)
                chunk.sizes.add(size)
    if format.size is None:
        unify_sizes([chunk])
    if len({(pixels.shape, pixels.dtype) for pixels in chunk.images}) == 1:
        chunk.images = np.stack(chunk.images)  # one array travels faster between processes
    return chunk


@contextmanager
def _without_bomb_warnings():
    """Let a warning of a decompression bomb, which is refused anyway, be an error.

    In other threads it stays a warning: the filters belong to the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def unify_sizes(chunks):
    """Resize images to 32x32, in place, unless all have one size and are not large."""
    sizes = set().union(*(chunk.sizes for chunk in chunks))
    if len(sizes) > 1 or any(max(size) > _LARGEST for size in sizes):
        for chunk in chunks:
            chunk.images = [resize(pixels, _MIXED_SIZE) for pixels in chunk.images]


def resize(pixels, size):
    """Resize an image with antialiasing, keeping its aspect ratio; its edges are repeated."""
    height, width = pixels.shape[:2]
    rows, columns = fitted_size((height, width), size, smallest_centered(size))
    if (rows, columns) != (height, width):
        if pixels.dtype == np.uint8:
            pixels = _resample(pixels, rows, columns)
        else:
            channels = pixels.reshape(height, width, -1).astype(np.float32)
            channels = [_resample(plane, rows, columns) for plane in np.moveaxis(channels, 2, 0)]
            resized = np.stack(channels, axis=2).reshape(rows, columns, *pixels.shape[2:])
            is_integer = pixels.dtype.kind == "u"
            pixels = (np.rint(resized) if is_integer else resized).astype(pixels.dtype)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    if (rows, columns) == size:
        return pixels
    padding = [(top, size[0] - rows - top), (left, size[1] - columns - left)]
    return np.pad(pixels, padding + [(0, 0)] * (pixels.ndim - 2), mode="edge")


def _resample(pixels, rows, columns):
    image = Image.fromarray(np.ascontiguousarray(pixels))
    size = (columns, rows)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP))


def _read(source, format):
    """Return the pixels of an image and its size as it came."""
    if isinstance(source, Image.Image):
        pixels = _convert(ImageOps.exif_transpose(source), format)
        return _fit(pixels, format), pixels.shape[:2]
    if hasattr(source, "__array__") and not isinstance(source, str | bytes):  # of NumPy
        pixels = _convert_array(_check_array(source), format)
        return _fit(pixels, format), pixels.shape[:2]
    with _open(source) as image:
        width, height = image.size
        size = format.size or (_MIXED_SIZE if max(width, height) > _LARGEST else None)
        if size is not None and max(width, height) > max(size):
            _draft(image, size)
        stored_as = image.tile[0][3] if image.format == "PNG" and image.tile else None
        image.load()
        if stored_as in _GRAY_STEPS and "transparency" in image.info:
            image.info["transparency"] *= _GRAY_STEPS[stored_as]
        elif stored_as == "LA;16B":
            image = image.convert("LA")
        # JPEG files have their orientation in the header, which was read.
        if image.format != "JPEG" or "exif" in image.info or "xmp" in image.info:
            ImageOps.exif_transpose(image, in_place=True)
        pixels = _convert(image, format)
        is_large = max(width, height) > _LARGEST
        return _fit(pixels, format), (height, width) if is_large else pixels.shape[:2]


def read_gray(image):
    """Return the pixels of an image of Pillow in gray, turned by its orientation, on white."""
    return _convert(ImageOps.exif_transpose(image), Format(None, "L", (255, 255, 255)))


def _open(source):
    if isinstance(source, bytes | bytearray | memoryview):
        return _refuse_bomb(Image.open(io.BytesIO(source), formats=_known_formats()))
    if not isinstance(source, str):
        raise TypeError(
            f"X must have paths, bytes, images of Pillow or arrays, got {type(source).__name__}"
        )
    mode = os.stat(source).st_mode  # before it is opened: a pipe would wait for its other end
    if not stat.S_ISREG(mode):
        raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    return _refuse_bomb(Image.open(source, formats=_known_formats()))


@cache
def _known_formats():
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _refuse_bomb(image):
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and math.prod(image.size) > limit:
        image.close()
        raise Image.DecompressionBombError(f"it has {math.prod(image.size):,} pixels")
    return image


def _draft(image, size):
    """Let a JPEG file be decoded at a half, a quarter or an eighth of its size where that does."""
    width, height = image.size
    zooms = (min(size[0] / h, size[1] / w) for h, w in ((height, width), (width, height)))
    zoom = _REDUCING_GAP * max(zooms)  # it may still be turned
    image.draft(None, (math.ceil(width * zoom), math.ceil(height * zoom)))


def _convert(image, format):
    """Return the pixels of a decoded image, not resized."""
    if image.mode in _DEEP:
        # Pillow reads these files of 16 bits as integers of 32 bits.
        has_16_bits = image.mode == "I" and image.format in ("PNG", "PPM")
        dtype = np.uint16 if has_16_bits else _DEEP[image.mode]
        return _convert_array(np.asarray(image).astype(dtype), format)
    if image.mode == "La":  # its opacity is multiplied in, which Pillow only takes back so
        image = image.convert("LA")
    is_gray = image.mode in _GRAY or (image.mode == "P" and _has_gray_palette(image))
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, (*format.background, 255))
        background.alpha_composite(image.convert("RGBA"))
        image = background.convert("RGB")
        is_gray = is_gray and len(set(format.background)) == 1
    mode = format.mode or ("L" if is_gray else "RGB")
    if mode == "L" and image.mode not in _DIRECT_TO_GRAY:
        image = image.convert("RGB")
    if image.mode != mode:
        image = image.convert(mode)
    return np.asarray(image)


def _has_gray_palette(image):
    palette = np.reshape(image.getpalette("RGB"), (-1, 3))
    return (palette == palette[:, :1]).all()


def _check_array(array):
    """Refuse an array that is not an image."""
    if np.ma.is_masked(array):
        raise ValueError("it must not have masked pixels: fill them with its method filled")
    array = np.asarray(array)
    shape = array.shape
    if array.ndim not in (2, 3) or 0 in shape or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise ValueError(
            "it must have the shape (height, width) or (height, width, channels) with 1, 3 or 4 "
            f"channels, got {shape}"
        )
    if array.dtype.kind not in "bf" and array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise TypeError(
            f"it must have pixels of uint8, uint16, bool or a floating type, got {array.dtype}: "
            "convert it with astype"
        )
    return array


def _convert_array(array, format):
    """Convert an array of any supported type, channels last, like an image of its mode."""
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f":
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError("it must have finite pixels, got NaN or infinity")
    else:
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] == 4:
        share = array[..., 3:] / _largest(array[..., 3:])
        background = np.array(format.background) / 255 * _largest(array)
        array = _round_to(array.dtype, array[..., :3] * share + background * (1 - share))
    if format.mode == "L" and array.ndim == 3:
        array = _round_to(array.dtype, array @ LUMA)
    if format.mode == "RGB" and array.ndim == 2:
        array = np.repeat(array[..., np.newaxis], 3, axis=2)
    return array


def _largest(array):
    """Return the largest value that pixels can have, which shows where they are not integers."""
    if array.dtype.kind == "u":
        return np.iinfo(array.dtype).max
    return next((top for top in (1, 255, 65535) if array.max() <= top), array.max())


def _round_to(dtype, values):
    return (np.rint(values) if dtype.kind == "u" else values).astype(dtype)


def _fit(pixels, format):
    """Resize pixels that cannot keep their size."""
    if format.size is not None:
        return resize(pixels, format.size)
    return resize(pixels, _MIXED_SIZE) if max(pixels.shape[:2]) > _LARGEST else pixels


def _explain(error, source, index):
    """Make an error that names the image; those of the file system keep their type."""
    is_path = isinstance(source, str)
    name = source if is_path else f"X[{index}]"
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "it is empty" if _is_empty(source) else "it is not an image in a known format"
    elif isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        limit = Image.MAX_IMAGE_PIXELS
        reason = (
            f"it has more than {limit:,} pixels, which may be an attack on the memory; where it is "
            "not, raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    elif isinstance(error, FileNotFoundError):
        reason = "it does not exist"
    else:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    message = f"{name} cannot be read as an image: {reason.rstrip('.')}."
    for kind in (FileNotFoundError, PermissionError, TypeError):
        if isinstance(error, kind) and (kind is not TypeError or not is_path):
            return kind(message)
    return ValueError(message)


def _is_empty(source):
    return (os.stat(source).st_size if isinstance(source, str) else len(source)) == 0
