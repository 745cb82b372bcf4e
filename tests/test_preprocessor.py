import pickle

import numpy as np
import pytest
import torch

from sklenet.images import ImageLayout, ImagePreprocessor, as_tensor


def to_batch(X, image_shape=None, fitted_on=None):
    """Convert X to images for the network, with the statistics of `fitted_on`."""
    fitted_on = X if fitted_on is None else fitted_on
    layout = ImageLayout.from_images(fitted_on, image_shape)
    rows, fitted_rows = (as_tensor(np.asarray(layout.flatten(images))) for images in (X, fitted_on))
    return ImagePreprocessor(layout).fit(fitted_rows)(rows)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_preprocessor_any_layout_gives_same_batch(rng):
    images = rng.integers(0, 256, (5, 20, 28, 3), dtype=np.uint8)
    expected = to_batch(images)
    first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    torch.testing.assert_close(to_batch(first), expected)
    torch.testing.assert_close(to_batch(images.reshape(5, -1), image_shape=(20, 28, 3)), expected)
    torch.testing.assert_close(to_batch(first, fitted_on=images), expected)
    torch.testing.assert_close(to_batch(images, fitted_on=first), expected)


def test_preprocessor_flat_rows_have_layout_of_training_images(rng):
    first = rng.integers(0, 256, (5, 3, 28, 28), dtype=np.uint8)
    torch.testing.assert_close(to_batch(first.reshape(5, -1), fitted_on=first), to_batch(first))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
    + ["float16", "float32", "float64", "longdouble", ">i4", ">f8"],
)  # fmt: skip
def test_preprocessor_any_dtype_gives_same_batch(rng, dtype):
    images = rng.integers(0, 100, (5, 28, 28))
    torch.testing.assert_close(to_batch(images.astype(dtype)), to_batch(images.astype(float)))


def test_preprocessor_booleans_are_zeros_and_ones(rng):
    images = rng.integers(0, 2, (5, 28, 28))
    torch.testing.assert_close(to_batch(images.astype(bool)), to_batch(images.astype(float)))


def test_as_tensor_array_shares_dtype_and_memory(rng):
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    pixels = as_tensor(ImageLayout.from_images(images).flatten(images))
    assert pixels.dtype == torch.uint8
    assert pixels.data_ptr() == images.ctypes.data
    table = rng.normal(size=(5, 784))
    assert as_tensor(ImageLayout.from_images(table).flatten(table)).data_ptr() == table.ctypes.data


def test_as_tensor_memory_map_shares_memory(rng, tmp_path):
    np.save(tmp_path / "X.npy", rng.integers(0, 256, (5, 28, 28), dtype=np.uint8))
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    pixels = as_tensor(ImageLayout.from_images(on_disk).flatten(on_disk))
    assert pixels.data_ptr() == on_disk.ctypes.data


def test_as_tensor_read_only_or_reversed_equals_array(rng):
    images = rng.normal(size=(5, 784))
    expected = torch.from_numpy(images.copy())
    images.flags.writeable = False
    torch.testing.assert_close(as_tensor(images), expected)
    torch.testing.assert_close(as_tensor(images[::-1]), expected.flip(0))


def test_preprocessor_24_to_32_pixels_are_centered_with_repeated_edges(rng):
    images = rng.normal(size=(4, 28, 25))
    batch = to_batch(images)
    standardized = torch.from_numpy((images - images.mean()) / images.std()).float()
    assert batch.shape == (4, 1, 32, 32)
    torch.testing.assert_close(batch[:, 0, 2:30, 3:28], standardized)
    torch.testing.assert_close(batch[:, 0, 0, 3:28], standardized[:, 0])
    torch.testing.assert_close(batch[:, 0, 2:30, 31], standardized[:, :, -1])


def test_preprocessor_32_pixels_are_standardized_only(rng):
    images = rng.normal(size=(4, 32, 32))
    expected = torch.from_numpy((images - images.mean()) / images.std()).float()
    torch.testing.assert_close(to_batch(images)[:, 0], expected)


@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (10, 20), (200, 50), (1, 100), (24, 40)])
def test_preprocessor_other_sizes_are_resampled_with_aspect_ratio(shape):
    """A gradient from left to right is preserved, and edges are repeated on the shorter side."""
    images = np.tile(np.linspace(0, 1, shape[1]), (2, shape[0], 1))
    batch = to_batch(images)
    assert batch.shape == (2, 1, 32, 32)
    assert (batch.diff(dim=3) >= -1e-5).all()
    width = max(1, round(shape[1] * 32 / max(shape)))
    assert (batch[0, 0, 0].diff().abs() > 1e-4).sum() <= width
    torch.testing.assert_close(batch[:, :, 0], batch[:, :, -1])


def test_preprocessor_large_images_are_antialiased():
    """A chessboard of single pixels becomes gray, not a coarser chessboard."""
    chessboard = np.indices((128, 128)).sum(axis=0) % 2
    batch = to_batch(np.stack([chessboard, 1 - chessboard]).astype(np.uint8) * 255)
    assert batch[:, :, 2:-2, 2:-2].abs().max() < 0.1


def test_preprocessor_channels_are_standardized_separately(rng):
    images = rng.normal(size=(50, 28, 28, 3)) * [1, 10, 100] + [5, 50, 500]
    batch = to_batch(images)[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(batch.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.var(dim=(0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_preprocessor_fit_weights_equal_repetitions(rng):
    rows = rng.normal(size=(3, 64))
    pixels, weight = as_tensor(rows), torch.tensor([1.0, 3.0, 0.0]).double()
    weighted = ImagePreprocessor(ImageLayout(8, 8)).fit(pixels, weight)
    repeated = ImagePreprocessor(ImageLayout(8, 8)).fit(pixels, index=torch.tensor([0, 1, 1, 1]))
    torch.testing.assert_close(weighted.mean, repeated.mean)
    torch.testing.assert_close(weighted.std, repeated.std)


def test_preprocessor_large_offset_keeps_precision(rng):
    images = rng.normal(size=(4, 32, 32))
    torch.testing.assert_close(to_batch(images + 1e9), to_batch(images), atol=1e-5, rtol=0)


def test_preprocessor_table_is_padded_with_mean(rng):
    table = rng.normal(loc=1000, size=(10, 3))
    batch = to_batch(table)
    assert batch.shape == (10, 1, 32, 32)
    assert batch.abs().max() < 5
    torch.testing.assert_close(batch[:, 0, -1, -1], torch.zeros(10), atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [7, 255, 0.1, 1 / 3, -1e9])
def test_preprocessor_constant_channel_stays_small(value):
    """A small difference from the constant stays small."""
    constant = np.full((30, 28, 28), value)
    assert to_batch(constant).abs().max() < 1e-6
    assert to_batch(constant + 1e-3, fitted_on=constant).abs().max() < 1e-2


def test_preprocessor_fit_overflowing_variance_raises():
    with pytest.raises(ValueError, match="too large: their variance overflows"):
        to_batch(np.array([[1e300, -1e300, 0, 0]]))


def test_preprocessor_fit_rows_of_weight_zero_are_left_out(rng):
    # So large that each row is a chunk of the summation.
    rows = torch.from_numpy(rng.normal(size=(3, 512 * 512)))
    layout = ImageLayout(512, 512)
    fitted = ImagePreprocessor(layout).fit(rows, torch.tensor([1.0, 0.0, 1.0]).double())
    expected = ImagePreprocessor(layout).fit(rows[[0, 2]])
    torch.testing.assert_close(fitted.mean, expected.mean)
    torch.testing.assert_close(fitted.std, expected.std)


def test_preprocessor_pickled_gives_same_images(rng):
    rows = torch.from_numpy(rng.normal(size=(5, 784)))
    preprocessor = ImagePreprocessor(ImageLayout(28, 28)).fit(rows)
    loaded = pickle.loads(pickle.dumps(preprocessor))
    assert torch.equal(loaded(rows), preprocessor(rows))


@pytest.mark.parametrize(
    "shape", [(28, 28), (8, 8), (100, 60), (24, 31), (33, 20), (500, 3), (40, 1), (1, 40)]
)
def test_preprocessor_resampling_weights_make_same_images(shape, rng):
    rows = torch.from_numpy(rng.normal(size=(3, shape[0] * shape[1])))
    preprocessor = ImagePreprocessor(ImageLayout(*shape)).fit(rows)
    images = ((rows - preprocessor.mean[0]) / preprocessor.std[0]).float().view(3, *shape)
    left, right = preprocessor.resampling_weights()
    expected = preprocessor(rows)[:, 0]
    torch.testing.assert_close(left @ images @ right.T, expected, atol=1e-5, rtol=0)


def test_preprocessor_fit_finds_range():
    preprocessor = ImagePreprocessor(ImageLayout(1, 2)).fit(torch.tensor([[3, 250], [-2, 7]]))
    assert (preprocessor.low, preprocessor.high) == (-2, 250)
