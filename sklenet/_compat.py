"""Private names of scikit-learn and PyTorch, each with its reason, and optional packages."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import sklearn
import torch
from sklearn import neural_network
from sklearn.base import _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "Interval",
    "MLPClassifier",
    "StrOptions",
    "check_sample_weight",
    "compilation_error",
    "import_optional",
    "onednn_linear",
    "safe_indexing",
    "validates_parameters",
]

# `Interval` and `StrOptions` are the vocabulary of `_parameter_constraints`, `check_sample_weight`
# has scikit-learn's messages, and `safe_indexing` selects rows of arrays, data frames and lists:
# none has a public equivalent.

P = ParamSpec("P")
R = TypeVar("R")


def validates_parameters(method: Callable[P, R]) -> Callable[P, R]:
    """Validate `_parameter_constraints` before a method; scikit-learn's decorator is private."""
    decorated: Any = _fit_context(prefer_skip_nested_validation=True)(method)
    return decorated


class _MLPClassifierBefore19(neural_network.MLPClassifier):
    """scikit-learn's before 1.9, whose early stopping does not support labels of strings."""

    def _score(self, X, y, sample_weight=None):
        predictions = self._predict(X, check_input=False)
        return accuracy_score(y, predictions, sample_weight=sample_weight)


_is_old = parse_version(sklearn.__version__) < parse_version("1.9")
MLPClassifier = _MLPClassifierBefore19 if _is_old else neural_network.MLPClassifier


_DISTRIBUTIONS = {"PIL": "Pillow"}  # of packages that are called otherwise


def import_optional(package: str, caller: str, extra: str = "plots") -> Any:
    """Import a package of an extra; the error names `caller`, which needs it."""
    try:
        return import_module(package)
    except ImportError as error:
        name = _DISTRIBUTIONS.get(package.split(".")[0], package)
        message = f"{caller} needs {name}: pip install 'sklenet[{extra}]'"
        raise ImportError(message, name=package) from error


def onednn_linear(x, weight, bias=None):
    """Compute ``x @ weight.T + bias`` of float32 matrices on the CPU, outside autograd.

    No public function of PyTorch chooses oneDNN for a float32 matmul, whose order of summation
    does not depend on the number of rows.
    """
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def compilation_error():
    """Return the base class of the errors of `torch.compile`, which does not have a public name.

    It is a function because the import takes a second.
    """
    return torch._dynamo.exc.TorchDynamoException
