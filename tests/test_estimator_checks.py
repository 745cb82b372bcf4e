"""scikit-learn's own checks, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import DeepLeNetClassifier

# Small networks, which pass the checks in less time.
SMALL = {"conv_channels": (4, 8), "hidden_layer_sizes": (16,)}
LENET5 = {"conv_channels": (6, 16), "hidden_layer_sizes": (120, 84), "max_epochs": 15}


@pytest.mark.slow
@parametrize_with_checks(
    [
        DeepLeNetClassifier(**SMALL),
        DeepLeNetClassifier(activation="sigmoid", **LENET5),
        DeepLeNetClassifier(early_stopping=True, max_epochs=15, **SMALL),
    ]
)
def test_classifier_passes_scikit_learn_check(estimator, check):
    check(estimator)
