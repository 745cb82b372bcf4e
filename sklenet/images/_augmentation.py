"""Random changes of training images that preserve their class.

Each takes a batch of images, a tensor of shape (n_samples, channels, height, width), and a
generator of any device, PyTorch's own of the CPU by default, and returns a tensor of the same shape
and type. Edge pixels are repeated outwards.
"""

import math
from functools import partial

import torch
from torch.nn import functional

__all__ = [
    "AUGMENTATIONS",
    "check_augmentation",
    "compose_augmentations",
    "random_affine",
    "random_elastic",
    "random_flip",
    "random_shift",
]

SHIFT = 1  # pixels along each axis, of "shift"
MAX_ROTATION = 10.0  # degrees, in either direction
MAX_SCALING = 0.1  # relative change of each side
MAX_SHIFT = 2.0  # pixels of the 32x32 image, along each axis
MAX_SHEAR = 0.2  # horizontal shift of a row per row of distance from the center
ELASTIC_NODES = 5  # displacements along each axis, interpolated between them
ELASTIC_STRENGTH = 1.0  # their standard deviation along each axis, in pixels


def random_shift(images, generator=None):
    """Shift each image by at most `SHIFT` whole pixels along each axis."""
    n_samples, _, height, width = images.shape
    options = {"generator": generator, "device": _device_of(generator)}
    offsets = torch.randint(-SHIFT, SHIFT + 1, (2, n_samples, 1), **options).to(images.device)
    rows = (torch.arange(height, device=images.device) + offsets[0]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) + offsets[1]).clamp(0, width - 1)
    return images.gather(2, rows[:, None, :, None].expand_as(images)).gather(
        3, columns[:, None, None, :].expand_as(images)
    )


def random_flip(images, generator=None):
    """Mirror each image horizontally with a probability of one half."""
    options = {"generator": generator, "device": _device_of(generator)}
    is_flipped = torch.rand(len(images), 1, 1, 1, **options) < 0.5
    return torch.where(is_flipped.to(images.device), images.flip(3), images)


def random_affine(images, generator=None):
    """Rotate, scale, shift and shear each image slightly.

    Each image has its own transformation, uniform within the ranges of this module. Values between
    pixels are interpolated bilinearly.
    """
    return _resample(images, _affine_grid(images, generator))


def random_elastic(images, generator=None):
    """Change each image as `random_affine` does, and bend it smoothly.

    The elastic distortions of P. Y. Simard, D. Steinkraus and J. C. Platt ("Best Practices for
    Convolutional Neural Networks Applied to Visual Document Analysis", ICDAR 2003), with normal
    displacements of the nodes of a coarse grid instead of a smoothed field of all pixels.
    """
    n_samples, _, height, width = images.shape
    grid = _affine_grid(images, generator)
    shape = (2, n_samples, ELASTIC_NODES, ELASTIC_NODES)
    nodes = torch.randn(shape, generator=generator, device=_device_of(generator)).to(images)
    rows, columns = (_interpolation(size, images.device).to(images) for size in (height, width))
    x, y = rows @ (nodes * ELASTIC_STRENGTH) @ columns.T
    # A grid measures in half image sides.
    return _resample(images, grid + torch.stack([x * (2 / width), y * (2 / height)], dim=-1))


def _interpolation(size, device):
    """Return the weights of the nodes in the bicubic interpolation of each pixel."""
    identity = torch.eye(ELASTIC_NODES, device=device)[None, None]
    shape = (size, ELASTIC_NODES)
    return functional.interpolate(identity, shape, mode="bicubic", align_corners=True)[0, 0]


def _affine_grid(images, generator):
    n_samples, _, height, width = images.shape
    uniform = torch.rand(6, n_samples, generator=generator, device=_device_of(generator))
    uniform = (uniform * 2 - 1).to(images.device)
    angle = math.radians(MAX_ROTATION) * uniform[0]
    scale_x, scale_y = 1 + MAX_SCALING * uniform[1:3]
    shear = MAX_SHEAR * uniform[3]
    # affine_grid measures in half image sides.
    shift_x, shift_y = MAX_SHIFT * uniform[4] * 2 / width, MAX_SHIFT * uniform[5] * 2 / height
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([scale_x * cos, scale_x * (shear * cos - sin), shift_x], dim=1),
            torch.stack([scale_y * sin, scale_y * (shear * sin + cos), shift_y], dim=1),
        ],
        dim=1,
    )
    return functional.affine_grid(theta.to(images.dtype), images.shape, align_corners=False)


def _device_of(generator):
    return "cpu" if generator is None else generator.device


def _resample(images, grid):
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


AUGMENTATIONS = {
    "shift": random_shift,
    "affine": random_affine,
    "elastic": random_elastic,
    "flip": random_flip,
}


def check_augmentation(augmentation):
    """Convert a parameter, None, a name, a callable or a sequence of these, to a tuple."""
    if augmentation is None:
        return ()
    is_one = isinstance(augmentation, str) or callable(augmentation)
    changes = (augmentation,) if is_one else tuple(augmentation)
    for each in changes:
        if not (callable(each) or (isinstance(each, str) and each in AUGMENTATIONS)):
            raise ValueError(
                f"augmentation must have callables and names of {sorted(AUGMENTATIONS)}, "
                f"got {each!r}."
            )
    return changes


def compose_augmentations(names_and_callables, generator=None):
    """Return a function of images that applies each in turn; None for none.

    A callable takes a batch of images and returns one of the same shape. It is not trained.
    """
    if not names_and_callables:
        return None
    changes = [
        partial(AUGMENTATIONS[each], generator=generator)
        if isinstance(each, str)
        else _Custom(each)
        for each in names_and_callables
    ]
    return _Composition(changes)


class _Composition:
    def __init__(self, changes):
        self.changes = changes

    @torch.no_grad()
    def __call__(self, images):
        for change in self.changes:
            images = change(images)
        return images


class _Custom:
    def __init__(self, change):
        self.change = change

    def __call__(self, images):
        changed = self.change(images)
        if not isinstance(changed, torch.Tensor) or changed.shape != images.shape:
            got = type(changed).__name__
            if isinstance(changed, torch.Tensor):
                got = f"one of shape {tuple(changed.shape)}"
            raise ValueError(
                f"augmentation={self.change!r} must return a tensor of the shape of the images, "
                f"{tuple(images.shape)}, got {got}."
            )
        changed = changed.to(images)
        return changed.clone() if changed.is_inference() else changed  # for the gradients
