"""The deep LeNet-5: from a batch of images to class scores."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.nn.utils import skip_init

from ._activations import Activation, activation_gain, make_activation
from ._dropout import Dropout
from ._linear import RowwiseLinear
from ._pooling import MaxPool2x2

__all__ = ["IMAGE_SIZE", "DeepLeNet", "parameter_shapes"]

IMAGE_SIZE = 32
"""Height and width of the images that the network reads, in pixels, as for LeNet-5."""

_POOLINGS: dict[str, Callable[[], nn.Module]] = {
    "max": MaxPool2x2,
    "avg": partial(nn.AvgPool2d, 2),
}


class DeepLeNet(nn.Module):
    """LeNet-5 with any number of kernels, hidden units and any activation.

    The layers are named as in LeCun et al. [2]_: C for convolution, S for 2x2 down-sampling, F for
    fully connected. The default, with 10 classes and one channel, is the network of Zhang et al.
    [1]_: C1 (32 kernels), S2, C3 (64 kernels), S4, F5 (1024 units), F6 (67 units), output;
    1,760,875 parameters. The activation follows every convolution and every hidden layer.

    Parameters
    ----------
    n_classes : int, default=10
        Number of outputs.
    in_channels : int, default=1
        Channels of the images.
    activation : str or callable, default="l_relu"
        A name or a callable, as for `DeepLeNetClassifier`.
    conv_channels : sequence of int, default=(32, 64)
        Kernels of each convolution; one stage of convolution and down-sampling for each.
    kernel_size : int, default=5
        Height and width of the kernels, in pixels.
    pooling : {"max", "avg"}, default="max"
        How 2x2 pixels become one.
    hidden_layer_sizes : sequence of int, default=(1024, 67)
        Units of each hidden fully connected layer.
    dropout : float, default=0.0
        Probability with which an output of a hidden fully connected layer is zeroed in training.
    generator : torch.Generator, default=None
        Source of the initial weights and of dropout, on the CPU; PyTorch's own by default.

    Attributes
    ----------
    features : torch.nn.Sequential
        The convolution stages, ending in a flat vector for each image.
    head : torch.nn.Sequential
        The fully connected layers.
    batch_multiple : int
        On a CPU, without gradients, the class scores of an image do not depend on the other images
        of a batch whose size is a multiple of this number.

    Raises
    ------
    ValueError
        If the images do not have any pixels left after a layer, which is named, or if `pooling`
        or `activation` is an unknown name.

    Notes
    -----
    The weights are drawn from a normal distribution of mean zero and standard deviation
    ``gain / sqrt(fan_in)``. The gain of the hidden layers is ``E[f'(z)**2] ** -0.5`` for the
    activation f and a standard normal z: the argument of He et al. [3]_ without the assumption
    that f is the rectifier. The output layer has gain 1; biases start at zero.

    Where the down-sampling takes the maximum and the activation is known to be monotonic, the
    maximum is taken first: the result is the same and the activation sees a quarter of the values.

    References
    ----------
    .. [1] J. Zhang, X. Yu, X. Lei, C. Wu, "A Novel Deep LeNet-5 Convolutional Neural Network Model
       for Image Recognition", Computer Science and Information Systems 19(3), 2022,
       doi 10.2298/CSIS220120036Z.
    .. [2] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE 86(11), 1998.
    .. [3] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015,
       arXiv:1502.01852.

    Examples
    --------
    >>> import torch
    >>> from sklenet import DeepLeNet
    >>> network = DeepLeNet()
    >>> network(torch.zeros(8, 1, 32, 32)).shape
    torch.Size([8, 10])
    >>> sum(parameter.numel() for parameter in network.parameters())
    1760875
    """

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 1,
        *,
        activation: str | Callable[[], nn.Module] = "l_relu",
        conv_channels: Sequence[int] = (32, 64),
        kernel_size: int = 5,
        pooling: Literal["max", "avg"] = "max",
        hidden_layer_sizes: Sequence[int] = (1024, 67),
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if pooling not in _POOLINGS:
            raise ValueError(f"pooling must be one of {sorted(_POOLINGS)}, got {pooling!r}.")
        properties = Activation.resolve(activation)
        # oneDNN uses another summation order for a single row. Activations that are not uniform,
        # numbers of kernels that do not fill vector registers, and kernels of one pixel also differ
        # at the end of a tensor.
        fills_registers = not any(count % 16 for count in conv_channels) and kernel_size > 1
        self.batch_multiple = 2 if properties.is_uniform and fills_registers else 32
        pool_first = pooling == "max" and properties.is_monotonic
        features: OrderedDict[str, nn.Module] = OrderedDict()
        head: OrderedDict[str, nn.Module] = OrderedDict()
        size, number = IMAGE_SIZE, 1
        for out_channels in conv_channels:
            convolution, pool = f"C{number}", f"S{number + 1}"
            size = _remaining_pixels(size - kernel_size + 1, convolution, kernel_size)
            # PyTorch's own initial weights would come from its global generator.
            features[convolution] = skip_init(nn.Conv2d, in_channels, out_channels, kernel_size)
            size = _remaining_pixels(size // 2, pool, kernel_size)
            stage = [
                (f"activation{number}", make_activation(activation)),
                (pool, _POOLINGS[pooling]()),
            ]
            features.update(reversed(stage) if pool_first else stage)
            in_channels = out_channels
            number += 2
        features["flatten"] = nn.Flatten()
        in_features = in_channels * size**2
        for out_features in hidden_layer_sizes:
            head[f"F{number}"] = skip_init(RowwiseLinear, in_features, out_features)
            head[f"activation{number}"] = make_activation(activation)
            if dropout:
                head[f"dropout{number}"] = Dropout(dropout, generator)
            in_features = out_features
            number += 1
        head["output"] = skip_init(RowwiseLinear, in_features, n_classes)
        self.features = nn.Sequential(features)
        self.head = nn.Sequential(head)
        self._initialize(activation_gain(make_activation(activation)), generator)

    def _initialize(self, gain, generator):
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                layer_gain = 1 if module is self.head.output else gain
                std = layer_gain / math.sqrt(fan_in)
                nn.init.normal_(module.weight, std=std, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the class scores of a batch of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n_samples, in_channels, 32, 32), float32
            Standardized images.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_classes)
            The scores before softmax or sigmoid (logits).
        """
        return self.head(self.features(images))


def _remaining_pixels(size, layer, kernel_size):
    if size < 1:
        raise ValueError(
            f"conv_channels and kernel_size must leave pixels of {IMAGE_SIZE}x{IMAGE_SIZE} images "
            f"after each layer, got none after {layer} with kernel_size={kernel_size}."
        )
    return size


def parameter_shapes(n_classes, in_channels, *, conv_channels, kernel_size, hidden_layer_sizes):
    """Return the shape of each parameter of a `DeepLeNet` by its name, without making it."""
    shapes: dict[str, tuple[int, ...]] = {}
    size, number = IMAGE_SIZE, 1
    for out_channels in conv_channels:
        shapes[f"features.C{number}.weight"] = (out_channels, in_channels, kernel_size, kernel_size)
        shapes[f"features.C{number}.bias"] = (out_channels,)
        size, in_channels, number = (size - kernel_size + 1) // 2, out_channels, number + 2
    in_features = in_channels * size**2
    for out_features in hidden_layer_sizes:
        shapes[f"head.F{number}.weight"] = (out_features, in_features)
        shapes[f"head.F{number}.bias"] = (out_features,)
        in_features, number = out_features, number + 1
    return shapes | {
        "head.output.weight": (n_classes, in_features),
        "head.output.bias": (n_classes,),
    }
