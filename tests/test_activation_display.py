import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklenet import LReLU
from sklenet.plotting import ActivationDisplay

pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt

pytestmark = pytest.mark.usefixtures("close_figures")


def test_from_activations_has_values_and_derivatives():
    display = ActivationDisplay.from_activations({"ReLU": "relu", "steep": lambda: LReLU(4.0)})
    positive = display.x > 0
    assert_array_equal(display.values["ReLU"], np.maximum(display.x, 0))
    assert_array_equal(display.derivatives["ReLU"], positive)
    assert_allclose(
        display.derivatives["steep"][positive], 4 / (1 + 4 * display.x[positive]), rtol=1e-5
    )
    assert [line.get_label() for line in display.axes_[0].lines] == ["ReLU", "steep"]


@pytest.mark.parametrize("limit", ["a", 0, -1, float("inf"), float("nan")])
def test_from_activations_invalid_limit_raises(limit):
    with pytest.raises(ValueError, match="limit must be a positive finite number"):
        ActivationDisplay.from_activations(["relu"], limit=limit)


@pytest.mark.parametrize(
    ("activations", "error", "message"),
    [
        ([], ValueError, "at least one activation"),
        ([nn.ReLU], TypeError, "put others into a dict"),
        (["swish"], ValueError, "got 'swish'"),
        ({"halved": nn.GLU}, ValueError, "'halved' does not work element by element"),
    ],
)
def test_from_activations_invalid_activations_raises(activations, error, message):
    with pytest.raises(error, match=message):
        ActivationDisplay.from_activations(activations)
    assert not plt.get_fignums()


def test_from_activations_in_inference_mode_has_derivatives():
    with torch.inference_mode():
        display = ActivationDisplay.from_activations("relu")
    assert_array_equal(display.derivatives["relu"], display.x > 0)
