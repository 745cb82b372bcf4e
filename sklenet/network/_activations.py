"""The activation functions of the network, and their table."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "Activation", "LReLU", "activation_gain", "make_activation"]


class LReLU(nn.Module):
    r"""Logarithmic rectified linear unit, ``ln(1 + beta * max(0, x))``.

    The paper that sklenet implements abbreviates the function to L_ReLU; it is not the leaky
    rectifier. It is zero for negative input, has the slope `beta` at zero from the right and grows
    like a logarithm, so that large inputs are compressed while the gradient,
    ``beta / (1 + beta * x)``, never vanishes for positive input.

    Parameters
    ----------
    beta : float, default=1.0
        Positive factor of the input.

    Raises
    ------
    ValueError
        If `beta` is not a positive finite number.

    References
    ----------
    .. [1] Y. Liu, J. Zhang, C. Gao, J. Qu, L. Ji, "Natural-Logarithm-Rectified Activation Function
       in Convolutional Neural Networks", 2019, arXiv:1908.03682 (the source of the formula, there
       called NLReLU).
    .. [2] J. Zhang, X. Yu, X. Lei, C. Wu, "A Novel Deep LeNet-5 Convolutional Neural Network Model
       for Image Recognition", Computer Science and Information Systems 19(3), 2022,
       doi 10.2298/CSIS220120036Z.

    Examples
    --------
    >>> import torch
    >>> from sklenet import LReLU
    >>> LReLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.0000, 0.0000, 0.6931])
    """

    def __init__(self, beta=1.0):
        super().__init__()
        if not 0 < beta < float("inf"):
            raise ValueError(f"beta must be a positive finite number, got {beta!r}.")
        self.beta = beta

    def forward(self, x):
        """Apply the function to each element.

        Parameters
        ----------
        x : torch.Tensor of any shape, floating point
            The input.

        Returns
        -------
        torch.Tensor
            The activations, of the shape and type of `x`.
        """
        x = torch.relu(x)
        return torch.log1p(x if self.beta == 1 else self.beta * x)

    def extra_repr(self):
        """Show `beta` where PyTorch prints the module.

        Returns
        -------
        str
            The text between the parentheses.
        """
        return f"beta={self.beta}"


@dataclass(frozen=True)
class Activation:
    """A row of the table of activations: how to make one, and what is known about it."""

    make: Callable[[], nn.Module]
    # A maximum of values of a non-decreasing function is its value at the maximum: the network
    # pools first and applies the activation to a quarter of the values.
    is_monotonic: bool = False
    # Equal input gives equal output wherever it lies in memory. PyTorch computes the last elements
    # of a tensor, which do not fill a vector register, by other instructions than the rest, and
    # for some functions the last digits differ.
    is_uniform: bool = False

    @classmethod
    def resolve(cls, activation):
        """Look up the activation of a name; nothing is known about a callable."""
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise ValueError(
                    f"activation must be a callable or one of {sorted(ACTIVATIONS)}, "
                    f"got {activation!r}."
                )
            return ACTIVATIONS[activation]
        if not callable(activation) or isinstance(activation, nn.Module):
            raise TypeError(
                "activation must be a name or a callable without arguments that returns an "
                f"nn.Module (a class or a functools.partial), got {activation!r}."
            )
        return cls(activation)


ACTIVATIONS = {
    "l_relu": Activation(LReLU, is_monotonic=True, is_uniform=True),
    "sigmoid": Activation(nn.Sigmoid, is_monotonic=True),
    "tanh": Activation(nn.Tanh, is_monotonic=True, is_uniform=True),
    "relu": Activation(nn.ReLU, is_monotonic=True, is_uniform=True),
    "leaky_relu": Activation(nn.LeakyReLU, is_monotonic=True, is_uniform=True),
    "elu": Activation(nn.ELU, is_monotonic=True),
    "gelu": Activation(nn.GELU),
    "silu": Activation(nn.SiLU),
}


def make_activation(activation):
    """Make the module of an activation, given by its name or by a callable."""
    make = Activation.resolve(activation).make
    try:
        module = make()
    except TypeError as error:
        raise TypeError(
            f"activation={activation!r} must return an nn.Module when it is called without "
            f"arguments; it raised: {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"activation={activation!r} must return an nn.Module when it is called, got {module!r}."
        )
    return module


def activation_gain(module):
    """Compute the gain of the initial weights that suits an elementwise activation.

    The gain is ``E[f'(z)**2] ** -0.5`` with z standard normal: with weights of standard deviation
    ``gain / sqrt(fan_in)`` the gradient keeps its norm on its way back through the layer. This is
    the argument of He et al. (2015, arXiv:1502.01852, section 2.2) without the assumption that f
    is the rectifier; it gives their ``sqrt(2)`` for that one, 1.47 for tanh, 4.72 for the sigmoid
    and 2.20 for `LReLU`.
    """
    # An even number of points has none at zero, where many activations have a kink.
    z = torch.linspace(-8, 8, 2000).requires_grad_()
    density = torch.exp(-(z.detach() ** 2) / 2)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(module(z.clone()).sum(), z)  # it may work in place
    gain = float((density.sum() / (density * slope**2).sum()).sqrt())
    if not 0 < gain < float("inf"):
        raise ValueError(f"The gradient of the activation {module} is zero or not finite.")
    return gain
