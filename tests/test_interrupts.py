"""Ctrl-C: `Interrupts`, and what it leaves of a fit, a search and a comparison."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from helpers import Small, weights_of
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping

from sklenet._interrupts import Interrupts
from sklenet._threads import AdaptiveThreads
from sklenet.callbacks import GradientNorm
from sklenet.comparison import compare_methods


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def handler_is_restored(sigint):
    """Check that each test leaves the handler of SIGINT that it found."""
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Interrupts


def test_interrupts_deferred_waits_until_asked():
    with Interrupts() as interrupts:
        assert not interrupts.arrived()
        press_ctrl_c()
        assert interrupts.arrived()
        assert interrupts.arrived()


def test_interrupts_second_is_raised_at_once():
    with Interrupts() as interrupts:
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        assert interrupts.arrived()


def test_interrupts_not_asked_for_is_raised_on_leaving():
    def leave():
        with Interrupts():
            press_ctrl_c()
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        leave()


def test_interrupts_not_deferred_is_raised_and_remembered():
    with Interrupts(deferred=False) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        assert interrupts.arrived()


@pytest.mark.parametrize("deferred", [False, True])
def test_interrupts_nested_reach_both(deferred):
    with Interrupts(deferred=deferred) as outer:
        with Interrupts() as inner:
            press_ctrl_c()
            assert inner.arrived()
        assert outer.arrived()


def test_interrupts_handler_that_does_not_raise_goes_on():
    calls = []
    signal.signal(signal.SIGINT, lambda *arguments: calls.append(arguments))
    try:
        with Interrupts() as interrupts:
            press_ctrl_c()
            assert calls == []
            assert not interrupts.arrived()
            assert len(calls) == 1
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_interrupts_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            press_ctrl_c()
            assert not interrupts.arrived()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_interrupts_arrived_after_last_question_is_known_after_leaving():
    with Interrupts() as interrupts:
        press_ctrl_c()
    assert interrupts.arrived()


# fit


class Interrupt(Callback):
    """Press Ctrl-C, or end the training as the callbacks of skorch do, when a hook is called."""

    def __init__(self, hook, call=1, ends=press_ctrl_c):
        self.hook = hook
        self.call = call
        self.ends = ends
        self.n_calls_ = 0

    def __getattribute__(self, name):
        if name == object.__getattribute__(self, "__dict__").get("hook"):
            return self.count
        return super().__getattribute__(name)

    def count(self, net, **kwargs):
        self.n_calls_ += 1
        if self.n_calls_ == self.call:
            self.ends()


def stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("hook", "call", "n_epochs"),
    [
        ("on_batch_end", 1, 1),  # the loss of its batches is that of the epoch
        ("on_grad_computed", 3, 1),
        ("on_epoch_end", 2, 2),
        ("on_epoch_begin", 3, 2),
        ("on_batch_end", 25, 2),
        ("on_train_end", 1, 3),
    ],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_interrupted_is_fitted_as_far_as_trained(digits, hook, call, n_epochs, early_stopping):
    X_train, X_test, y_train, _ = digits
    classifier = Small(early_stopping=early_stopping, callbacks=[Interrupt(hook, call)])
    with pytest.raises(KeyboardInterrupt) as error:
        classifier.fit(X_train, y_train)
    assert error.type is KeyboardInterrupt  # of a subclass Python's exit status would differ
    assert classifier.n_iter_ == len(classifier.loss_curve_) == len(classifier.history_) == n_epochs
    assert np.isfinite(classifier.loss_)
    assert set(classifier.predict(X_test)) <= set(range(10))
    stopped = Small(early_stopping=early_stopping, callbacks=[Interrupt(hook, call, stop)])
    stopped.fit(X_train, y_train)
    assert stopped.n_iter_ == n_epochs


class ThreadsOfInterrupted(AdaptiveThreads):
    """Press Ctrl-C when the training has ended."""

    def __exit__(self, *error):
        super().__exit__(*error)
        if self.used == {2}:  # the statistics of the pixels take one
            press_ctrl_c()


def test_fit_interrupted_at_its_end_is_fitted(digits, monkeypatch):
    X_train, X_test, y_train, _ = digits
    classifier = Small(n_threads=2)
    with monkeypatch.context() as patch:
        patch.setattr("sklenet._classifier.AdaptiveThreads", ThreadsOfInterrupted)
        with pytest.raises(KeyboardInterrupt):
            classifier.fit(X_train, y_train)
    assert classifier.n_iter_ == 3
    assert len(classifier.predict(X_test)) == len(X_test)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_batch_begin"])
def test_fit_stopped_before_first_step_calls_all_callbacks_and_raises(digits, hook):
    class Ends(Callback):
        def on_train_end(self, net, **kwargs):
            ended.append(net)

    X_train, X_test, y_train, _ = digits
    ended = []
    classifier = Small(early_stopping=True).fit(X_train, y_train)
    expected = classifier.predict_proba(X_test)
    classifier.set_params(callbacks=[Interrupt(hook, 1, stop), GradientNorm(), Ends()])
    with pytest.raises(ValueError, match="must not end the training before its first step"):
        classifier.fit(X_train, y_train)
    assert len(ended) == 1
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected)


def test_warm_start_stopped_before_first_step_keeps_weights(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True).fit(X_train, y_train)
    expected = weights_of(classifier)
    classifier.set_params(callbacks=[Interrupt("on_epoch_begin", 1, stop)]).fit(X_train, y_train)
    torch.testing.assert_close(weights_of(classifier), expected)
    assert classifier.n_iter_ == 3


class StopAt(Callback):
    """Set `stop_training_` in a hook."""

    def __init__(self, hook):
        setattr(self, hook, lambda net, **kwargs: setattr(net, "stop_training_", True))


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_stop_training_of_any_hook_ends_after_the_epoch(digits, hook):
    X_train, _, y_train, _ = digits
    assert Small(callbacks=[StopAt(hook)]).fit(X_train, y_train).n_iter_ == 1


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_batch_begin"])
def test_fit_interrupted_before_first_step_is_not_fitted(digits, hook):
    X_train, _, y_train, _ = digits
    classifier = Small(callbacks=[Interrupt(hook)])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X_train, y_train)
    assert not hasattr(classifier, "n_features_in_")
    assert not classifier.__sklearn_is_fitted__()


@pytest.mark.parametrize("hook", ["on_train_begin", "on_batch_begin", "on_batch_end"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_refit_interrupted_in_first_epoch_keeps_model(digits, hook, warm_start):
    X_train, X_test, y_train, _ = digits
    classifier = Small(warm_start=warm_start).fit(X_train, y_train)
    attributes, expected = classifier.__dict__.copy(), classifier.predict_proba(X_test)
    callbacks = classifier.set_params(callbacks=[Interrupt(hook)]).callbacks
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X_train[::2], y_train[::2])
    assert classifier.__dict__ == attributes | {"callbacks": callbacks}
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected)


def test_partial_fit_interrupted_keeps_model(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    expected = classifier.predict_proba(X_test)
    classifier.set_params(callbacks=[Interrupt("on_batch_end", 2)])
    with pytest.raises(KeyboardInterrupt):
        classifier.partial_fit(X_train, y_train)
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected)
    assert classifier.n_iter_ == 1


def test_fit_interrupted_within_callback_of_other_fit_ends_both(digits):
    X_train, _, y_train, _ = digits

    def fit_other():
        other.fit(X_train, y_train)

    other = Small(callbacks=[Interrupt("on_batch_end")])
    classifier = Small(callbacks=[Interrupt("on_epoch_end", 2, fit_other)])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X_train, y_train)
    assert (other.n_iter_, classifier.n_iter_) == (1, 2)


def test_fit_in_other_thread_trains(digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(max_epochs=1)
    thread = threading.Thread(target=classifier.fit, args=(X_train, y_train))
    thread.start()
    thread.join()
    assert classifier.n_iter_ == 1


RUNS = {
    "search": lambda net, X, y: GridSearchCV(net, {"lr": [1e-3, 1e-2]}, cv=2).fit(X, y),
    "cross-validation": lambda net, X, y: cross_val_score(net, X, y, cv=3),
    "comparison": lambda net, X, y: compare_methods(X, y, {"net": net}, cv=2, verbose=0),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_interruption_ends_search_cross_validation_and_comparison(digits, run):
    X_train, _, y_train, _ = digits
    callback = Interrupt("on_batch_end", 3)
    callback.__sklearn_clone__ = lambda: callback
    with pytest.raises(KeyboardInterrupt):
        run(Small(callbacks=[callback]), X_train, y_train)
    assert callback.n_calls_ == 3


@pytest.mark.filterwarnings("error")
def test_compare_methods_stopped_by_callback_has_row(digits):
    X_train, _, y_train, _ = digits
    methods = {
        "own": Small(early_stopping=True, n_iter_no_change=1, max_epochs=9),
        "skorch": Small(callbacks=[SkorchEarlyStopping("train_loss", patience=1)]),
        "custom": Small(callbacks=[Interrupt("on_batch_end", 5, stop)]),
    }
    comparison = compare_methods(X_train, y_train, methods, cv=2, verbose=0, random_state=0)
    assert [scores.error for scores in comparison.scores] == [None] * 3


FIRST_FIT = """
import _thread, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import torch
from sklenet import DeepLeNetClassifier
from sklenet.datasets import load_digits_images
X, y = load_digits_images()
classifier = DeepLeNetClassifier(max_epochs=1, hidden_layer_sizes=8, random_state=0)
assert "torch._dynamo" not in sys.modules
def interrupt():
    while "torch._dynamo" not in sys.modules:
        time.sleep(0.001)
    _thread.interrupt_main()
threading.Thread(target=interrupt).start()
try:
    classifier.fit(X, y)
except KeyboardInterrupt:
    print("interrupted")
print(classifier.fit(X, y).n_iter_)
"""


@pytest.mark.slow
def test_fit_interrupted_while_importing_leaves_later_fits_intact():
    command = [sys.executable, "-c", FIRST_FIT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["interrupted", "1"], done.stderr
