"""Photographs of handwritten digits as images like those of MNIST."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from sklenet import DeepLeNetClassifier
from sklenet.datasets import prepare_digit


def photograph(digit, rng, is_dark=True):
    """Draw an image of MNIST enlarged, somewhere on a paper with uneven lighting and noise."""
    large = ndimage.zoom(digit / 255, rng.integers(4, 8), order=1).clip(0, 1)
    height, width = rng.integers(240, 400, 2)
    ink = np.zeros((height, width))
    top, left = (rng.integers(0, side - len(large) + 1) for side in (height, width))
    ink[top : top + len(large), left : left + len(large)] = large
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    paper = 205 + rng.uniform(-50, 50) * y + rng.uniform(-50, 50) * x
    image = paper * (1 - 0.7 * ink) + rng.normal(0, 6, ink.shape)
    return (image if is_dark else 255 - image).clip(0, 255).astype(np.uint8)


def cross(height=120, width=90, ink=40, paper=220):
    image = np.full((height, width), paper, dtype=np.uint8)
    image[height // 4 : 3 * height // 4, width // 2 - 4 : width // 2 + 4] = ink
    image[height // 2 - 4 : height // 2 + 4, width // 4 : 3 * width // 4] = ink
    return image


@pytest.mark.parametrize(("ink", "paper"), [(40, 220), (220, 40), (100, 130), (255, 0)])
def test_prepare_digit_crops_scales_and_centers(ink, paper):
    prepared = prepare_digit(cross(ink=ink, paper=paper))
    rows, columns = (np.flatnonzero(prepared.any(axis=axis)) for axis in (1, 0))
    assert prepared.shape == (28, 28)
    assert prepared.dtype == np.uint8
    assert prepared.max() == 255
    assert prepared[0].max() == 0
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) + 1 < 20
    assert ndimage.center_of_mass(prepared.astype(float)) == pytest.approx((13.5, 13.5), abs=0.6)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.repeat(image[:, :, np.newaxis], 3, axis=2),
        lambda image: image[:, :, np.newaxis],
        lambda image: image / 255,
        lambda image: image.tolist(),
        lambda image: image.astype(np.uint16) * 257,
        lambda image: np.dstack([np.zeros((*image.shape, 3), np.uint8), 255 - image]),
    ],
)
def test_prepare_digit_same_image_in_another_form_is_the_same(change):
    expected = prepare_digit(cross()).astype(float)
    np.testing.assert_allclose(prepare_digit(change(cross())), expected, atol=2)


@pytest.mark.parametrize("is_dark", [True, False])
def test_prepare_digit_that_fills_the_image(is_dark):
    y, x = np.mgrid[-1:1:80j, -1:1:60j]
    ring = np.abs(np.hypot(x, y) - 0.8) < 0.2  # a zero without a margin
    image = np.where(ring, 40, 220).astype(np.uint8)
    prepared = prepare_digit(image if is_dark else 255 - image)
    assert (prepared > 127).any(axis=1).sum() == 20
    assert prepared[14, 14] == 0


def test_prepare_digit_leaves_out_specks():
    image = cross()
    image[3:6, 3:6] = 40
    np.testing.assert_allclose(prepare_digit(image), prepare_digit(cross()).astype(float), atol=8)


@pytest.mark.parametrize("value", [0, 255])
def test_prepare_digit_blank_image_is_refused(value):
    with pytest.raises(ValueError, match="must show a digit"):
        prepare_digit(np.full((40, 40), value, dtype=np.uint8))
    noise = np.random.default_rng(0).normal(200, 5, (200, 150))
    with pytest.raises(ValueError, match="must show a digit"):
        prepare_digit(noise + np.linspace(-30, 30, 150))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros(784), ValueError, "image must have the shape"),
        (np.zeros((2, 28, 28)), ValueError, "image must have the shape"),
        (np.zeros((0, 0)), ValueError, "image must have the shape"),
        (np.zeros((1, 28)), ValueError, "image must have the shape"),
        (np.full((28, 28), np.nan), ValueError, "image must have finite pixels"),
        ("digit.png", TypeError, "image must hold numbers"),
    ],
)
def test_prepare_digit_invalid_image_is_refused(image, error, message):
    with pytest.raises(error, match=message):
        prepare_digit(image)


@pytest.mark.slow
def test_prepared_photographs_are_recognized(mnist):
    X, X_test, y, y_test = mnist
    small = {"conv_channels": (8, 16), "hidden_layer_sizes": (64,), "max_epochs": 6}
    classifier = DeepLeNetClassifier(**small, random_state=0).fit(X[:3000], y[:3000])
    rng = np.random.default_rng(0)
    photographs = [photograph(digit, rng, is_dark=k % 2) for k, digit in enumerate(X_test[:100])]
    prepared = np.stack([prepare_digit(image) for image in photographs])
    accuracy = classifier.score(X_test[:100], y_test[:100])
    assert classifier.score(prepared, y_test[:100]) >= accuracy - 0.04


def test_prepare_digit_image_of_pillow_is_turned_and_converted():
    Image = pytest.importorskip("PIL.Image")
    paper = np.full((120, 80), 230, dtype=np.uint8)
    paper[20:100, 30:36] = 40
    paper[20:26, 30:60] = 40
    expected = prepare_digit(paper)
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(paper))).save(file, "PNG", exif=exif)
    assert_array_equal(prepare_digit(Image.open(file)), expected)
    for mode in ("P", "LA", "RGB"):
        assert_array_equal(prepare_digit(Image.fromarray(paper).convert(mode)), expected)
