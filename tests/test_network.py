import pytest
import torch
from torch import nn
from torch.nn import functional

from sklenet import DeepLeNet
from sklenet.network import ACTIVATIONS
from sklenet.network._lenet import RowwiseLinear


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def layers(network):
    return dict([*network.features.named_children(), *network.head.named_children()])


def test_default_is_the_network_of_the_paper():
    network = DeepLeNet()
    assert n_parameters(network) == 1_760_875
    shapes = {
        name: tuple(layer.weight.shape)
        for name, layer in layers(network).items()
        if hasattr(layer, "weight")
    }
    assert shapes == {
        "C1": (32, 1, 5, 5),
        "C3": (64, 32, 5, 5),
        "F5": (1024, 1600),
        "F6": (67, 1024),
        "output": (10, 67),
    }


def test_lenet5_is_the_same_class_with_other_numbers():
    network = DeepLeNet(
        conv_channels=(6, 16), hidden_layer_sizes=(120, 84), pooling="avg", activation="sigmoid"
    )
    # C1 156, C3 fully connected 2416, F5 48120, F6 10164, output 850.
    assert n_parameters(network) == 156 + 2416 + 48120 + 10164 + 850


@pytest.mark.parametrize(
    ("in_channels", "n_classes", "options"),
    [
        (3, 2, {}),
        (1, 5, {"conv_channels": (4,)}),
        (4, 3, {"conv_channels": (4, 5, 6), "kernel_size": 3}),
        (1, 10, {"hidden_layer_sizes": ()}),
        (2, 7, {"pooling": "avg", "dropout": 0.5, "activation": nn.PReLU}),
    ],
)
def test_any_shape(in_channels, n_classes, options):
    network = DeepLeNet(n_classes, in_channels, **options)
    assert network(torch.zeros(6, in_channels, 32, 32)).shape == (6, n_classes)


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_follows_the_convolution_whatever_the_order_of_computation(name, pooling):
    torch.manual_seed(0)
    network = DeepLeNet(activation=name, pooling=pooling, conv_channels=(4,)).double()
    images = torch.randn(5, 1, 32, 32, dtype=torch.float64)
    activation = ACTIVATIONS[name]()
    pool = nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2)
    expected = pool(activation(network.features.C1(images))).flatten(1)
    torch.testing.assert_close(network.features(images), expected)


def test_a_layer_without_pixels_is_named():
    with pytest.raises(ValueError, match="No pixels are left after layer C5"):
        DeepLeNet(conv_channels=(4, 4, 4, 4), kernel_size=7)
    with pytest.raises(ValueError, match="No pixels are left after layer C1"):
        DeepLeNet(kernel_size=33)
    with pytest.raises(ValueError, match="No pixels are left after layer S2"):
        DeepLeNet(conv_channels=(4,), kernel_size=32)


def test_unknown_pooling_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"pooling='min' is unknown; .*\['avg', 'max'\]"):
        DeepLeNet(pooling="min")


def test_initial_weights_suit_the_activation():
    """The gradient in the first layer is far from the one that PyTorch's own weights leave."""
    torch.manual_seed(0)
    network, images = DeepLeNet(activation="sigmoid"), torch.randn(32, 1, 32, 32)

    def relative_gradient():
        network.zero_grad()
        network(images).square().sum().backward()
        gradients = [layer.weight.grad.norm() for layer in (network.features.C1, network.head.F6)]
        return gradients[0] / gradients[1]

    with_gain = relative_gradient()
    for layer in layers(network).values():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    assert with_gain > 10 * relative_gradient()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_is_the_same_with_and_without_gradients(dtype):
    torch.manual_seed(0)
    network = DeepLeNet().to(dtype)
    images = torch.randn(9, 1, 32, 32, dtype=dtype)
    with torch.no_grad():
        without = network(images)
    torch.testing.assert_close(network(images).detach(), without, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
@pytest.mark.parametrize("n_rows", [1, 2, 16, 33])
@pytest.mark.parametrize("bias", [True, False])
def test_a_large_layer_has_the_gradients_of_torch(n_rows, bias):
    torch.manual_seed(0)
    layer = RowwiseLinear(1600, 1024, bias=bias)
    x = torch.randn(n_rows, 1600, requires_grad=True)
    gradient = torch.randn(n_rows, 1024)
    assert "OneDNN" in type(layer(x).grad_fn).__name__
    inputs = [x, *layer.parameters()]
    ours, expected = layer(x), functional.linear(*inputs)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    for found, wanted in zip(
        torch.autograd.grad(ours, inputs, gradient),
        torch.autograd.grad(expected, inputs, gradient),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_an_evaluated_layer_is_that_of_torch_for_second_derivatives_and_other_shapes():
    layer = RowwiseLinear(1600, 1024).eval()
    x = torch.randn(2, 3, 1600)
    torch.testing.assert_close(layer(x), functional.linear(x, layer.weight, layer.bias))
    with torch.no_grad():
        assert layer(x).shape == (2, 3, 1024)
        assert layer(x[0, 0]).shape == (1024,)
    x = torch.randn(2, 1600, requires_grad=True)
    (slope,) = torch.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
    torch.autograd.grad(slope.sum(), x)
