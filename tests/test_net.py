"""`ImageClassifierNet`: the training loop, its history, its callbacks and its compilation."""

import copy
import pickle
import shutil

import numpy as np
import pytest
import torch
from helpers import Small, weights_of
from skorch.callbacks import BatchScoring, Callback, EpochScoring, LRScheduler

from sklenet import DeepLeNetClassifier

needs_compiler = pytest.mark.skipif(
    not shutil.which("g++"), reason="torch.compile needs a C++ compiler"
)


# History


def test_history_batches_have_mean_of_epoch(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(batch_size=50).fit(X_train, y_train)
    columns = ["train_loss", "train_batch_size"]
    for epoch, loss in zip(classifier.history_, classifier.loss_curve_, strict=True):
        losses, sizes = zip(
            *([batch[column] for column in columns] for batch in epoch["batches"]), strict=True
        )
        assert sum(sizes) == len(X_train)
        assert loss == pytest.approx(np.average(losses, weights=sizes))
    assert type(classifier.loss_) is float


class FirstValidationLoss(Callback):
    """Record the first batch of validation data, its logits and its loss."""

    def on_train_begin(self, net, **kwargs):
        self.batch = None

    def on_batch_end(self, net, batch=None, y_pred=None, loss=None, training=False, **kwargs):
        if self.batch is None and not training:
            self.batch, self.y_pred, self.loss = batch, y_pred.detach(), float(loss.detach())


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_get_loss_weighted_validation_batch_is_weighted_mean(digits, output):
    X_train, _, y_train, _ = digits
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X_train))
    seen = FirstValidationLoss()
    options = {"early_stopping": True, "validation_fraction": 0.5}
    net = Small(output=output, callbacks=[seen], **options).fit(X_train, y_train, weight).net_
    inputs, target = seen.batch
    weight_of_row = inputs["sample_weight"].double().numpy()
    assert weight_of_row.mean() == pytest.approx(1, rel=1e-5)
    assert weight_of_row.max() / weight_of_row.min() > 2
    losses = net.criterion_(seen.y_pred, target).double().numpy()
    assert seen.loss == pytest.approx(np.average(losses, weights=weight_of_row), rel=1e-5)


def test_verbose_fit_prints_table_of_epochs(digits, capsys):
    X_train, _, y_train, _ = digits
    Small(verbose=1).fit(X_train, y_train)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "dur"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]
    Small().fit(X_train, y_train)
    assert capsys.readouterr().out == ""


# Callbacks


def test_callbacks_named_callback_is_called(digits):
    class Epochs(Callback):
        def on_train_begin(self, net, **kwargs):
            self.epochs = []

        def on_epoch_end(self, net, **kwargs):
            self.epochs.append(net.history[-1, "epoch"])

    X_train, _, y_train, _ = digits
    seen = Epochs()
    Small(callbacks=[("mine", seen)]).fit(X_train, y_train)
    assert seen.epochs == [1, 2, 3]


class StopInEpoch(Callback):
    """Set `stop_training_` in each batch of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            net.stop_training_ = True


def test_stop_training_set_by_callback_ends_after_that_epoch(digits):
    X_train, _, y_train, _ = digits
    stopped = Small(callbacks=[StopInEpoch(2)], max_epochs=9, lr_schedule="constant")
    expected = Small(max_epochs=2, lr_schedule="constant").fit(X_train, y_train)
    assert stopped.fit(X_train, y_train).n_iter_ == 2
    assert torch.equal(weights_of(stopped), weights_of(expected))
    stopped.set_params(callbacks=None, max_epochs=3, warm_start=True).fit(X_train, y_train)
    assert stopped.n_iter_ == 5


@pytest.mark.filterwarnings("error")
def test_keyboard_interrupt_of_callback_ends_training(digits):
    class Interrupt(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training and len(net.history) == 3:
                raise KeyboardInterrupt

    X_train, X_test, y_train, y_test = digits
    classifier = Small(max_epochs=10, callbacks=[Interrupt()])
    classifier.fit(X_train, y_train)
    assert classifier.n_iter_ == 2 == len(classifier.loss_curve_) == len(classifier.history_)
    assert classifier.score(X_test, y_test) > 0.15


def test_callbacks_lr_scheduler_reads_loss_of_batch(digits):
    X_train, _, y_train, _ = digits
    by_loss = LRScheduler(
        torch.optim.lr_scheduler.ReduceLROnPlateau,
        monitor="train_loss",
        step_every="batch",
        mode="max",  # the loss falls: each batch lowers the rate
        patience=0,
    )
    classifier = Small(lr_schedule="constant", callbacks=[by_loss]).fit(X_train, y_train)
    (group,) = classifier.net_.optimizer_.param_groups
    assert group["lr"] < classifier.lr


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_callbacks_scoring_of_training_improves(digits, output):
    X_train, _, y_train, _ = digits
    callbacks = [
        EpochScoring("neg_log_loss", name="log_loss", on_train=True, lower_is_better=False),
        BatchScoring("accuracy", name="accuracy", on_train=True, lower_is_better=False),
    ]
    classifier = Small(output=output, callbacks=callbacks, max_epochs=9).fit(X_train, y_train)
    first, *_, last = classifier.history_
    for name in ("log_loss", "accuracy"):
        assert last[name] > first[name]


def test_callbacks_scoring_of_validation_equals_validation_scores(digits):
    X_train, _, y_train, _ = digits
    callback = EpochScoring("accuracy", name="score", lower_is_better=False)
    classifier = Small(early_stopping=True, callbacks=[callback]).fit(X_train, y_train)
    assert [epoch["score"] for epoch in classifier.history_] == pytest.approx(
        classifier.validation_scores_
    )


# Prediction and precision


def test_net_predict_images_returns_positions_of_the_classes(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    images = classifier.preprocessor_(torch.from_numpy(X_test).flatten(1))
    positions = classifier.net_.predict(images)
    np.testing.assert_array_equal(classifier.classes_[positions], classifier.predict(X_test))
    np.testing.assert_array_equal(classifier.net_.predict({"images": images}), positions)


def test_fit_bfloat16_predicts_in_float32(digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(precision="bfloat16", max_epochs=15).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.8
    scores = classifier.decision_function(X_test)
    images = classifier.preprocessor_(torch.from_numpy(X_test).flatten(1)).double()
    exact = copy.deepcopy(classifier.module_).double()(images)
    np.testing.assert_allclose(scores, exact.detach().numpy(), rtol=1e-4, atol=1e-4)
    full = Small(precision="float32", max_epochs=15).fit(X_train, y_train)
    assert not np.array_equal(full.decision_function(X_test), scores)


# Continued training


def test_continue_from_other_layers_raises(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True, max_epochs=1).fit(X_train, y_train)
    with pytest.raises(ValueError, match="The layers must be those of the last fit"):
        classifier.set_params(conv_channels=(5, 8)).fit(X_train, y_train)


def test_continue_from_other_optimizer_raises(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    with pytest.raises(
        ValueError, match="optimizer must be that of the last partial_fit, AdamW, got SGD"
    ):
        classifier.set_params(optimizer="sgd").partial_fit(X_train, y_train)


# Compilation


@pytest.mark.slow
@needs_compiler
def test_compile_fit_has_loss_of_plain_fit(digits, monkeypatch):
    compiled_functions = []
    make = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda f, **k: compiled_functions.append(f) or make(f, **k)
    )
    X_train, X_test, y_train, _ = digits
    plain, compiled = (
        DeepLeNetClassifier(compile=compile, max_epochs=1, batch_size=32, random_state=0)
        for compile in (False, True)
    )
    plain.fit(X_train, y_train)
    pickled = pickle.dumps(compiled.fit(X_train, y_train))
    assert len(compiled_functions) == 1
    assert compiled.loss_ == pytest.approx(plain.loss_, rel=1e-2)
    np.testing.assert_array_equal(
        pickle.loads(pickled).predict_proba(X_test), compiled.predict_proba(X_test)
    )


class ChangeAndCopy(Callback):
    """Initialize the network again in the second epoch; pickle and copy it after each."""

    def initialize(self):
        self.copies = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            net.set_params(module__dropout=0.1)

    def on_epoch_end(self, net, **kwargs):
        pickled = pickle.loads(pickle.dumps(net)).module_.eval()
        weights = copy.deepcopy(net.module_.state_dict())
        self.copies.append((pickled, copy.deepcopy(net.module_).eval(), weights))


@pytest.mark.slow
@needs_compiler
def test_compile_changed_and_copied_in_training_computes_the_same(digits):
    X_train, _, y_train, _ = digits
    images = torch.randn(4, 1, 32, 32)
    callback = ChangeAndCopy()
    # Normalized, the fitted network has other parameters than the one in training.
    options = {"compile": True, "normalization": None, "max_epochs": 2}
    classifier = Small(**options, callbacks=[callback]).fit(X_train, y_train)
    assert len(callback.copies) == classifier.n_iter_ == 2
    network = classifier.module_
    for pickled, copied, weights in callback.copies:
        network.load_state_dict(weights)
        with torch.inference_mode():
            np.testing.assert_array_equal(pickled(images), network(images))
            np.testing.assert_array_equal(copied(images), network(images))


@pytest.mark.slow
def test_compile_without_compiler_raises(digits, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/there/is/no/compiler"))
    X_train, _, y_train, _ = digits
    # Another number of kernels than any compiled before: nothing can come from a cache.
    with pytest.raises(ValueError, match="compile=True cannot be used: .*compiler"):
        Small(compile=True, conv_channels=(3, 5)).fit(X_train, y_train)
