"""`compare_methods`: the folds, the scores, the significance tests and the errors."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from sklenet.comparison import compare_methods, corrected_t_test, make_method, mcnemar_test
from sklenet.datasets import load_digits_images

images, y = load_digits_images()
X = images.reshape(len(y), -1)[:400]
y = y[:400]
TEST_SET = X[300:], y[300:]


class Recorder(ClassifierMixin, BaseEstimator):
    """Predict the first class, and record the training and test images."""

    seen: list[tuple]  # of training and test images; set by the test

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.training_images_ = X
        return self

    def predict(self, X):
        self.seen.append((self.training_images_, X))
        return np.repeat(self.classes_[:1], len(X))


class OtherRecorder(Recorder):
    """Another method that records its images."""


class Failing(ClassifierMixin, BaseEstimator):
    """Fail to fit, with a given error."""

    def __init__(self, error_class=ValueError):
        self.error_class = error_class

    def fit(self, X, y):
        raise self.error_class("no luck")


def cheap_methods():
    return {"tree": DecisionTreeClassifier(max_depth=3), "bayes": GaussianNB()}


def compare(methods, **arguments):
    return compare_methods(X, y, methods, **{"random_state": 0, "verbose": 0, **arguments})


def rows_by_method(comparison):
    return {row.method: row for row in comparison.scores}


def test_compare_methods_share_stratified_folds():
    Recorder.seen, OtherRecorder.seen = [], []
    compare({"a": Recorder(), "b": OtherRecorder()}, cv=4)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    for (train, test), *seen in zip(
        folds.split(X, y), Recorder.seen, OtherRecorder.seen, strict=True
    ):
        for training_images, test_images in seen:
            assert_array_equal(training_images, X[train])
            assert_array_equal(test_images, X[test])


def test_compare_folds_has_scores_of_scikit_learn():
    comparison = compare({"bayes": GaussianNB(), "prior": DummyClassifier()}, cv=4)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    accuracies = cross_val_score(GaussianNB(), X, y, cv=folds)
    f1_scores = cross_val_score(GaussianNB(), X, y, cv=folds, scoring="f1_macro")
    row = rows_by_method(comparison)["bayes"]
    assert row.fold_accuracies == pytest.approx(accuracies)
    assert row.accuracy == pytest.approx(accuracies.mean())
    assert row.accuracy_std == pytest.approx(accuracies.std())
    assert row.macro_f1 == pytest.approx(f1_scores.mean())
    assert comparison.protocol == "4-fold cross-validation on 400 images"


def test_compare_folds_has_out_of_fold_predictions():
    comparison = compare(cheap_methods(), cv=KFold(4))
    assert_array_equal(comparison.y_true, y)
    for method, row in rows_by_method(comparison).items():
        right = comparison.predictions[method] == y
        assert right.reshape(4, 100).mean(axis=1) == pytest.approx(row.fold_accuracies)
        assert comparison.confidences[method].shape == y.shape


def test_compare_test_set_is_predicted_once():
    comparison = compare_methods(
        X[:300], y[:300], cheap_methods(), X_test=TEST_SET[0], y_test=TEST_SET[1], verbose=0
    )
    expected = GaussianNB().fit(X[:300], y[:300]).predict(TEST_SET[0])
    row = rows_by_method(comparison)["bayes"]
    assert_array_equal(comparison.predictions["bayes"], expected)
    assert_array_equal(comparison.y_true, TEST_SET[1])
    assert row.accuracy == accuracy_score(TEST_SET[1], expected)
    assert row.macro_f1 == f1_score(TEST_SET[1], expected, average="macro")
    assert np.isnan(row.accuracy_std)
    assert comparison.protocol == "Trained on 300 images, tested on 100"


def test_compare_most_accurate_method_is_first():
    comparison = compare({"prior": DummyClassifier(), **cheap_methods()}, cv=2)
    accuracies = [row.accuracy for row in comparison.scores]
    assert accuracies == sorted(accuracies, reverse=True)
    assert comparison.best == comparison.scores[0].method == "bayes"
    assert np.isnan(comparison.scores[0].p_value)


def test_compare_folds_are_tested_by_corrected_t_test():
    comparison = compare(cheap_methods(), cv=4)
    best, other = comparison.scores
    expected = corrected_t_test(best.fold_accuracies, other.fold_accuracies, 100 / 300)
    assert other.p_value == pytest.approx(expected)
    assert "corrected resampled t-test" in comparison.significance_test


def test_compare_test_set_is_tested_by_mcnemar_test():
    comparison = compare_methods(
        X[:300], y[:300], cheap_methods(), X_test=TEST_SET[0], y_test=TEST_SET[1], verbose=0
    )
    expected = mcnemar_test(TEST_SET[1], *comparison.predictions.values())
    assert comparison.scores[1].p_value == expected
    assert "McNemar" in comparison.significance_test


def test_compare_failing_method_keeps_row_of_others():
    comparison = compare({"failing": Failing(), **cheap_methods()}, cv=2)
    assert [row.method for row in comparison.scores] == ["bayes", "tree", "failing"]
    assert comparison.scores[-1].error == "ValueError: no luck"
    assert "failing failed: ValueError: no luck" in str(comparison)
    assert set(comparison.predictions) == {"bayes", "tree"}


def test_compare_every_method_fails_raises():
    with pytest.raises(ValueError, match="Every method failed. a: ValueError: no luck; b: Type"):
        compare({"a": Failing(), "b": Failing(TypeError)}, cv=2)


def test_compare_interrupted_raises():
    with pytest.raises(KeyboardInterrupt):
        compare({"a": Failing(KeyboardInterrupt), "b": GaussianNB()}, cv=2)


@pytest.mark.slow
def test_compare_two_jobs_has_same_scores():
    one, two = (compare(cheap_methods(), cv=3, n_jobs=n_jobs) for n_jobs in (1, 2))
    for method, row in rows_by_method(one).items():
        assert rows_by_method(two)[method].fold_accuracies == row.fold_accuracies
        assert_array_equal(one.predictions[method], two.predictions[method])


@pytest.mark.parametrize("random_state", [7, np.random.RandomState(7)])
def test_compare_random_state_seeds_unseeded_methods(random_state):
    class Seeded(Recorder):
        def __init__(self, random_state=None):
            self.random_state = random_state

        def predict(self, X):
            self.seen.append(self.random_state)
            return super().predict(X)

    Seeded.seen = []
    methods = {"unseeded": Seeded(), "seeded": Seeded(random_state=3)}
    compare(methods, cv=2, random_state=random_state)
    unseeded, _, again, _, seeded, *_ = Seeded.seen
    assert unseeded == again
    assert isinstance(unseeded, int)
    assert seeded == 3


def test_compare_names_of_methods_are_looked_up():
    comparison = compare_methods(images[:200], y[:200], ["knn", "svm"], cv=2, verbose=0)
    assert set(comparison.predictions) == {"knn", "svm"}


def test_compare_default_is_all_methods(monkeypatch):
    # The networks cost seconds; their names are what matters here.
    monkeypatch.setattr("sklenet.comparison._compare.make_method", lambda name: GaussianNB())
    comparison = compare(None, cv=2)
    assert set(comparison.predictions) == {"deep_lenet", "lenet5", "svm", "mlp", "knn"}


def test_compare_network_has_model_size():
    network = make_method("deep_lenet")
    network.set_params(classifier__max_epochs=1, classifier__hidden_layer_sizes=(8,))
    comparison = compare_methods(
        images[:200], y[:200], {"net": network, "knn": make_method("knn")}, cv=2, verbose=0
    )
    assert rows_by_method(comparison)["net"].model_size > 0


def test_compare_data_in_any_form_has_same_predictions():
    pd = pytest.importorskip("pandas")
    labels = np.array([f"digit {label}" for label in y])
    expected = compare({"bayes": GaussianNB()}, cv=2).predictions["bayes"]
    tensor = torch.from_numpy(X).double().requires_grad_()
    for same in (torch.from_numpy(X), tensor, pd.DataFrame(X), X.tolist()):
        comparison = compare_methods(
            same, labels, {"bayes": GaussianNB()}, cv=2, random_state=0, verbose=0
        )
        assert_array_equal(comparison.predictions["bayes"], [f"digit {x}" for x in expected])


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_compare_tensors_have_predictions_of_arrays(dtype):
    methods = {"bayes": GaussianNB()}
    images, labels = torch.from_numpy(X), torch.from_numpy(y).to(dtype)
    labels.requires_grad_(dtype.is_floating_point)
    expected = compare(methods, cv=2).predictions["bayes"]
    on_tensors = compare_methods(images, labels, methods, cv=2, random_state=0, verbose=0)
    assert_array_equal(on_tensors.predictions["bayes"], expected)
    on_test_set = compare_methods(
        images, labels, methods, X_test=images, y_test=labels, random_state=0, verbose=0
    )
    assert_array_equal(on_test_set.y_true, y)


def test_compare_text_labels_of_two_dtypes_are_equal():
    names = y.astype(str)
    methods = {"bayes": GaussianNB()}
    found, expected = (
        compare_methods(X, given, methods, X_test=X, y_test=names, verbose=0)
        for given in (names.astype(object), names)
    )
    assert found.scores[0].accuracy == expected.scores[0].accuracy > 0.5


def test_compare_verbose_prints_line_for_each_fit(capsys):
    compare({"bayes": GaussianNB()}, cv=2, verbose=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith("[1/2] bayes, fold 1: accuracy 0.")
    assert second.startswith("[2/2] bayes, fold 2: accuracy 0.")


def test_compare_not_verbose_prints_nothing(capsys):
    compare({"bayes": GaussianNB()}, cv=2, verbose=0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X_test": X}, ValueError, "X_test and y_test belong together"),
        ({"y_test": y}, ValueError, "X_test and y_test belong together"),
        ({"X_test": X, "y_test": y[1:]}, ValueError, "inconsistent numbers of samples"),
        (
            {"X_test": X[:, 1:], "y_test": y},
            ValueError,
            "X_test must have images of 64 pixels as X has, got 63",
        ),
        ({"y": y[1:]}, ValueError, "inconsistent numbers of samples"),
        ({"y": y + 0.5}, ValueError, "Unknown label type: continuous"),
        ({"X_test": X, "y_test": y + 0.5}, ValueError, "y_test must have class labels, got contin"),
        ({"y": [None, *y[1:]]}, ValueError, "y must have a label for each image, got None"),
        ({"y": ["a", *y[1:]]}, ValueError, "y must have labels of one type, got int64, str"),
        ({"y": np.r_[np.nan, y[1:]]}, ValueError, "Input y contains NaN"),
        ({"y": np.eye(10)[y]}, ValueError, "y should be a 1d array, got an array of shape"),
        ({"methods": [GaussianNB()]}, TypeError, r"got a list with GaussianNB\(\)"),
        ({"X": [["a.png"]] * len(y)}, ValueError, "X must hold numbers, got strings"),
        ({"X_test": ["a.png"], "y_test": [1]}, ValueError, "X_test must hold image files if X"),
        ({"X": [X[:1], X[:2]]}, ValueError, "X must have images of one size, got images of"),
        ({"X": iter(X)}, TypeError, "X must be an array, .*, got .*iterator"),
        ({"X": None}, TypeError, "X must be an array, .*, got None"),
        ({"X": X[:, 0]}, ValueError, r"X must have the shape .* got \(400,\)"),
        ({"methods": ["knn", "cnn"]}, ValueError, "methods must have names of .*, got 'cnn'"),
        ({"methods": []}, ValueError, "methods must not be empty; the known ones are"),
        ({"methods": "knn"}, TypeError, "must be a list of names or a dict"),
        ({"methods": {"bayes": GaussianNB}}, TypeError, "methods must have estimators, got .* for"),
        ({"methods": {"none": None}}, TypeError, "must have estimators, got None for 'none'"),
        ({"X_test": X, "y_test": y + 10}, ValueError, r"y_test must have labels of y, \[0, "),
        ({"X_test": X, "y_test": y.astype(str)}, ValueError, "labels of y, .* got .*'0', "),
        ({"cv": 1}, ValueError, "n_splits=2 or more"),
        ({"cv": ShuffleSplit(2)}, ValueError, "must test each sample exactly once"),
    ],
)
def test_compare_invalid_arguments_raises_before_any_fit(arguments, error, message):
    arguments = {"X": X, "y": y, "methods": {"failing": Failing(AssertionError)}, **arguments}
    with pytest.raises(error, match=message):
        compare_methods(**arguments, verbose=0)
