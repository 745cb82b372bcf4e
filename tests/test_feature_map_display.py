import numpy as np
import pytest
import torch
from helpers import Small
from numpy.testing import assert_allclose
from torch.nn import functional

from sklenet.datasets import load_digits_images
from sklenet.plotting import FeatureMapDisplay

pytest.importorskip("matplotlib")

pytestmark = pytest.mark.usefixtures("close_figures")


X, _ = load_digits_images()


def test_feature_maps_are_outputs_of_stages(recorded_classifier):
    display = FeatureMapDisplay.from_estimator(recorded_classifier, X[:1])
    assert list(display.feature_maps) == ["C1, S2", "C3, S4"]
    with torch.inference_mode():
        rest = recorded_classifier.module_.head(
            torch.from_numpy(display.feature_maps["C3, S4"]).flatten()[None]
        )
    expected = recorded_classifier.decision_function(X[:1])
    assert_allclose(rest.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert [ax.get_title() for ax in display.axes_][1:] == [
        "C1, S2: 4 maps of 14×14",
        "C3, S4: 8 maps of 5×5",
    ]


def test_feature_maps_drawn_leave_no_hooks(recorded_classifier):
    FeatureMapDisplay.from_estimator(recorded_classifier, X[:1])
    for module in recorded_classifier.module_.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_feature_maps_two_images_raises(recorded_classifier):
    with pytest.raises(ValueError, match="X must hold one image, .* got 2"):
        FeatureMapDisplay.from_estimator(recorded_classifier, X[:2])


def color_images(height, width, channels):
    """Images whose corners and channels all differ, as (n_samples, height, width, channels)."""
    rows, columns = np.mgrid[:height, :width]
    ramps = [rows, columns, rows + columns, rows * columns]
    image = np.stack(ramps[:channels], axis=-1) * 10 + 1
    return np.stack([image, 2 * image, image[::-1], 3 * image[:, ::-1]]).astype(np.uint8)


def drawn(images):
    """The images that the user would draw, standardized and resized with the edges repeated."""
    pixels = torch.from_numpy(np.moveaxis(images, -1, 1).astype(float))
    pixels -= pixels.mean(dim=(0, 2, 3), keepdim=True)
    std = pixels.std(dim=(0, 2, 3), keepdim=True, correction=0)
    pixels /= torch.where(std == 0, 1, std)
    sides = pixels.shape[2:]
    if not all(24 <= side <= 32 for side in sides):
        sides = [max(1, round(side * 32 / max(sides))) for side in sides]
        pixels = functional.interpolate(
            pixels, sides, mode="bilinear", antialias=True, align_corners=False
        )
    (top, left), (height, width) = ((32 - side) // 2 for side in sides), sides
    margins = (left, 32 - width - left, top, 32 - height - top)
    return functional.pad(pixels, margins, mode="replicate").numpy()


def seen(classifier, X):
    """The first image as the network reads it."""
    from matplotlib.figure import Figure

    return FeatureMapDisplay.from_estimator(classifier, X[:1], figure=Figure()).image


ALL_ORDERS = [(32, 32, 3), (28, 28, 4), (20, 30, 3), (30, 24, 4), (3, 20, 3), (3, 28, 4), (4, 4, 3)]
ALL_ORDERS += [(3, 3, 4), (1, 1, 3), (4, 4, 1), (12, 20, 1), (1, 20, 1), (2, 2, 3)]
# Their (channels, height, width) is (height, width, channels) of other images.
CHANNELS_LAST = [(3, 3, 3), (5, 3, 4), (3, 4, 1), (20, 1, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("size", ALL_ORDERS + CHANNELS_LAST, ids=str)
def test_feature_maps_images_of_any_order_are_seen_as_drawn(size):
    height, width, channels = size
    last = color_images(*size)
    first = np.ascontiguousarray(np.moveaxis(last, -1, 1))
    last_shape, first_shape = size, (channels, height, width)
    given = [(last.reshape(4, -1), last_shape), (last, last_shape)]
    if size in ALL_ORDERS:
        given += [(first.reshape(4, -1), first_shape), (first, first_shape), (last, first_shape)]
    if len(set(size)) > 1:
        given += [(first, last_shape)]
    for X, image_shape in given:
        classifier = Small(max_epochs=1, image_shape=image_shape).fit(X, [0, 1, 0, 1])
        assert classifier.image_shape_ == size
        for same in (X, first, last) if len(set(size)) > 1 else (X,):
            assert_allclose(seen(classifier, same), drawn(last)[0], atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32, 3), (20, 30, 3), (5, 8, 1), (24, 30, 4)], ids=str)
@pytest.mark.parametrize("channels_first", [False, True])
def test_feature_maps_images_without_image_shape_are_seen_as_drawn(size, channels_first):
    last = color_images(*size)
    first = np.moveaxis(last, -1, 1)
    classifier = Small(max_epochs=1).fit(first if channels_first else last, [0, 1, 0, 1])
    for same in (first, last):
        assert_allclose(seen(classifier, same), drawn(last)[0], atol=1e-4)
