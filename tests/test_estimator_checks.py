"""scikit-learn's own checks, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import DeepLeNetClassifier

# The checks have few rows, for which "auto" are 60 epochs: fewer, or a small network, pass sooner.
QUICK = {"max_epochs": 15}
SMALL = {"conv_channels": (4, 8), "hidden_layer_sizes": (16,)}
LENET5 = {"conv_channels": (6, 16), "hidden_layer_sizes": (120, 84)}


@pytest.mark.slow
@parametrize_with_checks(
    [
        DeepLeNetClassifier(**QUICK),
        DeepLeNetClassifier(activation="sigmoid", **LENET5, **QUICK),
        DeepLeNetClassifier(**SMALL),
        DeepLeNetClassifier(early_stopping=True, **SMALL, **QUICK),
    ]
)
def test_classifier_passes_scikit_learn_check(estimator, check):
    check(estimator)
