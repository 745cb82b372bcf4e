"""scikit-learn's own checks, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import DeepLeNetClassifier


@pytest.mark.slow
@parametrize_with_checks(
    [
        DeepLeNetClassifier(),
        DeepLeNetClassifier(activation="sigmoid"),
        DeepLeNetClassifier(early_stopping=True),
        DeepLeNetClassifier(early_stopping=True, conv_channels=(4, 8), hidden_layer_sizes=(16,)),
    ]
)
def test_classifier_passes_scikit_learn_check(estimator, check):
    check(estimator)
