import numpy as np
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from sklenet.datasets import load_digits_images


def test_load_digits_images_equals_load_digits():
    X, y = load_digits_images()
    assert (X.shape, X.dtype, y.dtype) == ((1797, 8, 8), np.uint8, np.int64)
    assert (X.min(), X.max()) == (0, 16)
    assert_array_equal(X, load_digits().images)
    assert_array_equal(y, load_digits().target)
