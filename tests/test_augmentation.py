import torch

from sklenet.images._augmentation import MAX_SHIFT, random_affine


def test_random_affine_batch_keeps_shape_and_dtype():
    images = torch.rand(4, 3, 32, 32)
    changed = random_affine(images)
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype


def test_random_affine_equal_images_change_differently_within_range():
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 32, 32)
    image[:, :, 12:20, 12:20] = 1
    changed = random_affine(image.expand(200, 1, 32, 32))
    assert len(changed.flatten(1).unique(dim=0)) == 200
    mass = changed.sum(dim=(1, 2, 3))
    assert mass.min() > 0.75 * 64
    assert mass.max() < 1.35 * 64
    position = torch.arange(32.0) - 15.5
    for axis in (2, 3):
        center = (changed.sum(dim=(1, 5 - axis)) @ position) / mass
        assert center.abs().max() <= MAX_SHIFT * 1.2
        assert center.abs().max() > MAX_SHIFT * 0.8


def test_random_affine_constant_images_stay_constant():
    torch.testing.assert_close(random_affine(torch.ones(8, 1, 32, 32)), torch.ones(8, 1, 32, 32))


def test_random_affine_same_seed_gives_same_images():
    images = torch.rand(4, 1, 32, 32)
    torch.manual_seed(1)
    first = random_affine(images)
    torch.manual_seed(1)
    assert torch.equal(first, random_affine(images))
