"""From a photograph of a handwritten digit to an image like those of MNIST."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._pixels import LUMA

__all__ = ["prepare_digit"]

_SIDE, _INNER = 28, 20  # pixels of MNIST's images, and of the longer side of the digit in them
_MAX_SIDE = 200  # larger images are first reduced, which also averages their noise
_MIN_CONTRAST = 8.0  # of ink, in standard deviations of the smoothed paper
_MIN_RANGE = 0.02  # of ink, relative to the largest pixel
_PAPER = 0.4  # of the pixels, at least: the digit may fill the image
_QUANTILE, _NORMAL_QUANTILE = 0.25, 0.3186  # of absolute values: of the pixels, of N(0, 1)
_SPECK = 0.1  # area of a part of the digit, relative to the largest part
_FAINT, _FULL = 0.3, 0.7  # shares of the ink's contrast that become 0 and 1


def prepare_digit(image: Any) -> NDArray[np.uint8]:
    """Convert a photograph or a scan of a handwritten digit to an image like those of MNIST.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, channels)
        One digit, gray or with 3 or 4 channels, of any size and number type: an array or a Pillow
        image. The digit is dark on light paper or light on a dark ground, and is surrounded by it.

    Returns
    -------
    ndarray of shape (28, 28), uint8
        The digit, bright on black, 20 pixels high or wide and centered by its mass.

    Raises
    ------
    ValueError
        If the shape is not that of an image, or if the paper does not have any ink.
    TypeError
        If the image does not hold numbers.

    See Also
    --------
    fetch_mnist : The images that it imitates.
    sklenet.ImageReader : Reads image files as they are.

    Notes
    -----
    The lighting of the paper is a quadratic surface, fitted to the pixels without the ink. Ink is
    what deviates from it, in the direction of the larger deviations; small specks are left out. The
    size and the centering are those of MNIST [1]_.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits",
       http://yann.lecun.com/exdb/mnist/.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.datasets import prepare_digit
    >>> paper = np.full((200, 100), 230, dtype=np.uint8)
    >>> paper[40:160, 45:55] = 60  # a one
    >>> image = prepare_digit(paper)
    >>> image.shape, int(image.max()), int((image.max(axis=1) > 0).sum())
    ((28, 28), 255, 20)
    """
    gray = _reduce(_to_gray(image))
    ink = _find_ink(gray)
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = _INNER / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    down, across = _weights(len(digit), height), _weights(digit.shape[1], width)
    small = down @ digit @ across.T
    small /= small.max()  # a thin line became gray
    square = np.zeros((2 * _SIDE, 2 * _SIDE))
    center = [
        np.average(np.arange(n), weights=small.sum(axis=1 - k)) for k, n in enumerate(small.shape)
    ]
    top, left = (round(_SIDE - 0.5 - middle) for middle in center)
    square[top : top + height, left : left + width] = small
    start, end = _SIDE // 2, _SIDE // 2 + _SIDE
    return np.rint(255 * square[start:end, start:end]).astype(np.uint8)


def _to_gray(image):
    if type(image).__module__.startswith("PIL."):
        from .._pillow import read_gray

        image = read_gray(image)  # also of palettes, and turned by its EXIF orientation
    pixels = np.asarray(image)
    if pixels.dtype.kind not in "biuf":
        raise TypeError(f"image must hold numbers, got the dtype {pixels.dtype}.")
    pixels = pixels.astype(np.float64)
    if pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4):
        opacity = (
            pixels[..., 3] / (255 if pixels[..., 3].max() > 1 else 1) if pixels.shape[2] == 4 else 1
        )
        white = 255 if pixels.max() > 1 else 1
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3] @ LUMA
        pixels = opacity * pixels + (1 - opacity) * white
    if pixels.ndim != 2 or min(pixels.shape) < 3:
        raise ValueError(
            "image must have the shape (height, width), or (height, width, channels) with 1, 3 or "
            f"4 channels, and at least 3x3 pixels, got {np.shape(image)}."
        )
    if not np.isfinite(pixels).all():
        raise ValueError("image must have finite pixels, got NaN or infinity.")
    return pixels


def _reduce(gray):
    """Average blocks of pixels of a large image."""
    block = -(-max(gray.shape) // _MAX_SIDE)
    height, width = (max(1, side // block) for side in gray.shape)
    if block == 1 or min(gray.shape) < block:
        return gray
    blocks = gray[: height * block, : width * block].reshape(height, block, width, block)
    return blocks.mean(axis=(1, 3))


def _find_ink(gray):
    """Return the strength of the ink, from 0 to 1, without specks."""
    smooth = ndimage.gaussian_filter(gray, max(gray.shape) / 200)
    residual = smooth - _fit_paper(smooth)
    distance = np.abs(residual)
    residual -= np.median(residual[distance <= np.quantile(distance, _PAPER)])
    noise = np.quantile(np.abs(residual), _QUANTILE) / _NORMAL_QUANTILE
    below, above = -residual.min(), residual.max()
    ink = residual if above > below else -residual
    contrast = ink.max()
    if not contrast > max(_MIN_CONTRAST * noise, _MIN_RANGE * np.abs(gray).max()):
        raise ValueError(
            "image must show a digit with paper around it, got one in which ink and paper cannot "
            "be told apart."
        )
    peak = np.median(ink[ink > contrast / 2])
    ink = np.clip((ink / peak - _FAINT) / (_FULL - _FAINT), 0, 1)
    parts, n_parts = ndimage.label(ink > 0, structure=np.ones((3, 3)))
    areas = ndimage.sum_labels(ink, parts, range(n_parts + 1))
    areas[0] = 0
    return np.where((areas >= _SPECK * areas.max())[parts], ink, 0)


def _fit_paper(gray):
    """Fit a quadratic surface to the paper, without the pixels that deviate from it.

    They become fewer from one fit to the next, as in least trimmed squares.
    """
    y, x = (np.linspace(-1, 1, side) for side in gray.shape)
    y, x = np.meshgrid(y, x, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = gray.ravel()
    surface = np.full(
        len(values), np.median(np.concatenate([gray[[0, -1]].ravel(), gray[:, [0, -1]].ravel()]))
    )
    spread = np.abs(values - surface).max() / 2
    for _ in range(8):
        deviation = np.abs(values - surface)
        kept = deviation <= max(spread, np.quantile(deviation, _PAPER))
        surface = terms @ np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        spread /= 1.5
    return surface.reshape(gray.shape)


def _weights(side, resized):
    """Return the weights of the pixels along an axis in each pixel of a resized one."""
    scale = side / resized
    centers = (np.arange(resized) + 0.5) * scale - 0.5
    weights = 1 - np.abs(np.arange(side) - centers[:, None]) / max(1.0, scale)
    weights = np.maximum(weights, 0)
    return weights / weights.sum(axis=1, keepdims=True)
