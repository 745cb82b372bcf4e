"""A fitted model as one safe file: `save` and `load`.

The file has the safetensors format: the tensors are the weights, and its metadata are JSON text
that describes the rest. It does not hold code, and nothing in it is executed.
"""

import hashlib
import json
import math
import os
import re
import struct
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.numpy import save as to_safetensors
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from .._classifier import DeepLeNetClassifier
from .._torch import PRECISIONS, default_torch_settings, resolve_device
from ..images import ImageLayout, ImagePreprocessor, ImageReader, PixelReference
from ..network import IMAGE_SIZE, parameter_shapes
from ..training import OPTIMIZERS, Recipe, restore_net
from ._pipeline import split_model
from ._write import write_atomically

__all__ = ["load", "save"]

_FORMAT = "sklenet"
_PROTOCOL = 1  # 1: sklenet 0.1
_DTYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}  # of tensors
# Memory of the arrays in JSON: bytes for each of the file, and for a small one.
_MAX_WIDENING, _MAX_WIDENED = 16, 2**25
_PLAIN_DTYPE = re.compile(r"[<>|][biufUOmM]\d*(\[\w+\])?")
_FITTED = {
    DeepLeNetClassifier: (
        "classes_",
        "n_features_in_",
        "feature_names_in_",
        "image_shape_",
        "input_shape_",
        "input_dtype_",
        "n_iter_",
        "n_threads_",
        "loss_",
        "loss_curve_",
        "validation_scores_",
        "best_validation_score_",
        "_random_state",
        "_pixel_reference",
    ),
    ImageReader: ("size_", "mode_", "dtype_"),
    Pipeline: (),
}
_ESTIMATORS = {kind.__name__: kind for kind in _FITTED}
_CODE = {
    "activation": "the name of an activation",
    "optimizer": "the name of an optimizer",
    "augmentation": "names of augmentations",
    "callbacks": "None: set_params(callbacks=None)",
    "memory": "None: set_params(memory=None)",
}


def save(model: Any, path: str | os.PathLike) -> None:
    """Save a fitted model to a file that is safe to load.

    Parameters
    ----------
    model : DeepLeNetClassifier or sklearn.pipeline.Pipeline
        A fitted classifier, or a pipeline of an `ImageReader` and a classifier.
    path : path-like
        The file, by convention with the suffix ``.sklenet``. It is replaced when the new one is
        complete.

    Raises
    ------
    ValueError
        If a parameter or a step of the pipeline is code, which is not saved.
    TypeError
        If the model is another estimator.
    NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Loads the file.

    Notes
    -----
    The file has the safetensors format [1]_: the weights, the statistics of the pixels and of the
    normalization as tensors, and all else as JSON in the metadata. A loaded model predicts the same
    to the bit and can be trained further with `partial_fit` and `warm_start`. Not saved are the
    moments of the optimizer, which start at zero in the next `partial_fit`, and the records of
    single batches in `history_`.

    References
    ----------
    .. [1] https://github.com/huggingface/safetensors

    Examples
    --------
    >>> import tempfile
    >>> import sklenet
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> classifier = sklenet.DeepLeNetClassifier(max_epochs=1).fit(X[:200], y[:200])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sklenet.save(classifier, f"{folder}/digits.sklenet")
    ...     loaded = sklenet.load(f"{folder}/digits.sklenet")
    >>> bool((loaded.predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    split_model(model)  # refuses other models
    tensors: dict[str, np.ndarray] = {}
    content = {
        "format": _FORMAT,
        "protocol": _PROTOCOL,
        "version": __version__,
        "model": _encode(model, "model", tensors),
    }
    content["checksum"] = _checksum(content, tensors)
    write_atomically(path, to_safetensors(tensors, {_FORMAT: _to_json(content)}))


def load(path: str | os.PathLike) -> Any:
    """Load a model that `save` has written.

    Parameters
    ----------
    path : path-like
        The file. It need not be trusted: nothing in it is executed, and the memory that it takes
        is bounded by its size.

    Returns
    -------
    DeepLeNetClassifier or sklearn.pipeline.Pipeline
        The fitted model. Its network is on the device that it was trained on, or on the CPU where
        that is not available.

    Raises
    ------
    ValueError
        If the file is damaged, is not from sklenet, or is from a newer version.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Writes the file.
    """
    file = Path(os.path.expanduser(path))
    if not file.exists():
        raise FileNotFoundError(
            f"path must be a file that sklenet.save wrote, got {file}, which is missing."
        )
    if not file.is_file():
        raise ValueError(f"path must be a file that sklenet.save wrote, got {file}.")
    try:
        content = _read_bytes(file)
        description = _read_description(content)
    except _Foreign:
        raise ValueError(f"{file} is not a file of sklenet: it was not written by save.") from None
    except _ERRORS as error:
        raise ValueError(f"{file} is damaged: {_reason(error)}.") from error
    protocol = description.get("protocol")
    if type(protocol) is int and protocol > _PROTOCOL:
        raise ValueError(
            f"{file} was written by a newer sklenet, {description.get('version')!r:.20}, with "
            f"protocol {protocol!r:.20}; {__version__} reads protocols up to {_PROTOCOL}: upgrade."
        )
    try:
        if protocol != _PROTOCOL or type(protocol) is not int:
            raise ValueError(f"its protocol is {protocol!r:.20}")
        tensors = _read_tensors(content)
        if description.pop("checksum", None) != _checksum(description, tensors):
            raise ValueError("its checksum differs")
        with np.errstate(over="raise", invalid="raise"), default_torch_settings():
            return _Decoder(tensors, len(content)).decode_model(description["model"])
    except torch.OutOfMemoryError:  # of the device: the file may be intact
        raise
    except _ERRORS as error:
        raise ValueError(f"{file} is damaged: {_reason(error)}.") from error


class _Foreign(Exception):
    """The file is not one of sklenet."""


# What a malformed description can raise while it is read.
_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
)


def _read_bytes(file):
    """Read a file, of one that does not begin like a file of sklenet only the beginning."""
    with open(file, "rb") as opened:
        beginning = opened.read(100)
        if beginning[8:].lstrip()[:1] != b"{":
            raise _Foreign
        return beginning + opened.read()


def _reason(error):
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:200].rstrip(".")


def _to_json(content):
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(content, tensors):
    """Compute a digest of all that the file holds."""
    digest = hashlib.blake2b(_to_json(content).encode(), digest_size=16)
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_description(content):
    """Return the description in the metadata of a safetensors file."""
    (size,) = struct.unpack_from("<Q", content)
    is_ours = f'"{_FORMAT}"'.encode() in content[:100]
    if size > len(content) - 8:
        raise ValueError("it is truncated") if is_ours else _Foreign
    try:
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]
        text = metadata[_FORMAT]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise (ValueError("its header is malformed") if is_ours else _Foreign) from None
    description = json.loads(text, parse_constant=_refuse_constant)
    if description["format"] != _FORMAT:
        raise _Foreign
    return description


def _refuse_constant(name):
    raise ValueError(f"its description holds {name}")


def _read_tensors(content):
    tensors: dict[str, np.ndarray] = {}
    parsed: Any = safetensors.deserialize(content)
    for name, tensor in parsed:
        dtype = _DTYPES[tensor["dtype"]]
        tensors[name] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    return tensors


# Values as JSON. A value that JSON has stands for itself; the others are an object with one key,
# which names the type.


def _encode(value, name, tensors):
    """Encode a value; large arrays go into `tensors`, and errors call it by its name."""
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, list):
        return [_encode(item, name, tensors) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, name, tensors) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_encode(each, name, tensors) for each in pair] for pair in value.items()]}
    if isinstance(value, np.dtype):
        return {"dtype": value.str}
    if isinstance(value, np.generic):
        return {"scalar": _encode_array(np.asarray(value), name)}
    if isinstance(value, np.ndarray):
        return {"array": _encode_array(value, name)}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)
        if state["bit_generator"] == "MT19937":
            key, position = state["state"]["key"].tolist(), state["state"]["pos"]
            return {"random_state": [key, position, state["has_gauss"], state["gauss"]]}
    if isinstance(value, PixelReference):
        parts = {each.name: getattr(value, each.name) for each in fields(value)}
        return {
            "pixel_reference": {key: _encode(part, key, tensors) for key, part in parts.items()}
        }
    if type(value) in _FITTED:
        return {type(value).__name__: _encode_estimator(value, tensors)}
    expected = _CODE.get(name, "a number, a string, a sequence or a dict of these")
    raise ValueError(f"{name} must be {expected} to be saved, got {value!r:.200}.")


def _encode_array(array, name):
    values = (array.view(f"{array.dtype.str[0]}i8") if array.dtype.kind in "mM" else array).ravel()
    items = values.tolist()
    if array.dtype.type is np.longdouble:  # no number of JSON or of Python is as precise
        items = [np.format_float_scientific(item) for item in values]
    if array.dtype.kind not in "biufUOmM" or not all(
        isinstance(item, bool | int | float | str) for item in items
    ):
        raise ValueError(f"{name} must have numbers or strings to be saved, got {array!r:.200}.")
    return [array.dtype.str, array.shape, [_encode(item, name, {}) for item in items]]


def _encode_estimator(estimator, tensors):
    check_is_fitted(estimator)
    parameters = estimator.get_params(deep=False)
    if parameters.get("memory") is not None:
        raise ValueError(f"memory must be {_CODE['memory']} to be saved.")
    encoded = {key: _encode(value, key, tensors) for key, value in parameters.items()}
    names = [name for name in _FITTED[type(estimator)] if name in vars(estimator)]
    fitted = {name: _encode(getattr(estimator, name), name, tensors) for name in names}
    parts = {"parameters": encoded, "fitted": fitted}
    if isinstance(estimator, DeepLeNetClassifier):
        parts["preprocessor"] = _encode_preprocessor(estimator.preprocessor_, tensors)
        parts["net"] = _encode_net(estimator.net_, tensors)
    return parts


def _encode_preprocessor(preprocessor, tensors):
    layout = preprocessor.layout
    for name, buffer in preprocessor.named_buffers():
        tensors[f"preprocessor.{name}"] = buffer.double().numpy(force=True)
    return {
        "layout": [*layout.shape, layout.channels_first],
        "n_features": preprocessor.n_features,
    }


def _encode_net(net, tensors):
    for name, parameter in net.module_.state_dict().items():
        tensors[f"network.{name}"] = np.ascontiguousarray(parameter.numpy(force=True))
    for number, normalization in enumerate(getattr(net, "normalizations_", ())):
        for name, buffer in normalization.named_buffers():
            tensors[f"normalization.{number}.{name}"] = buffer.numpy(force=True)
    recipe = {field.name: getattr(net.recipe, field.name) for field in fields(Recipe)}
    network = recipe.pop("network")
    return {
        "network": {key: _encode(value, key, tensors) for key, value in network.items()},
        "recipe": {key: _encode(value, key, tensors) for key, value in recipe.items()},
        "temperature": _encode(float(net.temperature_), "temperature_", tensors),
        "history": [_encode_epoch(epoch) for epoch in net.history_],
    }


def _encode_epoch(epoch):
    """Encode the numbers and strings that are recorded for an epoch."""
    kept = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in epoch.items()
    }
    plain = bool | int | float | str | None
    return {key: _encode(value, key, {}) for key, value in kept.items() if isinstance(value, plain)}


class _Decoder:
    """From JSON to values; malformed JSON raises one of `_ERRORS`."""

    def __init__(self, tensors, file_size):
        self.tensors = tensors
        self.n_bytes_left = max(_MAX_WIDENED, _MAX_WIDENING * file_size)

    def decode_model(self, encoded):
        model = self.decode(encoded)
        split_model(model)  # refuses other models
        if self.tensors:
            raise ValueError(f"it holds the unknown tensor {min(self.tensors)!r:.50}")
        return model

    def decode(self, encoded):
        if encoded is None or isinstance(encoded, bool | int | float | str):
            return encoded
        if isinstance(encoded, list):
            return [self.decode(item) for item in encoded]
        ((kind, value),) = encoded.items()
        if kind in _ESTIMATORS:
            return self._estimator(_ESTIMATORS[kind], value)
        decoders = {
            "float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
            "tuple": lambda items: tuple(map(self.decode, items)),
            "dict": lambda pairs: {self.decode(key): self.decode(item) for key, item in pairs},
            "dtype": self._dtype,
            "scalar": lambda parts: self._array(*parts)[()],
            "array": lambda parts: self._array(*parts),
            "device": torch.device,
            "random_state": lambda state: self._random_state(*state),
            "pixel_reference": self._pixel_reference,
        }
        return decoders[kind](value)

    def _dtype(self, text):
        if not _PLAIN_DTYPE.fullmatch(text):
            raise ValueError(f"{text!r:.50} is not the type of an array in a model")
        return np.dtype(text)

    def _array(self, dtype, shape, values):
        dtype = self._dtype(dtype)
        self.n_bytes_left -= dtype.itemsize * len(values)
        if self.n_bytes_left < 0:
            raise ValueError("its arrays take much more memory than the file")
        values = [self.decode(value) for value in values]
        if not all(isinstance(value, bool | int | float | str) for value in values):
            raise TypeError("an array holds other values than numbers and strings")
        stored = np.dtype(f"{dtype.str[0]}i8") if dtype.kind in "mM" else dtype
        return np.array(values, stored).view(dtype).reshape(shape)

    def _random_state(self, key, position, has_gauss, gauss):
        if type(position) is not int or not 0 <= position <= len(key):  # NumPy does not check it
            raise ValueError("the state of its random numbers is malformed")
        state = np.random.RandomState()
        state.set_state(("MT19937", np.array(key, np.uint32), position, has_gauss, gauss))
        return state

    def _pixel_reference(self, parts):
        return PixelReference(**{name: self.decode(part) for name, part in parts.items()})

    def _estimator(self, kind, parts):
        parameters = {name: self.decode(value) for name, value in parts["parameters"].items()}
        if kind is not Pipeline and any(type(value) in _FITTED for value in parameters.values()):
            raise ValueError("a parameter is an estimator")
        estimator = kind(**parameters)
        for name, value in parts["fitted"].items():
            if name not in _FITTED[kind]:
                raise ValueError(f"{name!r:.50} is not an attribute of {kind.__name__}")
            setattr(estimator, name, self.decode(value))
        if kind is Pipeline:
            _check_pipeline(estimator)
        if kind is ImageReader:
            _check_reader(estimator)
        if kind is DeepLeNetClassifier:
            estimator.preprocessor_ = self._preprocessor(**parts["preprocessor"])
            estimator.net_ = self._net(estimator, **parts["net"])
            device = torch.device(estimator.net_.device)
            dtype = torch.float32 if device.type == "mps" else None  # it does not have float64
            estimator.preprocessor_.to(device=device, dtype=dtype)
            _check_consistent(estimator)
        return estimator

    def _take(self, prefix):
        """Take out the tensors whose names begin with a prefix; return them without it."""
        names = [name for name in self.tensors if name.startswith(prefix)]
        return {
            name.removeprefix(prefix): torch.from_numpy(self.tensors.pop(name).copy())
            for name in names
        }

    def _preprocessor(self, layout, n_features):
        height, width, channels, is_first = layout
        buffers = self._take("preprocessor.")
        # Compared before a preprocessor of that size is made.
        if not (
            _are_sizes((height, width, channels)) and buffers["mean"].shape == (channels, 1, 1)
        ):
            raise ValueError("its pixel statistics do not have the shape of its images")
        preprocessor = ImagePreprocessor(
            ImageLayout(height, width, channels, bool(is_first)), IMAGE_SIZE
        )
        preprocessor.load_state_dict(buffers)
        if not ((preprocessor.std > 0).all() and preprocessor.low <= preprocessor.high):
            raise ValueError("its pixel statistics are not those of images")
        preprocessor.n_features = n_features
        return preprocessor

    def _net(self, estimator, network, recipe, temperature, history):
        network = {key: self.decode(value) for key, value in network.items()}
        recipe = {key: self.decode(value) for key, value in recipe.items()}
        weights, statistics = self._take("network."), self._take("normalization.")
        n_classes, n_channels = len(estimator.classes_), estimator.preprocessor_.layout.channels
        # Compared before a network of that size is made.
        sizes = {
            key: network[key] for key in ("conv_channels", "kernel_size", "hidden_layer_sizes")
        }
        shapes = parameter_shapes(n_classes, n_channels, **sizes)
        if {name: tuple(weight.shape) for name, weight in weights.items()} != shapes:
            raise ValueError("its weights do not have the shapes of its layers")
        for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
            if recipe[name] not in known:
                raise ValueError(f"{recipe[name]!r:.50} is an unknown {name}")
        recipe["device"] = _available(recipe["device"])
        temperature = self.decode(temperature)
        if not (type(temperature) is float and 0 < temperature < math.inf):
            raise ValueError("its temperature is not a positive number")
        return restore_net(
            Recipe(network=network, **recipe),
            n_classes,
            n_channels,
            weights,
            statistics,
            temperature,
            [{key: self.decode(value) for key, value in epoch.items()} for epoch in history],
        )


def _available(device):
    """Return the device, or the CPU where it is not available."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")


def _are_sizes(values, n=3):
    """Tell whether values are n positive integers."""
    return len(values) == n and all(type(value) is int and value >= 1 for value in values)


def _check_pipeline(pipeline):
    """Refuse steps that are not pairs, and a memory, which is a folder of pickles."""
    steps = pipeline.steps
    is_valid = isinstance(steps, list) and all(isinstance(step, tuple) for step in steps)
    if not is_valid or not all(isinstance(name, str) for name, _ in steps):
        raise ValueError("the steps of its pipeline are malformed")
    if pipeline.memory is not None:
        raise ValueError("its pipeline has a memory")


def _check_reader(reader):
    is_valid = (
        isinstance(reader.size_, tuple)
        and _are_sizes(reader.size_, 2)
        and reader.mode_ in ("L", "RGB")
        and reader.dtype_ in (np.uint8, np.uint16, np.float32)
    )
    if not is_valid:
        raise ValueError("the attributes of its reader are malformed")


def _check_consistent(classifier):
    """Refuse attributes that do not fit together."""
    layout = classifier.preprocessor_.layout
    n_features = classifier.preprocessor_.n_features
    classes, reference = classifier.classes_, classifier._pixel_reference
    names = getattr(classifier, "feature_names_in_", None)
    side = math.ceil(math.sqrt(n_features))  # of the square that the rows of a table fill
    is_consistent = (
        classes.ndim == 1
        and len(classes) > 1
        and np.array_equal(np.unique(classes), classes)  # sorted, unequal and not NaN
        and (classes.dtype.kind != "O" or all(isinstance(label, str) for label in classes))
        and classifier.image_shape_ == layout.shape
        and isinstance(n_features, int)
        and classifier.n_features_in_ == n_features
        and _are_sizes(classifier.input_shape_, len(classifier.input_shape_))
        and math.prod(classifier.input_shape_) == n_features
        and (n_features == layout.n_values or layout.shape == (side, side, 1))
        and isinstance(classifier.input_dtype_, np.dtype)
        and classifier.input_dtype_.kind in "biuf"
        and (names is None or (names.dtype.kind == "O" and names.shape == (n_features,)))
        and isinstance(classifier._random_state, np.random.RandomState)
        and isinstance(reference, PixelReference | None)
        and (reference is None or reference.is_consistent(layout, n_features))
        and isinstance(classifier.n_iter_, int)
        and isinstance(classifier.loss_, float)
        and all(isinstance(loss, float) for loss in classifier.loss_curve_)
        and all(
            isinstance(score, float) for score in vars(classifier).get("validation_scores_", [])
        )
        and all(isinstance(number, int) for number in classifier.n_threads_)
    )
    if not is_consistent:
        raise ValueError("its attributes do not fit together")
