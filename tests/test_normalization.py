"""Batch normalization: the layer, its folding, and the classifier with it."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from helpers import Small, weights_of
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklenet import DeepLeNet
from sklenet.network import estimate_statistics, fold_normalization, insert_normalization


def random_images(n_images, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n_images, 1, 32, 32, generator=generator) + 0.5


def normalized(*, trained=True, **options):
    """Return a normalized network that has seen some batches, and whose biases are not zero."""
    torch.manual_seed(0)
    network = DeepLeNet(**options)
    insert_normalization(network)
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)
    network.train()
    if trained:
        for seed in range(5):
            network(random_images(20, scale=2.0, seed=seed))
    return network.eval()


@torch.no_grad()
def scores(network, images):
    return network(images).numpy()


NETWORKS = {
    "default": {},
    "average": {"pooling": "avg"},
    "not monotonic": {"activation": "gelu"},
    "callable": {"activation": nn.PReLU},
    "dropout": {"dropout": 0.5},
    "three convolutions": {"conv_channels": (4, 5, 6), "kernel_size": 3},
    "no hidden layer": {"conv_channels": (4,), "hidden_layer_sizes": ()},
}
SHARED = nn.ReLU()
NETWORKS["one module for all activations"] = {"activation": lambda: SHARED}
all_networks = pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS.keys())


@all_networks
def test_fold_computes_the_same_scores(options):
    network = normalized(**options)
    images = random_images(30, seed=9)
    expected = scores(network, images)
    fold_normalization(network)
    assert_allclose(scores(network, images), expected, atol=1e-5 * abs(expected).max())


@all_networks
def test_fold_leaves_the_plain_network(options):
    network, plain = normalized(**options), DeepLeNet(**options)
    fold_normalization(network)
    shapes = [(name, value.shape) for name, value in network.state_dict().items()]
    assert shapes == [(name, value.shape) for name, value in plain.state_dict().items()]
    assert str(network) == str(plain)
    assert not list(network.buffers())


@all_networks
def test_insert_what_was_folded_restores_the_network(options):
    network = normalized(**options)
    before = copy.deepcopy(network.state_dict())
    insert_normalization(network, fold_normalization(network))
    after = network.state_dict()
    assert list(after) == list(before)
    for name, value in before.items():
        assert_allclose(after[name], value, rtol=1e-5, atol=1e-6)


def test_insert_keeps_the_order_of_the_parameters():
    network, plain = normalized(), DeepLeNet()
    shapes = [parameter.shape for parameter in network.parameters()]
    assert shapes == [parameter.shape for parameter in plain.parameters()]


def test_training_standardizes_what_the_activations_see():
    network, seen = normalized(trained=False).train(), []
    for name, layer in [*network.features.named_children(), *network.head.named_children()]:
        if name.startswith("normalization"):
            layer.register_forward_hook(lambda layer, _, out: seen.append((layer.bias, out)))
    network(random_images(20, scale=3.0))
    assert len(seen) == 4
    for bias, out in seen:
        axes = [axis for axis in range(out.dim()) if axis != 1]
        variance, mean = torch.var_mean(out, axes, correction=0)
        assert_allclose(mean.detach(), bias.detach(), atol=1e-5)
        assert_allclose(variance.detach(), torch.ones_like(bias), rtol=1e-3)


def test_estimated_statistics_are_those_of_all_images_together():
    images = random_images(50)
    network = normalized()
    estimate_statistics(network, images.split(17))
    expected = normalized().train()(images).detach()  # one batch
    assert_allclose(scores(network, images), expected, atol=1e-4)


def test_estimated_statistics_keep_averages_that_count_as_many_images():
    """The scores approach those of the averages, which are of other images."""
    images = random_images(50)
    by_averages, distances = scores(normalized(), images), []
    for n_before in (0, 50, 5_000):
        network = normalized()
        estimate_statistics(network, images.split(17), n_before)
        distances.append(abs(scores(network, images) - by_averages).max())
    assert distances[0] > distances[1] > distances[2] > 0


def test_moving_averages_forget_their_start():
    network, images = normalized(trained=False), random_images(40, scale=3.0)
    network.train()(images)
    first = scores(network.eval(), images)
    estimate_statistics(network, [images])
    assert_allclose(first, scores(network, images), atol=0.2)


@pytest.mark.parametrize("n_images", [1, 2, 15])
def test_small_batch_is_completed_by_the_moving_averages(n_images):
    network, images = normalized(hidden_layer_sizes=(16,)), random_images(n_images, seed=7)
    in_evaluation = scores(network, images)
    output = network.train()(images)
    output.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in network.parameters())
    assert abs(output.detach().numpy() - in_evaluation).max() < 3


def test_first_batch_of_one_image_has_a_gradient():
    network = normalized(trained=False).train()
    network(random_images(1)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in network.parameters())


def test_constant_images_fold_to_finite_scores():
    network, images = normalized(trained=False), torch.ones(20, 1, 32, 32)
    estimate_statistics(network, [images])
    fold_normalization(network)
    assert torch.isfinite(network(images)).all()


def test_bfloat16_input_stays_bfloat16():
    network = normalized().train()
    layer = network.head.normalization5
    for n_images in (4, 20):
        out = layer(torch.randn(n_images, 1024, dtype=torch.bfloat16))
        assert out.dtype == torch.bfloat16


Normalized = partial(Small, normalization="batch")


def fitted_weights(X, y, **options):
    return weights_of(Normalized(**options).fit(X, y))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "bfloat16"},
        {"early_stopping": True, "max_epochs": 8},
        {"dropout": 0.2, "activation": "gelu", "pooling": "avg", "max_epochs": 6},
        {"output": "sigmoid", "activation": "sigmoid", "augmentation": "affine", "max_epochs": 9},
        {"activation": nn.PReLU, "max_epochs": 6},
    ],
    ids=str,
)
def test_fit_leaves_an_accurate_plain_network(options, digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Normalized(**options).fit(X_train, y_train)
    network = {"activation": "l_relu", "pooling": "max", "dropout": 0.0} | options
    plain = DeepLeNet(
        conv_channels=(4, 8),
        hidden_layer_sizes=(32,),
        **{name: network[name] for name in ("activation", "pooling", "dropout")},
    )
    assert str(classifier.module_) == str(plain)
    assert not list(classifier.module_.buffers())
    assert classifier.score(X_test, y_test) > 0.8


def test_fit_weight_two_equals_row_given_twice(digits):
    X, _, y, _ = digits
    weight = np.where(np.arange(len(y)) % 3, 1, 2)
    repeated = np.repeat(np.arange(len(y)), weight)
    weighted = Normalized().fit(X, y, sample_weight=weight)
    assert torch.equal(weights_of(weighted), fitted_weights(X[repeated], y[repeated]))


def test_fit_two_images_tells_them_apart(digits):
    X, _, y, _ = digits
    two = [0, np.flatnonzero(y != y[0])[0]]
    classifier = Normalized(max_epochs=30).fit(X[two], y[two])
    assert classifier.predict(X[two]).tolist() == y[two].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"batch_size": 1, "lr": 3e-3, "max_epochs": 4}, {"batch_size": 33}], ids=str
)
def test_fit_batch_of_one_image_is_accurate(options, digits):
    X_train, X_test, y_train, y_test = digits
    X_train, y_train = X_train[:199], y_train[:199]  # 199 = 6 * 33 + 1
    classifier = Normalized(**({"max_epochs": 15} | options)).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "passes"), [(1, 2), (40, 30)])
def test_partial_fit_in_chunks_is_accurate(n_rows, passes, digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Normalized(lr="auto")
    for chunk in np.split(np.arange(280), 280 // n_rows) * passes:
        classifier.partial_fit(X_train[chunk], y_train[chunk], classes=np.unique(y_train))
    assert classifier.score(X_test, y_test) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [1, 40])
def test_partial_fit_in_chunks_keeps_what_fit_has_learned(n_rows, digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Normalized(lr="auto", max_epochs=30).fit(X_train, y_train)
    before = classifier.score(X_test, y_test)
    for chunk in np.split(np.arange(200), 200 // n_rows):
        classifier.partial_fit(X_train[chunk], y_train[chunk])
    assert classifier.score(X_test, y_test) > before - 0.02


def test_warm_start_continues_the_function(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Normalized(max_epochs=10, warm_start=True).fit(X_train, y_train)
    before = classifier.decision_function(X_test)
    classifier.set_params(lr=1e-7, max_epochs=1).fit(X_train, y_train)
    assert_allclose(classifier.decision_function(X_test), before, atol=0.1)


@pytest.mark.parametrize("first", ["batch", None])
def test_warm_start_other_normalization_raises(first, digits):
    X, _, y, _ = digits
    classifier = Small(normalization=first, warm_start=True).fit(X, y)
    classifier.set_params(normalization=None if first else "batch")
    with pytest.raises(ValueError, match="normalization must be that of the last fit"):
        classifier.fit(X, y)


def test_fitted_classifier_is_pickled_and_continued(digits):
    X, X_test, y, _ = digits
    classifier = Normalized().partial_fit(X, y, classes=np.unique(y))
    again = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(again.predict_proba(X_test), classifier.predict_proba(X_test))
    for each in (classifier, again):
        each.partial_fit(X, y)
    assert torch.equal(weights_of(again), weights_of(classifier))


def test_scores_do_not_depend_on_the_batch(digits):
    X, X_test, y, _ = digits
    classifier = Normalized(conv_channels=(16, 16)).fit(X, y)
    alone = [classifier.decision_function(X_test[i : i + 1])[0] for i in range(5)]
    assert_array_equal(classifier.decision_function(X_test)[:5], alone)
