"""From image files to an array."""

import io
import os
import pickle
import struct
import sys
import warnings
import zlib
from collections import deque

import numpy as np
import pytest
import torch
from helpers import Small
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sklenet import ImageReader
from sklenet.comparison import METHODS, compare_methods, make_method

RAMP = np.add.outer(np.arange(30), 3 * np.arange(40)).astype(np.uint8)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def ramp(mode="L", dtype=np.uint8):
    return Image.fromarray(RAMP.astype(dtype)).convert(mode)


def color(mode="RGB"):
    """Red in the left half and blue in the right one."""
    image = Image.new("RGB", (40, 30), RED)
    image.paste(BLUE, (20, 0, 40, 30))
    return image.convert(mode)


def encoded(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def read(*sources, **parameters):
    return ImageReader(**parameters).fit_transform(list(sources))


GRAY_FILES = {
    "PNG": (ramp(), {}),
    "BMP": (ramp(), {}),
    "GIF": (ramp(), {}),
    "TIFF": (ramp(), {}),
    "TIFF of LZW": (ramp(), {"compression": "tiff_lzw"}),
    "PPM": (ramp(), {}),
    "TGA": (ramp(), {}),
    "PCX": (ramp(), {}),
    "SGI": (ramp(), {}),
    "PNG of LA": (ramp("LA"), {}),
    "PNG of P": (ramp("P"), {}),
}


@pytest.mark.parametrize("name", GRAY_FILES)
def test_reader_gray_file_has_its_pixels(name):
    image, options = GRAY_FILES[name]
    (pixels,) = read(encoded(image, name.split()[0], **options))
    assert pixels.dtype == np.uint8
    assert_array_equal(pixels, RAMP)


COLOR_FILES = {
    "PNG": ("RGB", {}),
    "BMP": ("RGB", {}),
    "GIF": ("RGB", {}),
    "TIFF": ("RGB", {}),
    "PPM": ("RGB", {}),
    "WEBP": ("RGB", {"lossless": True}),
    "PNG of P": ("P", {}),
    "PNG of RGBA": ("RGBA", {}),
    "WEBP of RGBA": ("RGBA", {"lossless": True}),
    "TIFF of RGBA": ("RGBA", {}),
    "TIFF of CMYK": ("CMYK", {}),
}


@pytest.mark.parametrize("name", COLOR_FILES)
def test_reader_color_file_has_its_pixels(name):
    mode, options = COLOR_FILES[name]
    (pixels,) = read(encoded(color(mode), name.split()[0], **options))
    assert pixels.dtype == np.uint8
    assert_array_equal(pixels, np.asarray(color()))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("progressive", [False, True])
def test_reader_jpeg_is_near_its_pixels(mode, progressive):
    file = encoded(color(mode), "JPEG", quality=95, subsampling=0, progressive=progressive)
    (pixels,) = read(file)
    assert_allclose(pixels, np.asarray(color()), atol=6)


def test_reader_gray_jpeg_is_gray():
    (pixels,) = read(encoded(ramp(), "JPEG", quality=95))
    assert_allclose(pixels.astype(int), RAMP, atol=6)


def test_reader_bilevel_is_black_and_white():
    (pixels,) = read(encoded(ramp().point(lambda value: 255 * (value > 60)).convert("1"), "PNG"))
    assert_array_equal(pixels, 255 * (RAMP > 60))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_reader_16_bits_are_uint16(format):
    deep = RAMP.astype(np.uint16) * 300
    (pixels,) = read(encoded(Image.fromarray(deep), format))
    assert pixels.dtype == np.uint16
    assert_array_equal(pixels, deep)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_reader_32_bits_are_float32(dtype):
    values = RAMP.astype(dtype) * 1000 - 7
    (pixels,) = read(encoded(Image.fromarray(values), "TIFF"))
    assert pixels.dtype == np.float32
    assert_array_equal(pixels, values)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reader_exif_orientation_is_applied(format, orientation):
    turned = np.asarray(color())
    as_stored = {
        1: turned,
        2: turned[:, ::-1],
        3: turned[::-1, ::-1],
        4: turned[::-1],
        5: turned.swapaxes(0, 1),
        6: np.rot90(turned),
        7: np.rot90(turned, 2).swapaxes(0, 1),
        8: np.rot90(turned, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}
    image = Image.fromarray(np.ascontiguousarray(as_stored))
    file = encoded(image, format, exif=exif, **options.get(format, {}))
    (pixels,) = read(file)
    assert_allclose(pixels.astype(int), turned, atol=6)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_reader_animation_gives_first_frame(format):
    options = {"WEBP": {"lossless": True}}.get(format, {})
    frames = [Image.new("RGB", (40, 30), "green"), ramp("RGB")]
    file = encoded(color(), format, save_all=True, append_images=frames, **options)
    (pixels,) = read(file)
    assert_array_equal(pixels, np.asarray(color()))


@pytest.mark.parametrize(
    ("background", "expected"),
    [("white", 255), ("#000000", 0), ((10, 10, 10), 10), (np.array([7, 7, 7]), 7)],
)
@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_reader_transparency_is_laid_on_background(background, expected, mode):
    image = ramp("LA")
    image.putalpha(Image.new("L", (40, 30), 0))
    image = image.convert("RGBA") if mode == "RGBA" else image
    if mode == "P":
        image = ramp("P")
        image.info["transparency"] = bytes(256)
    (pixels,) = read(encoded(image, "PNG"), background=background, mode="L")
    assert_array_equal(pixels, np.full((30, 40), expected))


def test_reader_half_transparent_pixels_are_mixed():
    image = Image.new("RGBA", (5, 4), (255, 0, 0, 128))
    (pixels,) = read(encoded(image, "PNG"), background="blue")
    assert_allclose(pixels, np.broadcast_to([128, 0, 127], (4, 5, 3)), atol=1)


def test_reader_transparent_gray_is_gray_unless_background_is_not():
    file = encoded(ramp("LA"), "PNG")
    assert read(file).ndim == 3
    assert read(file, background="red").ndim == 4


@pytest.mark.parametrize("premultiplied", ["La", "RGBa"])
def test_reader_premultiplied_opacity(premultiplied):
    image = Image.new(premultiplied[:-1] + "A", (5, 4), (100,) * (len(premultiplied) - 1) + (51,))
    assert_array_equal(read(image.convert(premultiplied)), read(image))


@pytest.mark.parametrize(("top", "opaque"), [(1.0, 1.0), (255.0, 255.0), (255.0, 1.0)])
def test_reader_float_opacity_of_any_scale(top, opaque):
    array = np.dstack([np.full((4, 5, 3), 0.5 * top), np.full((4, 5), 0.5 * opaque)])
    array[0, 0] = [top, top, top, opaque]
    (pixels,) = read(array, background="black")
    assert_allclose(pixels[1:], 0.25 * top)


def png(width, depth, color, row, transparency=b""):
    """Write a PNG file of one row of pixels, which Pillow does not write at every depth."""
    header = struct.pack(">IIBBBBB", width, 1, depth, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparency), (b"IDAT", zlib.compress(b"\0" + row))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*chunks, (b"IEND", b"")]
        if data or name == b"IEND"
    )


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (png(4, 2, 0, b"\x1b", b"\0\1"), [0, 255, 170, 255]),
        (png(4, 4, 0, b"\x01\x23", b"\0\2"), [0, 17, 255, 51]),
        (png(4, 1, 0, b"\x50", b"\0\0"), [255, 255, 255, 255]),
        (png(2, 16, 4, struct.pack(">4H", 100 * 257, 65535, 30 * 257, 0)), [100, 255]),
    ],
)
def test_reader_gray_png_with_transparency(file, expected):
    assert_array_equal(read(file), [[expected]])


def test_reader_any_color_image_makes_all_color():
    images = read(ramp(), color())
    assert images.shape == (2, 30, 40, 3)
    assert_array_equal(images[0], np.repeat(RAMP[..., np.newaxis], 3, axis=2))


def test_reader_transform_converts_to_fitted_mode_and_size():
    reader = ImageReader().fit([ramp()])
    assert (reader.size_, reader.mode_, reader.dtype_) == ((30, 40), "L", np.uint8)
    (pixels,) = reader.transform([color().resize((80, 60))])
    assert pixels.shape == (30, 40)
    assert_array_equal(pixels[:, [0, -1]], np.broadcast_to([76, 29], (30, 2)))  # of ITU-R BT.601


@pytest.mark.parametrize(
    ("shape", "size"), [((30, 40), (30, 40)), ((256, 1), (256, 1)), ((257, 3), (32, 32))]
)
def test_reader_common_size_is_kept_up_to_256_pixels(shape, size):
    images = [Image.new("L", shape[::-1])] * 2
    assert read(*images).shape[1:] == size


def test_reader_mixed_sizes_become_32_by_32_with_edges_repeated():
    wide = np.zeros((10, 40), np.uint8)
    wide[0], wide[-1] = 255, 100
    small = np.arange(28 * 26, dtype=np.uint16).reshape(28, 26).astype(np.uint8)
    images = read(wide, small)
    assert images.shape == (2, 32, 32)
    assert (images[0, :12].min(), images[0, 20:].max()) == (images[0, 0, 0], images[0, -1, -1])
    assert_array_equal(images[1], np.pad(small, ((2, 2), (3, 3)), mode="edge"))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_reader_result_does_not_depend_on_order_or_jobs(n_jobs, rng_files):
    expected = ImageReader().fit_transform(rng_files)
    order = np.random.default_rng(0).permutation(len(rng_files))
    reader = ImageReader(n_jobs=n_jobs)
    images = reader.fit_transform([rng_files[i] for i in order])
    assert_array_equal(images, expected[order])
    assert_array_equal(reader.transform(rng_files[:1]), expected[:1])


@pytest.fixture(scope="module")
def rng_files(tmp_path_factory):
    """Forty files of several sizes, modes and formats."""
    folder, rng, files = tmp_path_factory.mktemp("files"), np.random.default_rng(0), []
    for i in range(40):
        shape = rng.integers(20, 400, 2)
        image = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        files.append(str(folder / f"{i}.{['jpg', 'png', 'gif', 'bmp'][i % 4]}"))
        image.convert(["RGB", "L", "P", "1"][i % 4]).save(files[-1])
    return files


def test_reader_large_jpeg_is_near_its_full_decoding():
    image = ramp("RGB").resize((1600, 1200), Image.Resampling.BICUBIC)
    (pixels,) = read(encoded(image, "JPEG", quality=95), size=(24, 32))
    expected = image.resize((32, 24), Image.Resampling.BILINEAR)
    assert_allclose(pixels.astype(int), np.asarray(expected), atol=4)


def test_reader_8_and_16_bits_are_uint16():
    images = read(ramp(), RAMP.astype(np.uint16))
    assert images.dtype == np.uint16
    assert_array_equal(images, np.stack([RAMP * np.uint16(257), RAMP]))
    reader = ImageReader().fit([ramp()])
    assert_array_equal(reader.transform([RAMP * np.uint16(257)]), RAMP[np.newaxis])


def test_reader_integer_and_float_images_raise():
    with pytest.raises(ValueError, match="integers or of floating-point numbers only, got"):
        read(ramp(), RAMP.astype(np.float64))


@pytest.mark.parametrize(
    "array",
    [
        RAMP,
        RAMP[..., np.newaxis],
        RAMP.astype(">u2"),
        RAMP.astype(np.float16),
        RAMP > 50,
        np.asarray(color()),
        np.asarray(color("RGBA")),
        np.asarray(color()) / 255,
        np.asarray(color())[:, ::-1],
        np.ma.masked_array(RAMP),
        torch.from_numpy(RAMP),
    ],
)
def test_reader_array_keeps_its_values(array):
    (pixels,) = read(array)
    array = np.asarray(array)
    expected = array[..., :3] if array.ndim == 3 and array.shape[2] == 4 else array
    expected = expected * 255.0 if array.dtype == bool else expected
    assert_allclose(pixels, expected.reshape(pixels.shape), rtol=1e-6)


def test_reader_image_of_pillow_is_unchanged():
    image = ramp()
    image.info["transparency"] = 3
    (pixels,) = read(image, background="white")
    assert_array_equal(pixels, np.where(RAMP == 3, 255, RAMP))
    assert_array_equal(np.asarray(image), RAMP)


def test_reader_deque_of_palette_images(rng_files):
    images = [color("P"), color("P")]
    assert_array_equal(ImageReader().fit_transform(deque(images)), read(*images))
    with pytest.raises(TypeError, match="X must be a sequence of images, got ndarray"):
        ImageReader().fit(np.array(3.0))


def test_reader_in_threads_leaves_the_warning_filters(rng_files):
    before = list(warnings.filters)
    with parallel_config(backend="threading"):
        images = ImageReader(n_jobs=4).fit_transform(rng_files)
    assert warnings.filters == before
    assert_array_equal(images, read(*rng_files))


@pytest.mark.parametrize(
    "container", [tuple, np.array, lambda files: np.array(files, object).reshape(-1, 1)]
)
def test_reader_containers_of_paths(container, rng_files):
    assert_array_equal(read(*rng_files), ImageReader().fit_transform(container(rng_files)))


def test_reader_series_of_paths(rng_files):
    pd = pytest.importorskip("pandas")
    series = pd.Series(rng_files, index=np.arange(len(rng_files))[::-1])
    assert_array_equal(read(*rng_files), ImageReader().fit_transform(series))
    assert_array_equal(read(*rng_files), ImageReader().fit_transform(series.to_frame()))


def png_bomb():
    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">2I5B", 60_000, 60_000, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


BROKEN = {
    "truncated.png": (encoded(color(), "PNG")[:-30], "truncated"),
    "truncated.jpg": (encoded(color(), "JPEG")[:-30], "truncated"),
    "cut.gif": (encoded(color(), "GIF")[:40], "truncated"),
    "empty.png": (b"", "it is empty"),
    "text.jpg": (b"this is a text\n" * 20, "not an image in a known format"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "bomb.png": (png_bomb(), "more than .* pixels"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_reader_broken_file_is_one_error_that_names_it(name, tmp_path, rng_files):
    content, message = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as an image.*{message}"):
        read(*rng_files, path)
    with pytest.raises(ValueError, match=r"X\[1\] cannot be read as an image"):
        read(rng_files[0], content)


def test_reader_missing_file_and_folder_raise(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png cannot be read .* does not exist"):
        read(tmp_path / "none.png")
    with pytest.raises(ValueError, match="it is a folder"):
        read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_reader_fifo_and_looping_link_raise(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    with pytest.raises(ValueError, match="fifo.png cannot be read .* not a regular file"):
        read(tmp_path / "fifo.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(ValueError, match=r"loop\.png cannot be read as an image"):
        read(tmp_path / "loop.png")


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("file.png", TypeError, r"got one str: pass \[X\]"),
        (b"\x89PNG", TypeError, "got one bytes"),
        (iter([RAMP]), TypeError, "X must be a sequence of images"),
        (None, TypeError, "X must be a sequence of images, got NoneType"),
        ([], ValueError, "at least one image"),
        ([None], TypeError, r"X\[0\] cannot be read .* got NoneType"),
        ([np.zeros(5)], ValueError, r"X\[0\] .* must have the shape"),
        ([np.zeros((3, 20, 30))], ValueError, r"X\[0\] .* must have the shape"),
        ([np.ma.masked_array(RAMP, RAMP > 9)], ValueError, r"X\[0\] .* masked pixels"),
        ([RAMP / 9, np.full((5, 4), np.nan)], ValueError, r"X\[1\] .* must have finite pixels"),
        ([np.zeros((5, 5), int)], TypeError, "got int64: convert it with astype"),
    ],
)
def test_reader_invalid_images_raise(X, error, message):
    with pytest.raises(error, match=message):
        ImageReader().fit(X)


@pytest.mark.parametrize(
    "parameters",
    [
        {"size": 0},
        {"size": (3, 4, 5)},
        {"size": "32"},
        {"mode": "CMYK"},
        {"background": "no color"},
        {"background": (1, 2)},
        {"background": (0, 0, 256)},
        {"background": 7},
        {"on_error": "ignore"},
        {"on_error": "skip"},
    ],
)
def test_reader_invalid_parameter_raises(parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"{name} must"):
        ImageReader(**parameters).fit([RAMP])


def test_reader_unfitted_raises():
    with pytest.raises(NotFittedError):
        ImageReader().transform([RAMP])


def test_reader_without_pillow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.ImageColor", None)
    with pytest.raises(ImportError, match=r"needs Pillow: pip install 'sklenet\[images\]'"):
        ImageReader().fit([RAMP])


@pytest.mark.filterwarnings("ignore:Can't test estimator:sklearn.exceptions.SkipTestWarning")
def test_reader_passes_estimator_checks():
    check_estimator(ImageReader())


def test_reader_is_cloned_and_pickled():
    reader = ImageReader(size=(20, 30), background="red", n_jobs=1).fit([RAMP])
    assert clone(reader).get_params() == reader.get_params()
    loaded = pickle.loads(pickle.dumps(reader))
    assert_array_equal(loaded.transform([RAMP]), reader.transform([RAMP]))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Files with a bright upper or left half, of several sizes, and their labels."""
    folder, rng, files, labels = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0), [], []
    for i in range(48):
        image = rng.integers(0, 90, rng.integers(20, 40, 2), dtype=np.uint8)
        half = image[: len(image) // 2] if i % 2 else image[:, : image.shape[1] // 2]
        half += 120
        files.append(str(folder / f"{i}.png"))
        labels.append(["left", "upper"][i % 2])
        Image.fromarray(image).save(files[-1])
    return files, labels


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_reader_pipeline_of_each_method_is_searched(name, shapes):
    files, labels = shapes
    pipeline = make_pipeline(ImageReader(), make_method(name, random_state=0))
    few = {"classifier__batch_size": 8, "classifier__max_epochs": 8}
    known = pipeline[-1].get_params()
    pipeline[-1].set_params(**{key: value for key, value in few.items() if key in known})
    search = GridSearchCV(pipeline, {"imagereader__size": [24, 32]}, cv=2, error_score="raise")
    assert search.fit(files, labels).best_score_ > 0.7
    assert cross_val_score(pipeline, files, labels, cv=2, error_score="raise").mean() > 0.7


def test_compare_methods_of_files(shapes):
    files, labels = shapes
    small = make_pipeline(ImageReader(mode="L"), Small(max_epochs=5))
    comparison = compare_methods(files, labels, {"small": small}, cv=2, verbose=0)
    assert comparison.scores[0].accuracy > 0.7
    comparison = compare_methods(files, labels, ["svm", "knn"], cv=2, random_state=0, verbose=0)
    assert min(row.accuracy for row in comparison.scores) > 0.7
    comparison = compare_methods(
        files[:40], labels[:40], ["svm"], X_test=files[40:], y_test=labels[40:], verbose=0
    )
    assert comparison.scores[0].accuracy > 0.7
