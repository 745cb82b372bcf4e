import pytest
from helpers import Small
from numpy.testing import assert_array_equal

from sklenet.plotting import GradientFlowDisplay

pytest.importorskip("matplotlib")

pytestmark = pytest.mark.usefixtures("close_figures")


def test_gradient_flow_two_epochs_are_first_and_last(recorded_classifier):
    display = GradientFlowDisplay.from_estimator(recorded_classifier, n_epochs=2)
    assert list(display.norms) == ["epoch 1", "epoch 3"]
    last = recorded_classifier.history_[-1]["event_gradient_norm"]
    assert display.layers == list(last)
    assert_array_equal(display.norms["epoch 3"], list(last.values()))
    assert display.ax_.get_yscale() == "log"


def test_gradient_flow_errors_are_drawn_as_bars():
    display = GradientFlowDisplay(["C1", "F5"], {"a": [1.0, 2.0]}, {"a": [0.5, 0.25]}).plot()
    (bars,) = display.ax_.collections
    assert_array_equal(
        [segment[:, 1] for segment in bars.get_segments()], [[0.5, 1.5], [1.75, 2.25]]
    )


def test_gradient_flow_invalid_n_epochs_raises(recorded_classifier):
    with pytest.raises(ValueError, match="n_epochs must be a positive integer"):
        GradientFlowDisplay.from_estimator(recorded_classifier, n_epochs=0)


def test_gradient_flow_without_record_raises(digits):
    X_train, _, y_train, _ = digits
    plain = Small(max_epochs=1).fit(X_train, y_train)
    with pytest.raises(ValueError, match="must be fitted with callbacks="):
        GradientFlowDisplay.from_estimator(plain)
