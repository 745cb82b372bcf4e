"""Maximum pooling, with and without a gradient."""

import math

import pytest
import torch

from sklenet.network import MaxPool2x2

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", [(3, 5, 8, 8), (2, 3, 7, 9), (1, 1, 2, 2), (2, 4, 3, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_without_gradient_is_that_with_one(shape, dtype, memory_format):
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    images = images.contiguous(memory_format=memory_format)
    expected = MaxPool2x2()(images)
    with torch.no_grad():
        found = MaxPool2x2()(images)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=memory_format)


def test_pooling_without_gradient_keeps_nan_and_infinity():
    images = torch.zeros(1, 1, 4, 4)
    images[0, 0, 0, 1], images[0, 0, 3, 3] = math.nan, -math.inf
    images[0, 0, 2:, :2] = math.inf
    with torch.no_grad():
        found = MaxPool2x2()(images)
    torch.testing.assert_close(found, MaxPool2x2()(images), equal_nan=True)


def test_pooling_is_exported_as_one_layer():
    with torch.no_grad():
        program = torch.export.export(MaxPool2x2().eval(), (torch.zeros(2, 3, 8, 8),))
    assert "max_pool2d" in str(program.graph)
