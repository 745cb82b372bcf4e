import torch

from sklenet.images._augmentation import MAX_SHIFT, random_affine


def test_shape_and_type_stay():
    images = torch.rand(4, 3, 32, 32)
    changed = random_affine(images)
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype


def test_each_image_is_changed_by_itself_and_a_little():
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
        centre = (changed.sum(dim=(1, 5 - axis)) @ position) / mass
        assert centre.abs().max() <= MAX_SHIFT * 1.2
        assert centre.abs().max() > MAX_SHIFT * 0.8


def test_constant_images_stay_constant():
    torch.testing.assert_close(random_affine(torch.ones(8, 1, 32, 32)), torch.ones(8, 1, 32, 32))


def test_the_generator_of_torch_decides():
    images = torch.rand(4, 1, 32, 32)
    torch.manual_seed(1)
    first = random_affine(images)
    torch.manual_seed(1)
    assert torch.equal(first, random_affine(images))
