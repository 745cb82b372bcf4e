"""Files in the IDX format, and folders of them as MNIST is stored."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

__all__ = ["load_idx", "load_idx_folder"]

# In the order of `train_test_split`.
FILE_NAMES = (
    "train-images-idx3-ubyte",
    "t10k-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-labels-idx1-ubyte",
)
EXPECTED_FILES = f"Expected are the files {', '.join(FILE_NAMES)}, gzipped or not."

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


def load_idx_folder(path):
    """Load a data set that is stored as MNIST is, such as Fashion-MNIST or KMNIST.

    Parameters
    ----------
    path : path-like
        The folder of the four IDX files, which bear the names of MNIST's files (see
        :func:`fetch_mnist`), gzipped or not.

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
    ValueError
        If a file is no intact IDX file, if it does not hold images or integer labels, or if there
        are not as many labels as images.

    See Also
    --------
    fetch_mnist : MNIST itself, its files checked against the original ones.
    load_idx : Load one file.

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
    folder = Path(path)
    paths = find_files(folder)
    if not all(paths):
        raise FileNotFoundError(f"{describe_missing(folder)}. {EXPECTED_FILES}")
    train_images, test_images, train_labels, test_labels = paths
    X_train, y_train = _load_split(train_images, train_labels)
    X_test, y_test = _load_split(test_images, test_labels)
    return X_train, X_test, y_train, y_test


def load_idx(path):
    """Load the array of an IDX file, gzipped or not.

    Parameters
    ----------
    path : path-like
        The file. Whether it is gzipped is seen from its content and not from its name.

    Returns
    -------
    ndarray
        The array, of any number of dimensions and of type uint8, int8, int16, int32, float32 or
        float64, in native byte order and writable.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is not in the IDX format, is truncated, goes on after its data, or is a corrupt
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
    return decode_idx(read_idx(path), path)


def find_files(folder):
    """Return the paths of the four files of a data set, None for one that is missing."""
    return [_find_file(folder, name) for name in FILE_NAMES]


def _find_file(folder, name):
    spellings = [name, name.replace("-idx", ".idx")]
    paths = [folder / (spelling + suffix) for spelling in spellings for suffix in ("", ".gz")]
    return next((path for path in paths if path.is_file()), None)


def describe_missing(folder):
    """Say what a folder lacks to hold a data set."""
    if not folder.is_dir():
        return f"The folder {folder} does not exist"
    found = zip(FILE_NAMES, find_files(folder), strict=True)
    return f"The folder {folder} lacks {', '.join(name for name, path in found if path is None)}"


def _load_split(images_path, labels_path):
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


def read_idx(path):
    """Return the decompressed bytes of an IDX file, which are as many as its header announces."""
    with open(path, "rb") as file:
        gzipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if gzipped else file
        try:
            return _read_idx_stream(stream, path)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is a corrupt gzip file: {error}") from error


def _read_idx_stream(stream, path):
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
        found = "goes on after them" if len(content) > size else f"ends after {len(content)}"
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
