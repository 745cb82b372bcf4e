"""The deep LeNet-5: from a batch of images to class scores."""

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from ._activations import activation_gain, is_monotonic, is_uniform, make_activation

__all__ = ["IMAGE_SIZE", "DeepLeNet", "RowwiseLinear"]

IMAGE_SIZE = 32
"""Height and width of the images that the network reads, in pixels, as for LeNet-5."""

# Images that are predicted together, so that none depends on the others. Kernels treat a single row
# in another way than several; activations that are not uniform, and convolutions with odd numbers
# of kernels, also the last elements of a tensor.
_EVEN_BLOCK, _ODD_BLOCK = 2, 32
_WORTH_ONEDNN = 2**18
_POOLINGS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


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
        See `sklenet.network.make_activation`.
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

    Attributes
    ----------
    features : torch.nn.Sequential
        The convolution stages, ending in a flat vector for each image.
    head : torch.nn.Sequential
        The fully connected layers.

    Raises
    ------
    ValueError
        If the images have no pixels left after a layer, which is named, or if `pooling` or
        `activation` is an unknown name.

    Notes
    -----
    The weights are drawn from a normal distribution of mean zero and standard deviation
    ``gain / sqrt(fan_in)``, where `sklenet.network.activation_gain` computes the gain of the
    activation by the rule of He et al. [3]_; the output layer has gain 1; biases start at zero.

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
        n_classes=10,
        in_channels=1,
        *,
        activation="l_relu",
        conv_channels=(32, 64),
        kernel_size=5,
        pooling="max",
        hidden_layer_sizes=(1024, 67),
        dropout=0.0,
    ):
        super().__init__()
        if pooling not in _POOLINGS:
            raise ValueError(
                f"pooling={pooling!r} is unknown; the known names are {sorted(_POOLINGS)}."
            )
        is_even = is_uniform(activation) and not any(count % 16 for count in conv_channels)
        self._block = _EVEN_BLOCK if is_even else _ODD_BLOCK
        pool_first = pooling == "max" and is_monotonic(activation)
        features: OrderedDict[str, nn.Module] = OrderedDict()
        head: OrderedDict[str, nn.Module] = OrderedDict()
        size, number = IMAGE_SIZE, 1
        for out_channels in conv_channels:
            convolution, pool = f"C{number}", f"S{number + 1}"
            size = _remaining_pixels(size - kernel_size + 1, convolution, kernel_size)
            features[convolution] = nn.Conv2d(in_channels, out_channels, kernel_size)
            size = _remaining_pixels(size // 2, pool, kernel_size)
            stage = [
                (f"activation{number}", make_activation(activation)),
                (pool, _POOLINGS[pooling](2)),
            ]
            features.update(reversed(stage) if pool_first else stage)
            in_channels = out_channels
            number += 2
        features["flatten"] = nn.Flatten()
        in_features = in_channels * size**2
        for out_features in hidden_layer_sizes:
            head[f"F{number}"] = RowwiseLinear(in_features, out_features)
            head[f"activation{number}"] = make_activation(activation)
            if dropout:
                head[f"dropout{number}"] = nn.Dropout(dropout)
            in_features = out_features
            number += 1
        head["output"] = RowwiseLinear(in_features, n_classes)
        self.features = nn.Sequential(features)
        self.head = nn.Sequential(head)
        self._initialize(activation_gain(make_activation(activation)))

    def _initialize(self, gain):
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                layer_gain = 1 if module is self.head.output else gain
                nn.init.normal_(module.weight, std=layer_gain / math.sqrt(fan_in))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images):
        """Compute the class scores of a batch of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n_samples, in_channels, 32, 32), float32
            Standardised images.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_classes)
            The scores before softmax or sigmoid (logits). On a CPU, where no gradient is wanted,
            those of an image do not depend on the others.
        """
        if torch.is_grad_enabled():
            return self.head(self.features(images))
        missing = -len(images) % self._block
        if missing:
            images = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
        return self.head(self.features(images))[: len(images) - missing]


class RowwiseLinear(nn.Linear):
    """A fully connected layer whose output for a row does not depend on the other rows.

    The library behind `torch.nn.Linear` sums the products of a row in an order that varies with
    the number of rows and with the position of the row, so that a prediction would change in its
    last digits with the other samples of the call. oneDNN has one order for two rows or more; it
    is used for float32 on the CPU, in training for large layers only. Elsewhere the layer is
    `torch.nn.Linear`.
    """

    def forward(self, x):
        """Apply the layer.

        Parameters
        ----------
        x : torch.Tensor of shape (n_samples, in_features)
            The input.

        Returns
        -------
        torch.Tensor of shape (n_samples, out_features)
            The output.
        """
        is_plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 2
        is_traced = torch.jit.is_tracing() or torch.compiler.is_compiling()
        is_other = is_traced or torch.is_autocast_enabled("cpu")
        if is_other or not is_plain or not torch.backends.mkldnn.is_available():
            return super().forward(x)
        if not torch.is_grad_enabled():
            return _onednn_linear(x, self.weight, self.bias)
        if self.training and self.weight.numel() >= _WORTH_ONEDNN:
            return _OneDNNLinear.apply(x, self.weight, self.bias)
        return super().forward(x)


class _OneDNNLinear(torch.autograd.Function):
    """oneDNN's matrix products with their gradients.

    On an AMD CPU they save 4 of the 50 ms of a training step of 128 images. Small layers are faster
    with the products behind `torch.nn.Linear`.
    """

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _onednn_linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            _onednn_linear(gradient, weight.t()) if for_x else None,
            _onednn_linear(gradient.t(), x.t()) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


def _onednn_linear(x, weight, bias=None):
    """Compute ``x @ weight.T + bias`` of float32 matrices on the CPU, outside autograd."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _remaining_pixels(size, layer, kernel_size):
    if size < 1:
        raise ValueError(
            f"No pixels are left after layer {layer}: with kernel_size={kernel_size}, images of "
            f"{IMAGE_SIZE}x{IMAGE_SIZE} pixels are too small for that many conv_channels."
        )
    return size
