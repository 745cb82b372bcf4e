"""A fitted model as an ONNX graph: `to_onnx`."""

import json
import math
import os
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import __version__
from .._compat import import_optional
from .._torch import default_torch_settings
from ..images import as_tensor
from ..network import Dropout, LReLU, MaxPool2x2, RowwiseLinear
from ..training import predict_logits
from ._pipeline import split_model
from ._write import check_writable, write_atomically

__all__ = ["to_onnx"]

_OPSET, _IR_VERSION = 13, 7  # of ONNX 1.8, so that older runtimes read the file
_TOLERANCE = 1e-5  # of probabilities
_N_CHECKED = (1, 7)  # images in the batches of the check


@default_torch_settings()
def to_onnx(model: Any, path: str | os.PathLike) -> None:
    """Export a fitted model as ONNX, to run it without Python or PyTorch.

    It needs onnx and ONNX Runtime: ``pip install 'sklenet[onnx]'``.

    Parameters
    ----------
    model : DeepLeNetClassifier or sklearn.pipeline.Pipeline
        A fitted classifier, or a pipeline of an `ImageReader` and a classifier, which is exported
        from the arrays that the reader makes.
    path : path-like
        The file, by convention with the suffix ``.onnx``. It is replaced when the new one is
        complete.

    Raises
    ------
    ValueError
        If a step of the pipeline is not part of sklenet, or if ONNX does not have the activation or
        the type of the classes.
    TypeError
        If the model is another estimator.
    NotFittedError
        If the model is not fitted.
    ImportError
        If a package is missing.
    RuntimeError
        If ONNX Runtime does not compute the probabilities of the model.
    OSError
        If the file cannot be written.

    See Also
    --------
    save : Writes a file that `load` reads.

    Notes
    -----
    The input "images" has the shape (n_samples, \\*input_shape_) and the type `input_dtype_` of the
    training images: resizing, centering and standardization are inside. The outputs are "label", of
    shape (n_samples,), and "probabilities", float32 of shape (n_samples, n_classes). Integer labels
    are int64, or uint64 where that is too small. The metadata are JSON:
    "classes", "image_shape" (height, width, channels), "channels_first" and, of a pipeline with a
    reader, "mode".

    Activations of `torch.nn` are exported if they have few parameters and operators: those of
    `activation` and, for example, Softplus, Hardtanh, SELU and Mish. Modules of your code are not.

    Before the file is written, ONNX Runtime predicts random images with it: the probabilities must
    be those of `predict_proba` to 1e-5.

    Examples
    --------
    >>> import tempfile
    >>> import onnxruntime
    >>> import sklenet
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> classifier = sklenet.DeepLeNetClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sklenet.to_onnx(classifier, f"{folder}/digits.onnx")
    ...     session = onnxruntime.InferenceSession(f"{folder}/digits.onnx")
    >>> labels, probabilities = session.run(None, {"images": X[:3]})
    >>> labels.tolist()
    [0, 1, 2]
    """
    onnx = import_optional("onnx", "to_onnx", "onnx")
    runtime = import_optional("onnxruntime", "to_onnx", "onnx")
    reader, classifier = split_model(model)
    check_writable(path)
    graph = _Graph(onnx)
    logits = _add_network(graph, classifier, _add_preprocessor(graph, classifier, "images"))
    _add_outputs(graph, classifier, logits)
    exported = _make_model(graph, classifier, reader)
    onnx.checker.check_model(exported)
    content = exported.SerializeToString()
    _check_predictions(content, classifier, runtime)
    write_atomically(path, content)


class _Graph:
    """Nodes and constants of an ONNX graph; each method returns the name of an output."""

    def __init__(self, onnx):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator, *inputs, output=None, **attributes):
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        node = self.onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, values, dtype):
        array = np.ascontiguousarray(values, dtype=dtype)
        name = f"constant_{len(self.constants)}"
        if array.dtype.kind == "O":  # strings
            text = [str(value).encode() for value in array]
            kind = self.onnx.TensorProto.STRING
            tensor = self.onnx.helper.make_tensor(name, kind, array.shape, text)
        else:
            tensor = self.onnx.numpy_helper.from_array(array, name)
        self.constants.append(tensor)
        return name


def _input_dtype(classifier):
    """Return the type of the pixels, of those that ONNX has."""
    dtype = classifier.input_dtype_.newbyteorder("=")
    return np.dtype(np.float64) if dtype == np.longdouble else dtype


def _add_preprocessor(graph, classifier, images):
    """Add what `ImagePreprocessor` does, with its types."""
    preprocessor = classifier.preprocessor_
    layout, n_features = preprocessor.layout, preprocessor.n_features
    mean, std = (x.double().numpy(force=True) for x in (preprocessor.mean, preprocessor.std))
    pixels = graph.add("Cast", images, to=graph.onnx.TensorProto.DOUBLE)
    pixels = graph.add("Reshape", pixels, graph.constant([-1, n_features], np.int64))
    missing = layout.n_values - n_features
    if missing:  # columns of a table, which has one channel: they take the mean
        padding = graph.constant([0, 0, 0, missing], np.int64)
        pixels = graph.add("Pad", pixels, padding, graph.constant(mean.item(), np.float64))
    height, width, channels = layout.shape
    shape = (channels, height, width) if layout.channels_first else layout.shape
    pixels = graph.add("Reshape", pixels, graph.constant([-1, *shape], np.int64))
    if not layout.channels_first:
        pixels = graph.add("Transpose", pixels, perm=[0, 3, 1, 2])
    pixels = graph.add("Sub", pixels, graph.constant(mean, np.float64))
    pixels = graph.add("Div", pixels, graph.constant(std, np.float64))
    pixels = graph.add("Cast", pixels, to=graph.onnx.TensorProto.FLOAT)
    rows, columns = (weights.numpy() for weights in preprocessor.resampling_weights())
    if not np.array_equal(rows, np.eye(*rows.shape)):
        # ONNX Runtime's MatMul refuses a batch of no images on the right.
        matrix = graph.constant(rows, np.float32)
        pixels = graph.add("Einsum", matrix, pixels, equation="rh,nchw->ncrw")
    if not np.array_equal(columns, np.eye(*columns.shape)):
        pixels = graph.add("MatMul", pixels, graph.constant(columns.T, np.float32))
    return pixels


def _add_network(graph, classifier, x):
    """Add the layers of the network, and return the class scores."""
    for layer in (*classifier.module_.features, *classifier.module_.head):
        if type(layer) not in _LAYERS:
            raise ValueError(
                "activation must be one of sklenet's or a simple one of torch.nn to be exported, "
                f"got {layer}."
            )
        x = _LAYERS[type(layer)](graph, layer, x)
    return x


def _add_affine(operator, **attributes):
    def add(graph, layer, x):
        weight, bias = (
            graph.constant(values.numpy(force=True), np.float32)
            for values in (layer.weight, layer.bias)
        )
        return graph.add(operator, x, weight, bias, **attributes)

    return add


def _add_pooling(operator):
    return lambda graph, layer, x: graph.add(operator, x, kernel_shape=[2, 2], strides=[2, 2])


def _add_l_relu(graph, layer, x):
    x = graph.add("Relu", x)
    if layer.beta != 1:
        x = graph.add("Mul", x, graph.constant(layer.beta, np.float32))
    return graph.add("Log", graph.add("Add", x, graph.constant(1, np.float32)))


def _add_gelu(graph, layer, x):
    if layer.approximate == "tanh":
        cube = graph.add("Mul", x, graph.add("Mul", x, x))
        z = graph.add("Add", x, graph.add("Mul", cube, graph.constant(0.044715, np.float32)))
        z = graph.add("Mul", z, graph.constant(math.sqrt(2 / math.pi), np.float32))
        z = graph.add("Tanh", z)
    else:
        z = graph.add("Erf", graph.add("Mul", x, graph.constant(math.sqrt(0.5), np.float32)))
    z = graph.add("Add", z, graph.constant(1, np.float32))
    return graph.add("Mul", graph.add("Mul", x, z), graph.constant(0.5, np.float32))


def _add_clip(graph, x, low, high):
    return graph.add("Clip", x, *(graph.constant(end, np.float32) for end in (low, high)))


def _add_softplus(graph, layer, x):
    beta, threshold = (graph.constant(each, np.float32) for each in (layer.beta, layer.threshold))
    scaled = graph.add("Mul", x, beta)
    y = graph.add("Div", graph.add("Softplus", scaled), beta)
    return graph.add("Where", graph.add("Greater", scaled, threshold), x, y)


def _add_hard_swish(graph, layer, x):
    z = _add_clip(graph, graph.add("Add", x, graph.constant(3, np.float32)), 0, 6)
    return graph.add("Div", graph.add("Mul", x, z), graph.constant(6, np.float32))


def _add_mish(graph, layer, x):
    return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))


_LAYERS = {
    nn.Conv2d: _add_affine("Conv"),
    nn.Flatten: lambda graph, layer, x: graph.add("Flatten", x),
    MaxPool2x2: _add_pooling("MaxPool"),
    nn.AvgPool2d: _add_pooling("AveragePool"),
    LReLU: _add_l_relu,
    nn.Sigmoid: lambda graph, layer, x: graph.add("Sigmoid", x),
    nn.Tanh: lambda graph, layer, x: graph.add("Tanh", x),
    nn.ReLU: lambda graph, layer, x: graph.add("Relu", x),
    nn.LeakyReLU: lambda graph, layer, x: graph.add(
        "LeakyRelu", x, alpha=float(layer.negative_slope)
    ),
    nn.ELU: lambda graph, layer, x: graph.add("Elu", x, alpha=float(layer.alpha)),
    nn.GELU: _add_gelu,
    nn.SiLU: lambda graph, layer, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    nn.Identity: lambda graph, layer, x: x,
    nn.Hardtanh: lambda graph, layer, x: _add_clip(graph, x, layer.min_val, layer.max_val),
    nn.ReLU6: lambda graph, layer, x: _add_clip(graph, x, 0, 6),
    nn.Hardswish: _add_hard_swish,
    nn.SELU: lambda graph, layer, x: graph.add("Selu", x),
    nn.CELU: lambda graph, layer, x: graph.add("Celu", x, alpha=float(layer.alpha)),
    nn.Softplus: _add_softplus,
    nn.Softsign: lambda graph, layer, x: graph.add("Softsign", x),
    nn.Mish: _add_mish,
    RowwiseLinear: _add_affine("Gemm", transB=1),
    Dropout: lambda graph, layer, x: x,
}


def _add_outputs(graph, classifier, logits):
    scores = logits
    if classifier.net_.recipe.output == "sigmoid":  # the logarithm of the sigmoid
        scores = graph.add("Neg", graph.add("Softplus", graph.add("Neg", logits)))
    graph.add("Softmax", scores, axis=1, output="probabilities")
    labels = _labels(classifier.classes_)
    best = graph.add("ArgMax", logits, axis=1, keepdims=0)
    graph.add("Gather", graph.constant(labels, labels.dtype), best, output="label")


def _labels(classes):
    """Return the class labels in a type that ONNX has."""
    kind = classes.dtype.kind
    if kind in "iu":
        return classes.astype(np.int64 if classes.max() <= np.iinfo(np.int64).max else np.uint64)
    if kind == "f":
        return classes.astype(np.float32 if classes.dtype.itemsize <= 4 else np.float64)
    if kind not in "bUO":
        raise ValueError(
            f"The classes must be strings, numbers or booleans to be exported, got {classes.dtype}."
        )
    return classes if kind == "b" else classes.astype(object)


def _make_model(graph, classifier, reader):
    onnx, layout = graph.onnx, classifier.preprocessor_.layout
    classes = _labels(classifier.classes_)
    strings, element_of = onnx.TensorProto.STRING, onnx.helper.np_dtype_to_tensor_dtype
    label = strings if classes.dtype.kind == "O" else element_of(classes.dtype)
    images = element_of(_input_dtype(classifier))
    info = onnx.helper.make_tensor_value_info
    exported = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "deep_lenet",
            [info("images", images, ["n_samples", *classifier.input_shape_])],
            [
                info("label", label, ["n_samples"]),
                info("probabilities", onnx.TensorProto.FLOAT, ["n_samples", len(classes)]),
            ],
            graph.constants,
        ),
        producer_name="sklenet",
        producer_version=__version__,
        doc_string="An image classifier: the deep LeNet-5 of Zhang, Yu, Lei and Wu (2022)",
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    metadata = {
        "classes": classes.tolist(),
        "image_shape": layout.shape,
        "channels_first": layout.channels_first,
    }
    metadata |= {} if reader is None else {"mode": reader.mode_}
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
    onnx.helper.set_model_props(exported, texts)
    return exported


def _predict_proba(classifier, images):
    """Predict as the classifier does, without its checks of the images."""
    device = torch.device(classifier.net_.device)
    rows = as_tensor(images.reshape(len(images), -1))
    logits = predict_logits(classifier.module_, classifier.preprocessor_, rows, device)
    return classifier.net_.criterion_.log_proba(logits.double()).exp().numpy()


def _check_predictions(content, classifier, runtime):
    """Compare the predictions of ONNX Runtime with those of the classifier on random images."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rng, preprocessor = np.random.default_rng(0), classifier.preprocessor_
    low, high = float(preprocessor.low), float(preprocessor.high)
    for n_images in _N_CHECKED:
        pixels = rng.uniform(low, high, (n_images, *classifier.input_shape_))
        pixels[1:2] = low  # a constant image
        images = pixels.round() if classifier.input_dtype_.kind in "biu" else pixels
        images = images.astype(_input_dtype(classifier))
        labels, probabilities = session.run(["label", "probabilities"], {"images": images})
        expected = _predict_proba(classifier, images)
        runner_up, best = np.sort(expected, axis=1)[:, -2:].T
        is_clear = best - runner_up > 2 * _TOLERANCE
        same = labels == _labels(classifier.classes_)[expected.argmax(axis=1)]
        difference = float(np.abs(probabilities - expected).max())
        if not (difference <= _TOLERANCE and same[is_clear].all()):
            raise RuntimeError(
                "ONNX Runtime must compute the probabilities of the model to "
                f"{_TOLERANCE:g}, got a difference of {difference:.2g}; nothing was written."
            )
