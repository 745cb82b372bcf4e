import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet.comparison import PixelScaler
from sklenet.datasets import load_digits_images

images, y = load_digits_images()
X = images


@parametrize_with_checks([PixelScaler()])
def test_the_scaler_is_a_scikit_learn_transformer(estimator, check):
    check(estimator)


def test_the_scaler_divides_all_pixels_by_the_largest_of_the_training_images():
    scaler = PixelScaler().fit([[[0, 1], [2, 4]], [[0, 0], [-8, 0]]])
    assert scaler.scale_ == 8
    assert_array_equal(scaler.transform([[[16, 8], [4, 0]]]), [[2, 1, 0.5, 0]])


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_the_scaler_keeps_float64_and_makes_float32_of_the_rest(dtype, expected):
    assert PixelScaler().fit_transform(X[:5].astype(dtype)).dtype == expected


def test_the_scaler_leaves_black_images_black():
    assert_array_equal(PixelScaler().fit_transform(np.zeros((2, 3, 3))), np.zeros((2, 9)))


def test_the_scaler_puts_channels_in_one_order():
    images = np.random.default_rng(0).random((4, 8, 8, 3))
    scaler = PixelScaler().fit(images)
    assert_array_equal(
        scaler.transform(np.moveaxis(images, -1, 1)), scaler.transform(images.reshape(4, -1))
    )


def test_the_scaler_refuses_images_of_another_size():
    scaler = PixelScaler().fit(X)
    with pytest.raises(
        ValueError, match=r"X must have images of \(height, width, channels\) \(8, 8, 1\)"
    ):
        scaler.transform(X[:, :4])
    with pytest.raises(ValueError, match="X has 32 features, but PixelScaler is expecting 64"):
        scaler.transform(X[:, :4].reshape(len(X), -1))


def test_the_scaler_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="Input X contains NaN"):
        PixelScaler().fit(np.full((2, 3, 3), np.nan))


def test_the_scaler_survives_pickle_and_clone():
    scaler = PixelScaler().fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(scaler)).transform(X), scaler.transform(X))
    assert not hasattr(clone(scaler), "scale_")
