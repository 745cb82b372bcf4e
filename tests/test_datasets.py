"""The data sets: what is returned, where it is looked for, and what is refused."""

import gzip
import hashlib
import os
import struct
import tracemalloc
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from sklenet.datasets import _mnist, fetch_mnist, load_digits_images, load_idx, load_idx_folder

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NAMES = [
    "train-images-idx3-ubyte",
    "t10k-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-labels-idx1-ubyte",
]


def idx_bytes(array, code=0x08):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(DTYPES[code]).tobytes()


def md5(array):
    return hashlib.md5(idx_bytes(array), usedforsecurity=False).hexdigest()


@pytest.fixture
def arrays():
    """Three training and two test images with labels, in the order of `train_test_split`."""
    images = np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8)
    labels = np.array([5, 0, 4, 1, 9], dtype=np.uint8)
    return images[:3], images[3:], labels[:3], labels[3:]


@pytest.fixture
def write_folder(arrays):
    """Return a function that writes the files of `arrays` into a new folder."""

    def write(folder):
        folder.mkdir(parents=True)
        for name, array in zip(NAMES, arrays, strict=True):
            (folder / name).write_bytes(idx_bytes(array))
        return folder

    return write


@pytest.fixture
def tiny_mnist(arrays, monkeypatch):
    """Let `arrays` pass for MNIST, and keep the environment and the network out."""
    for name, array in zip(NAMES, arrays, strict=True):
        monkeypatch.setitem(_mnist._MNIST_MD5, name, md5(array))
    monkeypatch.delenv("SKLENET_DATA", raising=False)
    monkeypatch.setattr(_mnist, "fetch_openml", refuse_openml)


def refuse_openml(*args, **kwargs):
    raise AssertionError("OpenML was asked")


def assert_same_data(found, expected):
    for found_array, expected_array in zip(found, expected, strict=True):
        assert_array_equal(found_array, expected_array)
        assert found_array.flags.writeable
    assert [array.dtype for array in found[2:]] == [np.int64, np.int64]


# load_digits_images


def test_digits_are_those_of_scikit_learn():
    X, y = load_digits_images()
    assert (X.shape, X.dtype, y.dtype) == ((1797, 8, 8), np.uint8, np.int64)
    assert (X.min(), X.max()) == (0, 16)
    assert_array_equal(X, load_digits().images)
    assert_array_equal(y, load_digits().target)


# load_idx


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize("code", DTYPES)
def test_load_idx_reads_every_type(tmp_path, code, compress):
    expected = np.array([[0, 1, 2], [3, 100, 127]])
    if code != 0x08:
        expected = -expected
    if code in (0x0D, 0x0E):
        expected = expected / 8
    path = tmp_path / "file"
    path.write_bytes(compress(idx_bytes(expected, code)))
    array = load_idx(path)
    assert_array_equal(array, expected)
    assert array.dtype == np.dtype(DTYPES[code]).newbyteorder("=")
    assert array.dtype.isnative
    assert array.flags.writeable
    assert array.flags.aligned
    assert array.flags.c_contiguous


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 28, 28), (2, 1, 3, 2), (1,) * 20])
def test_load_idx_reads_any_shape(tmp_path, shape):
    expected = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(expected, 0x0C))
    array = load_idx(path)
    assert array.shape == shape
    assert_array_equal(array, expected)


def test_load_idx_reads_more_than_one_chunk(tmp_path):
    expected = np.arange(3_000_000).astype(np.uint8)
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(expected))
    assert_array_equal(load_idx(path), expected)


def test_load_idx_sees_compression_from_the_content(tmp_path):
    content = idx_bytes(np.arange(3))
    (tmp_path / "raw.gz").write_bytes(content)
    (tmp_path / "gzipped").write_bytes(gzip.compress(content))
    assert_array_equal(load_idx(tmp_path / "raw.gz"), [0, 1, 2])
    assert_array_equal(load_idx(str(tmp_path / "gzipped")), [0, 1, 2])


def test_load_idx_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        load_idx(tmp_path / "nothing-here")


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is not an IDX file: it begins with the bytes ''"),
        (b"\0\0\x08", r"is not an IDX file: it begins with the bytes '00 00 08'"),
        (b"\x93NUMPY\x01\0", r"is not an IDX file: it begins with the bytes '93 4e 55 4d'"),
        (b"\0\0\x0a\x01", r"expected '00 00', a type from 08 09 0b 0c 0d 0e and the number"),
        (b"\0\0\x08\x03\0\0\0\x01", r"ends within its header: expected 16 bytes, found 8\."),
        (
            idx_bytes(np.arange(6).reshape(2, 3), 0x0B)[:-1],
            r"expected 24 bytes, for shape \(2, 3\) and type int16, but the file ends after 23\.",
        ),
        (idx_bytes(np.arange(3)) + b"\0", r"expected 11 bytes, .* but the file goes on after them"),
    ],
    ids=["empty", "too short", "foreign", "unknown type", "header", "truncated", "trailing"],
)
def test_load_idx_refuses_other_content(tmp_path, content, message, compress):
    path = tmp_path / "some-file"
    path.write_bytes(compress(content))
    with pytest.raises(ValueError, match=f"some-file .*{message}"):
        load_idx(path)


def corrupt_checksum(content):
    return content[:-8] + bytes(4) + content[-4:]


def corrupt_data(content):
    # The header of gzip is 10 bytes long; a first block of type 3 does not exist.
    return content[:10] + b"\xff" + content[11:]


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (corrupt_checksum, "CRC check failed"),
        (corrupt_data, "invalid block type"),
        (lambda content: content[:-12], "ended before the end-of-stream marker"),
        (lambda content: content[:5], "ended before the end-of-stream marker"),
        (lambda content: content + b"garbage", "Not a gzipped file"),
    ],
    ids=["checksum", "data", "truncated", "header", "trailing garbage"],
)
def test_load_idx_refuses_corrupt_gzip(tmp_path, corrupt, message):
    path = tmp_path / "some-file.gz"
    path.write_bytes(corrupt(gzip.compress(idx_bytes(np.arange(200)))))
    with pytest.raises(ValueError, match=f"some-file.gz is a corrupt gzip file: .*{message}"):
        load_idx(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize(
    ("n_dimensions", "size", "message"),
    [
        (2, 2**16, "but the file ends after 12"),
        (3, 2**32 - 1, "but the file ends after 16"),
        (255, 2**32 - 1, "but the file ends after 1024"),
    ],
)
def test_load_idx_does_not_trust_the_header(tmp_path, n_dimensions, size, message, compress):
    path = tmp_path / "some-file"
    header = bytes([0, 0, 0x0E, n_dimensions]) + struct.pack(">I", size) * n_dimensions
    path.write_bytes(compress(header))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            load_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("shape", [(1,) * 65, (0, 2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_load_idx_refuses_a_shape_beyond_numpy(tmp_path, shape):
    path = tmp_path / "some-file"
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 0x08, len(shape), *shape)
    path.write_bytes(header + bytes(0 if 0 in shape else 1))
    with pytest.raises(ValueError, match="some-file has a shape that NumPy cannot hold"):
        load_idx(path)


def test_load_idx_does_not_inflate_a_bomb(tmp_path):
    path = tmp_path / "some-file"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(3)) + bytes(50_000_000), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="goes on after them"):
            load_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


# load_idx_folder


@pytest.mark.parametrize("path_type", [Path, str])
def test_load_idx_folder(tmp_path, arrays, write_folder, path_type):
    folder = write_folder(tmp_path / "fashion")
    loaded = load_idx_folder(path_type(folder))
    assert_same_data(loaded, arrays)
    assert loaded[0].dtype == np.uint8


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name + ".gz",
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx") + ".gz",
    ],
    ids=["gz", "dot", "dot and gz"],
)
def test_load_idx_folder_knows_the_usual_names(tmp_path, arrays, write_folder, rename):
    folder = write_folder(tmp_path / "kmnist")
    for path in list(folder.iterdir()):
        content = gzip.compress(path.read_bytes())
        path.unlink()
        (folder / rename(path.name)).write_bytes(content)
    assert_same_data(load_idx_folder(folder), arrays)


def test_load_idx_folder_names_missing_files(tmp_path, write_folder):
    folder = write_folder(tmp_path / "fashion")
    (folder / NAMES[1]).unlink()
    (folder / NAMES[2]).unlink()
    message = f"fashion lacks {NAMES[1]}, {NAMES[2]}. Expected are the files .*, gzipped or not"
    with pytest.raises(FileNotFoundError, match=message):
        load_idx_folder(folder)


def test_load_idx_folder_without_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here does not exist. Expected are"):
        load_idx_folder(tmp_path / "nothing-here")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (NAMES[0], np.zeros((3, 784)), r"holds an array of shape \(3, 784\); expected images"),
        (
            NAMES[3],
            np.zeros((2, 1)),
            r"holds an array of shape \(2, 1\) .*; expected integer labels",
        ),
        (NAMES[3], np.zeros(3), f"holds 3 labels; expected 2, one for each image of .*{NAMES[1]}"),
    ],
    ids=["flat images", "two-dimensional labels", "one label too many"],
)
def test_load_idx_folder_refuses_other_shapes(tmp_path, write_folder, name, array, message):
    folder = write_folder(tmp_path / "fashion")
    (folder / name).write_bytes(idx_bytes(array))
    with pytest.raises(ValueError, match=f"{name} {message}"):
        load_idx_folder(folder)


def test_load_idx_folder_refuses_fractional_labels(tmp_path, write_folder):
    folder = write_folder(tmp_path / "fashion")
    (folder / NAMES[2]).write_bytes(idx_bytes(np.array([0.5, 1.0, 2.0]), 0x0D))
    with pytest.raises(ValueError, match=f"{NAMES[2]} .* type float32; expected integer labels"):
        load_idx_folder(folder)


# fetch_mnist


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_reads_data_home(tmp_path, arrays, write_folder):
    write_folder(tmp_path / "mnist")
    loaded = fetch_mnist(tmp_path)
    assert_same_data(loaded, arrays)
    assert [array.dtype for array in loaded[:2]] == [np.uint8, np.uint8]
    assert_same_data(fetch_mnist(str(tmp_path), download_if_missing=False), arrays)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_reads_the_home_of_the_environment(tmp_path, arrays, write_folder, monkeypatch):
    write_folder(tmp_path / "mnist")
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path))
    assert_same_data(fetch_mnist(), arrays)
    assert_same_data(fetch_mnist(tmp_path / "nothing-here"), arrays)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_prefers_data_home(tmp_path, arrays, write_folder, monkeypatch):
    write_folder(tmp_path / "given" / "mnist")
    other = write_folder(tmp_path / "environment" / "mnist")
    (other / NAMES[2]).write_bytes(idx_bytes(np.zeros(3)))
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "environment"))
    assert_same_data(fetch_mnist(tmp_path / "given"), arrays)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_refuses_other_data(tmp_path, write_folder):
    folder = write_folder(tmp_path / "mnist")
    (folder / NAMES[3]).write_bytes(idx_bytes(np.array([1, 8])))
    expected, found = _mnist._MNIST_MD5[NAMES[3]], md5(np.array([1, 8]))
    with pytest.raises(ValueError, match=f"{NAMES[3]} is not .* MD5 {expected} .* found {found}"):
        fetch_mnist(tmp_path)


def test_fetch_mnist_knows_the_real_checksums(tmp_path, write_folder):
    write_folder(tmp_path / "mnist")
    with pytest.raises(ValueError, match="expected the MD5 6bbc9ace898e44ae57da46a324031adb"):
        fetch_mnist(tmp_path)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_falls_back_on_openml(tmp_path, monkeypatch):
    images = np.zeros((60002, 784), dtype=np.uint8)
    images[[0, 59999, 60000, 60001]] = [[1], [2], [3], [4]]
    labels = np.full(60002, "0", dtype=object)
    labels[[0, 59999, 60000, 60001]] = ["5", "8", "7", "6"]
    calls = []

    def fetch_openml(*args, **kwargs):
        calls.append((args, kwargs))
        return Bunch(data=images.astype(np.int16), target=labels)

    images_idx = images.reshape(-1, 28, 28)
    labels_idx = labels.astype(np.uint8)
    rebuilt = [images_idx[:60000], images_idx[60000:], labels_idx[:60000], labels_idx[60000:]]
    for name, array in zip(NAMES, rebuilt, strict=True):
        monkeypatch.setitem(_mnist._MNIST_MD5, name, md5(array))
    monkeypatch.setattr(_mnist, "fetch_openml", fetch_openml)

    loaded = fetch_mnist(tmp_path)
    assert_same_data(loaded, rebuilt)
    assert loaded[0].dtype == np.uint8
    assert calls == [(("mnist_784",), {"version": 1, "as_frame": False, "data_home": tmp_path})]


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_checks_what_openml_sends(tmp_path, monkeypatch):
    other = Bunch(data=np.zeros((60001, 784), np.uint8), target=np.full(60001, "3", dtype=object))
    monkeypatch.setattr(_mnist, "fetch_openml", lambda *args, **kwargs: other)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte \(rebuilt from OpenML\) is not"):
        fetch_mnist(tmp_path)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_does_not_hide_a_corrupt_file_behind_openml(tmp_path, write_folder):
    folder = write_folder(tmp_path / "mnist")
    (folder / NAMES[0]).write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match=f"{NAMES[0]} is not an IDX file"):
        fetch_mnist(tmp_path)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_says_how_to_supply_the_data():
    with pytest.raises(OSError, match="Neither data_home nor SKLENET_DATA is given") as error:
        fetch_mnist(download_if_missing=False)
    for hint in [*NAMES, "'mnist' of data_home", "download_if_missing=True"]:
        assert hint in str(error.value)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_says_what_is_missing_where(tmp_path, write_folder, monkeypatch, download):
    folder = write_folder(tmp_path / "given" / "mnist")
    (folder / NAMES[1]).unlink()
    (folder / NAMES[3]).unlink()
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "environment"))

    def fail(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(_mnist, "fetch_openml", fail)
    with pytest.raises(OSError, match="The MNIST files were not found") as error:
        fetch_mnist(tmp_path / "given", download_if_missing=download)
    message = str(error.value)
    assert f"{folder} lacks {NAMES[1]}, {NAMES[3]}" in message
    assert f"{tmp_path / 'environment' / 'mnist'} does not exist" in message
    assert ("OpenML failed, too: <urlopen error no route to host>" in message) == download


@pytest.mark.mnist
@pytest.mark.skipif("SKLENET_DATA" not in os.environ, reason="SKLENET_DATA is not set")
def test_fetch_mnist_reads_the_real_data():
    X_train, X_test, y_train, y_test = fetch_mnist(download_if_missing=False)
    assert (X_train.shape, X_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert (X_train.dtype, X_test.dtype) == (np.uint8, np.uint8)
    assert (y_train.dtype, y_test.dtype) == (np.int64, np.int64)
    assert_array_equal(y_train[:5], [5, 0, 4, 1, 9])
    assert_array_equal(y_test[:5], [7, 2, 1, 0, 4])
    assert_array_equal(np.bincount(y_test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
