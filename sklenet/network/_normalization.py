"""Batch normalization in training, folded into the layers afterwards."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["estimate_statistics", "fold_normalization", "insert_normalization"]

_EPS = 1e-5  # added to variances, as PyTorch does
_MIN_IMAGES = 16  # in the statistics of a training step
_MOMENTUM = 0.1  # weight of a batch in the moving averages
_PRIOR = 1e-3  # weight of the moving averages before the first batch: mean 0, variance 1


class BatchNormalization(nn.Module):
    """Standardize each channel by the statistics of the batch, and add a bias.

    The normalization of S. Ioffe and C. Szegedy ("Batch Normalization", ICML 2015,
    arXiv:1502.03167) without the learned scale, so that a positive factor of a channel has no
    effect. Moving averages complete a batch of fewer than 16 images to as many, and take the place
    of its statistics in evaluation.
    """

    total_weight: torch.Tensor
    total_mean: torch.Tensor
    total_variance: torch.Tensor

    def __init__(self, n_channels):
        super().__init__()
        self.register_parameter("bias", None)
        self.register_buffer("total_weight", torch.tensor(_PRIOR))
        self.register_buffer("total_mean", torch.zeros(n_channels))
        self.register_buffer("total_variance", torch.full((n_channels,), _PRIOR))

    @property
    def statistics(self):
        return self.total_mean / self.total_weight, self.total_variance / self.total_weight

    @statistics.setter
    def statistics(self, values):
        for total, value in zip((self.total_mean, self.total_variance), values, strict=True):
            total.copy_(value)
        self.total_weight.fill_(1.0)

    def forward(self, x):
        scale = torch.ones_like(self.bias)  # CUDA's kernels need it for the gradient of the bias
        if not self.training:
            mean, variance = self.statistics
            return functional.batch_norm(x, mean, variance, scale, self.bias, eps=_EPS)
        moving = self.statistics
        self.total_weight.lerp_(torch.ones_like(self.total_weight), _MOMENTUM)
        if len(x) >= _MIN_IMAGES:
            mean, variance = self.total_mean, self.total_variance
            return functional.batch_norm(
                x, mean, variance, scale, self.bias, True, momentum=_MOMENTUM, eps=_EPS
            )
        mean, variance = _blend(moving, _statistics(x), len(x) / _MIN_IMAGES)
        self.total_mean.lerp_(mean.detach(), _MOMENTUM)
        self.total_variance.lerp_(variance.detach(), _MOMENTUM)
        shape = (-1,) + (1,) * (x.dim() - 2)
        scale = (variance + _EPS).rsqrt()
        return (x * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(x.dtype)

    def unfold(self, layer):
        """Take over the bias of the layer before; in evaluation both compute what it did alone."""
        mean, scale = self._factors()
        with torch.no_grad():
            layer.weight.div_(_per_output(scale, layer.weight))
            layer.bias.add_(mean * scale)
        self.bias, layer.bias = layer.bias, None

    def fold(self, layer):
        """Undo `unfold`: let the layer before compute what both compute in evaluation."""
        mean, scale = self._factors()
        layer.bias, self.bias = self.bias, None
        with torch.no_grad():
            layer.weight.mul_(_per_output(scale, layer.weight))
            layer.bias.sub_(mean * scale)

    def _factors(self):
        mean, variance = self.statistics
        return mean, (variance + _EPS).rsqrt()


def insert_normalization(network, normalizations=None):
    """Normalize the input of each activation of a `DeepLeNet`, in place.

    They are new, or those of `normalizations`, which `fold_normalization` has returned.
    """
    given = None if normalizations is None else iter(normalizations)
    for part in (network.features, network.head):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer, affine in _layers_after_affine(part):
            if name.startswith("activation"):
                new = BatchNormalization(len(affine.weight)) if given is None else next(given)
                new.unfold(affine)
                layers[name.replace("activation", "normalization")] = new
            layers[name] = layer
        _replace(part, layers)


def fold_normalization(network):
    """Fold the normalizations into the layers before them, in place, and return them."""
    folded = []
    for part in (network.features, network.head):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, layer, affine in _layers_after_affine(part):
            if isinstance(layer, BatchNormalization):
                layer.fold(affine)
                folded.append(layer)
            else:
                layers[name] = layer
        _replace(part, layers)
    return folded


def _layers_after_affine(part):
    """Yield the name of each layer, the layer, and the convolution or linear layer before it."""
    affine: Any = None
    for name, layer in part._modules.items():  # named_children() leaves out a layer's second name
        yield name, layer, affine
        if isinstance(layer, nn.Conv2d | nn.Linear):
            affine = layer


def estimate_statistics(network, batches, n_before=0):
    """Replace the moving averages by the statistics of batches of images.

    Layer by layer: the statistics of a layer are those of its input in evaluation. The moving
    averages keep the weight of `n_before` images.
    """
    network.eval()
    outputs, layers = [*batches], nn.Sequential()
    with torch.no_grad():
        for layer in (*network.features, *network.head):
            if isinstance(layer, BatchNormalization):
                n_images, statistics = n_before, layer.statistics
                for i in range(len(outputs)):
                    outputs[i] = output = layers(outputs[i])  # one by one: they take much memory
                    n_images += len(output)
                    statistics = _blend(statistics, _statistics(output), len(output) / n_images)
                layers, layer.statistics = nn.Sequential(), statistics
            layers.append(layer)


def _statistics(x):
    """Return the mean and the variance of each channel, in float32."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x.float(), axes, correction=0)
    return mean, variance


def _blend(statistics, others, share):
    """Return the mean and the variance of two sets of values; a share of them are the others."""
    mean, variance = (torch.lerp(*pair, share) for pair in zip(statistics, others, strict=True))
    return mean, variance + share * (1 - share) * (others[0] - statistics[0]).square()


def _per_output(factors, weight):
    return factors.view(-1, *[1] * (weight.dim() - 1))


def _replace(sequential, layers):
    for name in [*sequential._modules]:
        delattr(sequential, name)
    for name, layer in layers.items():
        sequential.add_module(name, layer)
