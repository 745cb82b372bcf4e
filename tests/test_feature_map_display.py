import pytest
import torch
from numpy.testing import assert_allclose

from sklenet.datasets import load_digits_images
from sklenet.plotting import FeatureMapDisplay

pytest.importorskip("matplotlib")

pytestmark = pytest.mark.usefixtures("close_figures")


X, _ = load_digits_images()


def test_feature_maps_are_outputs_of_stages(recorded_classifier):
    display = FeatureMapDisplay.from_estimator(recorded_classifier, X[:1])
    assert list(display.feature_maps) == ["C1, S2", "C3, S4"]
    with torch.inference_mode():
        rest = recorded_classifier.module_.head(
            torch.from_numpy(display.feature_maps["C3, S4"]).flatten()[None]
        )
    expected = recorded_classifier.decision_function(X[:1])
    assert_allclose(rest.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert [ax.get_title() for ax in display.axes_][1:] == [
        "C1, S2: 4 maps of 14×14",
        "C3, S4: 8 maps of 5×5",
    ]


def test_feature_maps_drawn_leave_no_hooks(recorded_classifier):
    FeatureMapDisplay.from_estimator(recorded_classifier, X[:1])
    for module in recorded_classifier.module_.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_feature_maps_two_images_raises(recorded_classifier):
    with pytest.raises(ValueError, match="X must hold one image, .* got 2"):
        FeatureMapDisplay.from_estimator(recorded_classifier, X[:2])
