"""Every private name of scikit-learn and PyTorch that the package uses, each with its reason."""

import torch

# `BaseEstimator` validates `_parameter_constraints` in `fit` through this decorator only.
from sklearn.base import _fit_context as fit_context

# Indexes the rows of arrays, data frames, lists and sparse matrices alike.
from sklearn.utils import _safe_indexing as safe_indexing

# The vocabulary of `_parameter_constraints`.
from sklearn.utils._param_validation import Interval, StrOptions

# Length, type, sign and finiteness of `sample_weight`, with scikit-learn's messages.
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "compilation_error",
    "fit_context",
    "onednn_linear",
    "safe_indexing",
]


def onednn_linear(x, weight, bias=None):
    """Compute ``x @ weight.T + bias`` of float32 matrices on the CPU, outside autograd.

    No public function of PyTorch chooses oneDNN for a float32 matmul, whose order of summation
    does not depend on the number of rows.
    """
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def compilation_error():
    """Return the base class of the errors of `torch.compile`, which has no public name.

    It is a function because the import takes a second.
    """
    return torch._dynamo.exc.TorchDynamoException
