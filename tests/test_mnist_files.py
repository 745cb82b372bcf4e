"""`fetch_mnist`: the search for the files, OpenML, and the checksums."""

import hashlib
import io
import json
import os
import sys
from email.message import Message
from urllib.error import URLError
from urllib.request import HTTPSHandler, build_opener, install_opener
from urllib.response import addinfourl

import numpy as np
import pytest
from helpers import IDX_NAMES, assert_same_data, idx_bytes
from numpy.testing import assert_array_equal
from sklearn.utils import Bunch

from sklenet.datasets import _mnist, fetch_mnist


def md5(array):
    return hashlib.md5(idx_bytes(array), usedforsecurity=False).hexdigest()


def refuse_openml(*args, **kwargs):
    raise AssertionError("OpenML was asked")


@pytest.fixture
def tiny_mnist(idx_arrays, monkeypatch):
    """Replace MNIST by `idx_arrays`, without `SKLENET_DATA` and OpenML."""
    for name, array in zip(IDX_NAMES, idx_arrays, strict=True):
        monkeypatch.setitem(_mnist._MNIST_MD5, name, md5(array))
    monkeypatch.delenv("SKLENET_DATA", raising=False)
    monkeypatch.setattr(_mnist, "fetch_openml", refuse_openml)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_data_home_is_read(tmp_path, idx_arrays, write_idx_folder):
    write_idx_folder(tmp_path / "mnist")
    loaded = fetch_mnist(tmp_path)
    assert_same_data(loaded, idx_arrays)
    assert [array.dtype for array in loaded[:2]] == [np.uint8, np.uint8]
    assert_same_data(fetch_mnist(str(tmp_path), download_if_missing=False), idx_arrays)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_environment_is_read(tmp_path, idx_arrays, write_idx_folder, monkeypatch):
    write_idx_folder(tmp_path / "mnist")
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path))
    assert_same_data(fetch_mnist(), idx_arrays)
    assert_same_data(fetch_mnist(tmp_path / "nothing-here"), idx_arrays)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_data_home_is_preferred(tmp_path, idx_arrays, write_idx_folder, monkeypatch):
    write_idx_folder(tmp_path / "given" / "mnist")
    other = write_idx_folder(tmp_path / "environment" / "mnist")
    (other / IDX_NAMES[2]).write_bytes(idx_bytes(np.zeros(3)))
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "environment"))
    assert_same_data(fetch_mnist(tmp_path / "given"), idx_arrays)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_other_data_raises(tmp_path, write_idx_folder):
    folder = write_idx_folder(tmp_path / "mnist")
    (folder / IDX_NAMES[3]).write_bytes(idx_bytes(np.array([1, 8])))
    expected, found = _mnist._MNIST_MD5[IDX_NAMES[3]], md5(np.array([1, 8]))
    with pytest.raises(
        ValueError, match=f"{IDX_NAMES[3]} is not .* MD5 {expected} .* found {found}"
    ):
        fetch_mnist(tmp_path)


def test_fetch_mnist_real_checksum_is_expected(tmp_path, write_idx_folder):
    write_idx_folder(tmp_path / "mnist")
    with pytest.raises(ValueError, match="expected the MD5 6bbc9ace898e44ae57da46a324031adb"):
        fetch_mnist(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_missing_files_falls_back_on_openml(tmp_path, monkeypatch):
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
    for name, array in zip(IDX_NAMES, rebuilt, strict=True):
        monkeypatch.setitem(_mnist._MNIST_MD5, name, md5(array))
    monkeypatch.setattr(_mnist, "fetch_openml", fetch_openml)

    loaded = fetch_mnist(tmp_path)
    assert_same_data(loaded, rebuilt)
    assert loaded[0].dtype == np.uint8
    options = {"version": 1, "as_frame": False, "data_home": tmp_path, "parser": "liac-arff"}
    assert calls == [(("mnist_784",), options)]


class OpenMLHandler(HTTPSHandler):
    """Answer requests as OpenML does, with a copy of MNIST that has few images."""

    def __init__(self, images, labels):
        super().__init__()
        names = [f"pixel{number}" for number in range(1, 785)]
        header = [f"@ATTRIBUTE {name} REAL" for name in names]
        header.append(f"@ATTRIBUTE class {{{','.join(map(str, range(10)))}}}")
        rows = [",".join(map(str, row)) for row in np.column_stack([images, labels])]
        self.arff = "\n".join(["@RELATION mnist_784", *header, "@DATA", *rows, ""]).encode()
        description = {"name": "mnist_784", "version": "1", "description": "", "format": "ARFF"}
        description |= {"id": "554", "status": "active", "url": "https://www.openml.org/the.arff"}
        description["md5_checksum"] = hashlib.md5(self.arff, usedforsecurity=False).hexdigest()
        common = dict.fromkeys(["is_ignore", "is_row_identifier"], "false")
        common["number_of_missing_values"] = "0"
        features = [
            common
            | {"index": str(index), "name": name, "data_type": "numeric", "is_target": "false"}
            for index, name in enumerate(names)
        ]
        features.append(
            common | {"index": "784", "name": "class", "data_type": "nominal", "is_target": "true"}
        )
        n_images = {"name": "NumberOfInstances", "value": str(float(len(images)))}
        self.answers = {
            "data/list/": {"data": {"dataset": [{"did": 554, "name": "mnist_784", "version": 1}]}},
            "data/features/554": {"data_features": {"feature": features}},
            "data/qualities/554": {"data_qualities": {"quality": [n_images]}},
            "data/554": {"data_set_description": description},
        }

    def https_open(self, request):
        found = [answer for part, answer in self.answers.items() if part in request.full_url]
        content = json.dumps(found[0]).encode() if found else self.arff
        response = addinfourl(io.BytesIO(content), Message(), request.full_url, 200)
        response.msg = "OK"
        return response


@pytest.mark.parametrize("has_pandas", [True, False])
def test_fetch_mnist_from_openml_does_not_need_pandas(
    tmp_path, idx_arrays, monkeypatch, has_pandas
):
    if has_pandas:
        pytest.importorskip("pandas")
    else:
        monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.delenv("SKLENET_DATA", raising=False)
    # The first 60,000 images are for training: of so few, all are.
    X, y = np.concatenate(idx_arrays[:2]), np.concatenate(idx_arrays[2:])
    for name, array in zip(IDX_NAMES, [X, X[:0], y, y[:0]], strict=True):
        monkeypatch.setitem(_mnist._MNIST_MD5, name, md5(array))
    install_opener(build_opener(OpenMLHandler(X.reshape(len(X), -1), y)))
    try:
        loaded = fetch_mnist(tmp_path)
    finally:
        install_opener(None)
    assert_same_data(loaded, [X, X[:0], y, y[:0]])
    assert [array.dtype for array in loaded[:2]] == [np.uint8, np.uint8]


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_other_data_from_openml_raises(tmp_path, monkeypatch):
    other = Bunch(data=np.zeros((60001, 784), np.uint8), target=np.full(60001, "3", dtype=object))
    monkeypatch.setattr(_mnist, "fetch_openml", lambda *args, **kwargs: other)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte \(rebuilt from OpenML\) is not"):
        fetch_mnist(tmp_path)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_corrupt_file_raises(tmp_path, write_idx_folder):
    folder = write_idx_folder(tmp_path / "mnist")
    (folder / IDX_NAMES[0]).write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match=f"{IDX_NAMES[0]} is not an IDX file"):
        fetch_mnist(tmp_path)


@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_without_home_raises_with_hints():
    with pytest.raises(OSError, match="Neither data_home nor SKLENET_DATA is given") as error:
        fetch_mnist(download_if_missing=False)
    for hint in [*IDX_NAMES, "'mnist' of data_home", "download_if_missing=True"]:
        assert hint in str(error.value)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.usefixtures("tiny_mnist")
def test_fetch_mnist_missing_files_raises_with_places(
    tmp_path, write_idx_folder, monkeypatch, download
):
    folder = write_idx_folder(tmp_path / "given" / "mnist")
    (folder / IDX_NAMES[1]).unlink()
    (folder / IDX_NAMES[3]).unlink()
    monkeypatch.setenv("SKLENET_DATA", str(tmp_path / "environment"))

    def fail(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(_mnist, "fetch_openml", fail)
    with pytest.raises(OSError, match="The MNIST files were not found") as error:
        fetch_mnist(tmp_path / "given", download_if_missing=download)
    message = str(error.value)
    assert f"{folder} lacks {IDX_NAMES[1]}, {IDX_NAMES[3]}" in message
    assert f"{tmp_path / 'environment' / 'mnist'} does not exist" in message
    assert ("OpenML also failed: <urlopen error no route to host>" in message) == download


@pytest.mark.mnist
@pytest.mark.skipif("SKLENET_DATA" not in os.environ, reason="SKLENET_DATA is not set")
def test_fetch_mnist_real_files_are_mnist():
    X_train, X_test, y_train, y_test = fetch_mnist(download_if_missing=False)
    assert (X_train.shape, X_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert (X_train.dtype, X_test.dtype) == (np.uint8, np.uint8)
    assert (y_train.dtype, y_test.dtype) == (np.int64, np.int64)
    assert_array_equal(y_train[:5], [5, 0, 4, 1, 9])
    assert_array_equal(y_test[:5], [7, 2, 1, 0, 4])
    assert_array_equal(np.bincount(y_test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
