"""IDX files and folders: supported content, names and errors."""

import gzip
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers import IDX_DTYPES, IDX_NAMES, assert_same_data, idx_bytes
from numpy.testing import assert_array_equal

from sklenet.datasets import load_idx, load_idx_folder


@pytest.fixture
def set_home(monkeypatch):
    """Return a function that makes a folder the user's home, which `~` stands for."""

    def set_(folder):
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.setenv("USERPROFILE", str(folder))

    return set_


@pytest.fixture
def add_data_set(idx_arrays):
    """Return a function that writes `idx_arrays` under other names, their labels increased."""

    def add(folder, rename, n_more=0):
        for name, array in zip(IDX_NAMES, idx_arrays, strict=True):
            content = idx_bytes(array + n_more if array.ndim == 1 else array)
            renamed = rename(name)
            compress = gzip.compress if renamed.endswith(".gz") else bytes
            (folder / renamed).write_bytes(compress(content))

    return add


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize("code", IDX_DTYPES)
def test_load_idx_every_type_is_read(tmp_path, code, compress):
    expected = np.array([[0, 1, 2], [3, 100, 127]])
    if code != 0x08:
        expected = -expected
    if code in (0x0D, 0x0E):
        expected = expected / 8
    path = tmp_path / "file"
    path.write_bytes(compress(idx_bytes(expected, code)))
    array = load_idx(path)
    assert_array_equal(array, expected)
    assert array.dtype == np.dtype(IDX_DTYPES[code]).newbyteorder("=")
    assert array.dtype.isnative
    assert array.flags.writeable
    assert array.flags.aligned
    assert array.flags.c_contiguous


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 28, 28), (2, 1, 3, 2), (1,) * 20])
def test_load_idx_any_shape_is_read(tmp_path, shape):
    expected = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(expected, 0x0C))
    array = load_idx(path)
    assert array.shape == shape
    assert_array_equal(array, expected)


def test_load_idx_several_chunks_are_read(tmp_path):
    expected = np.arange(3_000_000).astype(np.uint8)
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(expected))
    assert_array_equal(load_idx(path), expected)


def test_load_idx_compression_is_seen_from_content(tmp_path):
    content = idx_bytes(np.arange(3))
    (tmp_path / "raw.gz").write_bytes(content)
    (tmp_path / "gzipped").write_bytes(gzip.compress(content))
    assert_array_equal(load_idx(tmp_path / "raw.gz"), [0, 1, 2])
    assert_array_equal(load_idx(str(tmp_path / "gzipped")), [0, 1, 2])


def test_load_idx_home_is_expanded(tmp_path, set_home):
    set_home(tmp_path)
    (tmp_path / "file").write_bytes(idx_bytes(np.arange(3)))
    assert_array_equal(load_idx("~/file"), [0, 1, 2])
    assert_array_equal(load_idx(Path("~/file")), [0, 1, 2])


def test_load_idx_folder_instead_of_file_raises(tmp_path):
    message = f"path must be a file, got the folder {tmp_path}; load_idx_folder loads a folder."
    with pytest.raises(IsADirectoryError, match=re.escape(message)):
        load_idx(tmp_path)


def test_load_idx_missing_file_raises(tmp_path):
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
        (idx_bytes(np.arange(3)) + b"\0", r"expected 11 bytes, .* but the file has trailing bytes"),
    ],
    ids=["empty", "too short", "foreign", "unknown type", "header", "truncated", "trailing"],
)
def test_load_idx_other_content_raises(tmp_path, content, message, compress):
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
def test_load_idx_corrupt_gzip_raises(tmp_path, corrupt, message):
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
def test_load_idx_hostile_header_raises_in_little_memory(
    tmp_path, n_dimensions, size, message, compress
):
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
def test_load_idx_shape_beyond_numpy_raises(tmp_path, shape):
    path = tmp_path / "some-file"
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 0x08, len(shape), *shape)
    path.write_bytes(header + bytes(0 if 0 in shape else 1))
    with pytest.raises(ValueError, match="some-file has a shape that NumPy cannot hold"):
        load_idx(path)


def test_load_idx_gzip_bomb_raises_in_little_memory(tmp_path):
    path = tmp_path / "some-file"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(3)) + bytes(50_000_000), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="has trailing bytes"):
            load_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("path_type", [Path, str])
def test_load_idx_folder_path_or_str_is_read(tmp_path, idx_arrays, write_idx_folder, path_type):
    folder = write_idx_folder(tmp_path / "fashion")
    loaded = load_idx_folder(path_type(folder))
    assert_same_data(loaded, idx_arrays)
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
def test_load_idx_folder_usual_names_are_found(tmp_path, idx_arrays, write_idx_folder, rename):
    folder = write_idx_folder(tmp_path / "kmnist")
    for path in list(folder.iterdir()):
        content = gzip.compress(path.read_bytes())
        path.unlink()
        (folder / rename(path.name)).write_bytes(content)
    assert_same_data(load_idx_folder(folder), idx_arrays)


def test_load_idx_folder_missing_files_raises(tmp_path, write_idx_folder):
    folder = write_idx_folder(tmp_path / "fashion")
    (folder / IDX_NAMES[1]).unlink()
    (folder / IDX_NAMES[2]).unlink()
    message = (
        rf"fashion lacks {IDX_NAMES[1]}, {IDX_NAMES[2]} \(it holds {IDX_NAMES[3]}, {IDX_NAMES[0]}\)"
        r"\. Expected are the files .*, gzipped or not"
    )
    with pytest.raises(FileNotFoundError, match=message):
        load_idx_folder(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "it holds nothing"),
        (["b.png", "a.csv"], "it holds a.csv, b.png"),
        ([f"{number}.png" for number in range(5)], "it holds 0.png, 1.png, 2.png, 3.png, 4.png"),
        (
            [f"{number:04}.png" for number in range(1_017)],
            "it holds 0000.png, 0001.png, 0002.png, 0003.png, 0004.png and 1,012 more",
        ),
        (["mnist.npz", f"{IDX_NAMES[0]}.zip"], f"it holds mnist.npz, {IDX_NAMES[0]}.zip"),
    ],
    ids=["nothing", "some", "all listed", "many", "similar"],
)
def test_load_idx_folder_other_files_raises_with_their_names(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    message = re.escape(f"{tmp_path} lacks all four files ({message}). Expected are the files")
    with pytest.raises(FileNotFoundError, match=f"{message}.*{IDX_NAMES[0]}.*begin with a name"):
        load_idx_folder(tmp_path)


def test_load_idx_folder_of_folders_raises_with_their_names(tmp_path):
    # Some programs unpack each file into a folder of the same name.
    for name in IDX_NAMES:
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match=rf"all four files \(it holds {IDX_NAMES[1]}/, "):
        load_idx_folder(tmp_path)


def test_load_idx_folder_missing_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here does not exist. Expected are"):
        load_idx_folder(tmp_path / "nothing-here")


@pytest.mark.parametrize("split", [None, "letters"])
def test_load_idx_folder_file_raises(tmp_path, split):
    file = tmp_path / IDX_NAMES[0]
    file.touch()
    message = f"path must be a folder, got the file {file}."
    with pytest.raises(NotADirectoryError, match=re.escape(message)):
        load_idx_folder(file, split=split)


def test_load_idx_folder_home_is_expanded(tmp_path, idx_arrays, write_idx_folder, set_home):
    write_idx_folder(tmp_path / "fashion")
    set_home(tmp_path)
    assert_same_data(load_idx_folder("~/fashion"), idx_arrays)
    assert_same_data(load_idx_folder(Path("~/fashion")), idx_arrays)
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'kmnist'} does not exist")):
        load_idx_folder("~/kmnist")


@pytest.mark.parametrize("split", [None, "letters", "emnist-letters"])
@pytest.mark.parametrize("test", ["test", "t10k"])
@pytest.mark.parametrize("spell", [lambda name: name, lambda name: name.replace("-idx", ".idx")])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_load_idx_folder_only_data_set_is_read(
    tmp_path, idx_arrays, add_data_set, split, test, spell, suffix
):
    add_data_set(
        tmp_path, lambda name: "emnist-letters-" + spell(name).replace("t10k", test) + suffix
    )
    (tmp_path / "emnist-letters-mapping.txt").touch()
    assert_same_data(load_idx_folder(tmp_path, split=split), idx_arrays)


@pytest.mark.parametrize(
    ("prefix", "split"),
    [
        ("qmnist-", "qmnist"),
        ("My_Set_", "Set"),
        ("a.b.", "b"),
        ("train-", "train"),
        ("k49-1.2_", "1.2"),
    ],
)
def test_load_idx_folder_any_prefix_is_read(tmp_path, idx_arrays, add_data_set, prefix, split):
    add_data_set(tmp_path, lambda name: prefix + name)
    assert_same_data(load_idx_folder(tmp_path), idx_arrays)
    assert_same_data(load_idx_folder(tmp_path, split=split), idx_arrays)
    assert_same_data(load_idx_folder(tmp_path, split=prefix[:-1]), idx_arrays)


def test_load_idx_folder_without_prefix_test_is_read(tmp_path, idx_arrays, add_data_set):
    add_data_set(tmp_path, lambda name: name.replace("t10k", "test"))
    assert_same_data(load_idx_folder(tmp_path), idx_arrays)


def test_load_idx_folder_t10k_and_test_are_not_mixed(tmp_path, idx_arrays, write_idx_folder):
    folder = write_idx_folder(tmp_path / "mnist")
    (folder / IDX_NAMES[3]).rename(folder / IDX_NAMES[3].replace("t10k", "test"))
    with pytest.raises(FileNotFoundError, match=f"mnist lacks {IDX_NAMES[3]} "):
        load_idx_folder(folder)
    (folder / IDX_NAMES[1].replace("t10k", "test")).write_bytes(idx_bytes(idx_arrays[1] // 2))
    assert_array_equal(load_idx_folder(folder)[1], idx_arrays[1] // 2)


def add_two_data_sets(folder, add_data_set, prefixes):
    """Write a data set and, with the next labels, another one."""
    add_data_set(folder, lambda name: prefixes[0] + name)
    add_data_set(folder, lambda name: prefixes[1] + name, n_more=1)


@pytest.mark.parametrize(
    ("prefixes", "splits", "named"),
    [
        (
            ["emnist-balanced-", "emnist-letters-"],
            [["balanced", "emnist-balanced"], ["letters", "emnist-letters"]],
            ["balanced", "letters"],
        ),
        (
            ["fashion-mnist-", "my_mnist-"],
            [["fashion-mnist"], ["my_mnist"]],
            ["fashion-mnist", "my_mnist"],
        ),
        (["letters-", "old-letters-"], [["letters"], ["old-letters"]], ["letters", "old-letters"]),
        (["", "emnist-letters-"], [[None], ["letters", "emnist-letters"]], [None, "letters"]),
    ],
    ids=["other last word", "same last word", "one is the end", "one without prefix"],
)
def test_load_idx_folder_split_chooses_data_set(
    tmp_path, idx_arrays, add_data_set, prefixes, splits, named
):
    add_two_data_sets(tmp_path, add_data_set, prefixes)
    for n_more, names in enumerate(splits):
        for name in names:
            y_train = load_idx_folder(tmp_path, split=name)[2]
            assert_array_equal(y_train, idx_arrays[2] + n_more)
    message = f"split must be one of {named}, the data sets in the folder {tmp_path}, got "
    for unknown in ["digits", "mnist", "emnist", "etters", 5]:
        with pytest.raises(ValueError, match=re.escape(f"{message}{unknown!r}.")):
            load_idx_folder(tmp_path, split=unknown)
    if None not in named:
        with pytest.raises(ValueError, match=re.escape(f"{message}None.")):
            load_idx_folder(tmp_path)


def test_load_idx_folder_split_without_prefixes_raises(tmp_path, write_idx_folder):
    folder = write_idx_folder(tmp_path / "fashion")
    message = f"split must be one of [None], the data sets in the folder {folder}, got 'letters'."
    with pytest.raises(ValueError, match=re.escape(message)):
        load_idx_folder(folder, split="letters")


def test_load_idx_folder_incomplete_data_set_raises_with_its_files(tmp_path, add_data_set):
    add_two_data_sets(tmp_path, add_data_set, ["emnist-balanced-", "emnist-letters-"])
    (tmp_path / f"emnist-letters-{IDX_NAMES[3]}").unlink()
    lacks = f"lacks emnist-letters-{IDX_NAMES[3]} "
    with pytest.raises(FileNotFoundError, match=lacks):
        load_idx_folder(tmp_path, split="letters")
    # The other one is the only data set that is complete.
    load_idx_folder(tmp_path)
    for name in IDX_NAMES[1:]:
        (tmp_path / f"emnist-balanced-{name}").unlink()
    for split in (None, "letters"):
        with pytest.raises(FileNotFoundError, match=lacks):
            load_idx_folder(tmp_path, split=split)
    with pytest.raises(FileNotFoundError, match=f"lacks emnist-balanced-{IDX_NAMES[1]}, "):
        load_idx_folder(tmp_path, split="balanced")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (IDX_NAMES[0], np.zeros((3, 784)), r"holds an array of shape \(3, 784\); expected images"),
        (
            IDX_NAMES[3],
            np.zeros((2, 1)),
            r"holds an array of shape \(2, 1\) .*; expected integer labels",
        ),
        (
            IDX_NAMES[3],
            np.zeros(3),
            f"holds 3 labels; expected 2, one for each image of .*{IDX_NAMES[1]}",
        ),
    ],
    ids=["flat images", "two-dimensional labels", "one label too many"],
)
def test_load_idx_folder_other_shapes_raises(tmp_path, write_idx_folder, name, array, message):
    folder = write_idx_folder(tmp_path / "fashion")
    (folder / name).write_bytes(idx_bytes(array))
    with pytest.raises(ValueError, match=f"{name} {message}"):
        load_idx_folder(folder)


def test_load_idx_folder_fractional_labels_raises(tmp_path, write_idx_folder):
    folder = write_idx_folder(tmp_path / "fashion")
    (folder / IDX_NAMES[2]).write_bytes(idx_bytes(np.array([0.5, 1.0, 2.0]), 0x0D))
    with pytest.raises(
        ValueError, match=f"{IDX_NAMES[2]} .* type float32; expected integer labels"
    ):
        load_idx_folder(folder)
