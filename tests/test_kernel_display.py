import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklenet.plotting import KernelDisplay

pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt

pytestmark = pytest.mark.usefixtures("close_figures")


def test_kernel_display_has_weights_of_layer(recorded_classifier):
    display = KernelDisplay.from_estimator(recorded_classifier)
    weight = recorded_classifier.module_.features.C1.weight.detach().numpy()
    assert_array_equal(display.kernels, weight[:, 0])
    assert display.ax_.get_title() == "C1: 4 kernels of 5×5"
    lowest, highest = display.image_.get_clim()
    assert -lowest == highest == np.abs(weight).max()
    deeper = KernelDisplay.from_estimator(recorded_classifier, layer="C3")
    assert deeper.kernels.shape == (8, 5, 5)
    assert deeper.ax_.get_title().endswith("mean over the channels")


@pytest.mark.parametrize("layer", ["S2", "F5", "flatten"])
def test_kernel_display_layer_without_kernels_raises(recorded_classifier, layer):
    with pytest.raises(ValueError, match=r"layer must be one of \['C1', 'C3'\]"):
        KernelDisplay.from_estimator(recorded_classifier, layer=layer)


@pytest.mark.parametrize("n_columns", [0, -1, 2.5, True])
def test_kernel_display_invalid_n_columns_raises(recorded_classifier, n_columns):
    with pytest.raises(ValueError, match="n_columns must be a positive integer"):
        KernelDisplay.from_estimator(recorded_classifier, n_columns=n_columns)
    assert not plt.get_fignums()
