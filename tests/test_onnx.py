"""A fitted model as an ONNX graph."""

import json
import sys
from functools import partial

import numpy as np
import pytest
import torch
from helpers import Small
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import sklenet
from sklenet import ImageReader, LReLU
from sklenet.comparison import make_method
from sklenet.network import ACTIVATIONS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def export(tmp_path):
    """Return a function that exports a model and opens it in ONNX Runtime."""

    def export(model):
        sklenet.to_onnx(model, tmp_path / "model.onnx")
        return onnxruntime.InferenceSession(tmp_path / "model.onnx")

    return export


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def assert_agrees(session, model, X):
    label, probabilities = session.run(["label", "probabilities"], {"images": X})
    assert probabilities.dtype == np.float32
    assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    assert_array_equal(label, model.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_onnx_activation_and_output(name, output, digits, export):
    X, X_test, y, _ = digits
    model = Small(name, output=output, max_epochs=1).fit(X, y)
    assert_agrees(export(model), model, X_test)


@pytest.mark.parametrize(
    "activation",
    [
        partial(LReLU, 3.0),
        partial(nn.LeakyReLU, 0.3),
        partial(nn.LeakyReLU, 0),
        partial(nn.ELU, 0.5),
        partial(nn.ELU, 2),
    ],
)
def test_onnx_activation_with_other_constants(activation, digits, export):
    X, X_test, y, _ = digits
    model = Small(activation, max_epochs=1).fit(X, y)
    assert_agrees(export(model), model, X_test)


OTHERS = [nn.Identity, nn.Hardtanh, partial(nn.Hardtanh, -0.5, 2.0), nn.ReLU6, nn.Hardswish]
OTHERS += [nn.SELU, nn.CELU, partial(nn.CELU, 0.4), partial(nn.CELU, 2)]
OTHERS += [nn.Softplus, partial(nn.Softplus, 3.0), partial(nn.Softplus, 3, 12)]
OTHERS += [nn.Softsign, nn.Mish, partial(nn.GELU, "tanh"), partial(nn.ReLU, inplace=True)]


@pytest.mark.slow
@pytest.mark.parametrize("activation", OTHERS)
def test_onnx_other_activation_of_torch(activation, digits, export):
    X, X_test, y, _ = digits
    model = Small(activation, max_epochs=1).fit(X, y)
    assert_agrees(export(model), model, X_test)


NETWORKS = {
    "average pooling": {"pooling": "avg"},
    "no normalization": {"normalization": None},
    "dropout": {"dropout": 0.5},
    "one convolution": {"conv_channels": 3, "hidden_layer_sizes": ()},
    "odd sizes": {"kernel_size": 4, "conv_channels": (5, 7), "hidden_layer_sizes": (9, 8, 7)},
    "early stopping": {"early_stopping": True},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_network(name, digits, export):
    X, X_test, y, _ = digits
    model = Small(**{"max_epochs": 1} | NETWORKS[name]).fit(X, y)
    assert_agrees(export(model), model, X_test)


SHAPES = [(8, 8), (28, 28), (100, 60), (24, 31), (3, 50), (65, 1), (28, 28, 1), (32, 32, 3)]
SHAPES += [(40, 20, 4), (3, 30, 32), (1, 20, 20), (3, 16, 48), (64,), (7,), (784,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_onnx_shape(shape, export, rng):
    X = rng.integers(0, 256, (60, *shape), dtype=np.uint8)
    model = Small(max_epochs=1).fit(X, np.arange(60) % 3)
    session = export(model)
    assert session.get_inputs()[0].shape == ["n_samples", *shape]
    for n_images in (1, 3, 60):
        assert_agrees(session, model, X[:n_images])
    label, probabilities = session.run(["label", "probabilities"], {"images": X[:0]})
    assert (label.shape, probabilities.shape) == ((0,), (0, 3))


@pytest.mark.parametrize("image_shape", [(6, 5, 3), (3, 6, 5), (9, 10)])
def test_onnx_flat_rows_of_image_shape(image_shape, export, rng):
    X = rng.normal(size=(60, 90))
    model = Small(image_shape=image_shape, max_epochs=1).fit(X, np.arange(60) % 2)
    assert_agrees(export(model), model, X)


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "?", ">u2", ">f4"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_onnx_pixels_of_type(dtype, export, rng):
    X = rng.integers(0, 2 if dtype == "?" else 100, (40, 9, 9)).astype(dtype)
    model = Small(max_epochs=1).fit(X, np.arange(40) % 2)
    assert_agrees(export(model), model, X.astype(X.dtype.newbyteorder("=")))


def test_onnx_16_bits_with_large_offset(export, rng):
    X = rng.integers(60_000, 60_100, (40, 28, 28)).astype(np.float64) * 1e6
    model = Small(max_epochs=1).fit(X, np.arange(40) % 2)
    assert_agrees(export(model), model, X)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["", "ä", "日本"]),
        np.array(["one", "two"], dtype=object),
        np.array([True, False]),
        np.array([-1, 300], dtype=np.int16),
        np.array([0, 2**63 + 5], dtype=np.uint64),
        np.array([0.0, -3.0], dtype=np.float32),
        np.array([1e15, 7.0]),
        np.array([2.0, 3.0], dtype=np.longdouble),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_onnx_labels_of_type(labels, export, digits):
    X = digits[0][:40]
    model = Small(max_epochs=1).fit(X, labels[np.arange(40) % len(labels)])
    session = export(model)
    assert_agrees(session, model, X)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == model.classes_.tolist()


def test_onnx_labels_that_are_dates_raise(digits, tmp_path):
    X, dates = digits[0][:40], np.array(["2020-02-29", "1999-01-01"], dtype="datetime64[D]")
    model = Small(max_epochs=1).fit(X, dates[np.arange(40) % 2])
    with pytest.raises(ValueError, match="must be strings, numbers or booleans to be exported"):
        sklenet.to_onnx(model, tmp_path / "model.onnx")


def test_onnx_frame_of_features(export, digits):
    pd = pytest.importorskip("pandas")
    X, _, y, _ = digits
    frame = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("pixel ")
    model = Small(max_epochs=1).fit(frame, y)
    labels, _ = export(model).run(None, {"images": frame.to_numpy()})
    assert_array_equal(labels, model.predict(frame))


def test_onnx_pipeline_takes_what_its_reader_makes(export, digits):
    pytest.importorskip("PIL")
    X, _, y, _ = digits
    model = make_pipeline(ImageReader(size=(20, 24), mode="RGB"), Small(max_epochs=1)).fit(X, y)
    session = export(model)
    images = model[0].transform(X)
    labels, probabilities = session.run(None, {"images": images})
    assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["mode"]) == "RGB"
    assert json.loads(metadata["image_shape"]) == [20, 24, 3]


def test_onnx_method(export, digits):
    X, X_test, y, _ = digits
    method = make_method("lenet5", random_state=0).set_params(classifier__max_epochs=1).fit(X, y)
    assert_agrees(export(method), method, X_test)


def test_onnx_after_partial_fit_and_load(export, digits, tmp_path):
    X, X_test, y, _ = digits
    model = Small(max_epochs=1).partial_fit(X, y, classes=range(10))
    sklenet.save(model, tmp_path / "model")
    assert_agrees(export(sklenet.load(tmp_path / "model")), model, X_test)


def test_onnx_ignores_the_settings_of_torch(export, digits):
    X, X_test, y, _ = digits
    model = Small(max_epochs=1).fit(X, y)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            session = export(model)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_agrees(session, model, X_test)


def test_onnx_file_is_small_and_for_old_runtimes(export, digits, tmp_path):
    X, _, y, _ = digits
    model = Small(max_epochs=1).fit(X, y)
    export(model)
    exported = onnx.load(tmp_path / "model.onnx")
    assert (exported.opset_import[0].version, exported.ir_version) == (13, 7)
    n_weights = sum(parameter.numel() for parameter in model.module_.parameters())
    assert (tmp_path / "model.onnx").stat().st_size < 1.1 * 4 * n_weights + 10_000


class Cube(nn.Module):
    def forward(self, x):
        return x**3 / 9


@pytest.mark.parametrize("activation", [Cube, nn.PReLU, type("Mine", (nn.ReLU,), {})])
def test_onnx_own_activation_raises(activation, digits, tmp_path):
    model = Small(activation, max_epochs=1).fit(digits[0], digits[2])
    with pytest.raises(ValueError, match="activation must be"):
        sklenet.to_onnx(model, tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (clone, NotFittedError, "not fitted"),
        (lambda model: make_pipeline(ImageReader(), model), NotFittedError, "not fitted"),
        (
            lambda model: make_pipeline(FunctionTransformer(), model),
            ValueError,
            "the step 'function",
        ),
        (lambda model: GridSearchCV(model, {}), TypeError, "pass its best_estimator_"),
        (lambda model: make_method("svm"), TypeError, "ends in one, got SVC"),
    ],
)
def test_onnx_other_model_raises(make, error, message, digits, tmp_path):
    model = Small(max_epochs=1).fit(digits[0], digits[2])
    with pytest.raises(error, match=message):
        sklenet.to_onnx(make(model), tmp_path / "model.onnx")


def test_onnx_disagreement_raises_and_writes_nothing(digits, tmp_path, monkeypatch):
    model = Small(max_epochs=1).fit(digits[0], digits[2])
    monkeypatch.setattr(torch, "log_softmax", lambda logits, dim: torch.zeros_like(logits) - 2)
    with pytest.raises(RuntimeError, match="got a difference of .*; nothing was written"):
        sklenet.to_onnx(model, tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_onnx_missing_package_says_what_to_install(package, digits, tmp_path, monkeypatch):
    model = Small(max_epochs=1).fit(digits[0], digits[2])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'sklenet\[onnx\]'"):
        sklenet.to_onnx(model, tmp_path / "model.onnx")
