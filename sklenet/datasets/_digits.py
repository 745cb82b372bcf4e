"""scikit-learn's bundled digits as images."""

import numpy as np
from sklearn.datasets import load_digits

__all__ = ["load_digits_images"]


def load_digits_images():
    """Load scikit-learn's bundled handwritten digits as images of bytes.

    These are the digits of :func:`sklearn.datasets.load_digits`, in the same order. Nothing is
    downloaded.

    Returns
    -------
    X : ndarray of shape (1797, 8, 8), dtype uint8
        The images, with pixels from 0 (background) to 16 (ink).
    y : ndarray of shape (1797,), dtype int64
        The digits that the images show, from 0 to 9.

    See Also
    --------
    fetch_mnist : 70,000 larger images of handwritten digits.

    Examples
    --------
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> X.shape, X.dtype, y[:5]
    ((1797, 8, 8), dtype('uint8'), array([0, 1, 2, 3, 4]))
    """
    digits = load_digits()
    return digits.images.astype(np.uint8), digits.target.astype(np.int64)
