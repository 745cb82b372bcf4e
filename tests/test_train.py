"""`fit_network`: from a recipe and a training set to a trained net."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier, ImageLayout, ImagePreprocessor
from sklenet._interrupts import Interrupts
from sklenet.training import Recipe, TrainingSet, fit_network

SMALL = {
    "conv_channels": (4, 8),
    "hidden_layer_sizes": (32,),
    "lr": 1e-2,
    "max_epochs": 2,
    "batch_size": 50,
    "device": "cpu",
}


@pytest.fixture
def fit(digits):
    """Return a function that trains on the digits, by a recipe of its parameters."""
    X, _, y, _ = digits
    rows = X.reshape(len(X), -1)
    everything = TrainingSet.from_arrays(rows, y, np.ones(len(y)))
    preprocessor = ImagePreprocessor(ImageLayout(8, 8)).fit(everything.rows)

    def fit(*, holds_out=False, callbacks=(), previous=None, with_optimizer=False, **parameters):
        train, valid = everything, None
        if holds_out:
            train, valid = everything.split(0.2, np.random.RandomState(0))
        given = DeepLeNetClassifier(**{**SMALL, **parameters}).get_params(deep=False)
        return fit_network(
            Recipe.from_parameters(given, len(train)),
            preprocessor,
            train,
            valid,
            n_classes=10,
            seed=0,
            callbacks=callbacks,
            verbose=0,
            previous=previous,
            with_optimizer=with_optimizer,
            interrupts=Interrupts(),
            threads=None,
        )

    return fit


def losses(net):
    return [epoch["train_loss"] for epoch in net.history_]


def test_fit_network_dropout_returns_net_in_evaluation_mode(fit):
    assert not fit(dropout=0.5).module_.training


def test_fit_network_without_validation_set_trains_all_epochs(fit):
    history = fit(max_epochs=4, n_iter_no_change=1, lr=1e-9).history_
    assert len(history) == 4
    assert not any("valid_acc" in epoch for epoch in history)


def test_fit_network_validation_set_stops_training(fit):
    # Without moving averages, which also change.
    net = fit(holds_out=True, max_epochs=9, n_iter_no_change=2, lr=1e-9, normalization=None)
    assert len(net.history_) == 3
    assert all(0 <= epoch["valid_acc"] <= 1 for epoch in net.history_)
    assert net.train_split is None


def test_fit_network_previous_net_continues_weights_and_history(fit):
    plain = {"normalization": None, "label_smoothing": 0}  # nothing is estimated afterwards
    first = fit(max_epochs=9, **plain)
    second = fit(max_epochs=1, lr=1e-9, previous=first, **plain)
    assert losses(second)[:9] == losses(first)
    assert losses(second)[9] < losses(first)[0] / 2
    assert len(first.history_) == 9
    for found, expected in zip(
        second.module_.parameters(), first.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_fit_network_with_optimizer_continues_its_state(fit):
    first = fit(max_epochs=1, with_optimizer=True)
    second = fit(max_epochs=1, with_optimizer=True, previous=first)
    for net, n_steps in ((first, 6), (second, 12)):
        states = net.optimizer_.state.values()
        assert {int(state["step"]) for state in states} == {n_steps}


def test_fit_network_without_optimizer_drops_its_state(fit):
    assert not fit().optimizer_.state


def test_fit_network_weight_decay_of_none_is_default_of_optimizer(fit):
    (group,) = fit(optimizer=torch.optim.AdamW).optimizer_.param_groups
    (expected,) = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).param_groups
    assert group["weight_decay"] == expected["weight_decay"]
    (group,) = fit(weight_decay=0.05).optimizer_.param_groups
    assert group["weight_decay"] == 0.05


def test_fit_network_output_chooses_loss_and_probabilities(fit, digits):
    images = torch.zeros(1, 1, 32, 32)
    for output, link in (("softmax", torch.exp), ("sigmoid", torch.sigmoid)):
        net = fit(output=output, label_smoothing=0.25)
        assert net.criterion_.label_smoothing == 0.25
        scores = link(net.forward(images))
        expected = (scores / scores.sum()).numpy()
        np.testing.assert_allclose(net.predict_proba(images), expected, rtol=1e-5)


def test_fit_network_augmentation_changes_images_of_training_only(fit):
    class Images(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            seen[training].append(batch[0]["images"].flatten(1))

    seen = {True: [], False: []}
    fit(holds_out=True, augmentation="affine", callbacks=[Images()])
    for training, n_images in ((True, 2 * 240), (False, 60)):
        different = torch.cat(seen[training]).unique(dim=0)
        assert len(different) == n_images


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fit_network_precision_is_that_of_layers_in_training(fit, precision):
    class Layer(Callback):
        def on_train_begin(self, net, **kwargs):
            def hook(layer, inputs, output):
                dtypes[layer.training].add(output.dtype)

            self.handle = net.module_.features.C1.register_forward_hook(hook)

        def on_train_end(self, net, **kwargs):
            self.handle.remove()

    dtypes = {True: set(), False: set()}
    net = fit(holds_out=True, precision=precision, max_epochs=1, callbacks=[Layer()])
    assert dtypes == {True: {getattr(torch, precision)}, False: {torch.float32}}
    assert {parameter.dtype for parameter in net.module_.parameters()} == {torch.float32}


def test_fit_network_diverging_weights_raises(fit):
    with pytest.raises(ValueError, match=r"Training diverged: .* Lower lr=1e\+38 or scale X"):
        fit(lr=1e38, lr_schedule="constant", optimizer="sgd")
