import numpy as np
import pytest
import torch

from sklenet.images import ImageLayout


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
    ],
)
def test_from_images_shape_is_read_off(shape, image_shape, expected, channels_first):
    layout = ImageLayout.from_images(np.zeros(shape), image_shape)
    assert layout.shape == expected
    assert layout.channels_first == channels_first


@pytest.mark.parametrize(
    ("shape", "image_shape", "message"),
    [
        (
            (2, 3, 10, 4),
            None,
            r"position of the channels is ambiguous.*\(2, 3, 10, 4\).*image_shape",
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
