"""From JSON and tensors to a fitted model; malformed ones are refused."""

import math
import re

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from .._classifier import DeepLeNetClassifier
from .._torch import PRECISIONS, resolve_device
from ..images import ImageLayout, ImagePreprocessor, ImageReader, PixelReference
from ..network import IMAGE_SIZE, parameter_shapes
from ..training import OPTIMIZERS, Recipe, restore_net
from ._encoding import FITTED
from ._pipeline import split_model

__all__ = ["Decoder"]

# Memory of what is in JSON: bytes for each of the file, and for a small one.
_MAX_WIDENING, _MAX_WIDENED = 16, 2**25
_CONTAINER, _EPOCH = 64, 512  # bytes of memory
_PLAIN_DTYPE = re.compile(r"[<>|][biufUOmM]\d*(\[\w+\])?")
_ESTIMATORS = {kind.__name__: kind for kind in FITTED}


class Decoder:
    """From JSON to values; malformed JSON raises the errors that `load` catches."""

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
        self._charge(_CONTAINER)
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

    def _charge(self, n_bytes):
        """Refuse values that take much more memory than the file."""
        self.n_bytes_left -= n_bytes
        if self.n_bytes_left < 0:
            raise ValueError("its values take much more memory than the file")

    def _dtype(self, text):
        if not _PLAIN_DTYPE.fullmatch(text):
            raise ValueError(f"{text!r:.50} is not the type of an array in a model")
        return np.dtype(text)

    def _array(self, dtype, shape, values):
        dtype = self._dtype(dtype)
        self._charge(dtype.itemsize * len(values))
        values = [self.decode(value) for value in values]
        if not all(isinstance(value, bool | int | float | str) for value in values):
            raise ValueError("an array holds other values than numbers and strings")
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
        if kind is not Pipeline and any(type(value) in FITTED for value in parameters.values()):
            raise ValueError("a parameter is an estimator")
        estimator = kind(**parameters)
        for name, value in parts["fitted"].items():
            if name not in FITTED[kind]:
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
        self._charge(_EPOCH * len(history))
        # Compared before a network of that size is made.
        n_layers = len(network["conv_channels"]) + len(network["hidden_layer_sizes"]) + 1
        if len(weights) != 2 * n_layers:
            raise ValueError("its weights are not those of its layers")
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
