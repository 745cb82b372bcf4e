"""The callbacks of a training: learning rates, early stopping and gradient norms."""

import numpy as np
import pytest
import torch
from helpers import Small, weights_of
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn

from sklenet.callbacks import GradientNorm
from sklenet.training._callbacks import EarlyStopping, OneCycle, ValidationAccuracy


class LearningRates(Callback):
    """Record the learning rate of each training step."""

    def on_train_begin(self, net, **kwargs):
        self.rates = []

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])


def learning_rates(digits, **options):
    X_train, _, y_train, _ = digits
    recorder = LearningRates()
    Small(lr=0.01, callbacks=[recorder], **options).fit(X_train, y_train)
    return np.array(recorder.rates)


# OneCycle


def test_one_cycle_fit_raises_rate_to_lr_and_lowers_it_to_zero(digits):
    rates = learning_rates(digits, max_epochs=3, batch_size=30)
    assert len(rates) == 3 * 10
    peak = rates.argmax()
    assert rates[peak] == pytest.approx(0.01, rel=0.01)
    assert 0 < rates[0] < 0.1 * rates[peak]
    assert 0 <= rates[-1] < 1e-3 * rates[peak]
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()


def test_one_cycle_single_step_has_positive_rate(digits):
    (rate,) = learning_rates(digits, max_epochs=1, batch_size=1000)
    assert 0 < rate < 0.01


# WarmupStableDecay


def test_warmup_stable_decay_fit_holds_rate_and_lowers_it_in_last_third(digits):
    rates = learning_rates(digits, lr_schedule="warmup_stable_decay", max_epochs=6, batch_size=30)
    assert len(rates) == 6 * 10
    np.testing.assert_allclose(rates[:10], 0.01 * np.arange(1, 11) / 10)
    np.testing.assert_allclose(rates[10:40], 0.01)
    np.testing.assert_allclose(rates[40:], 0.01 * np.arange(20, 0, -1) / 20)


def test_warmup_stable_decay_single_step_has_positive_rate(digits):
    (rate,) = learning_rates(
        digits, lr_schedule="warmup_stable_decay", max_epochs=1, batch_size=1000
    )
    assert 0 < rate <= 0.01


@pytest.mark.slow
def test_auto_schedule_early_stopping_lowers_rate_before_it_stops(digits):
    recorder = LearningRates()
    options = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 100}
    X_train, _, y_train, _ = digits
    classifier = Small(**options, lr=0.01, callbacks=[recorder]).fit(X_train, y_train)
    n_epochs = classifier.n_iter_
    assert n_epochs < 100
    rates = np.reshape(recorder.rates, (n_epochs, -1)).max(axis=1)
    n_held = np.count_nonzero(rates == 0.01) - 1  # the first step of the decay has the full rate
    assert n_epochs - n_held == -(-n_held // 2)
    scores = np.maximum.accumulate(classifier.validation_scores_)
    assert scores[n_held - 1] == scores[n_held - 3]
    assert recorder.rates[-1] < 1e-3


def test_auto_schedule_is_one_cycle_without_early_stopping(digits):
    rates = learning_rates(digits, batch_size=30)
    np.testing.assert_array_equal(
        rates, learning_rates(digits, lr_schedule="one_cycle", batch_size=30)
    )


def test_constant_schedule_fit_keeps_lr(digits):
    rates = learning_rates(digits, lr_schedule="constant", max_epochs=2, batch_size=100)
    np.testing.assert_array_equal(rates, 6 * [0.01])


# ValidationAccuracy


class FakeNet:
    """A net with the attributes that the callbacks use; the weight is the number of the epoch."""

    def __init__(self, verbose=0):
        self.history = History()
        self.module_ = nn.Linear(1, 1, bias=False)
        self.verbose = verbose
        self.stop_training_ = False

    def begin_epoch(self):
        epoch = len(self.history) + 1
        self.history.new_epoch()
        self.history.record("epoch", epoch)
        self.history.new_batch()
        self.history.record_batch("valid_batch_size", 100)
        nn.init.constant_(self.module_.weight, epoch)


def test_validation_accuracy_weighted_batches_is_weighted_mean():
    net, callback = FakeNet(), ValidationAccuracy()
    net.begin_epoch()
    callback.on_epoch_begin(net)
    for predicted, target, weight in [([0, 1], [0, 1], [1.0, 2.0]), ([1], [0], [5.0])]:
        batch = {"sample_weight": torch.tensor(weight)}, torch.tensor(target)
        y_pred = torch.eye(2)[predicted]
        callback.on_batch_end(net, batch=batch, training=False, y_pred=y_pred)
        callback.on_batch_end(net, batch=batch, training=True, y_pred=1 - y_pred)
    callback.on_epoch_end(net)
    assert net.history[-1, "valid_acc"] == pytest.approx(3 / 8)


def test_validation_accuracy_interrupted_keeps_no_data(digits):
    class Interrupt(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if not training:
                raise KeyboardInterrupt

    X_train, _, y_train, _ = digits
    classifier = Small(early_stopping=True, callbacks=[Interrupt()])
    classifier.fit(X_train, y_train)
    (recorder,) = (c for _, c in classifier.net_.callbacks_ if isinstance(c, ValidationAccuracy))
    assert not vars(recorder)


# EarlyStopping


def train(callback, scores, verbose=0):
    """Run an epoch for each validation score and return the net."""
    net = FakeNet(verbose)
    callback.on_train_begin(net)
    for score in scores:
        net.begin_epoch()
        net.history.record("valid_acc", score)
        callback.on_epoch_end(net)
        if net.stop_training_:
            break
    callback.on_train_end(net)
    return net


@pytest.mark.parametrize(
    ("scores", "patience", "n_epochs", "best"),
    [
        ([0.5, 0.7, 0.7, 0.6, 0.9], 2, 4, 2),
        ([0.5, 0.7, 0.6, 0.8, 0.7, 0.7, 0.9], 2, 6, 4),  # an improvement resets the count
        ([0.5, 0.50005, 0.50009, 0.9], 2, 3, 1),  # below the tolerance
        ([0.5, 0.4, 0.6], 1, 2, 1),
    ],
)
def test_early_stopping_without_improvement_stops_and_restores_best(
    scores, patience, n_epochs, best
):
    net = train(EarlyStopping(patience), scores)
    assert net.stop_training_ is True
    assert len(net.history) == n_epochs
    assert net.module_.weight.item() == best


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([0.5, 0.7, 0.7, 0.6, 0.7], 5),  # of equal scores the last
        ([0.5, 0.7, 0.6, 0.66, 0.6], 4),  # the standard error of 0.7 is 0.045
        ([0.9, 1.0, 0.99, 0.97, 0.97], 3),  # that of 1 is 0.013 rather than 0
    ],
)
def test_early_stopping_with_schedule_restores_last_within_standard_error(scores, kept):
    net = train(EarlyStopping(3, OneCycle()), scores)
    assert len(net.history) == 5
    assert net.module_.weight.item() == kept


def test_early_stopping_out_of_epochs_restores_best():
    net = train(EarlyStopping(5), [0.5, 0.7, 0.6])
    assert net.stop_training_ is False
    assert net.module_.weight.item() == 2


@pytest.mark.parametrize("scores", [[0.5, 0.6, 0.7], [float("nan")] * 3])
def test_early_stopping_last_epoch_best_or_none_keeps_weights(scores):
    net = train(EarlyStopping(5), scores)
    assert net.stop_training_ is False
    assert net.module_.weight.item() == 3


def test_early_stopping_verbose_prints_reason_and_epoch(capsys):
    train(EarlyStopping(1), [0.5, 0.4], verbose=1)
    assert capsys.readouterr().out.splitlines() == [
        "Stopping: valid_acc has not improved in the last 1 epochs.",
        "Restoring the weights of epoch 1.",
    ]
    train(EarlyStopping(1), [0.5, 0.4])
    assert capsys.readouterr().out == ""


def test_early_stopping_with_decay_says_once_that_rate_falls(digits, capsys):
    X_train, _, y_train, _ = digits
    options = {"early_stopping": True, "n_iter_no_change": 1, "max_epochs": 30, "verbose": 1}
    Small(**options).fit(X_train, y_train)
    expected = "Lowering the learning rate: neither valid_acc nor valid_loss has improved"
    assert capsys.readouterr().out.count(expected) == 1


def test_early_stopping_trained_keeps_no_weights():
    callback = EarlyStopping(1)
    train(callback, [0.5, 0.4])
    assert callback.best_weights_ is None


@pytest.mark.filterwarnings("error")
def test_early_stopping_fit_stops_without_warning(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(
        early_stopping=True, n_iter_no_change=1, max_epochs=50, lr_schedule="constant"
    ).fit(X_train, y_train)
    assert classifier.n_iter_ < 50


# GradientNorm


def test_gradient_norm_batches_is_root_mean_square(digits):
    class Spy(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            gradient = net.module_.features.C1.weight.grad
            squares.append(float(gradient.square().mean()))

    X_train, _, y_train, _ = digits
    squares = []
    classifier = Small(callbacks=[GradientNorm(), Spy()], max_epochs=1, batch_size=100)
    classifier.fit(X_train, y_train)
    recorded = classifier.history_[0]["event_gradient_norm"]
    assert list(recorded) == ["C1", "C3", "F5", "output"]
    assert recorded["C1"] == pytest.approx(np.sqrt(np.mean(squares)))


def test_gradient_norm_weights_of_activation_are_left_out(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(
        activation=lambda: nn.Sequential(nn.PReLU()), callbacks=[GradientNorm()], max_epochs=1
    ).fit(X_train, y_train)
    assert list(classifier.history_[0]["event_gradient_norm"]) == ["C1", "C3", "F5", "output"]


def test_gradient_norm_fit_trains_same_model(digits):
    X_train, _, y_train, _ = digits
    recorded = Small(callbacks=[GradientNorm()]).fit(X_train, y_train)
    assert torch.equal(weights_of(recorded), weights_of(Small().fit(X_train, y_train)))
