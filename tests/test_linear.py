import pytest
import torch
from torch.nn import functional

from sklenet.network._linear import RowwiseLinear


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
@pytest.mark.parametrize("n_rows", [1, 2, 16, 33])
@pytest.mark.parametrize("bias", [True, False])
def test_rowwise_linear_large_layer_has_gradients_of_torch(n_rows, bias):
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


def test_rowwise_linear_evaluation_supports_other_shapes_and_second_derivatives():
    layer = RowwiseLinear(1600, 1024).eval()
    x = torch.randn(2, 3, 1600)
    torch.testing.assert_close(layer(x), functional.linear(x, layer.weight, layer.bias))
    with torch.no_grad():
        assert layer(x).shape == (2, 3, 1024)
        assert layer(x[0, 0]).shape == (1024,)
    x = torch.randn(2, 1600, requires_grad=True)
    (slope,) = torch.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
    torch.autograd.grad(slope.sum(), x)
