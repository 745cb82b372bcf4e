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
def test_pixel_scaler_passes_scikit_learn_check(estimator, check):
    check(estimator)


def test_pixel_scaler_transform_divides_by_largest_training_pixel():
    scaler = PixelScaler().fit([[[0, 1], [2, 4]], [[0, 0], [-8, 0]]])
    assert scaler.scale_ == 8
    assert_array_equal(scaler.transform([[[16, 8], [4, 0]]]), [[2, 1, 0.5, 0]])


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_pixel_scaler_dtype_is_kept_or_float32(dtype, expected):
    assert PixelScaler().fit_transform(X[:5].astype(dtype)).dtype == expected


def test_pixel_scaler_black_images_stay_black():
    assert_array_equal(PixelScaler().fit_transform(np.zeros((2, 3, 3))), np.zeros((2, 9)))


def test_pixel_scaler_channels_are_put_in_order_of_training():
    images = np.random.default_rng(0).random((4, 8, 8, 3))
    scaler = PixelScaler().fit(images)
    assert_array_equal(
        scaler.transform(np.moveaxis(images, -1, 1)), scaler.transform(images.reshape(4, -1))
    )


@pytest.mark.parametrize(
    "shape", [(3, 10, 4), (4, 4, 3), (3, 4, 4), (3, 3, 3), (28, 28, 2), (5, 6, 7), (1, 8, 3)]
)
def test_pixel_scaler_ambiguous_channels_are_flattened_in_order_of_axes(shape):
    images = np.random.default_rng(0).random((4, *shape))
    scaler = PixelScaler().fit(images)
    assert_array_equal(scaler.transform(images), scaler.transform(images.reshape(4, -1)))
    with pytest.raises(ValueError, match="X must have images of") as error:
        scaler.transform(np.zeros((4, shape[0] + 1, *shape[1:])))
    assert "image_shape" not in str(error.value)


@pytest.mark.parametrize(
    "shape", [(2, 3, 0, 4), (2, 0, 8), (2, 1, 2, 3, 4), (8,), (), (0, 8, 8), (0, 3, 4, 4)], ids=str
)
def test_pixel_scaler_invalid_shape_raises_without_other_parameters(shape):
    with pytest.raises(ValueError, match=r"X must have|Expected 2D array|Found array") as error:
        PixelScaler().fit(np.zeros(shape))
    assert "image_shape" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "one"),
    [
        ((8, 8), (8, 8)),
        ((64,), (8, 8)),
        ((8, 8, 3), (8, 8, 3)),
        ((8, 8, 3), (3, 8, 8)),
        ((8, 6, 1), (8, 6, 1)),
    ],
)
def test_pixel_scaler_one_image_raises(shape, one):
    scaler = PixelScaler().fit(np.ones((5, *shape)))
    with pytest.raises(ValueError, match=r"got one image of shape .*: pass X\[np.newaxis\]\."):
        scaler.transform(np.ones(one))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([np.zeros((8, 8)), np.zeros((9, 8))], ValueError, "of different sizes: .8, 8., .9, 8."),
        (["a.png"], ValueError, "X must hold numbers, got file names such as 'a.png'"),
        (None, TypeError, "X must be an array, .* got None"),
        (np.zeros((2, 2), "datetime64[D]"), TypeError, "X must hold numbers, got the dtype"),
    ],
)
def test_pixel_scaler_not_numbers_raises(X, error, message):
    with pytest.raises(error, match=message):
        PixelScaler().fit(X)
    with pytest.raises(error, match=message):
        PixelScaler().fit(images).transform(X)


def test_pixel_scaler_three_times_a_square_is_silent():
    rows = np.ones((2, 3072))
    assert_array_equal(PixelScaler().fit_transform(rows), rows)


def test_pixel_scaler_images_of_other_size_raises():
    scaler = PixelScaler().fit(X)
    with pytest.raises(
        ValueError, match=r"X must have images of \(height, width, channels\) \(8, 8, 1\)"
    ):
        scaler.transform(X[:, :4])
    with pytest.raises(ValueError, match="X has 32 features, but PixelScaler is expecting 64"):
        scaler.transform(X[:, :4].reshape(len(X), -1))


def test_pixel_scaler_nan_raises():
    with pytest.raises(ValueError, match="Input X contains NaN"):
        PixelScaler().fit(np.full((2, 3, 3), np.nan))


def test_pixel_scaler_pickled_or_cloned_keeps_or_drops_state():
    scaler = PixelScaler().fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(scaler)).transform(X), scaler.transform(X))
    assert not hasattr(clone(scaler), "scale_")
