"""The displays of a training, a network and its activations; those of mistakes: test_plotting."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import nn

from sklenet import DeepLeNetClassifier, LReLU
from sklenet.callbacks import GradientSize
from sklenet.datasets import load_digits_images
from sklenet.plotting import (
    ActivationDisplay,
    FeatureMapDisplay,
    GradientFlowDisplay,
    KernelDisplay,
    MistakesDisplay,
    TrainingHistoryDisplay,
)
from sklenet.plotting._style import mosaic

pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

X, y = (part[:300] for part in load_digits_images())


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def classifier():
    return DeepLeNetClassifier(
        conv_channels=(4, 8),
        hidden_layer_sizes=(16,),
        max_epochs=3,
        early_stopping=True,
        callbacks=[GradientSize()],
        random_state=0,
    ).fit(X, y)


FROM_ESTIMATOR = {
    TrainingHistoryDisplay: (),
    KernelDisplay: (),
    FeatureMapDisplay: (X[:1],),
    GradientFlowDisplay: (),
}


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_a_pipeline_is_drawn_as_its_last_step(display, classifier):
    pipeline = make_pipeline("passthrough", classifier)
    drawn = display.from_estimator(pipeline, *FROM_ESTIMATOR[display])
    alone = display.from_estimator(classifier, *FROM_ESTIMATOR[display])
    assert len(drawn.figure_.axes) == len(alone.figure_.axes)


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_a_search_is_drawn_as_its_best_estimator(display, classifier):
    search = GridSearchCV(make_pipeline("passthrough", classifier), {}, cv=2).fit(X, y)
    assert display.from_estimator(search, *FROM_ESTIMATOR[display]).figure_.axes


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_an_estimator_that_is_not_fitted_is_refused(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(DeepLeNetClassifier(), *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", FROM_ESTIMATOR)
def test_an_estimator_of_another_kind_is_refused(display):
    other = GaussianNB().fit(X.reshape(len(X), -1), y)
    with pytest.raises(ValueError, match="estimator must have .*, which GaussianNB has not"):
        display.from_estimator(other, *FROM_ESTIMATOR[display])


@pytest.mark.parametrize("display", [TrainingHistoryDisplay, KernelDisplay, GradientFlowDisplay])
def test_it_draws_into_the_axes_of_the_user(display, classifier):
    ax = Figure().subplots()
    drawn = display.from_estimator(classifier, ax=ax)
    assert drawn.ax_ is ax
    assert drawn.figure_ is ax.figure
    assert not plt.get_fignums()


def test_history_has_the_loss_and_the_validation_score_of_each_epoch(classifier):
    display = TrainingHistoryDisplay.from_estimator(classifier)
    (loss,), (score,) = display.ax_.lines, display.validation_ax_.lines
    assert_array_equal(loss.get_xydata(), list(enumerate(classifier.loss_curve_, 1)))
    assert_array_equal(score.get_xydata(), list(enumerate(classifier.validation_scores_, 1)))


def test_history_of_a_later_fit_has_its_scores_at_the_end():
    display = TrainingHistoryDisplay([3.0, 2.0, 1.0], [0.5, 0.6]).plot()
    assert_array_equal(display.validation_ax_.lines[0].get_xdata(), [2, 3])


def test_history_of_scikit_learns_network():
    with pytest.warns(UserWarning, match="converge"):
        mlp = MLPClassifier((8,), max_iter=2, random_state=0).fit(X.reshape(len(X), -1), y)
    display = TrainingHistoryDisplay.from_estimator(mlp)
    assert_array_equal(display.ax_.lines[0].get_ydata(), mlp.loss_curve_)
    assert display.validation_ax_ is None


def test_history_of_one_epoch_into_axes_with_ticks():
    ax = Figure().subplots()
    ax.set_xticks([3, 4])
    TrainingHistoryDisplay([1.0]).plot(ax=ax)
    assert all(tick == round(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize("n_columns", [0, -1, 2.5, True])
def test_numbers_of_columns_that_are_none_are_refused(classifier, n_columns):
    with pytest.raises(ValueError, match="n_columns must be a positive integer"):
        KernelDisplay.from_estimator(classifier, n_columns=n_columns)
    with pytest.raises(ValueError, match="n_columns must be a positive integer"):
        MistakesDisplay(X[:2], [0, 1], [1, 0], np.ones(2)).plot(n_columns=n_columns)
    assert not plt.get_fignums()


def test_kernels_are_those_of_the_layer(classifier):
    display = KernelDisplay.from_estimator(classifier)
    weight = classifier.module_.features.C1.weight.detach().numpy()
    assert_array_equal(display.kernels, weight[:, 0])
    assert display.ax_.get_title() == "C1: 4 kernels of 5×5"
    lowest, highest = display.image_.get_clim()
    assert -lowest == highest == np.abs(weight).max()
    deeper = KernelDisplay.from_estimator(classifier, layer="C3")
    assert deeper.kernels.shape == (8, 5, 5)
    assert deeper.ax_.get_title().endswith("mean over the channels")


@pytest.mark.parametrize("layer", ["S2", "F5", "flatten"])
def test_a_layer_without_kernels_is_refused(classifier, layer):
    with pytest.raises(ValueError, match=r"the layers are \['C1', 'C3'\]"):
        KernelDisplay.from_estimator(classifier, layer=layer)


def test_feature_maps_are_the_outputs_of_the_stages(classifier):
    display = FeatureMapDisplay.from_estimator(classifier, X[:1])
    assert list(display.feature_maps) == ["C1, S2", "C3, S4"]
    with torch.inference_mode():
        rest = classifier.module_.head(
            torch.from_numpy(display.feature_maps["C3, S4"]).flatten()[None]
        )
    expected = classifier.decision_function(X[:1])
    assert_allclose(rest.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert [ax.get_title() for ax in display.axes_][1:] == [
        "C1, S2: 4 maps of 14×14",
        "C3, S4: 8 maps of 5×5",
    ]


def test_feature_maps_leave_no_hooks(classifier):
    FeatureMapDisplay.from_estimator(classifier, X[:1])
    for module in classifier.module_.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_feature_maps_are_of_one_image(classifier):
    with pytest.raises(ValueError, match="X must hold one image, .* got 2"):
        FeatureMapDisplay.from_estimator(classifier, X[:2])


def test_activations_and_their_derivatives():
    display = ActivationDisplay.from_activations({"ReLU": "relu", "steep": lambda: LReLU(4.0)})
    positive = display.x > 0
    assert_array_equal(display.values["ReLU"], np.maximum(display.x, 0))
    assert_array_equal(display.derivatives["ReLU"], positive)
    assert_allclose(
        display.derivatives["steep"][positive], 4 / (1 + 4 * display.x[positive]), rtol=1e-5
    )
    assert [line.get_label() for line in display.axes_[0].lines] == ["ReLU", "steep"]


@pytest.mark.parametrize("limit", ["a", 0, -1, float("inf"), float("nan")])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match="limit must be a positive number"):
        ActivationDisplay.from_activations(["relu"], limit=limit)


@pytest.mark.parametrize(
    ("activations", "error", "message"),
    [
        ([], ValueError, "at least one activation"),
        ([nn.ReLU], TypeError, "put others into a dict"),
        (["swish"], ValueError, "'swish' is unknown"),
        ({"halved": nn.GLU}, ValueError, "'halved' does not work element by element"),
    ],
)
def test_activations_that_are_none_are_refused(activations, error, message):
    with pytest.raises(error, match=message):
        ActivationDisplay.from_activations(activations)
    assert not plt.get_fignums()


def test_an_activation_is_drawn_where_no_gradients_are_recorded():
    with torch.inference_mode():
        display = ActivationDisplay.from_activations("relu")
    assert_array_equal(display.derivatives["relu"], display.x > 0)


def test_gradients_of_activations_are_no_layers():
    classifier = DeepLeNetClassifier(
        activation=lambda: nn.Sequential(nn.PReLU()),
        conv_channels=(4, 8),
        hidden_layer_sizes=(16,),
        max_epochs=1,
        callbacks=[GradientSize()],
    ).fit(X, y)
    layers = GradientFlowDisplay.from_estimator(classifier).layers
    assert layers == ["C1", "C3", "F5", "output"]


def test_gradient_sizes_are_those_of_the_gradients():
    class Spy(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            gradient = net.module_.features.C1.weight.grad
            squares.append(float(gradient.square().mean()))

    squares = []
    options = dict(
        conv_channels=(4, 8), hidden_layer_sizes=(16,), max_epochs=1, batch_size=100, random_state=0
    )
    classifier = DeepLeNetClassifier(**options, callbacks=[GradientSize(), Spy()]).fit(X, y)
    recorded = classifier.history_[0]["event_gradient_size"]
    assert list(recorded) == ["C1", "C3", "F5", "output"]
    assert recorded["C1"] == pytest.approx(np.sqrt(np.mean(squares)))


def test_gradient_flow_shows_the_first_and_the_last_epoch(classifier):
    display = GradientFlowDisplay.from_estimator(classifier, n_epochs=2)
    assert list(display.sizes) == ["epoch 1", "epoch 3"]
    last = classifier.history_[-1]["event_gradient_size"]
    assert display.layers == list(last)
    assert_array_equal(display.sizes["epoch 3"], list(last.values()))
    assert display.ax_.get_yscale() == "log"


def test_no_epochs_are_refused(classifier):
    with pytest.raises(ValueError, match="n_epochs must be a positive integer"):
        GradientFlowDisplay.from_estimator(classifier, n_epochs=0)


def test_gradients_that_were_not_recorded_are_asked_for(classifier):
    plain = DeepLeNetClassifier(conv_channels=(4, 8), max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="fit it with callbacks="):
        GradientFlowDisplay.from_estimator(plain)


@pytest.mark.parametrize(
    ("n_images", "shape"), [(32, (4, 8)), (60, (6, 10)), (11, (3, 5)), (7, (1, 7)), (1, (1, 1))]
)
def test_a_mosaic_has_each_image_once(n_images, shape):
    images = np.arange(1.0, n_images + 1)[:, None, None] * np.ones((1, 3, 3))
    tiles = mosaic(images)
    assert tiles.shape == tuple(4 * n - 1 for n in shape)
    seen, counts = np.unique(tiles[np.isfinite(tiles)], return_counts=True)
    assert_array_equal(seen, np.arange(1, n_images + 1))
    assert set(counts) == {9}
