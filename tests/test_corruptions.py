"""The corruptions of the generalization experiment do to images what they say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("matplotlib")
pytest.importorskip("pandas", "3.1")

from benchmarks.claims.corruptions import (
    CORRUPTIONS,
    blur,
    invert,
    noise,
    occlude,
    rotate,
    scale,
    shift,
)

UNCHANGED = {name: 1 if name == "scale" else 0 for name in CORRUPTIONS}
STRONG = {
    "shift": 2,
    "rotate": 40,
    "scale": 0.5,
    "blur": 2,
    "noise": 0.3,
    "occlude": 5,
    "invert": 1,
}


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, size=(20, 9, 9)).astype(np.uint8)


def corrupt(name, images, strength, seed=0):
    return CORRUPTIONS[name](images, strength, np.random.RandomState(seed))


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_keeps_shape_dtype_and_range(name, dtype, images):
    images = images.astype(dtype)
    before = images.copy()
    corrupted = corrupt(name, images, STRONG[name])
    assert corrupted.shape == images.shape
    assert corrupted.dtype == dtype
    assert corrupted.min() >= 0
    assert corrupted.max() <= images.max()
    assert (corrupted != images).any()
    assert_array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_of_no_strength_changes_nothing(name, images):
    assert_array_equal(corrupt(name, images, UNCHANGED[name]), images)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_with_the_same_seed_gives_the_same_images(name, images):
    once, again = (corrupt(name, images, STRONG[name]) for _ in range(2))
    assert_array_equal(once, again)


def one_dot(n_images=200):
    images = np.zeros((n_images, 9, 9), dtype=np.uint8)
    images[:, 4, 4] = 200
    return images


def test_shift_moves_a_dot_in_each_direction():
    shifted = shift(one_dot(), 3, np.random.RandomState(0))
    positions = {tuple(int(i) for i in np.argwhere(image)[0]) for image in shifted}
    assert positions == {(1, 4), (7, 4), (4, 1), (4, 7)}
    assert (shifted.reshape(200, -1).sum(axis=1) == 200).all()


def test_shift_beyond_the_edge_loses_pixels():
    assert not shift(one_dot(), 5, np.random.RandomState(0)).any()


def test_rotate_turns_a_bar_both_ways():
    images = np.zeros((200, 9, 9), dtype=np.uint8)
    images[:, 4, 4:] = 200  # from the center to the right
    turned = rotate(images, 90, np.random.RandomState(0))
    up, down = (turned[:, rows, 4].min(axis=1) > 190 for rows in (slice(0, 5), slice(4, 9)))
    assert (up ^ down).all()
    assert 0 < up.mean() < 1


def test_scale_halves_and_doubles_a_square():
    images = np.zeros((1, 16, 16))
    images[:, 4:12, 4:12] = 1
    inked = [scale(images, s, np.random.RandomState(0)).sum() for s in (0.5, 1, 1.5)]
    assert_allclose(inked, [16, 64, 144], rtol=0.12)


def test_blur_spreads_a_dot_evenly():
    blurred = blur(one_dot(1).astype(float), 1, np.random.RandomState(0))[0]
    assert blurred[4, 4] == blurred.max() < 50
    assert_allclose(blurred, blurred.T)
    assert_allclose(blurred.sum(), 200, rtol=0.01)


def test_noise_has_the_given_standard_deviation():
    images = np.full((50, 20, 20), 0.5)
    images[0, 0, 0] = 1  # the largest pixel
    noisy = noise(images, 0.1, np.random.RandomState(0))
    assert np.std(noisy - images) == pytest.approx(0.1, rel=0.02)


def test_occlude_erases_a_square_anywhere():
    images = np.ones((500, 6, 6), dtype=np.uint8)
    occluded = occlude(images, 4, np.random.RandomState(0))
    assert (occluded.reshape(500, -1).sum(axis=1) == 36 - 16).all()
    assert len(np.unique(occluded, axis=0)) == 9


def test_invert_makes_the_negative():
    images = np.array([[[0, 255, 51]]], dtype=np.uint8)
    assert_array_equal(invert(images, 1, None), [[[255, 0, 204]]])
    assert_array_equal(invert(images, 0.2, None), [[[51, 204, 82]]])
