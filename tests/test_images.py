import numpy as np
import pytest
import torch

from sklenet.images import ImageFormat, as_array, as_tensor


def to_batch(X, image_shape=None, fitted_on=None):
    """The images of X for the network, with the statistics of `fitted_on`."""
    fitted_on = X if fitted_on is None else fitted_on
    image_format = ImageFormat(fitted_on, image_shape)
    pixels = as_tensor(np.asarray(image_format.flatten(fitted_on)))
    image_format.measure(pixels, torch.arange(len(pixels)), torch.ones(len(pixels)).double())
    return image_format.batch(as_tensor(np.asarray(image_format.flatten(X))))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected", "channels_first"),
    [
        ((2, 64), None, (8, 8, 1), False),
        ((2, 65), None, (9, 9, 1), False),
        ((2, 2), None, (2, 2, 1), False),
        ((2, 60), (6, 10), (6, 10, 1), False),
        ((2, 60), (4, 5, 3), (4, 5, 3), False),
        ((2, 6, 10), None, (6, 10, 1), False),
        ((2, 3, 10), None, (3, 10, 1), False),
        ((2, 6, 10, 3), None, (6, 10, 3), False),
        ((2, 6, 10, 4), None, (6, 10, 4), False),
        ((2, 6, 10, 1), None, (6, 10, 1), False),
        ((2, 3, 6, 10), None, (6, 10, 3), True),
        ((2, 2, 6, 10), None, (6, 10, 2), True),
        ((2, 3, 10, 3), (3, 10, 3), (3, 10, 3), False),
        ((2, 3, 10, 4), (10, 4, 3), (10, 4, 3), True),
        ((2, 28, 28, 2), (28, 28, 2), (28, 28, 2), False),
        ((2, 12, 10, 11), (10, 11, 12), (10, 11, 12), True),
    ],
)
def test_shape_of_the_images(shape, image_shape, expected, channels_first):
    image_format = ImageFormat(np.zeros(shape), image_shape)
    assert image_format.shape == expected
    assert image_format.channels_first == channels_first


@pytest.mark.parametrize(
    ("shape", "image_shape", "message"),
    [
        (
            (2, 3, 10, 4),
            None,
            r"position of the channels is ambiguous.*\(2, 3, 10, 4\).*image_shape",
        ),
        (
            (2, 65),
            (8, 8),
            r"X has 65 features, but image_shape=\(8, 8, 1\) has 64 pixels",
        ),
        ((2, 9, 8), (8, 8), r"X has images of shape \(9, 8\); expected the .* \(8, 8, 1\)"),
        ((2, 8, 8, 3), (8, 8), r"X has images of shape \(8, 8, 3\); expected the"),
        ((2, 8, 8, 3, 1), None, "X must have the shape"),
        ((2, 28, 28, 2), None, "position of the channels is ambiguous"),
        ((2, 55), (4, 5, 3), r"X has 55 features, but image_shape=\(4, 5, 3\) has 60 pixels"),
        ((2, 0, 8), None, "X has images without pixels"),
    ],
)
def test_what_is_no_image_is_refused(shape, image_shape, message):
    with pytest.raises(ValueError, match=message):
        ImageFormat(np.zeros(shape), image_shape)


def test_all_layouts_of_the_same_images_are_the_same_batch(rng):
    images = rng.integers(0, 256, (5, 20, 28, 3), dtype=np.uint8)
    expected = to_batch(images)
    first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    torch.testing.assert_close(to_batch(first), expected)
    torch.testing.assert_close(to_batch(images.reshape(5, -1), image_shape=(20, 28, 3)), expected)
    torch.testing.assert_close(to_batch(first, fitted_on=images), expected)
    torch.testing.assert_close(to_batch(images, fitted_on=first), expected)


def test_flat_rows_are_read_in_the_layout_of_the_training_images(rng):
    first = rng.integers(0, 256, (5, 3, 28, 28), dtype=np.uint8)
    torch.testing.assert_close(to_batch(first.reshape(5, -1), fitted_on=first), to_batch(first))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
    + ["float16", "float32", "float64", "longdouble", ">i4", ">f8"],
)  # fmt: skip
def test_any_number_type_gives_the_same_batch(rng, dtype):
    images = rng.integers(0, 100, (5, 28, 28))
    torch.testing.assert_close(to_batch(images.astype(dtype)), to_batch(images.astype(float)))


def test_booleans_are_zeros_and_ones(rng):
    images = rng.integers(0, 2, (5, 28, 28))
    torch.testing.assert_close(to_batch(images.astype(bool)), to_batch(images.astype(float)))


def test_pixels_keep_their_type_and_memory(rng):
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    pixels = as_tensor(ImageFormat(images).flatten(images))
    assert pixels.dtype == torch.uint8
    assert pixels.data_ptr() == images.ctypes.data
    table = rng.normal(size=(5, 784))
    assert as_tensor(ImageFormat(table).flatten(table)).data_ptr() == table.ctypes.data


def test_a_memory_map_stays_on_disk(rng, tmp_path):
    np.save(tmp_path / "X.npy", rng.integers(0, 256, (5, 28, 28), dtype=np.uint8))
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    pixels = as_tensor(ImageFormat(on_disk).flatten(on_disk))
    assert pixels.data_ptr() == on_disk.ctypes.data


def test_read_only_memory_and_negative_strides_are_read(rng):
    images = rng.normal(size=(5, 784))
    expected = torch.from_numpy(images.copy())
    images.flags.writeable = False
    torch.testing.assert_close(as_tensor(images), expected)
    torch.testing.assert_close(as_tensor(images[::-1]), expected.flip(0))


def test_images_of_24_to_32_pixels_are_centred_and_their_edges_repeated(rng):
    images = rng.normal(size=(4, 28, 25))
    batch = to_batch(images)
    standardised = torch.from_numpy((images - images.mean()) / images.std()).float()
    assert batch.shape == (4, 1, 32, 32)
    torch.testing.assert_close(batch[:, 0, 2:30, 3:28], standardised)
    torch.testing.assert_close(batch[:, 0, 0, 3:28], standardised[:, 0])
    torch.testing.assert_close(batch[:, 0, 2:30, 31], standardised[:, :, -1])


def test_images_of_32_pixels_stay_as_they_are(rng):
    images = rng.normal(size=(4, 32, 32))
    expected = torch.from_numpy((images - images.mean()) / images.std()).float()
    torch.testing.assert_close(to_batch(images)[:, 0], expected)


@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (10, 20), (200, 50), (1, 100), (24, 40)])
def test_other_sizes_are_resampled_with_their_aspect_ratio(shape):
    """A gradient from left to right stays one, and the shorter side has repeated edges."""
    images = np.tile(np.linspace(0, 1, shape[1]), (2, shape[0], 1))
    batch = to_batch(images)
    assert batch.shape == (2, 1, 32, 32)
    assert (batch.diff(dim=3) >= -1e-5).all()
    width = max(1, round(shape[1] * 32 / max(shape)))
    assert (batch[0, 0, 0].diff().abs() > 1e-4).sum() <= width
    torch.testing.assert_close(batch[:, :, 0], batch[:, :, -1])


def test_downsampling_is_antialiased():
    """A chessboard of single pixels becomes grey, not a coarser chessboard."""
    chessboard = np.indices((128, 128)).sum(axis=0) % 2
    batch = to_batch(np.stack([chessboard, 1 - chessboard]).astype(np.uint8) * 255)
    assert batch[:, :, 2:-2, 2:-2].abs().max() < 0.1


def test_channels_are_standardised_by_themselves(rng):
    images = rng.normal(size=(50, 28, 28, 3)) * [1, 10, 100] + [5, 50, 500]
    batch = to_batch(images)[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(batch.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.var(dim=(0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_statistics_are_weighted(rng):
    rows = rng.normal(size=(3, 64))
    weighted, repeated = ImageFormat(rows), ImageFormat(rows)
    weighted.measure(as_tensor(rows), torch.arange(3), torch.tensor([1.0, 3.0, 0.0]).double())
    repeated.measure(as_tensor(rows), torch.tensor([0, 1, 1, 1]), torch.ones(4).double())
    torch.testing.assert_close(weighted.mean, repeated.mean)
    torch.testing.assert_close(weighted.std, repeated.std)


def test_large_offsets_lose_no_precision(rng):
    images = rng.normal(size=(4, 32, 32))
    torch.testing.assert_close(to_batch(images + 1e9), to_batch(images), atol=1e-5, rtol=0)


def test_padding_of_a_table_takes_the_mean(rng):
    table = rng.normal(loc=1000, size=(10, 3))
    batch = to_batch(table)
    assert batch.shape == (10, 1, 32, 32)
    assert batch.abs().max() < 5
    torch.testing.assert_close(batch[:, 0, -1, -1], torch.zeros(10), atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [7, 255, 0.1, 1 / 3, -1e9])
def test_a_constant_channel_stays_harmless(value):
    """What differs from the constant later is not blown up."""
    constant = np.full((30, 28, 28), value)
    assert to_batch(constant).abs().max() < 1e-6
    assert to_batch(constant + 1e-3, fitted_on=constant).abs().max() < 1e-2


def test_values_with_an_overflowing_variance_are_refused():
    with pytest.raises(ValueError, match="too large: their variance overflows"):
        to_batch(np.array([[1e300, -1e300, 0, 0]]))


def test_later_images_must_have_the_shape_of_the_first(rng):
    image_format = ImageFormat(np.zeros((2, 28, 28)))
    with pytest.raises(ValueError, match=r"X has images of shape \(27, 28\); expected .*28, 28, 1"):
        image_format.flatten(np.zeros((2, 27, 28)))


def test_as_array_takes_tensors_lists_and_anything_with_an_array():
    class Images:
        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 3, 3))

    assert as_array(torch.ones(2, 3, requires_grad=True)).shape == (2, 3)
    assert as_array(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == np.float32
    assert as_array([[1, 2], [3, 4]]).shape == (2, 2)
    assert as_array(Images()).shape == (2, 3, 3)
