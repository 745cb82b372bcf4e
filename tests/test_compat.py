"""The behavior that sklenet expects of private names of scikit-learn and PyTorch."""

import sys
from numbers import Real

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from torch.nn import functional

from sklenet._compat import (
    Interval,
    MLPClassifier,
    check_sample_weight,
    compilation_error,
    import_optional,
    onednn_linear,
    safe_indexing,
    validates_parameters,
)
from sklenet.datasets import load_digits_images


class Estimator(BaseEstimator):
    _parameter_constraints = {"alpha": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, alpha=0.5):
        self.alpha = alpha

    @validates_parameters
    def fit(self, X, y=None):
        self.fitted_ = X
        return self


def test_validates_parameters_invalid_raises_before_method():
    estimator = Estimator(alpha=1.0)
    with pytest.raises(ValueError, match="The 'alpha' parameter of Estimator must be a float"):
        estimator.fit([1])
    assert not hasattr(estimator, "fitted_")
    assert estimator.set_params(alpha=0.0).fit([1]).fitted_ == [1]


def test_mlp_early_stopping_supports_labels_of_strings():
    X, y = load_digits_images()
    mlp = MLPClassifier((32,), early_stopping=True, random_state=0)
    mlp.fit(X.reshape(len(X), -1), np.array(["even", "odd"])[y % 2])
    assert mlp.best_validation_score_ == max(mlp.validation_scores_) > 0.9


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
@pytest.mark.parametrize("bias", [True, False])
def test_onednn_linear_some_rows_equals_that_of_all_rows(bias):
    torch.manual_seed(0)
    x, weight = torch.randn(33, 67), torch.randn(10, 67)
    bias = torch.randn(10) if bias else None
    with torch.no_grad():
        expected = onednn_linear(x, weight, bias)
        torch.testing.assert_close(expected, functional.linear(x, weight, bias))
        for n_rows in (2, 3, 16, 31):
            assert torch.equal(onednn_linear(x[-n_rows:], weight, bias), expected[-n_rows:])


def test_import_optional_installed_is_module():
    assert import_optional("numpy.linalg", "Something") is np.linalg


@pytest.mark.parametrize("package", ["matplotlib", "pandas"])
def test_import_optional_missing_raises_with_what_to_install(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    message = f"^Something needs {package}: pip install 'sklenet\\[plots\\]'$"
    with pytest.raises(ImportError, match=message) as error:
        import_optional(package, "Something")
    assert error.value.name == package


def test_check_sample_weight_missing_is_ones_and_negative_raises():
    X = np.zeros((3, 2))
    assert check_sample_weight(None, X).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        check_sample_weight([1, -1, 1], X, ensure_non_negative=True)


@pytest.mark.parametrize("convert", [np.array, pd.DataFrame, list])
def test_safe_indexing_array_frame_or_list_selects_rows(convert):
    rows = safe_indexing(convert([[1, 2], [3, 4], [5, 6]]), np.array([2, 0]))
    np.testing.assert_array_equal(np.asarray(rows), [[5, 6], [1, 2]])


def test_compilation_error_is_base_of_failing_backend():
    def fail(graph, inputs):
        raise RuntimeError("no luck")

    compiled = torch.compile(lambda x: x + 1, backend=fail)
    with pytest.raises(compilation_error(), match="no luck"):
        compiled(torch.ones(2))
