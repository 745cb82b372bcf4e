"""Exported web pages: their files, their arithmetic in Node, and their use in Chromium."""

import base64
import io
import json
import re
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest
from helpers import Small
from numpy.testing import assert_allclose
from scipy import ndimage
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from torch import nn

import sklenet
from sklenet import DeepLeNetClassifier, ImageReader
from sklenet.datasets import load_digits_images
from sklenet.network import ACTIVATIONS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"><!-- '{{model}}'"
browser_test = [pytest.mark.browser, pytest.mark.slow]


def random_model(shape, n_classes=2, low=0, high=255, classes=None, **options):
    """Fit a model of random images of a shape, and return it with four images."""
    rng = np.random.default_rng(0)
    X = rng.integers(low, high, (10 * n_classes, *shape), endpoint=True).astype(np.uint8)
    classes = np.arange(n_classes) if classes is None else np.array(classes)
    model = Small(max_epochs=1, check_pixels=False, **options)
    return model.fit(X, np.resize(classes, len(X))), X[:4]


def export(model, folder, **options):
    path = folder / "page.html"
    sklenet.to_page(model, path, **options)
    return path


def as_pixels(classifier, X):
    """Return the images as the page has them: rows of height, width and channels."""
    layout = classifier.preprocessor_.layout
    rows = np.asarray(X, float).reshape(len(X), -1)
    if layout.channels_first:
        height, width, channels = layout.shape
        rows = rows.reshape(len(X), channels, height, width).transpose(0, 2, 3, 1)
    return rows.reshape(len(X), -1).tolist()


# Node: the arithmetic of the page


@pytest.fixture
def run_in_node(tmp_path):
    """Return a function that computes the probabilities of images by the script of a page."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node")

    def run(model, X):
        text = export(model, tmp_path).read_text("utf-8")
        description, weights, script = re.findall(r"<script[^>]*>(.*?)</script>", text, re.S)
        program = f"""{script.split("// The page:")[0]}
            const network = makeNetwork({description}, decodeWeights("{weights}"));
            const images = {json.dumps(as_pixels(model, X))};
            const predict = (image) => [...network.probabilities(network.preprocess(image))];
            console.log(JSON.stringify(images.map(predict)));"""
        (tmp_path / "page.js").write_text(program, "utf-8")
        done = subprocess.run([node, tmp_path / "page.js"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return np.array(json.loads(done.stdout))

    return run


@pytest.mark.slow
@pytest.mark.parametrize("activation", [*ACTIVATIONS, partial(nn.LeakyReLU, 0.3)], ids=str)
def test_page_every_activation_agrees_with_predict_proba(activation, run_in_node, digits):
    X_train, X_test, y_train, _ = digits
    model = Small(max_epochs=1, activation=activation).fit(X_train, y_train)
    assert_allclose(run_in_node(model, X_test), model.predict_proba(X_test), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"output": "sigmoid"},
        {"pooling": "avg", "kernel_size": 4},
        {"activation": partial(sklenet.LReLU, 2.5), "normalization": None, "dropout": 0.5},
        {"conv_channels": (), "hidden_layer_sizes": ()},
        {"conv_channels": (3,), "kernel_size": 2},
    ],
    ids=str,
)
def test_page_every_option_agrees_with_predict_proba(options, run_in_node):
    model, X = random_model((8, 8), n_classes=3, **options)
    assert_allclose(run_in_node(model, X), model.predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [(28, 28), (100, 60), (5, 90), (24, 31), (12, 10, 3), (4, 30, 30), (1, 40), (49,), (20, 20, 1)],
    ids=str,
)
def test_page_every_shape_agrees_with_predict_proba(shape, run_in_node):
    model, X = random_model(shape)
    assert_allclose(run_in_node(model, X), model.predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_page_pixels_of_any_scale_agree_with_predict_proba(scale, run_in_node, digits):
    X_train, X_test, y_train, _ = digits
    model = Small(max_epochs=1, check_pixels=False).fit(X_train * scale - 3 * scale, y_train)
    X = X_test[:9] * scale - 3 * scale
    assert_allclose(run_in_node(model, X), model.predict_proba(X), rtol=0, atol=1e-5)


# The file, and errors


def test_page_weights_are_little_endian_float32(tmp_path):
    model, _ = random_model((8, 8))
    text = export(model, tmp_path).read_text("utf-8")
    weights = re.search(r'<script id="weights"[^>]*>(.*?)</script>', text)[1]
    values = np.frombuffer(base64.b64decode(weights), "<f4")
    bias = model.module_.head[-1].bias.numpy(force=True)
    assert_allclose(values[-len(bias) :], bias, rtol=0)


def test_page_has_no_address_of_another_file(tmp_path):
    model, _ = random_model((8, 8))
    text = export(model, tmp_path).read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|<link[^>]+href=\"(?!data:)|\bsrc=|@import|url\(", text)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.array([0.0, 16]), (0, 16)),
        (np.array([0.02, 0.98]), (0, 1)),
        (np.array([-1.0, 1]), (-1, 1)),
        (np.array([3, 250], np.uint8), (0, 255)),
        (np.array([9, 60000], np.uint16), (0, 65535)),
    ],
    ids=str,
)
def test_page_black_and_white_are_those_of_the_training_pixels(images, expected, tmp_path):
    X = np.repeat(images, 10)[:, None, None] * np.ones((8, 8), images.dtype)
    model = Small(max_epochs=1).fit(X, np.repeat([0, 1], 10))
    text = export(model, tmp_path).read_text("utf-8")
    description = json.loads(re.search(r'<script id="model"[^>]*>(.*?)</script>', text)[1])
    assert (description["low"], description["high"]) == expected


def test_page_unfitted_model_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        export(DeepLeNetClassifier(), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_page_model_of_padded_tables_is_refused(tmp_path):
    model, _ = random_model((13,))
    with pytest.raises(ValueError, match="model must classify images .* 13 columns"):
        export(model, tmp_path)


def test_page_model_of_two_channels_is_refused(tmp_path):
    model, _ = random_model((2, 9, 9))
    with pytest.raises(ValueError, match="1, 3 or 4 channels .* one of 2"):
        export(model, tmp_path)


class Swish(nn.SiLU):
    """An activation that is not sklenet's."""


@pytest.mark.parametrize("activation", [Swish, nn.Hardtanh, partial(nn.GELU, approximate="tanh")])
def test_page_unknown_activation_is_refused_by_name(activation, tmp_path):
    model, _ = random_model((8, 8), activation=activation)
    with pytest.raises(ValueError, match="activation must be .*got (Swish|Hardtanh|GELU)"):
        export(model, tmp_path)


@pytest.mark.parametrize("title", [None, 3, b"digits"])
def test_page_title_that_is_not_a_string_is_refused(title, tmp_path):
    model, _ = random_model((8, 8))
    with pytest.raises(TypeError, match="title must be a string"):
        export(model, tmp_path, title=title)


def test_page_missing_folder_is_refused(tmp_path):
    model, _ = random_model((8, 8))
    with pytest.raises(FileNotFoundError, match="path must be in an existing folder"):
        export(model, tmp_path / "missing")


# Chromium: the use of the page


@pytest.fixture(scope="session")
def chromium():
    """Chromium with a camera that is not one; skipped where it or Playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, tmp_path):
    """Return a function that opens the page of a model, which must not log or request anything."""
    contexts, reports, requests = [], [], []

    def open_(model, title="Image classifier", **options):
        path = export(model, tmp_path, title=title)
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: reports.append(message.text))
        page.on("pageerror", lambda error: reports.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        wait(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not reports
    assert not [url for url in requests if not url.endswith("/page.html") and url != "data:,"]


@pytest.fixture(scope="session")
def digit_model():
    X, y = load_digits_images()
    return DeepLeNetClassifier(
        conv_channels=(8, 16), hidden_layer_sizes=(64,), max_epochs=15, random_state=0
    ).fit(X, y)


def wait(page):
    """Wait until the page has drawn what was scheduled."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")


def draw(page, *points):
    """Draw a line through points, which are shares of the width and height of the board."""
    box = page.locator("#board").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    wait(page)


def answer(page):
    return page.locator("#answer").inner_text()


def probability_of(page):
    """Return the probability of each class that the page shows."""
    names = page.locator("#bars .name").all_inner_texts()
    values = page.locator("#bars .value").all_inner_texts()
    return {
        name: float(value.removesuffix(" %")) / 100
        for name, value in zip(names, values, strict=True)
    }


def encoded(array, format, **options):
    """Return the bytes of an image file with the pixels of an array."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow").fromarray(array)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(array):
    return encoded(array, "PNG")


def smooth_pixels(shape, seed=0):
    """Return a random image whose neighboring pixels resemble each other, as in photographs."""
    pixels = np.random.default_rng(seed).normal(0, 100, shape)
    pixels = ndimage.gaussian_filter(pixels, (1, 1, 0)) + 128
    return pixels.clip(0, 255).astype(np.uint8)


def chosen(content, name="picture.png"):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def hand_over(page, event, content, name="picture.png"):
    """Drop or paste a file."""
    page.evaluate(
        """([kind, content, name]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, { type: "image/png" }));
          const options = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(kind === "drop"
            ? new DragEvent("drop", { ...options, dataTransfer: transfer })
            : new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
        }""",
        [event, base64.b64encode(content).decode(), name],
    )
    page.locator("#invert-label").wait_for()
    wait(page)


DIGITS = {
    "1": [(0.5, 0.15), (0.5, 0.85)],
    "3": [
        (0.32, 0.25),
        (0.5, 0.18),
        (0.66, 0.3),
        (0.5, 0.47),
        (0.68, 0.62),
        (0.55, 0.8),
        (0.3, 0.74),
    ],
    "7": [(0.28, 0.22), (0.7, 0.22), (0.45, 0.82)],
}


class TestBrowser:
    pytestmark = browser_test

    @pytest.mark.parametrize("digit", DIGITS)
    def test_page_drawn_digit_is_read(self, digit, open_page, digit_model):
        page = open_page(digit_model)
        assert answer(page) == "–"
        draw(page, *DIGITS[digit])
        assert answer(page) == digit

    @pytest.mark.mnist
    def test_page_of_mnist_reads_a_drawn_one(self, open_page, mnist):
        X_train, _, y_train, _ = mnist
        model = Small(max_epochs=2).fit(X_train[:4000], y_train[:4000])
        page = open_page(model)
        draw(page, *DIGITS["1"])
        assert answer(page) == "1"

    def test_page_finger_draws(self, open_page, digit_model):
        page = open_page(digit_model, has_touch=True, is_mobile=True)
        box = page.locator("#board").bounding_box()
        x, session = box["x"] + box["width"] / 2, page.context.new_cdp_session(page)
        for kind, share in (("touchStart", 0.15), ("touchMove", 0.5), ("touchMove", 0.85)):
            points = [{"x": x, "y": box["y"] + share * box["height"]}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        wait(page)
        assert answer(page) == "1"

    def test_page_probabilities_move_while_drawing(self, open_page, digit_model):
        page = open_page(digit_model)
        box = page.locator("#board").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 40)
        page.mouse.down()
        seen = []
        for place in ((200, 40), (200, 200), (90, 220)):
            page.mouse.move(box["x"] + place[0], box["y"] + place[1], steps=4)
            wait(page)
            seen.append(tuple(probability_of(page).values()))
        assert len(set(seen)) == 3

    def test_page_clear_and_eraser_remove_ink(self, open_page, digit_model):
        page = open_page(digit_model)
        ink = "() => readPixels().filter((value) => value > 2).length"
        page.locator("#center").set_checked(False)
        draw(page, *DIGITS["1"])
        before = page.evaluate(ink)
        page.click("#eraser")
        draw(page, (0.2, 0.5), (0.8, 0.5))
        assert 0 < page.evaluate(ink) < before
        page.click("#clear")
        wait(page)
        assert page.evaluate(ink) == 0
        assert answer(page) == "–"

    def test_page_probabilities_agree_with_predict_proba(self, open_page, digit_model):
        X = load_digits_images()[0][:20]
        page = open_page(digit_model)
        script = "(images) => images.map((x) => [...network.probabilities(network.preprocess(x))])"
        found = page.evaluate(script, as_pixels(digit_model, X))
        assert_allclose(found, digit_model.predict_proba(X), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("way", ["choose", "drop", "paste"])
    def test_page_file_is_read_as_predict_proba_does(self, way, open_page):
        model, X = random_model((28, 28))
        page = open_page(model)
        if way == "choose":
            page.set_input_files("#file", chosen(png(X[0])))
            page.locator("#invert-label").wait_for()
            wait(page)
        else:
            hand_over(page, way, png(X[0]))
        page.locator("#invert").set_checked(False)
        wait(page)
        expected = model.predict_proba(X[:1])[0]
        assert_allclose([*probability_of(page).values()], expected, rtol=0, atol=1e-3)

    @pytest.mark.parametrize("format", ["PNG", "JPEG"])
    @pytest.mark.parametrize(
        "shape", [(20, 30), (28, 24), (32, 32), (40, 24), (100, 60), (230, 410), (33, 31)]
    )
    def test_page_file_of_any_size_is_read_as_a_pipeline_does(self, shape, format, open_page):
        file = encoded(smooth_pixels((*shape, 3)), format, quality=95)
        files = [encoded(smooth_pixels((n, 50, 3), n), "PNG") for n in range(30, 50)]
        model = make_pipeline(ImageReader(), Small(max_epochs=1)).fit(files, np.arange(20) % 2)
        page = open_page(model)
        hand_over(page, "drop", file)
        found = np.reshape(page.evaluate("() => [...readPixels()]"), (32, 32, 3))
        (expected,) = model[0].transform([file])
        # Pillow reduces large files by whole numbers, and JPEG files as they are decoded.
        is_reduced = max(shape) > 96
        assert np.abs(found - expected).max() <= (12 if is_reduced else 2)
        assert np.abs(found - expected).mean() <= (1.5 if is_reduced else 0.3)

    @pytest.mark.parametrize("shape", [(20, 30), (32, 32), (230, 410)])
    def test_page_picture_fills_the_board(self, shape, open_page):
        pixels, (model, _) = smooth_pixels((*shape, 3)), random_model((32, 32, 3))
        page = open_page(model)
        hand_over(page, "drop", png(pixels))
        script = "() => [...boardContext.getImageData(324, 324, 1, 1).data].slice(0, 3)"
        shown = np.array(page.evaluate(script), float)  # 100 of 448 pixels from the middle
        row, column = (round(side / 2 + max(shape) * 100 / 448 - 0.5) for side in shape)
        around = pixels[row - 1 : row + 2, column - 1 : column + 2]
        assert np.all(shown >= around.min(axis=(0, 1)) - 12.0)
        assert np.all(shown <= around.max(axis=(0, 1)) + 12.0)

    def test_page_dark_digit_on_white_paper_is_inverted(self, open_page, digit_model):
        X, y = load_digits_images()
        pixels = (255 - X[:30] * 15.9).astype(np.uint8).repeat(20, axis=1).repeat(20, axis=2)
        page = open_page(digit_model)
        for index in (0, 1, 3):
            page.click("#clear")
            wait(page)
            hand_over(page, "drop", png(pixels[index]))
            assert page.locator("#invert").is_checked()
            assert answer(page) == str(y[index])

    def test_page_transparent_picture_lies_on_white(self, open_page):
        model, _ = random_model((16, 16), low=0, high=255)
        page = open_page(model)
        hand_over(page, "drop", png(np.zeros((16, 16, 4), np.uint8)))
        page.locator("#invert").set_checked(False)
        wait(page)
        expected = model.predict_proba(np.full((1, 16, 16), 255, np.uint8))[0]
        assert_allclose([*probability_of(page).values()], expected, rtol=0, atol=1e-3)

    def test_page_file_that_is_not_a_picture_is_one_message(self, open_page, digit_model):
        page = open_page(digit_model)
        page.set_input_files("#file", chosen(b"text", "notes.png"))
        page.locator("#message", has_text="notes.png is not a picture").wait_for()
        draw(page, *DIGITS["1"])
        assert answer(page) == "1"

    def test_page_camera_shows_a_prediction(self, open_page, digit_model):
        page = open_page(digit_model, permissions=["camera"])
        page.click("#camera")
        page.locator("#camera[aria-pressed=true]").wait_for()
        page.locator("#sure", has_text="probable").wait_for()
        page.click("#camera")
        wait(page)
        assert answer(page) == "–"

    def test_page_keyboard_draws_and_clears(self, open_page, digit_model):
        page = open_page(digit_model)
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.id") == "board"
        style = "() => getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(style) == "solid"
        for _ in range(8):
            page.keyboard.press("ArrowUp")
        for _ in range(16):
            page.keyboard.press("Shift+ArrowDown")
        wait(page)
        assert answer(page) == "1"
        page.keyboard.press("Delete")
        wait(page)
        assert answer(page) == "–"

    def test_page_every_control_is_reached_by_tab(self, open_page, digit_model):
        page, reached = open_page(digit_model), []
        for _ in range(6):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("() => document.activeElement.id"))
        assert reached == ["board", "clear", "eraser", "file", "camera", "center"]

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_page_text_has_contrast(self, scheme, open_page, digit_model):
        page = open_page(digit_model, color_scheme=scheme)
        color = "([name, property]) => getComputedStyle(document.querySelector(name))[property]"
        for text in ("#sure", "#answer", "#keys", "#clear"):
            pair = [("section", "backgroundColor"), (text, "color")]
            levels = sorted(luminance(page.evaluate(color, list(part))) for part in pair)
            assert (levels[1] + 0.05) / (levels[0] + 0.05) >= 4.5

    @pytest.mark.parametrize("width", [320, 360, 1280])
    def test_page_does_not_scroll_sideways(self, width, open_page):
        classes = [f"{'a very long name of a class ' * 3}{number}" for number in range(12)]
        model, X = random_model((10, 40), 12, classes=classes)
        page = open_page(model, title="W" * 60, viewport={"width": width, "height": 740})
        draw(page, (0.2, 0.5), (0.8, 0.5))
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width

    def test_page_hostile_names_are_text(self, open_page):
        model, _ = random_model((8, 8), classes=[HOSTILE, "\u2028{{weights}}"])
        page = open_page(model, title=HOSTILE)
        draw(page, (0.2, 0.5), (0.8, 0.5))
        assert page.title() == HOSTILE
        assert page.locator("h1").inner_text() == HOSTILE
        assert page.locator("img").count() == 0
        assert HOSTILE in page.locator("#bars .name").all_inner_texts()

    def test_page_of_many_classes_shows_the_most_probable(self, open_page):
        model, X = random_model((28, 28), 60)
        page = open_page(model)
        hand_over(page, "drop", png(X[0]))
        page.locator("#invert").set_checked(False)
        wait(page)
        values = [*probability_of(page).values()]
        assert len(values) == 10
        assert values == sorted(values, reverse=True)
        best = model.predict_proba(X[:1]).max()
        assert values[0] == pytest.approx(best, abs=1e-3)
        assert page.locator("#more").inner_text() == "The 10 most probable of 60 classes."

    @pytest.mark.parametrize("channels", [3, 4])
    def test_page_color_model_is_drawn_in_color(self, channels, open_page):
        model, _ = random_model((8, 8, channels), output="sigmoid")
        page = open_page(model)
        page.locator("#ink").fill("#ff0000")
        for y in (0.5, 0.56, 0.62):
            draw(page, (0.1, y), (0.9, y))
        pixels = np.array(list(page.evaluate("() => [...readPixels()]"))).reshape(8, 8, channels)
        assert_allclose(pixels[4, 4, :3], [255, 0, 0], atol=40)
        assert (pixels[..., 3:] == 255).all()
        assert sum(probability_of(page).values()) == pytest.approx(1, abs=2e-3)

    def test_page_bright_model_is_drawn_in_black_on_white(self, open_page):
        model, _ = random_model((28, 28), low=150)
        page = open_page(model)
        draw(page, (0.5, 0.1), (0.5, 0.9))
        pixels = np.array(page.evaluate("() => [...readPixels()]")).reshape(28, 28)
        assert pixels[14, 14] < 30
        assert pixels[0, 0] == 255


def luminance(color):
    """Return the relative luminance of a color of CSS, as WCAG 2 defines it."""
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (int(value) / 255 for value in re.findall(r"\d+", color)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
