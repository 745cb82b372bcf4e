"""A fully connected layer whose rows are independent of each other to the last bit."""

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from .._compat import onednn_linear

__all__ = ["RowwiseLinear"]

_MIN_ONEDNN_WEIGHTS = 2**18  # smaller layers are faster with BLAS


class RowwiseLinear(nn.Linear):
    """A fully connected layer whose output for a row does not depend on the other rows.

    The BLAS behind `torch.nn.Linear` sums the products of a row in an order that varies with the
    number of rows and with the position of the row, so that a prediction would change in its last
    digits with the other samples of the call. oneDNN has one order for two rows or more; it
    computes float32 on the CPU, in training for large layers only. Elsewhere the layer is
    `torch.nn.Linear`.
    """

    def forward(self, x):
        use_onednn = (
            not torch.compiler.is_compiling()  # first: the others would break the graph
            and torch.backends.mkldnn.is_available()
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and x.dim() == 2
            and not torch.is_autocast_enabled("cpu")
            and not torch.jit.is_tracing()
        )
        if not use_onednn:
            return super().forward(x)
        if not torch.is_grad_enabled():
            return onednn_linear(x, self.weight, self.bias)
        if self.training and self.weight.numel() >= _MIN_ONEDNN_WEIGHTS:
            return _OneDNNLinear.apply(x, self.weight, self.bias)
        return super().forward(x)


class _OneDNNLinear(torch.autograd.Function):
    """oneDNN's matmuls with their gradients, faster than BLAS for large layers."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return onednn_linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            onednn_linear(gradient, weight.t()) if for_x else None,
            onednn_linear(gradient.t(), x.t()) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )
