"""The training steps of a CUDA device as one graph."""

import os
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
from helpers import Small, weights_of
from skorch.callbacks import Callback, Freezer

from sklenet.callbacks import GradientNorm
from sklenet.training import sees_batches

VARIANTS = {
    "default": {},
    "plain": {"normalization": None, "augmentation": None},
    "elastic and flip": {"augmentation": ("elastic", "flip")},
    "dropout": {"dropout": 0.2},
    "early stopping": {"early_stopping": True},
    "sgd": {"optimizer": "sgd"},
    "one against the rest": {"output": "sigmoid"},
    "float32": {"precision": "float32"},
    "constant rate": {"lr_schedule": "constant"},
}
every = pytest.mark.parametrize("variant", VARIANTS)


class Watcher(Callback):
    """Sees each batch, so that the steps are not captured."""

    def on_batch_end(self, net, **kwargs):
        pass


class EndOfEpoch(Callback):
    """Sees the end of each epoch only."""

    def on_epoch_end(self, net, **kwargs):
        pass


def fit(digits, **options):
    X, _, y, _ = digits
    return Small(device="cuda", max_epochs=3, **options).fit(X[:300], y[:300])


@pytest.mark.parametrize("pack", [lambda callback: callback, lambda callback: ("name", callback)])
def test_sees_batches_only_methods_of_steps_count(pack):
    assert sees_batches(pack(Watcher()))
    assert sees_batches(pack(GradientNorm()))
    assert sees_batches(pack(Watcher))
    assert not sees_batches(pack(EndOfEpoch()))
    callback = EndOfEpoch()
    callback.on_batch_end = print
    assert sees_batches(pack(callback))


@pytest.mark.gpu
@every
def test_fit_captured_is_fit_step_by_step(variant, digits):
    captured = fit(digits, **VARIANTS[variant])
    by_step = fit(digits, callbacks=[Watcher()], **VARIANTS[variant])
    assert torch.equal(weights_of(captured), weights_of(by_step))
    assert captured.loss_curve_ == by_step.loss_curve_


@pytest.mark.gpu
@every
def test_fit_captured_twice_is_the_same(variant, digits):
    first, second = (fit(digits, **VARIANTS[variant]) for _ in range(2))
    assert torch.equal(weights_of(first), weights_of(second))


@pytest.mark.gpu
def test_fit_captured_follows_what_a_callback_changes_between_epochs(digits):
    fits = [
        fit(digits, callbacks=[Freezer("features.C1*", at=2), *more]) for more in ([], [Watcher()])
    ]
    assert torch.equal(*map(weights_of, fits))


@pytest.mark.gpu
def test_pickle_of_a_cuda_fit_loads_without_a_device(digits, tmp_path):
    path = tmp_path / "classifier.pkl"
    path.write_bytes(pickle.dumps(fit(digits, normalization="batch")))
    code = f"import pickle; pickle.load(open({str(path)!r}, 'rb')).net_.normalizations_"
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.gpu
def test_fit_captured_does_not_synchronize_within_an_epoch(digits):
    X, _, y, _ = digits
    counts = []
    for n_images in (400, 800):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                Small(device="cuda", batch_size=40, max_epochs=2).fit(X[:n_images], y[:n_images])
            finally:
                torch.cuda.set_sync_debug_mode("default")
        counts.append(sum("synchroniz" in str(each.message) for each in caught))
    assert counts[0] == counts[1] > 0
