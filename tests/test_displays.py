"""The common behavior of the displays of a fitted estimator."""

import inspect
import sys

import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from sklenet import DeepLeNetClassifier, plotting
from sklenet.datasets import load_digits_images
from sklenet.plotting import (
    FeatureMapDisplay,
    GradientFlowDisplay,
    KernelDisplay,
    TrainingHistoryDisplay,
)

pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

pytestmark = pytest.mark.usefixtures("close_figures")

X, y = (part[:300] for part in load_digits_images())

FROM_ESTIMATOR = {
    TrainingHistoryDisplay: (),
    KernelDisplay: (),
    FeatureMapDisplay: (X[:1],),
    GradientFlowDisplay: (),
}


# Every public method that draws.
DRAWING = [
    (getattr(plotting, display), name)
    for display in plotting.__all__
    for name in dir(getattr(plotting, display))
    if name == "plot" or name.startswith("from_")
]


@pytest.fixture(scope="module")
def fitted_search(recorded_classifier):
    return GridSearchCV(make_pipeline("passthrough", recorded_classifier), {}, cv=2).fit(X, y)


def drawn(display):
    """Return the points of all lines and the values of all images of a display."""
    axes = display.figure_.axes
    lines = [line.get_xydata() for ax in axes for line in ax.lines]
    return lines + [image.get_array() for ax in axes for image in ax.images]


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_from_estimator_pipeline_draws_last_step(display, recorded_classifier):
    pipeline = make_pipeline("passthrough", recorded_classifier)
    found = drawn(display.from_estimator(pipeline, *FROM_ESTIMATOR[display]))
    expected = drawn(display.from_estimator(recorded_classifier, *FROM_ESTIMATOR[display]))
    for found_values, expected_values in zip(found, expected, strict=True):
        assert_array_equal(found_values, expected_values)


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_from_estimator_search_draws_best_estimator(display, fitted_search):
    best = fitted_search.best_estimator_[-1]
    found = drawn(display.from_estimator(fitted_search, *FROM_ESTIMATOR[display]))
    expected = drawn(display.from_estimator(best, *FROM_ESTIMATOR[display]))
    for found_values, expected_values in zip(found, expected, strict=True):
        assert_array_equal(found_values, expected_values)


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_from_estimator_unfitted_raises(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(DeepLeNetClassifier(), *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_from_estimator_other_classifier_raises(display):
    other = GaussianNB().fit(X.reshape(len(X), -1), y)
    with pytest.raises(ValueError, match="estimator must have .*, got GaussianNB, which does not"):
        display.from_estimator(other, *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", [TrainingHistoryDisplay, KernelDisplay, GradientFlowDisplay])
def test_from_estimator_given_axes_draws_into_them(display, recorded_classifier):
    ax = Figure().subplots()
    drawn = display.from_estimator(recorded_classifier, ax=ax)
    assert drawn.ax_ is ax
    assert drawn.figure_ is ax.figure
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("display", "name"), DRAWING, ids=[f"{display.__name__}.{name}" for display, name in DRAWING]
)
def test_drawing_without_matplotlib_raises_before_other_work(monkeypatch, display, name):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    # Neither the display without data nor the arguments would be valid.
    method = getattr(display.__new__(display), name)
    required = [
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    message = rf"^{display.__name__} needs matplotlib: pip install 'sklenet\[plots\]'$"
    with pytest.raises(ImportError, match=message):
        method(*[None] * len(required))
