import math
from functools import partial

import pytest
import torch
from torch import nn

from sklenet import LReLU
from sklenet.network import ACTIVATIONS, activation_gain, make_activation


def test_l_relu_any_input_is_log1p_of_relu():
    x = torch.tensor([-1e30, -1.0, 0.0, 1e-20, 0.5, 1e30], dtype=torch.float64)
    expected = [0.0, 0.0, 0.0, 1e-20, math.log(1.5), 30 * math.log(10)]
    torch.testing.assert_close(LReLU()(x), torch.tensor(expected, dtype=torch.float64))


def test_l_relu_beta_scales_input():
    x = torch.tensor([0.0, 0.5, 3.0])
    torch.testing.assert_close(LReLU(beta=2.0)(x), torch.log(1 + 2 * x))


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_l_relu_backward_is_derivative(beta):
    x = torch.tensor([-3.0, -0.1, 0.1, 2.0, 50.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LReLU(beta), x)


@pytest.mark.parametrize("beta", [0, -1.0, math.inf, math.nan])
def test_l_relu_invalid_beta_raises(beta):
    with pytest.raises(ValueError, match="beta must be a positive finite number"):
        LReLU(beta)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_monotonic_ones_are_non_decreasing(name):
    values = make_activation(name)(torch.linspace(-10, 10, 10_001, dtype=torch.float64))
    assert ACTIVATIONS[name].is_monotonic == bool((values.diff() >= 0).all())


def test_make_activation_callable_is_called():
    assert make_activation(partial(LReLU, beta=2.0)).beta == 2.0
    assert isinstance(make_activation(nn.Softplus), nn.Softplus)


def test_make_activation_unknown_name_raises():
    with pytest.raises(
        ValueError, match="activation must be a callable or one of .*'l_relu'.*, got 'swish'"
    ):
        make_activation("swish")


@pytest.mark.parametrize("activation", [3, None, nn.ReLU()])
def test_make_activation_other_type_raises(activation):
    with pytest.raises(TypeError, match="activation must be a name or a callable"):
        make_activation(activation)


def test_make_activation_callable_without_module_raises():
    with pytest.raises(TypeError, match=r"must return an nn\.Module when it is called"):
        make_activation(lambda: torch.relu)


@pytest.mark.parametrize(("name", "gain"), [("relu", math.sqrt(2)), ("tanh", 1.4674)])
def test_activation_gain_known_activation_is_published_value(name, gain):
    assert activation_gain(make_activation(name)) == pytest.approx(gain, rel=1e-4)


def test_activation_gain_identity_is_one():
    assert activation_gain(nn.Identity()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_gain_ten_layers_keeps_gradient_norm(name):
    """Through ten wide layers the gradient neither vanishes nor explodes."""
    generator = torch.Generator().manual_seed(0)
    activation, width = make_activation(name), 400
    slopes = []
    for _ in range(10):
        z = torch.randn(width, generator=generator, requires_grad=True)
        slopes.append(torch.autograd.grad(activation(z).sum(), z)[0])
    gradient = torch.randn(width, generator=generator)
    before = gradient.norm()
    std = activation_gain(activation) / math.sqrt(width)
    for slope in slopes:
        gradient = (torch.randn(width, width, generator=generator) * std).T @ (gradient * slope)
    assert 0.3 < gradient.norm() / before < 3


@pytest.mark.parametrize("forward", [lambda x: x * 0, torch.ones_like, lambda x: x.detach()])
def test_activation_gain_without_gradient_raises(forward):
    class Flat(nn.Module):
        def forward(self, x):
            return forward(x)

    with pytest.raises(ValueError, match="must have a finite nonzero gradient, got Flat"):
        activation_gain(Flat())
