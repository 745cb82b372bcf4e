"""From image files to an array: `ImageReader`."""

import math
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import chain
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._compat import import_optional
from .._validation import check_sizes

__all__ = ["ImageReader", "holds_files", "read_images"]

_CHUNK_SIZE = 256  # images that are read in one call, at most: the last one is waited for
_CHUNKS_PER_JOB = 4  # at least, to share the work evenly
_DELAY = 2.0  # seconds before a progress bar appears


class ImageReader(TransformerMixin, BaseEstimator):
    """Read image files into an array.

    A transformer from paths, bytes, images of Pillow or arrays, of any size and mode, to one array
    of images, so that every classifier of images works on a list of files:
    ``make_pipeline(ImageReader(), DeepLeNetClassifier())``. It needs Pillow:
    ``pip install 'sklenet[images]'``.

    Parameters
    ----------
    size : int, tuple of int or None, default=None
        Height and width of the images, in pixels; one number for both. Images are resized with
        antialiasing, keep their aspect ratio, and their edge pixels are repeated outwards. None is
        the size of the images in `fit` if they have one and it is not larger than 256 pixels, else
        32x32, the size that `DeepLeNet` reads.
    mode : {"L", "RGB"} or None, default=None
        "L" is gray and "RGB" color. None is "L" if all files in `fit` are gray by their mode or
        palette, else "RGB".
    background : str or tuple of int, default="white"
        Color behind transparent pixels: a name or code that Pillow knows, as "#ff8800", or red,
        green and blue from 0 to 255.
    on_error : {"raise", "skip"}, default="raise"
        What to do about an image that cannot be read. "skip" is for
        `sklenet.datasets.load_image_folder`, which leaves out the label as well; in a transformer X
        and y would differ in length.
    n_jobs : int or None, default=None
        Number of processes that read files, as in joblib.

    Attributes
    ----------
    size_ : tuple of int
        (height, width) of the images.
    mode_ : {"L", "RGB"}
        The mode of the images.
    dtype_ : dtype
        `uint8`, or `uint16` or `float32` where an image in `fit` has more bits.

    See Also
    --------
    sklenet.datasets.load_image_folder : Reads a folder of class folders, with labels.
    DeepLeNetClassifier : Classifies the images.

    Notes
    -----
    Images are turned as their EXIF orientation says. Of an animation the first frame is read. JPEG
    files that are much larger than `size` are decoded at a reduced size. Gray files of 16 bits are
    `uint16` and those of 32 bits `float32`, without transparency; among images of 16 bits, those of
    8 bits are multiplied by 257. Integer and floating-point images do not mix. Color profiles are
    ignored.

    A file with more than ``PIL.Image.MAX_IMAGE_PIXELS`` pixels is refused, as it may be an attack
    on the memory. Formats for which Pillow starts other programs are refused as well.

    Examples
    --------
    >>> from PIL import Image
    >>> from sklenet import ImageReader
    >>> images = [Image.new("L", (40, 30)), Image.new("RGB", (20, 20), "red")]
    >>> ImageReader().fit_transform(images).shape
    (2, 32, 32, 3)
    >>> ImageReader(size=(28, 20), mode="L").fit_transform(images).shape
    (2, 28, 20)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        mode: Literal["L", "RGB"] | None = None,
        background: str | Sequence[int] = "white",
        on_error: Literal["raise", "skip"] = "raise",
        n_jobs: int | None = None,
    ) -> None:
        self.size = size
        self.mode = mode
        self.background = background
        self.on_error = on_error
        self.n_jobs = n_jobs

    size_: tuple[int, int]
    mode_: str
    dtype_: np.dtype

    def fit(self, X: Iterable[Any], y: None = None) -> Self:
        """Find the common size, mode and type of images.

        Parameters
        ----------
        X : sequence of path, bytes, PIL.Image.Image or ndarray
            The images, which are read to be sure that `transform` can.
        y : None
            Ignored.

        Returns
        -------
        self : ImageReader
            The fitted reader.

        Raises
        ------
        ValueError
            If an image cannot be read, which is named, or if a parameter is invalid.
        FileNotFoundError, PermissionError
            If a file cannot be opened.
        TypeError
            If X is not a sequence of images.
        ImportError
            If Pillow is missing.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Iterable[Any], y: None = None) -> NDArray[Any]:
        """Find the common size, mode and type of images, and read them.

        Each file is read once.

        Parameters
        ----------
        X : sequence of path, bytes, PIL.Image.Image or ndarray
            The images.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_samples, height, width) or (n_samples, height, width, 3)
            The images, of `dtype_`.

        Raises
        ------
        ValueError
            As for `fit`.
        """
        images, *_ = read_images(self._check_raises(), X)
        self.size_, self.dtype_ = images.shape[1:3], images.dtype
        self.mode_ = "L" if images.ndim == 3 else "RGB"
        return images

    def transform(self, X: Iterable[Any]) -> NDArray[Any]:
        """Read images.

        Parameters
        ----------
        X : sequence of path, bytes, PIL.Image.Image or ndarray
            The images.

        Returns
        -------
        ndarray of shape (n_samples, height, width) or (n_samples, height, width, 3)
            The images, of the size, mode and type that `fit` found.

        Raises
        ------
        ValueError
            As for `fit`.
        NotFittedError
            If the reader is not fitted.
        """
        check_is_fitted(self)
        images, *_ = read_images(self._check_raises(), X, self.size_, self.mode_, self.dtype_)
        return images

    def _check_raises(self):
        if self.on_error == "skip":
            raise ValueError(
                "on_error must be 'raise' in a transformer, which cannot leave out the labels of "
                "images; sklenet.datasets.load_image_folder(..., on_error='skip') leaves them out."
            )
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def read_images(reader, X, size=None, mode=None, dtype=None, *, verbose=0):
    """Read images with the parameters of an `ImageReader`, and say which could be read.

    Size, mode and type are those of the parameters, or given by an earlier `fit`. Returns an array
    of images, None if none can be read, their positions in X, and the errors of the others.
    """
    sources, format = _check_sources(X), _check_format(reader, size, mode)
    if reader.on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {reader.on_error!r}.")
    chunks = _read_chunks(sources, format, reader.on_error, reader.n_jobs, verbose)
    failures = [*chain.from_iterable(chunk.failures for chunk in chunks)]
    if failures and reader.on_error == "raise":
        raise failures[0].error
    images = [*chain.from_iterable(chunk.images for chunk in chunks)]
    if not images:
        return None, [], [failure.error for failure in failures]
    failed = {failure.position for failure in failures}
    positions = [index for index in range(len(sources)) if index not in failed]
    images = _convert_dtypes(images, dtype, [sources[index] for index in positions])
    if any(image.ndim == 3 for image in images):
        images = [
            image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)
            for image in images
        ]
    return np.stack(images), positions, [failure.error for failure in failures]


def holds_files(X):
    """Tell whether X is a sequence of image files: of paths, bytes or images of Pillow."""
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUS":
        return False
    is_column = len(getattr(X, "shape", ())) == 1  # an array or a series
    return (is_column or isinstance(X, list | tuple)) and len(X) > 0 and all(map(_is_file, X))


def _is_file(item):
    is_image = type(item).__module__.startswith("PIL.") and hasattr(item, "getexif")
    return is_image or isinstance(item, str | bytes | os.PathLike)


def _check_sources(X):
    """Convert X to a list of images."""
    if isinstance(X, str | bytes | bytearray | os.PathLike):
        raise TypeError(f"X must be a sequence of images, got one {type(X).__name__}: pass [X].")
    if isinstance(X, Sequence):
        X = list(X)
    elif hasattr(X, "__array__") and np.ndim(X) > 0:
        X = np.asarray(X)
        if X.ndim == 2 and X.shape[1] == 1 and X.dtype.kind in "OUS":
            X = X[:, 0]  # a column of file names
    else:
        raise TypeError(f"X must be a sequence of images, got {type(X).__name__}.")
    if len(X) == 0:
        raise ValueError("X must have at least one image, got none.")
    # Strings travel to other processes faster than objects of `Path`.
    return [os.fsdecode(item) if isinstance(item, os.PathLike) else item for item in X]


def _check_format(reader, size, mode):
    pillow = import_optional("PIL.ImageColor", "ImageReader", "images")
    from .._pillow import Format

    mode = mode or reader.mode
    if mode not in ("L", "RGB", None):
        raise ValueError(f"mode must be 'L', 'RGB' or None, got {mode!r}.")
    if size is None and reader.size is not None:
        size = check_sizes("size", reader.size, lengths=(1, 2))
        size = size * 2 if len(size) == 1 else size
    background = reader.background
    try:
        color = pillow.getrgb(background) if isinstance(background, str) else tuple(background)
        color = color[:3] if isinstance(background, str) else color
    except (ValueError, TypeError):
        color = ()
    if len(color) != 3 or not all(
        isinstance(value, Integral) and 0 <= int(value) <= 255 for value in color
    ):
        raise ValueError(
            "background must be the name of a color or three integers from 0 to 255, got "
            f"{background!r}."
        )
    red, green, blue = map(int, color)
    return Format(size, mode, (red, green, blue))


def _read_chunks(sources, format, on_error, n_jobs, verbose):
    """Read images in parallel, in chunks; images of different sizes come resized."""
    from .._pillow import read_chunk, unify_sizes

    n_images, n_workers = len(sources), effective_n_jobs(n_jobs)
    length = _CHUNK_SIZE
    if n_workers > 1:
        length = min(length, math.ceil(n_images / (_CHUNKS_PER_JOB * n_workers)))
    tasks = (
        (sources[first : first + length], first, format, on_error)
        for first in range(0, n_images, length)
    )
    if n_workers > 1:
        read = Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(read_chunk)(*task) for task in tasks
        )
    else:
        read = (read_chunk(*task) for task in tasks)
    chunks = []
    with closing(read):
        for chunk in _with_progress(read, length, n_images, verbose):
            chunks.append(chunk)
            if on_error == "raise" and chunk.failures:
                break
    if format.size is None:
        unify_sizes(chunks)
    return chunks


def _with_progress(chunks, length, n_images, verbose):
    if not verbose:
        yield from chunks
        return
    from tqdm import tqdm

    with tqdm(total=n_images, desc="Reading", unit=" images", delay=_DELAY) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(min(length, n_images - bar.n))


def _convert_dtypes(images, dtype, sources):
    """Convert images to one type: the given one, or the widest of theirs."""
    dtypes = {image.dtype for image in images}
    if dtype is None:
        dtype = max(dtypes, key=lambda dtype: dtype.itemsize)
    if len(dtypes) == 1 and dtype in dtypes:
        return images
    for image, source in zip(images, sources, strict=True):
        if (image.dtype.kind == "f") != (dtype.kind == "f"):
            name = source if isinstance(source, str) else "an image in memory"
            raise ValueError(
                f"X must have images of integers or of floating-point numbers only, got {name} "
                f"with {image.dtype} among images of {dtype}."
            )
    return [_convert_depth(image, dtype) for image in images]


def _convert_depth(image, dtype):
    """Convert between 8 and 16 bits, whose largest values are 255 and 65535 = 257 * 255."""
    if image.dtype == dtype:
        return image
    if dtype == np.uint16:
        return image.astype(np.uint16) * 257
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
