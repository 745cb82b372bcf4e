"""A fitted model as a web page that runs it: `to_page`."""

import base64
import html
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from .. import __version__
from .._compat import import_optional
from .._pixels import smallest_centered
from ..network import Dropout, LReLU, MaxPool2x2, RowwiseLinear
from ._pipeline import split_model
from ._write import check_writable, write_atomically

__all__ = ["to_page"]

_FOLDER = Path(__file__).parent
_DARK, _BRIGHT = "#000000", "#ffffff"


def to_page(model: Any, path: str | os.PathLike, *, title: str = "Image classifier") -> None:
    """Export a fitted model as a web page that runs it, in one file.

    One draws on the page, drops or chooses a picture, or uses the camera, and sees the
    probabilities of the classes. The page does not load or send anything.

    Parameters
    ----------
    model : DeepLeNetClassifier or sklearn.pipeline.Pipeline
        A fitted classifier of images, or a pipeline of an `ImageReader` and a classifier.
    path : path-like
        The file, by convention with the suffix ``.html``. It is replaced when the new one is
        complete.
    title : str, default="Image classifier"
        The title of the page.

    Raises
    ------
    ValueError
        If the model classifies tables and not images, or if a step of the pipeline or the
        activation is not part of sklenet.
    TypeError
        If the model is another estimator.
    NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    to_onnx : Exports the model for other programs.

    Notes
    -----
    The network runs in JavaScript, and its probabilities are those of `predict_proba` to 1e-4.
    Black and white of the page are 0 and 1, 255 or 65,535 where the training images have such
    pixels, else their smallest and largest pixel. With gray images one draws in white on black
    where most of the training pixels are dark, and the drawing is scaled and centered as MNIST's
    digits are. Transparent pictures have the background of the `ImageReader`, white by default.

    Examples
    --------
    >>> import sklenet
    >>> from sklenet.datasets import load_digits_images
    >>> classifier = sklenet.DeepLeNetClassifier(max_epochs=1).fit(*load_digits_images())
    >>> sklenet.to_page(classifier, "digits.html")  # doctest: +SKIP
    """
    reader, classifier = split_model(model)
    _check_images(classifier.preprocessor_)
    if not isinstance(title, str):
        raise TypeError(f"title must be a string, got {title!r}.")
    check_writable(path)
    weights = _Weights()
    description = _describe(reader, classifier, weights)
    parts = {
        "title": html.escape(title),
        "background": description["background"],
        "footer": html.escape(_footer(classifier)),
        # Nothing in it ends the element that holds it.
        "model": json.dumps(description).replace("<", "\\u003c"),
        "weights": weights.encode(),
        "script": "".join(
            (_FOLDER / name).read_text("utf-8") for name in ("network.js", "page.js")
        ),
    }
    template = (_FOLDER / "page.html").read_text("utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    write_atomically(path, page.encode("utf-8", "replace"))


def _check_images(preprocessor):
    """Refuse models of tables, and of images that a browser does not have."""
    if preprocessor.n_features != preprocessor.layout.n_values:
        raise ValueError(
            "model must classify images to be a page, got one of tables with "
            f"{preprocessor.n_features} columns."
        )
    if preprocessor.layout.channels not in (1, 3, 4):
        raise ValueError(
            "model must classify images of 1, 3 or 4 channels (gray, RGB, RGBA) to be a page, got "
            f"one of {preprocessor.layout.channels}."
        )


class _Weights:
    """Arrays of float32 one after the other."""

    def __init__(self):
        self.arrays: list[np.ndarray] = []
        self.length = 0

    def add(self, tensor):
        """Return the start and the length of the values of a tensor."""
        array = tensor.numpy(force=True).astype("<f4").ravel()  # in C order
        self.arrays.append(array)
        self.length += array.size
        return [self.length - array.size, array.size]

    def encode(self):
        return base64.b64encode(np.concatenate(self.arrays).tobytes()).decode()


def _describe(reader, classifier, weights):
    """Describe the model for the script, with the places of its weights."""
    preprocessor = classifier.preprocessor_
    low, high = _pixel_range(reader, classifier)
    mean = preprocessor.mean.ravel().tolist()
    is_gray, is_dark = len(mean) == 1, sum(mean) / len(mean) - low < high - sum(mean) / len(mean)
    background, ink = (_DARK, _BRIGHT) if is_dark else (_BRIGHT, _DARK)
    if not is_gray:
        shares = [(value - low) / (high - low or 1) for value in mean[:3]]
        background = "#" + "".join(f"{round(255 * share):02x}" for share in shares)
    rows, columns = preprocessor.resampling_weights()
    return {
        "classes": [str(label) for label in classifier.classes_.tolist()],
        "imageShape": preprocessor.layout.shape,
        "size": preprocessor.size,
        "mean": mean,
        "std": preprocessor.std.ravel().tolist(),
        "low": low,
        "high": high,
        "background": background,
        "ink": ink,
        "backdrop": None if len(mean) == 4 else _backdrop(reader),
        "isDrawn": is_gray and is_dark,
        "smallestCentered": smallest_centered(preprocessor.layout.shape[:2]),
        "output": classifier.net_.recipe.output,
        "rows": weights.add(rows),
        "columns": weights.add(columns),
        "layers": _describe_layers(classifier.module_, weights),
    }


def _pixel_range(reader, classifier):
    """Return the pixels that are black and white: those of the type, if the images reach half."""
    low, high = (
        float(end) for end in (classifier.preprocessor_.low, classifier.preprocessor_.high)
    )
    if reader is not None and reader.dtype_ == np.uint8:
        return 0.0, 255.0
    for full in (1.0, 255.0, 65535.0):
        if low >= 0 and full / 2 < high <= full:
            return 0.0, full
    return low, high


def _backdrop(reader):
    """Return the color behind the transparent pixels of a picture, as CSS has it."""
    if reader is None:
        return _BRIGHT
    color = reader.background
    if isinstance(color, str):
        color = import_optional("PIL.ImageColor", "to_page", "images").getrgb(color)
    return "#" + "".join(f"{int(value):02x}" for value in color[:3])


def _describe_layers(network, weights):
    layers = []
    for layer in (*network.features, *network.head):
        if type(layer) in (nn.Flatten, Dropout):
            continue
        if type(layer) not in _LAYERS:
            raise ValueError(
                "activation must be one of sklenet's, or have the type of one, to run in a page, "
                f"got {layer}."
            )
        name, describe = _LAYERS[type(layer)]
        layers.append({"type": name} | describe(layer, weights))
    return layers


def _plain(layer, weights):
    return {}


def _affine(layer, weights):
    sizes = {"outputs": len(layer.weight)}
    if isinstance(layer, nn.Conv2d):
        sizes["kernel"] = layer.weight.shape[2]
    return sizes | {"weight": weights.add(layer.weight), "bias": weights.add(layer.bias)}


def _gelu(layer, weights):
    if layer.approximate != "none":
        raise ValueError(f"activation must be the exact GELU to run in a page, got {layer}.")
    return {}


# The names of network.js, and the constants that it needs.
_LAYERS = {
    nn.Conv2d: ("convolution", _affine),
    RowwiseLinear: ("linear", _affine),
    MaxPool2x2: ("maximum", _plain),
    nn.AvgPool2d: ("mean", _plain),
    LReLU: ("l_relu", lambda layer, weights: {"beta": layer.beta}),
    nn.Sigmoid: ("sigmoid", _plain),
    nn.Tanh: ("tanh", _plain),
    nn.ReLU: ("relu", _plain),
    nn.LeakyReLU: ("leaky_relu", lambda layer, weights: {"slope": layer.negative_slope}),
    nn.ELU: ("elu", lambda layer, weights: {"alpha": layer.alpha}),
    nn.GELU: ("gelu", _gelu),
    nn.SiLU: ("silu", _plain),
}


def _footer(classifier):
    height, width, channels = classifier.image_shape_
    n_parameters = sum(parameter.numel() for parameter in classifier.module_.parameters())
    kind = "gray" if channels == 1 else "color"
    return (
        f"A deep LeNet-5 with {n_parameters:,} parameters for {kind} images of {height}×{width} "
        f"pixels in {len(classifier.classes_)} classes. Made with sklenet {__version__}."
    )
