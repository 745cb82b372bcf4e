"""Random changes of images, and the classifier with them."""

import numpy as np
import pytest
import torch
from helpers import Small, weights_of

from sklenet.images import AUGMENTATIONS, _augmentation, compose_augmentations

MAX_SHIFT, SHIFT = _augmentation.MAX_SHIFT, _augmentation.SHIFT
every = pytest.mark.parametrize("name", AUGMENTATIONS)


def augment(images, *changes, seed=0):
    return compose_augmentations(changes, torch.Generator().manual_seed(seed))(images)


def square_image():
    image = torch.zeros(1, 1, 32, 32)
    image[:, :, 12:20, 12:20] = 1
    return image


def centers(images):
    """Return the center of the mass of each image, as offsets from its middle, in pixels."""
    position = torch.arange(32.0) - 15.5
    mass = images.sum(dim=(1, 2, 3))
    return [(images.sum(dim=(1, 5 - axis)) @ position) / mass for axis in (2, 3)]


@every
def test_augmentation_keeps_shape_and_dtype(name):
    images = torch.rand(4, 3, 32, 24)
    changed = augment(images, name)
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype


@every
def test_augmentation_constant_images_stay_constant(name):
    images = torch.ones(8, 1, 32, 32)
    torch.testing.assert_close(augment(images, name), images)


@every
def test_augmentation_same_seed_gives_same_images(name):
    images = torch.rand(4, 1, 32, 32)
    assert torch.equal(augment(images, name, seed=1), augment(images, name, seed=1))
    assert not torch.equal(augment(images, name, seed=1), augment(images, name, seed=2))


@every
def test_augmentation_draws_from_its_generator_only(name):
    before = torch.get_rng_state()
    augment(torch.rand(4, 1, 32, 32, generator=torch.Generator()), name)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "factor"), [("affine", 1.2), ("elastic", 3.0)])
def test_affine_and_elastic_change_equal_images_differently_within_range(name, factor):
    changed = augment(square_image().expand(200, 1, 32, 32), name)
    assert len(changed.flatten(1).unique(dim=0)) == 200
    for center in centers(changed):
        assert 0.8 * MAX_SHIFT < center.abs().max() <= factor * MAX_SHIFT
        assert abs(center.mean()) < 0.3
    mass = changed.sum(dim=(1, 2, 3))
    assert abs(mass.mean() / 64 - 1) < 0.1


def test_elastic_bends_lines():
    image = torch.zeros(1, 1, 32, 32)
    image[:, :, :, 14:18] = 1
    position = torch.arange(32.0) - 15.5

    def curvature(name):
        """Return how far the middle of the line is from between its ends, in pixels."""
        changed = augment(image.expand(200, 1, 32, 32), name)[:, 0]
        line = (changed @ position) / changed.sum(2)
        return float((line[:, 16] - (line[:, 6] + line[:, 26]) / 2).abs().mean())

    assert curvature("affine") < 0.1
    assert curvature("elastic") > 0.5


def test_shift_moves_whole_pixels_in_every_direction():
    images = torch.rand(1, 2, 32, 32).expand(200, 2, 32, 32)
    changed = augment(images, "shift")
    inner = slice(SHIFT, 32 - SHIFT)
    found = set()
    for image in changed:
        for down in range(-SHIFT, SHIFT + 1):
            for right in range(-SHIFT, SHIFT + 1):
                moved = torch.roll(images[0], (-down, -right), dims=(1, 2))
                if torch.equal(image[:, inner, inner], moved[:, inner, inner]):
                    found.add((down, right))
    assert len(found) == (2 * SHIFT + 1) ** 2


def test_shift_repeats_edge_pixels():
    ramp = torch.arange(32.0).expand(50, 1, 32, 32)
    changed = augment(ramp, "shift")
    assert set(changed[:, 0, 0, 0].tolist()) == set(map(float, range(SHIFT + 1)))
    assert (changed.diff(dim=3) >= 0).all()


def test_flip_mirrors_about_half_of_the_images():
    images = torch.rand(1, 3, 32, 32).expand(400, 3, 32, 32)
    changed = augment(images, "flip")
    mirrored = [torch.equal(image, images[0].flip(2)) for image in changed]
    kept = [torch.equal(image, images[0]) for image in changed]
    assert sum(mirrored) + sum(kept) == 400
    assert 150 < sum(mirrored) < 250


def test_tuple_is_applied_in_turn():
    images = torch.rand(20, 1, 32, 32)
    changed = augment(images, lambda x: x + 1, lambda x: 2 * x)
    torch.testing.assert_close(changed, 2 * (images + 1))


@pytest.mark.slow
def test_fit_augmentation_is_used(digits):
    X, _, y, _ = digits
    plain = weights_of(Small(augmentation=None).fit(X, y))
    for augmentation in (*AUGMENTATIONS, ("shift", "flip"), ["shift"], torch.nn.Dropout(0.1)):
        assert not torch.equal(weights_of(Small(augmentation=augmentation).fit(X, y)), plain)
    identity = weights_of(Small(augmentation=torch.nn.Identity()).fit(X, y))
    assert torch.equal(identity, plain)


def test_fit_callable_gets_standardized_images_and_is_reproducible(digits):
    X, _, y, _ = digits
    seen = []

    def noise(images):
        seen.append(images)
        return images + 0.1 * torch.randn_like(images)

    first, second = (weights_of(Small(augmentation=noise).fit(X, y)) for _ in range(2))
    assert torch.equal(first, second)
    assert seen[0].shape == (32, 1, 32, 32)
    images = torch.cat(seen)
    assert abs(images.mean()) < 0.1
    assert abs(images.std() - 1) < 0.2


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        ("rotate", "'augmentation' parameter"),
        (3, "'augmentation' parameter"),
        (("shift", "rotate"), "augmentation must have callables and names of .* got 'rotate'"),
        (("shift", 3), "augmentation must have callables and names of .* got 3"),
        (lambda images: images[:2], r"return a tensor of the shape of the images, .* got .*\(2, 1"),
        (lambda images: None, "return a tensor of the shape of the images, .* got NoneType"),
    ],
    ids=["name", "number", "name in tuple", "number in tuple", "shape", "no result"],
)
def test_fit_invalid_augmentation_raises(augmentation, message, digits):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=message):
        Small(augmentation=augmentation).fit(X, y)


def test_fit_callable_module_is_not_trained(digits):
    X, _, y, _ = digits
    blur = torch.nn.Conv2d(1, 1, 3, padding=1)
    Small(augmentation=blur).fit(X, y)
    assert all(parameter.grad is None for parameter in blur.parameters())


def test_fit_callable_in_inference_mode_is_the_same(digits):
    X, _, y, _ = digits
    halve = torch.inference_mode()(lambda images: images * 0.5)
    found = weights_of(Small(augmentation=halve).fit(X, y))
    assert torch.equal(found, weights_of(Small(augmentation=lambda images: images * 0.5).fit(X, y)))


def test_fit_callable_returning_nan_is_blamed(digits):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match="diverged.* augmentation must return finite values"):
        Small(augmentation=lambda images: images * torch.nan).fit(X, y)


def test_fit_callable_changing_images_in_place_does_not_change_the_data(digits):
    X, _, y, _ = digits
    before = X.copy()
    expected = weights_of(Small(augmentation=lambda images: images * 0.5).fit(X, y))
    found = weights_of(Small(augmentation=lambda images: images.mul_(0.5)).fit(X, y))
    assert torch.equal(found, expected)
    np.testing.assert_array_equal(X, before)


def test_fit_table_is_not_augmented_by_default():
    X = np.random.default_rng(0).normal(size=(40, 9))
    y = np.arange(40) % 2
    for n_features, is_augmented in ((7, False), (9, True)):
        by_default = weights_of(Small().fit(X[:, :n_features], y))
        plain = weights_of(Small(augmentation=None).fit(X[:, :n_features], y))
        assert torch.equal(by_default, plain) != is_augmented
