"""A fitted model as one safe file."""

import ast
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Small, weights_of
from numpy.testing import assert_array_equal
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import sklenet
from sklenet import DeepLeNetClassifier, ImageReader, plotting
from sklenet.callbacks import GradientNorm
from sklenet.comparison import make_method
from sklenet.export import _saving


@pytest.fixture(scope="module")
def fitted(digits):
    """A small classifier that tests must not change."""
    X, _, y, _ = digits
    return Small(max_epochs=1).fit(X, y)


@pytest.fixture
def round_trip(tmp_path):
    def save_and_load(model):
        sklenet.save(model, tmp_path / "model.sklenet")
        return sklenet.load(tmp_path / "model.sklenet")

    return save_and_load


PARAMETERS = {
    "default": {},
    "sigmoid": {"activation": "sigmoid", "output": "sigmoid", "pooling": "avg"},
    "early stopping": {"early_stopping": True, "max_epochs": 2},
    "no normalization": {"normalization": None, "dropout": 0.2, "augmentation": ("shift", "flip")},
    "NumPy": {
        "conv_channels": np.array([4, 8]),
        "random_state": np.random.RandomState(3),
        "lr": np.float32(0.01),
        "device": torch.device("cpu"),
        "class_weight": {np.int64(label): 1.5 for label in range(10)},
    },
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_loaded_model_is_the_same(name, digits, round_trip):
    X, X_test, y, _ = digits
    classifier = Small(**{"max_epochs": 1} | PARAMETERS[name]).fit(X, y)
    loaded = round_trip(classifier)
    assert_array_equal(loaded.predict_proba(X_test), classifier.predict_proba(X_test))
    assert_array_equal(loaded.decision_function(X_test), classifier.decision_function(X_test))
    for attribute, value in vars(classifier).items():
        if attribute not in ("net_", "preprocessor_", "_random_state", "random_state"):
            assert_array_equal(getattr(loaded, attribute), value)
            assert type(getattr(loaded, attribute)) is type(value)
    epochs = [
        {key: epoch[key] for key in epoch if key != "batches"} for epoch in classifier.history_
    ]
    assert [{**epoch, "batches": []} for epoch in epochs] == [*loaded.history_]
    assert str(loaded.module_) == str(classifier.module_)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_loaded_model_continues_the_same(name, digits, round_trip):
    X, X_test, y, y_test = digits
    classifier = Small(**{"max_epochs": 1} | PARAMETERS[name]).fit(X, y)
    loaded = round_trip(classifier)
    for model in (classifier, loaded):
        model.set_params(warm_start=True).fit(X_test, y_test)
    assert torch.equal(weights_of(loaded), weights_of(classifier))
    if not classifier.early_stopping:
        for model in (classifier, loaded):
            model.partial_fit(X, y)
        assert torch.equal(weights_of(loaded), weights_of(classifier))
    assert loaded.n_iter_ == classifier.n_iter_


LABELS = [
    np.array(["", "ä", "日本\x00x", "</script>"]),
    np.array(["b", "a"], dtype="<U10"),
    np.array(["one", "two"], dtype=object),
    np.array([True, False]),
    np.array([-1, 300], dtype=np.int16),
    np.array([0, 2**63 + 5], dtype=np.uint64),
    np.array([-(2**62), 2**62 + 1]),
    np.array([0.0, -3.0], dtype=np.float32),
    np.array([1e15, 7.0]),
    np.array(["1", "9007199254740993"], dtype=np.longdouble),
    np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"),
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: str(labels.dtype))
def test_loaded_classes_have_type_and_values(labels, digits, round_trip):
    X = digits[0][:40]
    classifier = Small(max_epochs=1).fit(X, labels[np.arange(40) % len(labels)])
    loaded = round_trip(classifier)
    assert_array_equal(loaded.classes_, classifier.classes_)
    assert loaded.classes_.dtype == classifier.classes_.dtype
    assert_array_equal(loaded.predict(X), classifier.predict(X))


def test_loaded_frame_model_knows_its_features(digits, round_trip):
    pd = pytest.importorskip("pandas")
    X, X_test, y, _ = digits
    frames = [
        pd.DataFrame(rows.reshape(len(rows), -1)).add_prefix("pixel ") for rows in (X, X_test)
    ]
    classifier = Small(max_epochs=1).fit(frames[0], y)
    loaded = round_trip(classifier)
    assert_array_equal(loaded.feature_names_in_, classifier.feature_names_in_)
    assert loaded.feature_names_in_.dtype == object
    assert_array_equal(loaded.predict_proba(frames[1]), classifier.predict_proba(frames[1]))


def test_loaded_table_model_pads_its_rows(round_trip):
    X = np.random.default_rng(0).normal(size=(60, 5))
    classifier = Small(max_epochs=1).fit(X, X[:, 0] > 0)
    assert_array_equal(round_trip(classifier).predict_proba(X), classifier.predict_proba(X))


def test_loaded_pipeline_reads_images(digits, round_trip):
    pytest.importorskip("PIL")
    X, _, y, _ = digits
    model = make_pipeline(ImageReader(size=(20, 24), background=(1, 2, 3)), Small(max_epochs=1))
    model.fit(X, y)
    loaded = round_trip(model)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded[0].get_params() == model[0].get_params()
    assert [*loaded.named_steps] == [*model.named_steps]
    assert (loaded[0].size_, loaded[0].dtype_) == ((20, 24), np.uint8)


def test_loaded_method_is_a_pipeline(digits, round_trip):
    X, _, y, _ = digits
    method = make_method("deep_lenet", random_state=0).set_params(classifier__max_epochs=1)
    loaded = round_trip(make_pipeline(method.fit(X, y)))
    assert_array_equal(loaded.predict_proba(X), method.predict_proba(X))
    assert loaded[0].steps[0] == ("scaler", "passthrough")


def test_loaded_model_is_cloned_pickled_and_saved_again(fitted, digits, tmp_path):
    paths = [tmp_path / name for name in ("first", "second", "third")]
    sklenet.save(fitted, paths[0])
    loaded = sklenet.load(paths[0])
    sklenet.save(loaded, paths[1])
    sklenet.save(pickle.loads(pickle.dumps(loaded)), paths[2])
    assert paths[0].read_bytes() == paths[1].read_bytes() == paths[2].read_bytes()
    assert clone(loaded).get_params() == fitted.get_params()


def test_parameters_that_are_set_after_the_fit_are_kept(fitted, digits, round_trip):
    classifier = pickle.loads(pickle.dumps(fitted))
    classifier.set_params(activation="tanh", conv_channels=(2,), early_stopping=True)
    loaded = round_trip(classifier)
    assert loaded.get_params() == classifier.get_params()
    assert_array_equal(loaded.predict_proba(digits[0]), fitted.predict_proba(digits[0]))


def test_saved_default_model_is_little_larger_than_its_weights(digits, tmp_path):
    X, _, y, _ = digits
    classifier = DeepLeNetClassifier(max_epochs=2, random_state=np.random.RandomState(0)).fit(X, y)
    sklenet.save(classifier.partial_fit(X, y), tmp_path / "model")
    n_weights = sum(parameter.numel() for parameter in classifier.module_.parameters())
    assert (tmp_path / "model").stat().st_size < 1.1 * 4 * n_weights


def test_model_of_a_missing_device_is_loaded_on_the_cpu(fitted, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, "device", "cuda:7")
    sklenet.save(fitted, tmp_path / "model")
    rewrite(
        tmp_path / "model", lambda parts: parts["net"]["recipe"].update(device={"device": "cuda:7"})
    )
    loaded = sklenet.load(tmp_path / "model")
    assert (loaded.device, loaded.net_.device) == ("cuda:7", "cpu")
    assert_array_equal(loaded.predict_proba(digits[0]), fitted.predict_proba(digits[0]))


class MySoftplus(nn.Softplus):
    pass


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": MySoftplus}, "activation must be the name of an activation to be saved"),
        ({"optimizer": partial(torch.optim.SGD, momentum=0.9)}, "optimizer must be the name"),
        ({"augmentation": torch.clone}, "augmentation must be names"),
        ({"augmentation": ["flip", torch.clone]}, "augmentation must be names"),
        ({"callbacks": [GradientNorm()]}, r"callbacks must be None: set_params\(callbacks=None\)"),
        ({"random_state": np.random.RandomState(np.random.PCG64(0))}, "random_state must be"),
    ],
)
def test_save_code_raises(parameters, message, digits, tmp_path):
    classifier = Small(max_epochs=1, **parameters).fit(digits[0], digits[2])
    with pytest.raises(ValueError, match=message):
        sklenet.save(classifier, tmp_path / "model")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda model: clone(model), NotFittedError, "not fitted"),
        (lambda model: type("Mine", (DeepLeNetClassifier,), {})(), NotFittedError, "not fitted"),
        (
            lambda model: make_pipeline(FunctionTransformer(), model),
            ValueError,
            "functiontransformer",
        ),
        (lambda model: GridSearchCV(model, {}), TypeError, "pass its best_estimator_"),
        (lambda model: make_method("svm"), TypeError, "ends in one, got SVC"),
        (lambda model: 3, TypeError, "got 3"),
    ],
)
def test_save_other_model_raises(make, error, message, fitted, tmp_path):
    with pytest.raises(error, match=message):
        sklenet.save(make(fitted), tmp_path / "model")


def test_save_subclass_raises(fitted, tmp_path):
    class Mine(DeepLeNetClassifier):
        pass

    mine = Mine(**fitted.get_params())
    vars(mine).update(vars(fitted))
    with pytest.raises(ValueError, match="to be saved, got Mine"):
        sklenet.save(mine, tmp_path / "model")


class Planted:
    def __reduce__(self):
        return open, ("planted", "w")


FOREIGN = {
    "empty": b"",
    "text": b"this is not a model",
    "pickle": pickle.dumps(Planted()),
    "zip": b"PK\x03\x04" + bytes(100),
    "JSON": b'{"format": "sklenet"}',
    "zeros": bytes(10_000),
    "huge header": struct.pack("<Q", 2**62) + b'{"a":1}',
}


@pytest.mark.parametrize("name", FOREIGN)
def test_load_foreign_file_raises(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").write_bytes(FOREIGN[name])
    with pytest.raises(ValueError, match="model is not a file of sklenet"):
        sklenet.load("model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_load_safetensors_of_others_raises(tmp_path):
    save_file({"weight": np.zeros(3)}, tmp_path / "model", {"format": "pt"})
    with pytest.raises(ValueError, match="is not a file of sklenet"):
        sklenet.load(tmp_path / "model")


def test_load_missing_file_and_folder_raise(tmp_path):
    with pytest.raises(FileNotFoundError):
        sklenet.load(tmp_path / "none")
    with pytest.raises(ValueError, match="path must be a file that sklenet.save wrote"):
        sklenet.load(tmp_path)


def rewrite(path, change, tensors=None):
    """Change the description of the classifier in a file, with the right checksum."""
    content = path.read_bytes()
    description = _saving._read_description(content)
    del description["checksum"]
    change(description["model"]["DeepLeNetClassifier"])
    tensors = dict(read_tensors(content)) | (tensors or {})
    description["checksum"] = _saving._checksum(description, tensors)
    metadata = {"sklenet": _saving._to_json(description)}
    path.write_bytes(_saving.to_safetensors(tensors, metadata))


def test_load_newer_protocol_raises(fitted, tmp_path):
    path = tmp_path / "model"
    sklenet.save(fitted, path)
    path.write_bytes(path.read_bytes().replace(b'protocol\\":1,', b'protocol\\":2,'))
    with pytest.raises(
        ValueError, match="written by a newer sklenet, .*with protocol 2; .* up to 1"
    ):
        sklenet.load(path)


HOSTILE = {
    "huge layer": lambda parts: parts["net"]["network"].update(hidden_layer_sizes=[10**9]),
    "many layers": lambda parts: parts["net"]["network"].update(
        hidden_layer_sizes={"tuple": [1] * 10**6}
    ),
    "many epochs": lambda parts: parts["net"].update(history=[{}] * 10**6),
    "many lists": lambda parts: parts["fitted"].update(loss_curve_=[[]] * 10**6),
    "huge kernels": lambda parts: parts["net"]["network"].update(conv_channels=[10**9, 8]),
    "negative layer": lambda parts: parts["net"]["network"].update(hidden_layer_sizes=[-3]),
    "text as size": lambda parts: parts["net"]["network"].update(kernel_size="5"),
    "unknown activation": lambda parts: parts["net"]["network"].update(activation="os.system"),
    "unknown optimizer": lambda parts: parts["net"]["recipe"].update(optimizer="eval"),
    "unknown parameter": lambda parts: parts["parameters"].update(evil=1),
    "unknown attribute": lambda parts: parts["fitted"].update(predict=1),
    "missing attribute": lambda parts: parts["fitted"].pop("classes_"),
    "missing net": lambda parts: parts.pop("net"),
    "other tag": lambda parts: parts["fitted"].update(classes_={"eval": "1"}),
    "wide strings": lambda parts: parts["fitted"].update(
        classes_={"array": ["<U100000000", [2], ["a", "b"]]}
    ),
    "equal classes": lambda parts: (
        parts["fitted"]["classes_"]["array"][2].reverse()
        or parts["fitted"]["classes_"]["array"][2].__setitem__(slice(None), [1] * 10)
    ),
    "other layout": lambda parts: parts["preprocessor"].update(layout=[8, 9, 1, False]),
    "other input": lambda parts: parts["fitted"].update(input_shape_={"tuple": [7, 7]}),
    "deep nesting": lambda parts: parts["fitted"].update(
        loss_curve_=json.loads("[" * 900 + "]" * 900)
    ),
    "huge images": lambda parts: parts["preprocessor"].update(layout=[1, 1, 10**10, False]),
    "huge padding": lambda parts: (
        parts["preprocessor"].update(layout=[10**9, 10**9, 1, False])
        or parts["fitted"].update(image_shape_={"tuple": [10**9, 10**9, 1]})
    ),
    "no layout": lambda parts: parts["preprocessor"].update(layout=[8, 8.0, 1, False]),
    "many wide strings": lambda parts: parts["parameters"].update(
        class_weight=[{"array": ["<U1000000", [4], ["a"] * 4]}] * 500
    ),
    "position outside of the random numbers": lambda parts: parts["fitted"]["_random_state"][
        "random_state"
    ].__setitem__(1, 10**6),
    "statistics whose exponentials are infinite": lambda parts: parts["fitted"]["_pixel_reference"][
        "pixel_reference"
    ]["bounds"]["array"][2].__setitem__(slice(None), [800.0] * 16),
    "temperature": lambda parts: parts["net"].update(temperature=-1.0),
    "missing number as class": lambda parts: parts["fitted"].update(
        classes_={"array": ["<f8", [10], [*range(9), {"float": "nan"}]]}
    ),
    "numbers as names": lambda parts: parts["fitted"].update(
        feature_names_in_={"array": ["<f8", [64], [0.0] * 64]}
    ),
    "text as losses": lambda parts: parts["fitted"].update(loss_curve_=["low"]),
    "overflow": lambda parts: parts["parameters"].update(lr={"scalar": ["<f4", [], [1e300]]}),
    "two copies": lambda parts: parts["parameters"].update(
        lr={"DeepLeNetClassifier": json.loads(json.dumps(parts))}
    ),
    "estimator as value": lambda parts: parts["parameters"].update(
        lr={"Pipeline": {"parameters": {"steps": []}, "fitted": {}}}
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_load_hostile_description_raises(name, fitted, tmp_path):
    sklenet.save(fitted, tmp_path / "model")
    rewrite(tmp_path / "model", HOSTILE[name])
    with pytest.raises(ValueError, match="model is damaged"):
        sklenet.load(tmp_path / "model")


@pytest.mark.parametrize("value", [np.float32(np.nan), np.float32(np.inf)])
def test_load_weights_that_are_not_finite_raises(value, fitted, tmp_path):
    sklenet.save(fitted, tmp_path / "model")
    bias = np.full(10, value)
    rewrite(tmp_path / "model", lambda parts: None, {"network.head.output.bias": bias})
    with pytest.raises(ValueError, match="model is damaged"):
        sklenet.load(tmp_path / "model")


def mutate(content, rng):
    """Change a file in one place, more often in its header than in its weights."""
    content = bytearray(content)
    (header,) = struct.unpack_from("<Q", content)
    end = rng.choice([8, 8 + header, len(content)])
    start = rng.randrange(end)
    length = min(rng.choice([1, 1, 4, 100, 5000]), len(content) - start)
    kind = rng.choice(["flip", "delete", "insert", "repeat", "move", "truncate", "zero"])
    block = content[start : start + length]
    if kind == "flip":
        content[start] ^= 1 << rng.randrange(8)
    elif kind == "delete":
        del content[start : start + length]
    elif kind == "insert":
        content[start:start] = rng.randbytes(length)
    elif kind == "repeat":
        content[start:start] = block
    elif kind == "move":
        del content[start : start + length]
        other = rng.randrange(len(content))
        content[other:other] = block
    elif kind == "truncate":
        del content[start:]
    else:
        content[start : start + length] = bytes(length)
    return bytes(content)


def test_load_mutated_file_raises_or_predicts_the_same(fitted, digits, tmp_path):
    path, rng = tmp_path / "model", random.Random(0)
    sklenet.save(fitted, path)
    content, expected = path.read_bytes(), fitted.predict_proba(digits[0])
    n_errors = 0
    for _ in range(300):
        path.write_bytes(mutate(content, rng))
        try:
            loaded = sklenet.load(path)
        except ValueError:
            n_errors += 1
        else:
            assert_array_equal(loaded.predict_proba(digits[0]), expected)
    assert n_errors > 250


def parts_of(tree):
    """List each list or dict of a tree with each of its keys."""
    keys = {dict: lambda: [*tree], list: lambda: range(len(tree))}.get(type(tree), list)()
    return [(tree, key) for key in keys] + [
        pair for key in [*keys][:12] for pair in parts_of(tree[key])
    ]


def alter(model, rng):
    """Change a description in one place: a value is replaced, deleted, copied or wrapped."""
    pairs = parts_of(model)
    (tree, key), (other, other_key) = rng.choice(pairs), rng.choice(pairs)
    strange = [None, True, -1, 10**12, 1e308, "", "cuda:9", [], {}, [0] * 700, {"eval": "1"}]
    kind = rng.choice(["replace", "delete", "copy", "wrap"])
    if kind == "replace":
        tree[key] = rng.choice(strange)
    elif kind == "delete":
        del tree[key]
    elif kind == "copy":
        tree[key] = json.loads(json.dumps(other[other_key]))
    else:
        tree[key] = {
            rng.choice(["tuple", "array", "scalar", "dtype", "dict", "Pipeline"]): tree[key]
        }


@pytest.mark.slow
def test_load_altered_description_raises_or_is_a_model(fitted, digits, tmp_path):
    path, rng = tmp_path / "model", random.Random(0)
    sklenet.save(fitted, path)
    content, n_errors = path.read_bytes(), 0
    for _ in range(300):
        path.write_bytes(content)
        rewrite(path, lambda parts: alter(parts, rng))
        try:
            loaded = sklenet.load(path)
        except ValueError:
            n_errors += 1
        else:
            assert loaded.classes_.shape == (10,)
    assert n_errors > 100


@pytest.mark.parametrize("description", [3, None, [], {}, {"ImageReader": {}}, "model"])
def test_load_other_value_raises(description, fitted, tmp_path):
    sklenet.save(fitted, tmp_path / "model")
    content = _saving._read_description((tmp_path / "model").read_bytes())
    del content["checksum"]
    content["model"] = description
    content["checksum"] = _saving._checksum(content, {})
    metadata = {"sklenet": _saving._to_json(content)}
    (tmp_path / "model").write_bytes(_saving.to_safetensors({}, metadata))
    with pytest.raises(ValueError, match="model is damaged"):
        sklenet.load(tmp_path / "model")


@pytest.mark.parametrize("protocol", [0, -1, True, "1", None])
def test_load_wrong_protocol_raises(protocol, fitted, tmp_path):
    path = tmp_path / "model"
    sklenet.save(fitted, path)
    text = f'protocol\\":{json.dumps(protocol)},'.replace(':"1"', ':\\"1\\"').encode()
    content = path.read_bytes().replace(b'protocol\\":1,', text)
    size = struct.pack("<Q", len(text) - 13 + struct.unpack_from("<Q", content)[0])
    path.write_bytes(size + content[8:])
    with pytest.raises(ValueError, match="model is damaged: its protocol"):
        sklenet.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_load_pipe_raises(tmp_path):
    os.mkfifo(tmp_path / "model")
    with pytest.raises(ValueError, match="path must be a file that sklenet.save wrote"):
        sklenet.load(tmp_path / "model")


def test_load_is_shielded_from_settings_of_torch(fitted, digits, tmp_path):
    sklenet.save(fitted, tmp_path / "model")
    with torch.device("meta"), torch.inference_mode():
        loaded = sklenet.load(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(digits[0]), fitted.predict_proba(digits[0]))
    loaded.partial_fit(digits[0], digits[2])


def test_save_pipeline_with_memory_or_unfitted_reader_raises(fitted, tmp_path):
    with pytest.raises(ValueError, match="memory must be None"):
        sklenet.save(make_pipeline(fitted, memory=str(tmp_path)), tmp_path / "model")
    with pytest.raises(NotFittedError, match="ImageReader"):
        sklenet.save(make_pipeline(ImageReader(), fitted), tmp_path / "model")


def test_displays_draw_a_loaded_model(digits, round_trip, close_figures):
    X, X_test, y, y_test = digits
    loaded = round_trip(Small(max_epochs=2, early_stopping=True).fit(X, y))
    plotting.TrainingHistoryDisplay.from_estimator(loaded)
    plotting.KernelDisplay.from_estimator(loaded)
    plotting.FeatureMapDisplay.from_estimator(loaded, X_test[:1])
    plotting.MistakesDisplay.from_estimator(loaded, X_test, y_test)


@pytest.fixture(scope="module")
def trusted():
    """The types that the page names."""
    page = (Path(__file__).parents[1] / "docs" / "saving.md").read_text(encoding="utf-8")
    return ast.literal_eval(re.search(r"^TRUSTED = (\[.*?^\])", page, re.M | re.S)[1])


SKOPS = {
    "default": {},
    "early stopping": {"early_stopping": True},
    "one-vs-rest": {"output": "sigmoid", "activation": "gelu", "optimizer": "sgd", "dropout": 0.1},
    "constant": {"lr_schedule": "constant", "optimizer": "adam", "normalization": None},
    "flat": {"augmentation": None, "pooling": "avg", "device": torch.device("cpu")},
}


@pytest.mark.parametrize("name", SKOPS)
def test_skops_round_trip(name, digits, trusted):
    sio = pytest.importorskip("skops.io")
    X, _, y, _ = digits
    model = make_pipeline(ImageReader(), Small(max_epochs=1, **SKOPS[name]))
    model.fit(X, y) if name != "flat" else model.set_params(imagereader="passthrough").fit(X, y)
    loaded = sio.loads(sio.dumps(model), trusted=trusted)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.slow
def test_saved_model_is_loaded_by_another_process(fitted, digits, tmp_path):
    sklenet.save(fitted, tmp_path / "model")
    np.save(tmp_path / "X.npy", digits[0])
    code = (
        "import sklenet, numpy as np; model = sklenet.load('model');"
        "np.save('p.npy', model.predict_proba(np.load('X.npy')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert_array_equal(np.load(tmp_path / "p.npy"), fitted.predict_proba(digits[0]))
