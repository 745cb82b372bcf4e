import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch

from sklenet.images import ImageLayout, has_ambiguous_channels, warn_of_color_rows


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected", "channels_first"),
    [
        ((2, 64), None, (8, 8, 1), False),
        ((2, 65), None, (9, 9, 1), False),
        ((2, 2), None, (2, 2, 1), False),
        ((2, 60), (6, 10), (6, 10, 1), False),
        ((2, 60), (4, 5, 3), (4, 5, 3), False),
        ((2, 6, 10), None, (6, 10, 1), False),
        ((2, 3, 10), None, (3, 10, 1), False),
        ((2, 6, 10, 3), None, (6, 10, 3), False),
        ((2, 6, 10, 4), None, (6, 10, 4), False),
        ((2, 6, 10, 1), None, (6, 10, 1), False),
        ((2, 3, 6, 10), None, (6, 10, 3), True),
        ((2, 2, 6, 10), None, (6, 10, 2), True),
        ((2, 3, 10, 3), (3, 10, 3), (3, 10, 3), False),
        ((2, 3, 10, 4), (10, 4, 3), (10, 4, 3), True),
        ((2, 28, 28, 2), (28, 28, 2), (28, 28, 2), False),
        ((2, 12, 10, 11), (10, 11, 12), (10, 11, 12), True),
        ((2, 6, 10, 3), (3, 6, 10), (6, 10, 3), False),
        ((2, 3, 6, 10), (3, 6, 10), (6, 10, 3), True),
        ((2, 8, 8, 1), (1, 8, 8), (8, 8, 1), False),
        ((2, 8, 8), (1, 8, 8), (8, 8, 1), False),
        ((2, 8, 8), (8, 8, 1), (8, 8, 1), False),
        ((2, 1, 8, 8), (8, 8), (8, 8, 1), True),
        ((2, 3, 4, 4), (3, 4, 4), (4, 4, 3), True),
        ((2, 4, 4, 3), (3, 4, 4), (4, 4, 3), False),
        ((2, 3, 4, 4), (4, 4, 3), (4, 4, 3), True),
        ((2, 3, 3, 3), (3, 3, 3), (3, 3, 3), False),
    ],
)
def test_from_images_shape_is_read_off(shape, image_shape, expected, channels_first):
    layout = ImageLayout.from_images(np.zeros(shape), image_shape)
    assert layout.shape == expected
    assert layout.channels_first == channels_first


@pytest.mark.parametrize(
    ("image_shape", "expected", "channels_first"),
    [
        ((32, 32), (32, 32, 1), False),
        ((3, 1), (3, 1, 1), False),
        ([3, 3], (3, 3, 1), False),
        ((32, 32, 3), (32, 32, 3), False),
        ((3, 32, 32), (32, 32, 3), True),
        (np.array([4, 20, 30]), (20, 30, 4), True),
        ((1, 20, 30), (20, 30, 1), True),
        ((20, 30, 1), (20, 30, 1), False),
        ((1, 4, 4), (4, 4, 1), True),
        ((3, 4, 4), (4, 4, 3), True),
        ((1, 3, 3), (3, 3, 1), True),
        ((4, 1, 1), (1, 1, 4), True),
        ((4, 4, 3), (4, 4, 3), False),
        ((4, 4, 1), (4, 4, 1), False),
        ((3, 3, 3), (3, 3, 3), False),
        ((3, 10, 4), (3, 10, 4), False),
        ((1, 28, 3), (1, 28, 3), False),
        ((20, 30, 2), (20, 30, 2), False),
        ((2, 20, 30), (2, 20, 30), False),
    ],
    ids=str,
)
def test_from_images_flat_rows_have_order_of_image_shape(image_shape, expected, channels_first):
    layout = ImageLayout.from_images(np.zeros((2, np.prod(image_shape))), image_shape)
    assert layout == ImageLayout(*expected, channels_first)


@pytest.mark.parametrize(
    ("shape", "image_shape", "message"),
    [
        (
            (2, 3, 10, 4),
            None,
            r"position of the channels is ambiguous.*\(2, 3, 10, 4\).* Pass image_shape, "
            r"\(height, width, channels\) or \(channels, height, width\): "
            r"image_shape=\(10, 4, 3\) if the second axis .*=\(3, 10, 4\) if the last axis",
        ),
        (
            (2, 3, 4, 4),
            None,
            r"width\): image_shape=\(4, 4, 3\) if the second axis holds them\.",
        ),
        (
            (2, 3, 3, 3),
            None,
            r"image_shape=\(3, 3, 3\) if the last axis .*; else pass np.moveaxis\(X, 1, -1\) as X",
        ),
        (
            (2, 65),
            (8, 8),
            r"X must have 64 features for image_shape=\(8, 8, 1\), got 65",
        ),
        ((2, 9, 8), (8, 8), r"X must have images of .* \(8, 8, 1\), got images of shape \(9, 8\)"),
        ((2, 8, 8, 3), (8, 8), r"X must have images of .* got images of shape \(8, 8, 3\)"),
        ((2, 8, 8, 3, 1), None, "X must have the shape"),
        ((2, 28, 28, 2), None, "position of the channels is ambiguous"),
        ((2, 3072), (3, 32, 31), r"X must have 2976 features for image_shape=\(3, 32, 31\)"),
        ((2, 3, 8, 8), (3, 8, 9), r"X must have images of .* \(8, 9, 3\), got .* \(3, 8, 8\)"),
        ((2, 8, 8), (3, 8, 8), r"X must have images of .* \(8, 8, 3\), got .* \(8, 8\)"),
        ((2, 55), (4, 5, 3), r"X must have 60 features for image_shape=\(4, 5, 3\), got 55"),
        ((2, 0, 8), None, "X must have images with pixels"),
    ],
)
def test_from_images_invalid_shape_raises(shape, image_shape, message):
    with pytest.raises(ValueError, match=message):
        ImageLayout.from_images(np.zeros(shape), image_shape)


def test_flatten_images_of_other_shape_raises():
    layout = ImageLayout(28, 28)
    with pytest.raises(
        ValueError, match=r"X must have images of .*28, 28, 1\), got images of shape \(27, 28\)"
    ):
        layout.flatten(np.zeros((2, 27, 28)))


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_unflatten_flat_rows_inverts_flatten(channels_first, convert):
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    layout = ImageLayout(4, 5, 3, channels_first)
    rows = layout.flatten(images if channels_first else np.moveaxis(images, 1, -1))
    np.testing.assert_array_equal(layout.unflatten(convert(rows)), images)


def test_from_images_ambiguous_shape_has_advice_that_resolves_it():
    for shape in itertools.product((1, 2, 3, 4, 5, 28), repeat=3):
        X = np.zeros((2, *shape))
        if not has_ambiguous_channels(X.shape):
            continue
        with pytest.raises(ValueError, match="ambiguous") as error:
            ImageLayout.from_images(X)
        advice = re.findall(r"image_shape=\((.*?)\) if the (\w+) axis", str(error.value))
        assert advice
        for image_shape, axis in advice:
            layout = ImageLayout.from_images(X, tuple(map(int, image_shape.split(","))))
            assert layout.channels == shape[0 if axis == "second" else 2]


@pytest.mark.parametrize("shape", list(itertools.product((1, 3, 4, 5), repeat=3)), ids=str)
@pytest.mark.parametrize("channels_first", [False, True])
def test_flatten_images_of_either_order_have_pixels_of_rows(shape, channels_first):
    height, width, channels = shape
    last = np.arange(2 * math.prod(shape)).reshape(2, *shape)
    first = np.moveaxis(last, -1, 1)
    given = first if channels_first else last
    layout = ImageLayout(*shape, channels_first)
    # Where all sides are equal, only the order of the rows is known.
    for images in (given,) if len(set(shape)) == 1 else (first, last):
        rows = layout.flatten(images)
        np.testing.assert_array_equal(rows, given.reshape(2, -1))
        np.testing.assert_array_equal(layout.unflatten(rows), first)


@pytest.mark.parametrize(
    ("layout", "n_features", "shape"),
    [
        (ImageLayout(28, 28), 784, (28, 28)),
        (ImageLayout(20, 28), 560, (20, 28)),
        (ImageLayout(28, 28), 784, (28, 28, 1)),
        (ImageLayout(28, 28, 1, True), 784, (28, 28, 1)),
        (ImageLayout(8, 9, 3), 216, (8, 9, 3)),
        (ImageLayout(8, 9, 3), 216, (3, 8, 9)),
        (ImageLayout(8, 9, 3, True), None, (3, 8, 9)),
    ],
)
def test_flatten_one_image_raises(layout, n_features, shape):
    sizes = ", ".join(map(str, shape))
    message = (
        f"X must have the shape (n_samples, {sizes}), got one image of shape ({sizes}): "
        "pass X[np.newaxis]."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        layout.flatten(np.zeros(shape), n_features)


@pytest.mark.parametrize(
    ("layout", "n_features", "shape"),
    [
        (ImageLayout(28, 28), 784, (1, 28, 28)),
        (ImageLayout(1, 28), 28, (1, 28)),
        (ImageLayout(1, 1), 1, (1, 1)),
        (ImageLayout(1, 1), 1, (1, 1, 1)),
        (ImageLayout(2, 2), 2, (2, 2)),
        (ImageLayout(9, 9), 65, (9, 9)),
        (ImageLayout(28, 28), None, (28, 28)),
        (ImageLayout(3, 8, 1), 24, (3, 3, 8)),
    ],
)
def test_flatten_rows_with_shape_of_image_pass(layout, n_features, shape):
    assert len(layout.flatten(np.zeros(shape), n_features)) == shape[0]


def test_flatten_frame_with_shape_of_image_passes():
    frame = pd.DataFrame(np.zeros((8, 8)))
    assert ImageLayout(8, 8).flatten(frame, 64) is frame


@pytest.mark.parametrize(("n_features", "side"), [(12, 2), (48, 4), (3072, 32), (12288, 64)])
def test_warn_of_color_rows_three_times_a_square_warns(n_features, side):
    layout = ImageLayout.from_images(np.zeros((1, n_features)))
    message = (
        f"X has {n_features} features, which are read as gray images of "
        f"{layout.height}x{layout.width} pixels, padded. For color images, pass "
        f"image_shape=({side}, {side}, 3) if a row holds one pixel after the other, or "
        f"image_shape=(3, {side}, {side}) if it holds one channel after the other."
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        warn_of_color_rows(layout, n_features)


def test_warn_of_color_rows_equal_sides_has_one_advice():
    message = r"pass image_shape=\(3, 3, 3\) if a row holds one pixel after the other\.$"
    with pytest.warns(UserWarning, match=message):
        warn_of_color_rows(ImageLayout(6, 6), 27)


@pytest.mark.parametrize("n_features", [0, 1, 3, 4, 64, 65, 784, 1024, 3071, 3073, 4 * 32**2])
def test_warn_of_color_rows_other_number_is_silent(n_features):
    warn_of_color_rows(ImageLayout.from_images(np.zeros((1, n_features))), n_features)
