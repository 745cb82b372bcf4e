"""The mosaics of the displays."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklenet.plotting._style import mosaic


@pytest.mark.parametrize(
    ("n_images", "shape"), [(32, (4, 8)), (60, (6, 10)), (11, (3, 5)), (7, (1, 7)), (1, (1, 1))]
)
def test_mosaic_any_number_has_each_image_once(n_images, shape):
    images = np.arange(1.0, n_images + 1)[:, None, None] * np.ones((1, 3, 3))
    tiles = mosaic(images)
    assert tiles.shape == tuple(4 * n - 1 for n in shape)
    seen, counts = np.unique(tiles[np.isfinite(tiles)], return_counts=True)
    assert_array_equal(seen, np.arange(1, n_images + 1))
    assert set(counts) == {9}


def test_mosaic_given_columns_has_them_and_fills_with_nan():
    tiles = mosaic(np.ones((3, 2, 2)), n_columns=2)
    assert tiles.shape == (5, 5)
    assert np.isnan(tiles[:, 2]).all()
    assert np.isnan(tiles[3:, 3:]).all()
    assert np.nansum(tiles) == 12
