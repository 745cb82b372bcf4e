"""The warning of images unlike those of the training."""

import pickle
import re
import warnings

import numpy as np
import pytest
from helpers import Small
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklenet import ImageLayout
from sklenet.datasets import load_digits_images
from sklenet.images import PixelReference

METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.fixture(scope="module")
def fitted(digits):
    X, _, y, _ = digits
    return Small(max_epochs=1).fit(X, y)


def photographs(rng, n_samples):
    """Draw color images that are bright and blue above, with a few dark and bright spots."""
    ramp = np.linspace(1, -1, 32)[:, None, None] * rng.normal(20, 15, (n_samples, 1, 1, 1))
    tint = rng.normal([110, 120, 130], 25, (n_samples, 1, 1, 3))
    blue = np.array([-0.3, 0, 0.3])
    coarse = rng.normal(0, 40, (n_samples, 8, 8, 1)).repeat(4, axis=1).repeat(4, axis=2)
    noise = rng.normal(0, 10, (n_samples, 32, 32, 3))
    return (tint + ramp * (1 + blue) + coarse + noise).clip(0, 255).astype(np.uint8)


def messages(function, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    assert all(warning.category is UserWarning for warning in caught)
    return [str(warning.message) for warning in caught]


def test_prediction_after_partial_fit_of_few_images_at_a_time_warns(digits):
    X, X_test, y, _ = digits
    classifier = Small()
    for start in range(0, 15, 5):
        part = slice(start, start + 5)
        classifier.partial_fit(X[part], y[part], classes=np.unique(y))
    assert not messages(classifier.predict, X_test)
    (message,) = messages(classifier.predict, 16 - X_test)
    assert "inverted" in message


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_prediction_of_inverted_photographs_warns(mode):
    rng = np.random.default_rng(0)
    X = photographs(rng, 1100)
    X = X if mode == "RGB" else X.mean(axis=3).astype(np.uint8)
    classifier = Small(max_epochs=1).fit(X[:1000], np.arange(1000) % 2)
    for test in (X[1000:1050], X[1050:]):
        assert not messages(classifier.predict, test)
        assert messages(classifier.predict, 255 - test)


@pytest.mark.parametrize("method", METHODS)
def test_prediction_of_inverted_images_warns_once(fitted, digits, method):
    X = digits[1][:100]
    (message,) = messages(getattr(fitted, method), 16 - X)
    assert re.search(
        r"inverted: its mean pixel is 11\.\d+, .* 16 - X .*check_pixels=False", message
    )
    assert not messages(getattr(fitted, method), X)


def test_score_of_rescaled_images_warns_once_at_the_line_of_the_caller(fitted, digits):
    _, X, _, y = digits
    with pytest.warns(UserWarning, match="from 0 to 1, the training images from 0 to 16") as caught:
        fitted.score(X / 16, y)
    assert [warning.filename for warning in caught] == [__file__]
    assert "X * 16 has their scale" in str(caught[0].message)


def test_prediction_in_a_pipeline_warns_once_at_the_line_of_the_caller(fitted, digits):
    X, _, y, _ = digits
    pipeline = make_pipeline(FunctionTransformer(np.asarray), Small(max_epochs=1)).fit(X, y)
    with pytest.warns(UserWarning, match="inverted") as caught:
        pipeline.score(16 - X, y)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda X: X / 16, r"X \* 16 has their"),
        (lambda X: X / 8 - 1, r"X \* 8 \+ 8 has their"),
        (lambda X: X * (255 / 16), r"X / 15.9375 has their"),
        (lambda X: 1 - X / 16, r"inverted and on another scale.* 16 - \(X \* 16\) has their"),
        (lambda X: np.random.default_rng(0).permuted(X, axis=2), "unlike the training images"),
    ],
)
def test_prediction_of_changed_images_says_what_to_do(fitted, digits, change, advice):
    (message,) = messages(fitted.predict, change(digits[1][:100]))
    assert re.search(advice, message)


def test_prediction_of_one_changed_image_warns(fitted, digits):
    for image in digits[1][:20, np.newaxis]:
        assert messages(fitted.predict, 16 - image)
        assert messages(fitted.predict, image / 16)


def test_prediction_without_check_pixels_is_the_same_without_warning(fitted, digits):
    X = digits[1][:50]
    silent = pickle.loads(pickle.dumps(fitted)).set_params(check_pixels=False)
    assert not messages(silent.predict_proba, 16 - X)
    with pytest.warns(UserWarning, match="inverted"):
        expected = fitted.predict_proba(16 - X)
    np.testing.assert_array_equal(silent.predict_proba(16 - X), expected)


def test_fit_refuses_other_values_of_check_pixels(digits):
    with pytest.raises(ValueError, match="check_pixels"):
        Small(check_pixels="never").fit(digits[0], digits[2])


def test_prediction_of_usual_and_constant_images_does_not_warn(fitted, digits):
    _, X, _, y = digits
    parts = [X[y == label] for label in np.unique(y)]
    for images in [*parts, *X[:, np.newaxis], X[np.argsort(y, kind="stable")], X[:2]]:
        assert not messages(fitted.predict, images)
    for value in (0, 16):
        assert not messages(fitted.predict, np.full((3, 8, 8), value))
    mixed = X[:100].copy()
    mixed[:5] = 0
    assert not messages(fitted.predict, mixed)


@pytest.mark.slow
def test_cross_validation_of_usual_images_does_not_warn():
    X, y = load_digits_images()
    order = np.argsort(y, kind="stable")
    for images in (X, X / 16, X.reshape(len(X), -1), X > 7):
        assert not messages(
            lambda X=images: cross_val_score(Small(max_epochs=1), X[order], y[order])
        )


@pytest.mark.slow
def test_prediction_of_usual_tables_does_not_warn():
    rng = np.random.default_rng(0)
    for n_samples, n_features in [(10, 2), (20, 3), (40, 4), (100, 10), (200, 64)]:
        X = StandardScaler().fit_transform(rng.standard_normal((n_samples + 500, n_features)))
        y = np.arange(n_samples) % 2
        classifier = Small(max_epochs=1).fit(X[:n_samples], y)
        for row in X[n_samples:, np.newaxis]:
            assert not messages(classifier.predict, row)


def test_prediction_after_partial_fit_of_one_class_does_not_warn_of_others(digits):
    X, X_test, y, _ = digits
    classifier = Small()
    for label in range(10):
        chunk = y == label
        classifier.partial_fit(X[chunk], y[chunk], classes=range(10))
        assert not messages(classifier.predict, X_test)
    assert messages(classifier.predict, 16 - X_test)
    assert messages(classifier.predict, X_test / 16)


def test_prediction_after_partial_fit_of_inverted_images_does_not_warn_of_them(fitted, digits):
    X, X_test, y, _ = digits
    classifier = pickle.loads(pickle.dumps(fitted)).partial_fit(16 - X, y)
    assert not messages(classifier.predict, 16 - X_test)
    assert not messages(classifier.predict, X_test)


def test_prediction_after_warm_start_knows_the_latest_images(digits):
    X, X_test, y, _ = digits
    classifier = Small(max_epochs=1, warm_start=True).fit(X, y).fit(16 - X, y)
    assert not messages(classifier.predict, 16 - X_test)
    assert messages(classifier.predict, X_test)


def test_fit_of_few_or_constant_images_never_warns(digits):
    X, X_test, y, _ = digits
    few = Small(max_epochs=1).fit(X[:9], y[:9])
    constant = Small(max_epochs=1).fit(np.arange(20).repeat(64).reshape(20, 8, 8), y[:20])
    for classifier in (few, constant):
        assert not messages(classifier.predict, 16 - X_test)


@pytest.mark.slow
@pytest.mark.parametrize("channels_first", [False, True])
def test_inverted_color_photographs_are_recognized_by_their_arrangement(channels_first):
    rng = np.random.default_rng(0)
    images = photographs(rng, 1500)
    if channels_first:
        images = np.moveaxis(images, 3, 1)
    layout = ImageLayout.from_images(images)
    rows = layout.flatten(images)
    target = np.arange(1000) % 5
    reference = PixelReference.fit(rows[:1000], np.arange(1000), target, layout)
    for _ in range(50):
        batch = rows[1000 + rng.choice(500, 100)]
        assert reference.describe(batch, layout) is None
        assert "inverted" in reference.describe(255 - batch, layout)
        assert "255" in reference.describe(batch / 255, layout)


def test_reference_does_not_depend_on_the_order_nor_the_type_of_the_rows(digits):
    X, X_test, y, _ = digits
    order = np.random.default_rng(0).permutation(len(X))
    expected = Small(max_epochs=1).fit(X, y)
    (known,) = messages(expected.predict, 16 - X_test)
    for images, labels in [
        (X[order], y[order]),
        (X.astype(np.float32), y),
        (X.reshape(300, 64), y),
    ]:
        classifier = Small(max_epochs=1).fit(images, labels)
        assert classifier._pixel_reference == expected._pixel_reference
    weights = np.r_[np.ones(300), np.zeros(300)]
    doubled = Small(max_epochs=1).fit(np.r_[X, 16 - X], np.r_[y, y], sample_weight=weights)
    assert messages(doubled.predict, 16 - X_test) == [known]


def test_prediction_of_huge_values_is_refused_without_a_warning(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="overflow"):
            fitted.predict(np.full((2, 8, 8), 1e300) * np.arange(64).reshape(8, 8))


@pytest.mark.slow
def test_draws_of_mnist_never_warn_and_changed_draws_always(mnist):
    X, X_test, y, _ = mnist
    rng = np.random.default_rng(0)
    layout, rows = ImageLayout(28, 28), X_test.reshape(len(X_test), -1)
    for n_samples in (100, 1000, 60_000):
        index = rng.permutation(len(X))[:n_samples]
        reference = PixelReference.fit(X.reshape(len(X), -1), index, y[index], layout)
        for size in (1, 10, 100):
            for _ in range(300):
                batch = rows[rng.choice(len(rows), size)]
                assert reference.describe(batch, layout) is None
                assert "inverted" in reference.describe(255 - batch, layout)
                assert "X * 255" in reference.describe(batch / 255, layout)
