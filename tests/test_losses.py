"""The losses against their formulas, and their links."""

import numpy as np
import pytest
import torch

from sklenet.training._losses import LOSSES, OneVsRestLoss, SoftmaxLoss


@pytest.fixture
def logits():
    return torch.from_numpy(np.random.default_rng(0).normal(scale=3, size=(7, 4)))


@pytest.fixture
def target():
    return torch.tensor([0, 1, 2, 3, 3, 0, 1])


def soft_target(target, smoothing):
    return np.eye(4)[target] * (1 - smoothing) + smoothing / 4


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_loss_is_cross_entropy(logits, target, smoothing):
    scores = np.exp(logits.numpy())
    proba = scores / scores.sum(axis=1, keepdims=True)
    expected = -(soft_target(target, smoothing) * np.log(proba)).sum(axis=1)
    np.testing.assert_allclose(SoftmaxLoss(smoothing)(logits, target), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_vs_rest_loss_is_sum_of_logistic_losses(logits, target, smoothing):
    proba, wanted = 1 / (1 + np.exp(-logits.numpy())), soft_target(target, smoothing)
    expected = -(wanted * np.log(proba) + (1 - wanted) * np.log(1 - proba)).sum(axis=1)
    np.testing.assert_allclose(OneVsRestLoss(smoothing)(logits, target), expected)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_proba_of_any_logits_sums_to_one(logits, loss):
    proba = loss.proba(logits)
    torch.testing.assert_close(proba.sum(dim=1), torch.ones(7, dtype=torch.float64))
    torch.testing.assert_close(loss.log_proba(logits).exp(), proba)
    assert torch.equal(proba.argmax(dim=1), logits.argmax(dim=1))


def test_softmax_log_proba_of_label_is_negative_loss(logits, target):
    log_proba = SoftmaxLoss.log_proba(logits)[range(7), target]
    torch.testing.assert_close(-log_proba, SoftmaxLoss()(logits, target))


def test_one_vs_rest_proba_is_normalized_sigmoid(logits):
    sigmoid = torch.sigmoid(logits)
    expected = sigmoid / sigmoid.sum(dim=1, keepdim=True)
    torch.testing.assert_close(OneVsRestLoss.proba(logits), expected)


@pytest.mark.parametrize("loss", LOSSES.values())
def test_log_proba_of_large_logits_is_finite(loss):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -2e4, -1e4]])
    assert loss.log_proba(logits).isfinite().all()
    assert loss(0.1)(logits, torch.tensor([1, 0])).isfinite().all()
