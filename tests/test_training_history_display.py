import pytest
from numpy.testing import assert_array_equal
from sklearn.neural_network import MLPClassifier

from sklenet.plotting import TrainingHistoryDisplay

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

pytestmark = pytest.mark.usefixtures("close_figures")


def test_training_history_has_loss_and_score_of_each_epoch(recorded_classifier):
    display = TrainingHistoryDisplay.from_estimator(recorded_classifier)
    (loss,), (score,) = display.ax_.lines, display.validation_ax_.lines
    assert_array_equal(loss.get_xydata(), list(enumerate(recorded_classifier.loss_curve_, 1)))
    assert_array_equal(
        score.get_xydata(), list(enumerate(recorded_classifier.validation_scores_, 1))
    )


def test_training_history_fewer_scores_are_of_last_epochs():
    display = TrainingHistoryDisplay([3.0, 2.0, 1.0], [0.5, 0.6]).plot()
    assert_array_equal(display.validation_ax_.lines[0].get_xdata(), [2, 3])


def test_training_history_mlp_has_loss_only(digits):
    X, _, y, _ = digits
    with pytest.warns(UserWarning, match="converge"):
        mlp = MLPClassifier((8,), max_iter=2, random_state=0).fit(X.reshape(len(X), -1), y)
    display = TrainingHistoryDisplay.from_estimator(mlp)
    assert_array_equal(display.ax_.lines[0].get_ydata(), mlp.loss_curve_)
    assert display.validation_ax_ is None


def test_training_history_one_epoch_has_integer_ticks():
    ax = Figure().subplots()
    ax.set_xticks([3, 4])
    TrainingHistoryDisplay([1.0]).plot(ax=ax)
    assert all(tick == round(tick) for tick in ax.get_xticks())
