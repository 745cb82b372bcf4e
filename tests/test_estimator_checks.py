"""scikit-learn's own checks, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import DeepLeNetClassifier

# The checks have few images, for which "auto" are 60 epochs; fewer pass them sooner.
QUICK = {"max_epochs": 25}
LENET5 = {"conv_channels": (6, 16), "hidden_layer_sizes": (120, 84)}  # learns faster


@pytest.mark.slow
@parametrize_with_checks(
    [
        DeepLeNetClassifier(**QUICK),
        DeepLeNetClassifier(activation="sigmoid", **LENET5, **QUICK),
        DeepLeNetClassifier(
            early_stopping=True, **QUICK, conv_channels=(4, 8), hidden_layer_sizes=(16,)
        ),
    ]
)
def test_classifier_passes_scikit_learn_check(estimator, check):
    check(estimator)
