"""From a fitted model to JSON and tensors.

A value that JSON has stands for itself; the others are an object with one key, the type.
"""

import math
from dataclasses import fields

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._classifier import DeepLeNetClassifier
from ..images import ImageReader, PixelReference
from ..training import Recipe

__all__ = ["FITTED", "encode"]

FITTED = {
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
"""The attributes of each estimator that are saved."""

_CODE = {
    "activation": "the name of an activation",
    "optimizer": "the name of an optimizer",
    "augmentation": "names of augmentations",
    "callbacks": "None: set_params(callbacks=None)",
    "memory": "None: set_params(memory=None)",
}


def encode(value, name, tensors):
    """Encode a value; large arrays go into `tensors`, and errors call it by its name."""
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, list):
        return [encode(item, name, tensors) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, name, tensors) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(each, name, tensors) for each in pair] for pair in value.items()]}
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
        return {"pixel_reference": {key: encode(part, key, tensors) for key, part in parts.items()}}
    if type(value) in FITTED:
        return {type(value).__name__: _encode_estimator(value, tensors)}
    if isinstance(value, tuple(FITTED)):
        raise ValueError(
            f"{name} must not have a subclass of {_base_of(value)} to be saved, got "
            f"{type(value).__name__}: its code is not saved."
        )
    expected = _CODE.get(name, "a number, a string, a sequence or a dict of these")
    raise ValueError(f"{name} must be {expected} to be saved, got {value!r:.200}.")


def _base_of(estimator):
    return next(kind.__name__ for kind in FITTED if isinstance(estimator, kind))


def _encode_array(array, name):
    values = (array.view(f"{array.dtype.str[0]}i8") if array.dtype.kind in "mM" else array).ravel()
    items = values.tolist()
    if array.dtype.type is np.longdouble:  # no number of JSON or of Python is as precise
        items = [np.format_float_scientific(item) for item in values]
    if array.dtype.kind not in "biufUOmM" or not all(
        isinstance(item, bool | int | float | str) for item in items
    ):
        raise ValueError(f"{name} must have numbers or strings to be saved, got {array!r:.200}.")
    return [array.dtype.str, array.shape, [encode(item, name, {}) for item in items]]


def _encode_estimator(estimator, tensors):
    check_is_fitted(estimator)
    parameters = estimator.get_params(deep=False)
    if parameters.get("memory") is not None:
        raise ValueError(f"memory must be {_CODE['memory']} to be saved.")
    encoded = {key: encode(value, key, tensors) for key, value in parameters.items()}
    names = [name for name in FITTED[type(estimator)] if name in vars(estimator)]
    fitted = {name: encode(getattr(estimator, name), name, tensors) for name in names}
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
        "network": {key: encode(value, key, tensors) for key, value in network.items()},
        "recipe": {key: encode(value, key, tensors) for key, value in recipe.items()},
        "temperature": encode(float(net.temperature_), "temperature_", tensors),
        "history": [_encode_epoch(epoch) for epoch in net.history_],
    }


def _encode_epoch(epoch):
    """Encode the numbers and strings that are recorded for an epoch."""
    kept = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in epoch.items()
    }
    plain = bool | int | float | str | None
    return {key: encode(value, key, {}) for key, value in kept.items() if isinstance(value, plain)}
