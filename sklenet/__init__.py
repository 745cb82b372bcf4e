"""A deep LeNet-5 for small images behind the scikit-learn estimator interface."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import callbacks, comparison, datasets, plotting
    from ._classifier import DeepLeNetClassifier
    from .export import load, save, to_onnx, to_page
    from .images import ImageLayout, ImagePreprocessor, ImageReader
    from .network import DeepLeNet, LReLU

__version__ = "0.1.0"

__all__ = [
    "DeepLeNet",
    "DeepLeNetClassifier",
    "ImageLayout",
    "ImagePreprocessor",
    "ImageReader",
    "LReLU",
    "__version__",
    "callbacks",
    "comparison",
    "datasets",
    "load",
    "plotting",
    "save",
    "to_onnx",
    "to_page",
]

# Imported at first use: `import sklenet.datasets` does not wait for PyTorch.
_LAZY = {
    "DeepLeNet": ".network",
    "DeepLeNetClassifier": "._classifier",
    "ImageLayout": ".images",
    "ImagePreprocessor": ".images",
    "ImageReader": ".images",
    "LReLU": ".network",
    "load": ".export",
    "save": ".export",
    "to_onnx": ".export",
    "to_page": ".export",
}


if not TYPE_CHECKING:

    def __getattr__(name):
        if name in _LAZY:
            return getattr(import_module(_LAZY[name], __name__), name)
        if name in __all__:
            return import_module(f".{name}", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
