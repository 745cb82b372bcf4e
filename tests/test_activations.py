import math
from functools import partial

import pytest
import torch
from torch import nn

from sklenet import LReLU
from sklenet.network._activations import ACTIVATIONS, activation_gain, is_monotonic, make_activation


def test_l_relu_is_the_logarithm_of_one_plus_the_rectified_input():
    x = torch.tensor([-1e30, -1.0, 0.0, 1e-20, 0.5, 1e30], dtype=torch.float64)
    expected = [0.0, 0.0, 0.0, 1e-20, math.log(1.5), 30 * math.log(10)]
    torch.testing.assert_close(LReLU()(x), torch.tensor(expected, dtype=torch.float64))


def test_l_relu_scales_its_input_by_beta():
    x = torch.tensor([0.0, 0.5, 3.0])
    torch.testing.assert_close(LReLU(beta=2.0)(x), torch.log(1 + 2 * x))


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_gradient_of_l_relu(beta):
    x = torch.tensor([-3.0, -0.1, 0.1, 2.0, 50.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LReLU(beta), x)


@pytest.mark.parametrize("beta", [0, -1.0, math.inf, math.nan])
def test_l_relu_refuses_other_betas(beta):
    with pytest.raises(ValueError, match="beta must be a positive finite number"):
        LReLU(beta)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_monotonic_activations_are_non_decreasing(name):
    values = make_activation(name)(torch.linspace(-10, 10, 10_001, dtype=torch.float64))
    assert is_monotonic(name) == bool((values.diff() >= 0).all())


def test_nothing_is_assumed_of_a_callable():
    assert not is_monotonic(nn.ReLU)


def test_a_callable_makes_an_activation():
    assert make_activation(partial(LReLU, beta=2.0)).beta == 2.0
    assert isinstance(make_activation(nn.Softplus), nn.Softplus)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'swish' is unknown; the known names are .*'l_relu'"):
        make_activation("swish")


@pytest.mark.parametrize("activation", [3, None, nn.ReLU()])
def test_what_is_no_name_and_no_factory_is_refused(activation):
    with pytest.raises(TypeError, match="activation must be a name or a callable"):
        make_activation(activation)


def test_a_callable_must_return_a_module():
    with pytest.raises(TypeError, match=r"must return an nn\.Module when it is called"):
        make_activation(lambda: torch.relu)


@pytest.mark.parametrize(("name", "gain"), [("relu", math.sqrt(2)), ("tanh", 1.4674)])
def test_gain(name, gain):
    assert activation_gain(make_activation(name)) == pytest.approx(gain, rel=1e-4)


def test_gain_of_the_identity_is_one():
    assert activation_gain(nn.Identity()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gain_keeps_the_size_of_the_gradient(name):
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


def test_gain_refuses_an_activation_without_gradient():
    class Step(nn.Module):
        def forward(self, x):
            return x * 0

    with pytest.raises(ValueError, match="zero or not finite"):
        activation_gain(Step())
