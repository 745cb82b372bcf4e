"""Corruptions of images.

Each function takes images of shape (n_samples, height, width) with pixels from zero (background)
on, the strength of the corruption, and a NumPy `RandomState`. It returns images of the same shape
and dtype. Pixels moved into an image are background; interpolation is linear.
"""

import numpy as np
from scipy import ndimage


def shift(images, strength, random_state):
    """Shift each image by `strength` pixels up, down, left or right."""
    directions = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
    chosen = random_state.randint(4, size=len(images))
    shifted = np.empty_like(images)
    for number, direction in enumerate(directions):
        offsets = (0, *(strength * direction))
        shifted[chosen == number] = ndimage.shift(images[chosen == number], offsets, order=1)
    return shifted


def rotate(images, strength, random_state):
    """Rotate each image by `strength` degrees to the left or to the right."""
    to_the_left = random_state.rand(len(images)) < 0.5
    rotated = np.empty_like(images)
    for chosen, angle in ((to_the_left, strength), (~to_the_left, -strength)):
        rotated[chosen] = ndimage.rotate(images[chosen], angle, axes=(2, 1), reshape=False, order=1)
    return rotated


def scale(images, strength, random_state):
    """Scale each image by the factor `strength` around its center."""
    if strength < 1:  # against aliasing: each pixel of the smaller image is a mean of several
        images = blur(images, (1 / strength - 1) / 2, random_state)
    center = (np.array(images.shape[1:]) - 1) / 2
    offset = center - center / strength
    return ndimage.affine_transform(images, (1, 1 / strength, 1 / strength), (0, *offset), order=1)


def blur(images, strength, random_state):
    """Blur with a Gaussian of standard deviation `strength` pixels."""
    sigma = (0, strength, strength)
    return _to_dtype(ndimage.gaussian_filter(images.astype(float), sigma, mode="constant"), images)


def noise(images, strength, random_state):
    """Add Gaussian noise of standard deviation `strength` times the largest pixel, and clip."""
    largest = images.max()
    noisy = images + random_state.normal(0, strength * largest, images.shape)
    return _to_dtype(noisy.clip(0, largest), images)


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
    """Mix each image with its negative, in the share `strength`."""
    pixels = images.astype(float)
    return _to_dtype((1 - strength) * pixels + strength * (images.max() - pixels), images)


def _to_dtype(values, images):
    return (values.round() if images.dtype.kind in "iu" else values).astype(images.dtype)


CORRUPTIONS = {
    function.__name__: function for function in (shift, rotate, scale, blur, noise, occlude, invert)
}
