"""The display of the most confident mistakes."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB

from sklenet.datasets import load_digits_images
from sklenet.plotting import MistakesDisplay

pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

pytestmark = pytest.mark.usefixtures("close_figures")

X, y = load_digits_images()
Y_TRUE = np.array([0, 1, 2, 3, 4])
Y_PRED = np.array([0, 7, 2, 8, 9])
CONFIDENCE = np.array([0.99, 0.6, 0.9, 0.8, 0.7])
# The mistakes are the samples 3, 4 and 1, from the highest to the lowest confidence.
MOST_CONFIDENT = [3, 4, 1]


def display(images=X[:5], **arguments):
    return MistakesDisplay.from_predictions(images, Y_TRUE, Y_PRED, CONFIDENCE, **arguments)


def drawn(display):
    return [np.asarray(ax.images[0].get_array()) for ax in display.axes_.flat if ax.images]


def test_mistakes_are_most_confident_first():
    mistakes = display(n_mistakes=2)
    assert_array_equal(mistakes.y_true, Y_TRUE[MOST_CONFIDENT[:2]])
    assert_array_equal(mistakes.y_pred, Y_PRED[MOST_CONFIDENT[:2]])
    assert_array_equal(mistakes.confidence, CONFIDENCE[MOST_CONFIDENT[:2]])
    for image, sample in zip(drawn(mistakes), MOST_CONFIDENT, strict=False):
        assert_allclose(image * 16, X[sample])


def test_mistakes_titles_have_label_prediction_and_confidence():
    titles = [ax.get_title() for ax in display().axes_.flat]
    assert titles == ["3 → 8\n0.800", "4 → 9\n0.700", "1 → 7\n0.600", ""]


@pytest.mark.parametrize("name", ["9", "airplane", "a much longer name of a class"])
def test_mistakes_titles_do_not_overlap(name):
    names = np.array([name] * 5, dtype=object)
    mistakes = MistakesDisplay.from_predictions(X[:5], names, names + "s", CONFIDENCE)
    mistakes.figure_.draw_without_rendering()
    extents = [ax.title.get_window_extent() for ax in mistakes.axes_[0]]
    assert all(left.x1 < right.x0 for left, right in pairwise(extents))


@pytest.mark.parametrize(
    ("scale", "measure"), [(1, "prediction, confidence"), (9, "prediction, class score")]
)
def test_mistakes_heading_names_measure(scale, measure):
    mistakes = MistakesDisplay.from_predictions(X[:5], Y_TRUE, Y_PRED, scale * CONFIDENCE)
    assert mistakes.figure_.get_suptitle().endswith(measure)


def test_mistakes_unsigned_confidences_are_ordered():
    scores = np.arange(5, dtype=np.uint8)
    mistakes = MistakesDisplay.from_predictions(X[:5], Y_TRUE, Y_PRED, scores)
    assert_array_equal(mistakes.confidence, [4, 3, 1])


def test_mistakes_equally_confident_keep_order():
    mistakes = MistakesDisplay.from_predictions(X[:5], Y_TRUE, Y_PRED, np.ones(5))
    assert_array_equal(mistakes.y_true, [1, 3, 4])


def test_mistakes_flat_rows_are_drawn_as_images():
    for image, same in zip(drawn(display()), drawn(display(X[:5].reshape(5, 64))), strict=True):
        assert_array_equal(image, same)


def test_mistakes_image_shape_is_that_of_flat_rows():
    rows = np.arange(5 * 12).reshape(5, 12)
    mistakes = display(rows, image_shape=(3, 4))
    assert mistakes.images.shape == (3, 3, 4)
    assert_allclose(mistakes.images[0] * 59, rows[3].reshape(3, 4))


@pytest.mark.parametrize("channels_first", [False, True])
def test_mistakes_three_channels_are_drawn_in_color(channels_first):
    colors = np.random.default_rng(0).random((5, 8, 6, 3))
    images = np.moveaxis(colors, -1, 1) if channels_first else colors
    # The largest and the smallest pixel are stretched to the range that matplotlib draws.
    assert_allclose(display(images).images * colors[[3, 4, 1]].max(), colors[[3, 4, 1]])


@pytest.mark.parametrize("image_shape", [(8, 6, 3), (3, 8, 6)])
def test_mistakes_color_rows_are_drawn_in_order_of_image_shape(image_shape):
    colors = np.random.default_rng(0).random((5, 8, 6, 3))
    images = colors if image_shape[-1] == 3 else np.moveaxis(colors, -1, 1)
    mistakes = display(images.reshape(5, -1), image_shape=image_shape)
    assert_allclose(mistakes.images * colors[[3, 4, 1]].max(), colors[[3, 4, 1]])


def test_mistakes_not_numbers_raises():
    with pytest.raises(ValueError, match="X must hold numbers, got file names such as 'a.png'"):
        display(["a.png"] * 5)


def test_mistakes_tensors_are_drawn():
    images, labels = torch.from_numpy(X[:5]).double().requires_grad_(), torch.from_numpy(Y_TRUE)
    mistakes = MistakesDisplay.from_predictions(images, labels, Y_PRED, CONFIDENCE)
    assert_array_equal(mistakes.images, display().images)


def test_mistakes_two_channels_are_drawn_in_gray():
    mistakes = display(np.zeros((5, 2, 8, 8)))
    assert mistakes.images.shape == (3, 8, 8)


def test_mistakes_none_has_heading_without_images():
    mistakes = MistakesDisplay.from_predictions(X[:5], Y_TRUE, Y_TRUE, CONFIDENCE)
    assert mistakes.figure_.get_suptitle() == "No mistakes"
    assert drawn(mistakes) == []


def test_mistakes_from_estimator_equals_from_predictions():
    bayes = GaussianNB().fit(X[:500].reshape(500, 64), y[:500])
    rows, labels = X[500:].reshape(-1, 64), y[500:]
    mistakes = MistakesDisplay.from_estimator(bayes, rows, labels, n_mistakes=3)
    expected = MistakesDisplay.from_predictions(
        rows, labels, bayes.predict(rows), bayes.predict_proba(rows).max(axis=1), n_mistakes=3
    )
    assert_array_equal(mistakes.images, expected.images)
    assert_array_equal(mistakes.confidence, expected.confidence)


def test_mistakes_plot_options_are_used():
    figure = Figure()
    mistakes = display(n_columns=2, cmap="gray", values_format=".1f", figure=figure)
    assert mistakes.figure_ is figure
    assert mistakes.axes_.shape == (2, 2)
    assert mistakes.axes_[0, 0].get_title().endswith("\n0.8")
    assert mistakes.axes_[0, 0].images[0].get_cmap().name == "gray"
    assert mistakes.plot(figure=Figure()) is mistakes


def test_mistakes_classifier_without_scores_raises():
    class Unsure(ClassifierMixin, BaseEstimator):
        pass

    with pytest.raises(
        ValueError, match="must have predict_proba or decision_function, got Unsure"
    ):
        MistakesDisplay.from_estimator(Unsure(), X, y)


def test_mistakes_invalid_arguments_raises():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        display(X[:4])
    with pytest.raises(ValueError, match="n_mistakes must be a positive integer, got 0"):
        display(n_mistakes=0)


@pytest.mark.parametrize("n_columns", [0, -1, 2.5, True])
def test_mistakes_invalid_n_columns_raises(n_columns):
    with pytest.raises(ValueError, match="n_columns must be a positive integer"):
        display(n_columns=n_columns)
    assert not plt.get_fignums()


def test_mistakes_labels_of_mixed_types_raises():
    X, y = np.zeros((4, 8, 8)), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="string and number"):
        MistakesDisplay.from_predictions(X, y.astype(str), y, np.ones(4))


def test_mistakes_labels_in_a_column_are_flattened():
    X, y = np.arange(256).reshape(4, 8, 8), np.array([0, 1, 0, 1])
    display = MistakesDisplay.from_predictions(X, y[:, None], 1 - y, np.ones(4))
    assert_array_equal(display.y_true, y)
