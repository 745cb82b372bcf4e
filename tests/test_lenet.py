import pytest
import torch
from torch import nn

from sklenet import DeepLeNet
from sklenet.network import ACTIVATIONS


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def layers(network):
    return dict([*network.features.named_children(), *network.head.named_children()])


def test_lenet_default_has_layers_of_paper():
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


def test_lenet_sizes_of_lenet5_has_its_parameters():
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
def test_lenet_any_sizes_maps_images_to_scores(in_channels, n_classes, options):
    network = DeepLeNet(n_classes, in_channels, **options)
    assert network(torch.zeros(6, in_channels, 32, 32)).shape == (6, n_classes)


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_lenet_stage_equals_pooled_activation_of_convolution(name, pooling):
    torch.manual_seed(0)
    network = DeepLeNet(activation=name, pooling=pooling, conv_channels=(4,)).double()
    images = torch.randn(5, 1, 32, 32, dtype=torch.float64)
    activation = ACTIVATIONS[name].make()
    pool = nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2)
    expected = pool(activation(network.features.C1(images))).flatten(1)
    torch.testing.assert_close(network.features(images), expected)


def test_lenet_layer_without_pixels_raises():
    with pytest.raises(ValueError, match="got none after C5"):
        DeepLeNet(conv_channels=(4, 4, 4, 4), kernel_size=7)
    with pytest.raises(ValueError, match="got none after C1"):
        DeepLeNet(kernel_size=33)
    with pytest.raises(ValueError, match="got none after S2"):
        DeepLeNet(conv_channels=(4,), kernel_size=32)


def test_lenet_unknown_pooling_raises():
    with pytest.raises(ValueError, match=r"pooling must be one of \['avg', 'max'\], got 'min'"):
        DeepLeNet(pooling="min")


def test_lenet_initial_weights_sigmoid_keeps_gradient():
    """The gradient norm in the first layer is ten times that of PyTorch's default weights."""
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
def test_lenet_without_gradients_has_same_output(dtype):
    torch.manual_seed(0)
    network = DeepLeNet().to(dtype)
    images = torch.randn(9, 1, 32, 32, dtype=dtype)
    with torch.no_grad():
        without = network(images)
    torch.testing.assert_close(network(images).detach(), without, rtol=1e-4, atol=1e-5)


def test_lenet_hook_sees_given_batch():
    network, seen = DeepLeNet(), []
    network.features.C1.register_forward_hook(lambda layer, inputs, output: seen.append(output))
    with torch.no_grad():
        network(torch.zeros(3, 1, 32, 32))
    assert [len(output) for output in seen] == [3]
