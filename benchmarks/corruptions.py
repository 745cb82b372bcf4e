"""Images made harder to recognise: shifted, rotated, scaled, blurred, noisy, occluded, inverted.

Each function takes images of shape (n_samples, height, width), whose pixels are numbers from zero
(background) up, the strength of the corruption, and a NumPy `RandomState` for what chance decides
about each image. It returns corrupted images of the same shape and type; those given stay as they
are. What moves into an image is background, what moves out is lost. Values between pixels are
interpolated linearly. A strength that leaves the images as they are is named at each function.
"""

import numpy as np
from scipy import ndimage

__all__ = ["CORRUPTIONS", "blur", "invert", "noise", "occlude", "rotate", "scale", "shift"]


def shift(images, strength, random_state):
    """Shift each image by `strength` pixels up, down, left or right; 0 is no corruption."""
    directions = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
    chosen = random_state.randint(4, size=len(images))
    shifted = np.empty_like(images)
    for number, direction in enumerate(directions):
        offsets = (0, *(strength * direction))
        shifted[chosen == number] = ndimage.shift(images[chosen == number], offsets, order=1)
    return shifted


def rotate(images, strength, random_state):
    """Rotate each image by `strength` degrees to the left or to the right; 0 is no corruption."""
    to_the_left = random_state.rand(len(images)) < 0.5
    rotated = np.empty_like(images)
    for chosen, angle in ((to_the_left, strength), (~to_the_left, -strength)):
        rotated[chosen] = ndimage.rotate(images[chosen], angle, axes=(2, 1), reshape=False, order=1)
    return rotated


def scale(images, strength, random_state):
    """Scale each image by `strength` around its centre; 1 is no corruption, 0.5 half the size."""
    if strength < 1:  # against aliasing: each pixel of the smaller image is a mean of several
        images = blur(images, (1 / strength - 1) / 2, random_state)
    centre = (np.array(images.shape[1:]) - 1) / 2
    offset = centre - centre / strength
    return ndimage.affine_transform(images, (1, 1 / strength, 1 / strength), (0, *offset), order=1)


def blur(images, strength, random_state):
    """Blur with a Gaussian of standard deviation `strength` pixels; 0 is no corruption."""
    blurred = ndimage.gaussian_filter(
        images.astype(float), (0, strength, strength), mode="constant"
    )
    return _to_type(blurred, images.dtype)


def noise(images, strength, random_state):
    """Add Gaussian noise; 0 is no corruption.

    Its standard deviation is `strength` times the largest pixel; pixels stay between zero and that.
    """
    largest = images.max()
    noisy = images + random_state.normal(0, strength * largest, images.shape)
    return _to_type(noisy.clip(0, largest), images.dtype)


def occlude(images, strength, random_state):
    """Set a square of `strength` by `strength` pixels, anywhere in the image, to background."""
    height, width = images.shape[1:]
    top = random_state.randint(height - strength + 1, size=len(images))[:, None, None]
    left = random_state.randint(width - strength + 1, size=len(images))[:, None, None]
    row, column = np.arange(height)[:, None], np.arange(width)
    in_rows = (row >= top) & (row < top + strength)
    in_columns = (column >= left) & (column < left + strength)
    return np.where(in_rows & in_columns, images.dtype.type(0), images)


def invert(images, strength, random_state):
    """Move the pixels towards their negative: 0 is no corruption, 1 the negative."""
    largest = images.max()
    mixed = (1 - strength) * images.astype(float) + strength * (largest - images.astype(float))
    return _to_type(mixed, images.dtype)


def _to_type(values, dtype):
    return (values.round() if dtype.kind in "iu" else values).astype(dtype)


CORRUPTIONS = {
    "shift": shift,
    "rotate": rotate,
    "scale": scale,
    "blur": blur,
    "noise": noise,
    "occlude": occlude,
    "invert": invert,
}
