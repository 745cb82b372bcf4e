"""Files in the IDX format, and folders of them as MNIST is stored."""

import gzip
import math
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_idx", "load_idx_folder"]

# In the order of `train_test_split`.
FILE_NAMES = (
    "train-images-idx3-ubyte",
    "t10k-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-labels-idx1-ubyte",
)
EXPECTED_FILES = f"Expected are the files {', '.join(FILE_NAMES)}, gzipped or not."
_OTHER_NAMES = (
    "They may all begin with a name, as in emnist-letters-train-images-idx3-ubyte, and may have "
    "test instead of t10k."
)
_TEST_NAMES = ("t10k", "test")
_ANY_FILE_NAME = re.compile(
    r"(?P<prefix>(.+[-_.])?)(train|t10k|test)-(images[-.]idx3|labels[-.]idx1)-ubyte(\.gz)?"
)
_N_LISTED = 5  # the names in an error that lists the files of a folder

_IDX_DTYPES = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_SIZE = 2**20


def load_idx_folder(
    path: str | os.PathLike, *, split: str | None = None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Load a data set that is stored as MNIST is, such as Fashion-MNIST, KMNIST or EMNIST.

    Parameters
    ----------
    path : path-like
        The folder of the four IDX files, gzipped or not. They are called as MNIST's files are (see
        :func:`fetch_mnist`), with ``t10k`` or ``test``, and may all begin with a name: those of
        EMNIST's letters are ``emnist-letters-train-images-idx3-ubyte`` and so on. ``~`` is
        expanded.
    split : str, default=None
        Which data set to load from a folder of several: the name that its files begin with, or the
        last words of that name, such as ``"letters"`` for ``emnist-letters``. None means the files
        without such a name or, where there are none, the only data set of the folder.

    Returns
    -------
    X_train : ndarray of shape (n_train, height, width)
        The training images, in the type of the file (uint8 in all of the data sets named above).
    X_test : ndarray of shape (n_test, height, width)
        The test images.
    y_train : ndarray of shape (n_train,), dtype int64
        The labels of the training images.
    y_test : ndarray of shape (n_test,), dtype int64
        The labels of the test images.

    Raises
    ------
    FileNotFoundError
        If the folder or one of the files does not exist.
    NotADirectoryError
        If `path` is a file.
    ValueError
        If `split` does not name one data set of the folder, if it is None and the folder has
        several, if a file is not an intact IDX file, if it does not hold images or integer labels,
        or if there are not as many labels as images.

    See Also
    --------
    fetch_mnist : MNIST itself, its files checked against the original ones.
    load_idx : Load one file.

    Notes
    -----
    EMNIST [1]_ stores its images transposed: ``X.swapaxes(1, 2)`` turns them upright. Its labels
    are numbers, whose characters are in the file ``emnist-letters-mapping.txt`` for the letters.

    References
    ----------
    .. [1] G. Cohen, S. Afshar, J. Tapson and A. van Schaik, "EMNIST: an extension of MNIST to
       handwritten letters", 2017, arXiv:1702.05373.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklenet.datasets import load_idx_folder
    >>> images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 255, 255, 0])
    >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for split in "train", "t10k":
    ...         _ = Path(folder, f"{split}-images-idx3-ubyte").write_bytes(images)
    ...         _ = Path(folder, f"{split}-labels-idx1-ubyte").write_bytes(labels)
    ...     X_train, X_test, y_train, y_test = load_idx_folder(folder)
    >>> X_train.shape, y_train
    ((1, 2, 2), array([7]))
    """
    folder = Path(os.path.expanduser(path))
    if folder.is_file():
        raise NotADirectoryError(f"path must be a folder, got the file {folder}.")
    train_images, test_images, train_labels, test_labels = _find_data_set(folder, split)
    X_train, y_train = _load_images_and_labels(train_images, train_labels)
    X_test, y_test = _load_images_and_labels(test_images, test_labels)
    return X_train, X_test, y_train, y_test


def load_idx(path: str | os.PathLike) -> NDArray[Any]:
    """Load the array of an IDX file, gzipped or not.

    Parameters
    ----------
    path : path-like
        The file; ``~`` is expanded. Whether it is gzipped is seen from its content and not from
        its name.

    Returns
    -------
    ndarray
        The array, of any number of dimensions and of type uint8, int8, int16, int32, float32 or
        float64, in native byte order and writable.

    Raises
    ------
    OSError
        If the file cannot be read, or if `path` is a folder.
    ValueError
        If the file is not in the IDX format, is truncated, has trailing bytes, or is a corrupt
        gzip file.

    See Also
    --------
    load_idx_folder : Load images and labels from the four files of a data set.

    Notes
    -----
    An IDX file [1]_ is two zero bytes, a byte for the type, a byte for the number of dimensions,
    each dimension as a big-endian 32-bit integer, and the elements in C order, also big-endian.

    The file need not be trusted: nothing in it is executed, and memory grows with the bytes that
    are read and not with what the header announces. Of a gzipped file no more is kept than the
    header announces and one byte.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits",
       http://yann.lecun.com/exdb/mnist/, section "The IDX file format".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklenet.datasets import load_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     load_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    file = Path(os.path.expanduser(path))
    if file.is_dir():
        raise IsADirectoryError(
            f"path must be a file, got the folder {file}; load_idx_folder loads a folder."
        )
    return decode_idx(read_idx_bytes(file), file)


def holds_idx_files(folder):
    """Tell whether a folder has files that are named as those of MNIST are."""
    return bool(_find_prefixes(folder))


def find_files(folder, prefix=""):
    """Return the paths of the four files of a data set by name, None for one that is missing."""
    spellings = [
        {prefix + name: _find_file(folder, prefix, name) for name in names}
        for names in ([name.replace("t10k", test) for name in FILE_NAMES] for test in _TEST_NAMES)
    ]
    return max(spellings, key=_count_found)


def _count_found(files):
    return sum(path is not None for path in files.values())


def _find_file(folder, prefix, name):
    spellings = [name, name.replace("-idx", ".idx")]
    names = [prefix + spelling + suffix for spelling in spellings for suffix in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _find_data_set(folder, split):
    """Return the paths of the four files of the data set that `split` names."""
    data_sets = {prefix: find_files(folder, prefix) for prefix in _find_prefixes(folder)}
    complete = [prefix for prefix, files in data_sets.items() if all(files.values())]
    if split is not None:
        chosen = _match_prefixes(split, data_sets)
    else:
        chosen = [""] if "" in complete else complete
    if len(chosen) == 1 and chosen[0] in complete:
        return data_sets[chosen[0]].values()
    if len(chosen) != 1 and complete:
        names = [_name_split(prefix, data_sets) for prefix in complete]
        raise ValueError(
            f"split must be one of {names}, the data sets in the folder {folder}, got {split!r}."
        )
    closest = max(
        chosen or data_sets, key=lambda prefix: _count_found(data_sets[prefix]), default=""
    )
    raise FileNotFoundError(f"{describe_missing(folder, closest)}. {EXPECTED_FILES} {_OTHER_NAMES}")


def _find_prefixes(folder):
    """Return what precedes the names of MNIST's files in the names of the files of a folder."""
    paths = folder.iterdir() if folder.is_dir() else ()
    matches = (_ANY_FILE_NAME.fullmatch(path.name) for path in paths if path.is_file())
    return sorted({match["prefix"] for match in matches if match})


def _match_prefixes(split, prefixes):
    """Return the prefixes that are `split` or, where none is, those that end in its words."""
    same = [prefix for prefix in prefixes if split == prefix[:-1]]
    return same or [prefix for prefix in prefixes if split in _endings(prefix[:-1])]


def _name_split(prefix, prefixes):
    """Return the shortest `split` that matches this prefix only."""
    if not prefix:
        return None
    endings = _endings(prefix[:-1])
    return next((end for end in endings if _match_prefixes(end, prefixes) == [prefix]), prefix[:-1])


def _endings(name):
    """Return the last word of a name, its last two words, and so on."""
    return [name[word.start() :] for word in reversed([*re.finditer(r"[^-_.]+", name)])]


def describe_missing(folder, prefix=""):
    """Say what a folder lacks to hold a data set, and what it holds."""
    if not folder.is_dir():
        return f"The folder {folder} {'is a file' if folder.exists() else 'does not exist'}"
    missing = [name for name, path in find_files(folder, prefix).items() if path is None]
    lacks = ", ".join(missing) if len(missing) < len(FILE_NAMES) else "all four files"
    return f"The folder {folder} lacks {lacks} (it holds {_describe_content(folder)})"


def _describe_content(folder):
    """List the first names in a folder, and count the others."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    n_more = len(names) - _N_LISTED
    more = f" and {n_more:,} more" if n_more > 0 else ""
    return ", ".join(names[:_N_LISTED]) + more or "nothing"


def _load_images_and_labels(images_path, labels_path):
    """Load the images and the labels of the training or of the test set."""
    X, y = load_idx(images_path), load_idx(labels_path)
    if X.ndim != 3:
        raise ValueError(
            f"{images_path} holds an array of shape {X.shape}; expected images, of shape "
            "(n_samples, height, width)."
        )
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(
            f"{labels_path} holds an array of shape {y.shape} and type {y.dtype}; expected integer "
            "labels, of shape (n_samples,)."
        )
    if len(y) != len(X):
        raise ValueError(
            f"{labels_path} holds {len(y)} labels; expected {len(X)}, one for each image of "
            f"{images_path}."
        )
    return X, y.astype(np.int64)


def read_idx_bytes(path):
    """Return the decompressed bytes of an IDX file, which are as many as its header announces."""
    with open(path, "rb") as file:
        gzipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if gzipped else file
        try:
            return _read_stream(stream, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is a corrupt gzip file: {error}") from error


def _read_stream(stream, path):
    content = bytearray()
    _read_until(stream, content, 4)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_DTYPES:
        raise ValueError(
            f"{path} is not an IDX file: it begins with the bytes '{content.hex(' ')}'; expected "
            f"'00 00', a type from {bytes(_IDX_DTYPES).hex(' ')} and the number of dimensions."
        )
    header_size = _header_size(content)
    _read_until(stream, content, header_size)
    if len(content) < header_size:
        raise ValueError(
            f"{path} ends within its header: expected {header_size} bytes, found {len(content)}."
        )
    dtype, shape = _parse_header(content)
    size = header_size + dtype.itemsize * math.prod(shape)
    # One byte more than announced shows trailing bytes, and makes gzip check its checksum.
    _read_until(stream, content, size + 1)
    if len(content) != size:
        found = "has trailing bytes" if len(content) > size else f"ends after {len(content)}"
        raise ValueError(
            f"{path} is not as long as its header announces: expected {size} bytes, for shape "
            f"{shape} and type {dtype.name}, but the file {found}."
        )
    return content


def _read_until(stream, content, size):
    """Append to `content` until it is `size` bytes long or the stream ends."""
    # In chunks, because a single read would allocate whatever size a hostile header announces.
    while chunk := stream.read(min(_CHUNK_SIZE, size - len(content))):
        content += chunk


def _header_size(content):
    return 4 + 4 * content[3]


def _parse_header(content):
    """Return the type and the shape that the header of an IDX file announces."""
    return _IDX_DTYPES[content[2]], struct.unpack_from(f">{content[3]}I", content, offset=4)


def decode_idx(content, source):
    dtype, shape = _parse_header(content)
    try:
        array = np.ndarray(shape, dtype, buffer=content, offset=_header_size(content))
    except ValueError as error:
        raise ValueError(f"{source} has a shape that NumPy cannot hold: {error}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def encode_ubyte_idx(array):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape)
    return bytearray(header + array.astype(np.uint8).tobytes())
