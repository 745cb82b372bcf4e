"""The activation functions of the network, and the table of their names."""

import torch
from torch import nn

__all__ = [
    "ACTIVATIONS",
    "LReLU",
    "activation_gain",
    "is_monotonic",
    "is_uniform",
    "make_activation",
]


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


ACTIVATIONS = {
    "l_relu": LReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

_NOT_MONOTONIC = {"gelu", "silu"}
_UNIFORM = {"l_relu", "relu", "leaky_relu", "tanh"}


def make_activation(activation):
    """Make an activation module from its name or from a callable.

    Parameters
    ----------
    activation : str or callable
        A key of `ACTIVATIONS`, or a callable without arguments that returns an `nn.Module`.

    Returns
    -------
    torch.nn.Module
        A new module.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    TypeError
        If `activation` is no name and no callable, or if the callable returns no `nn.Module`.

    Examples
    --------
    >>> from sklenet.network import make_activation
    >>> make_activation("l_relu")
    LReLU(beta=1.0)
    """
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={activation!r} is unknown; the known names are {sorted(ACTIVATIONS)}."
            )
        return ACTIVATIONS[activation]()
    if not callable(activation) or isinstance(activation, nn.Module):
        raise TypeError(
            "activation must be a name or a callable without arguments that returns an nn.Module "
            f"(a class or a functools.partial), got {activation!r}."
        )
    try:
        module = activation()
    except TypeError as error:
        raise TypeError(
            f"activation={activation!r} must return an nn.Module when it is called without "
            f"arguments; it raised: {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"activation={activation!r} must return an nn.Module when it is called, "
            f"it returned {module!r}."
        )
    return module


def is_monotonic(activation):
    """Tell whether an activation is known to be non-decreasing.

    The maximum of a non-decreasing function is the function of the maximum: the network then
    takes the maximum first and applies the activation to a quarter of the values.

    Parameters
    ----------
    activation : str or callable
        As for `make_activation`.

    Returns
    -------
    bool
        False for every callable: nothing is known about it.

    Examples
    --------
    >>> from sklenet.network import is_monotonic
    >>> is_monotonic("l_relu"), is_monotonic("gelu")
    (True, False)
    """
    return isinstance(activation, str) and activation not in _NOT_MONOTONIC


def is_uniform(activation):
    """Tell whether equal input is known to give equal output wherever it stands in memory.

    PyTorch computes the last elements of a tensor, which do not fill a vector register, by other
    instructions than the rest, and for some functions the last digits differ.

    Parameters
    ----------
    activation : str or callable
        As for `make_activation`.

    Returns
    -------
    bool
        False for every callable: nothing is known about it.

    Examples
    --------
    >>> from sklenet.network import is_uniform
    >>> is_uniform("l_relu"), is_uniform("sigmoid")
    (True, False)
    """
    return isinstance(activation, str) and activation in _UNIFORM


def activation_gain(module):
    """Compute the gain of the initial weights that suits an activation.

    The gain is ``E[f'(z)**2] ** -0.5`` with z standard normal: with weights of standard deviation
    ``gain / sqrt(fan_in)`` the gradient keeps its size on its way back through the layer. This is
    the argument of He et al. [1]_ without the assumption that f is the rectifier; it gives their
    ``sqrt(2)`` for that one, 1.47 for tanh, 4.72 for the sigmoid and 2.20 for `LReLU`.

    Parameters
    ----------
    module : torch.nn.Module
        The activation, applied elementwise.

    Returns
    -------
    float
        The gain.

    Raises
    ------
    ValueError
        If the gradient of the activation is zero or not finite.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015,
       section 2.2, arXiv:1502.01852.

    Examples
    --------
    >>> from torch import nn
    >>> from sklenet.network import activation_gain
    >>> round(activation_gain(nn.ReLU()), 4)
    1.4142
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
