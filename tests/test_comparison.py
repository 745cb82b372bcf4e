"""`compare_methods`: the same data for every method, honest numbers, and clear refusals."""

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
    """Predicts the first class, and remembers what it was shown."""

    seen: list[tuple]  # of training and test images; set by the test

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.training_images_ = X
        return self

    def predict(self, X):
        self.seen.append((self.training_images_, X))
        return np.repeat(self.classes_[:1], len(X))


class OtherRecorder(Recorder):
    """Another method that remembers what it was shown."""


class Failing(ClassifierMixin, BaseEstimator):
    """Fails to fit, with the error that it is given."""

    def __init__(self, error_class=ValueError):
        self.error_class = error_class

    def fit(self, X, y):
        raise self.error_class("no luck")


def cheap_methods():
    return {"tree": DecisionTreeClassifier(max_depth=3), "bayes": GaussianNB()}


def compare(methods, **arguments):
    return compare_methods(X, y, methods, **{"random_state": 0, "verbose": 0, **arguments})


def rows_by_method(comparison):
    return {row.method: row for row in comparison.scores_}


def test_every_method_gets_the_same_stratified_folds():
    Recorder.seen, OtherRecorder.seen = [], []
    compare({"a": Recorder(), "b": OtherRecorder()}, cv=4)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    for (train, test), *seen in zip(
        folds.split(X, y), Recorder.seen, OtherRecorder.seen, strict=True
    ):
        for training_images, test_images in seen:
            assert_array_equal(training_images, X[train])
            assert_array_equal(test_images, X[test])


def test_scores_over_folds_are_those_of_scikit_learn():
    comparison = compare({"bayes": GaussianNB(), "prior": DummyClassifier()}, cv=4)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    accuracies = cross_val_score(GaussianNB(), X, y, cv=folds)
    f1_scores = cross_val_score(GaussianNB(), X, y, cv=folds, scoring="f1_macro")
    row = rows_by_method(comparison)["bayes"]
    assert row.fold_accuracies == pytest.approx(accuracies)
    assert row.accuracy == pytest.approx(accuracies.mean())
    assert row.accuracy_std == pytest.approx(accuracies.std())
    assert row.macro_f1 == pytest.approx(f1_scores.mean())
    assert comparison.protocol_ == "4-fold cross-validation on 400 images"


def test_predictions_over_folds_are_those_for_each_sample_when_it_was_left_out():
    comparison = compare(cheap_methods(), cv=KFold(4))
    assert_array_equal(comparison.y_true_, y)
    for method, row in rows_by_method(comparison).items():
        right = comparison.predictions_[method] == y
        assert right.reshape(4, 100).mean(axis=1) == pytest.approx(row.fold_accuracies)
        assert comparison.confidences_[method].shape == y.shape


def test_a_test_set_is_predicted_once():
    comparison = compare_methods(
        X[:300], y[:300], cheap_methods(), X_test=TEST_SET[0], y_test=TEST_SET[1], verbose=0
    )
    expected = GaussianNB().fit(X[:300], y[:300]).predict(TEST_SET[0])
    row = rows_by_method(comparison)["bayes"]
    assert_array_equal(comparison.predictions_["bayes"], expected)
    assert_array_equal(comparison.y_true_, TEST_SET[1])
    assert row.accuracy == accuracy_score(TEST_SET[1], expected)
    assert row.macro_f1 == f1_score(TEST_SET[1], expected, average="macro")
    assert np.isnan(row.accuracy_std)
    assert comparison.protocol_ == "Trained on 300 images, tested on 100"


def test_the_most_accurate_method_comes_first():
    comparison = compare({"prior": DummyClassifier(), **cheap_methods()}, cv=2)
    accuracies = [row.accuracy for row in comparison.scores_]
    assert accuracies == sorted(accuracies, reverse=True)
    assert comparison.best_ == comparison.scores_[0].method == "bayes"
    assert np.isnan(comparison.scores_[0].p_value)


def test_differences_over_folds_are_tested_with_the_corrected_t_test():
    comparison = compare(cheap_methods(), cv=4)
    best, other = comparison.scores_
    expected = corrected_t_test(best.fold_accuracies, other.fold_accuracies, 100 / 300)
    assert other.p_value == pytest.approx(expected)
    assert "corrected resampled t-test" in comparison.significance_test_


def test_differences_on_a_test_set_are_tested_with_mcnemars_test():
    comparison = compare_methods(
        X[:300], y[:300], cheap_methods(), X_test=TEST_SET[0], y_test=TEST_SET[1], verbose=0
    )
    expected = mcnemar_test(TEST_SET[1], *comparison.predictions_.values())
    assert comparison.scores_[1].p_value == expected
    assert "McNemar" in comparison.significance_test_


def test_a_method_that_fails_keeps_its_row_and_the_others_go_on():
    comparison = compare({"failing": Failing(), **cheap_methods()}, cv=2)
    assert [row.method for row in comparison.scores_] == ["bayes", "tree", "failing"]
    assert comparison.scores_[-1].error == "ValueError: no luck"
    assert "failing failed: ValueError: no luck" in str(comparison)
    assert set(comparison.predictions_) == {"bayes", "tree"}


def test_nothing_is_compared_where_every_method_fails():
    with pytest.raises(ValueError, match="Every method failed. a: ValueError: no luck; b: Type"):
        compare({"a": Failing(), "b": Failing(TypeError)}, cv=2)


def test_an_interruption_ends_the_comparison():
    with pytest.raises(KeyboardInterrupt):
        compare({"a": Failing(KeyboardInterrupt), "b": GaussianNB()}, cv=2)


def test_jobs_do_not_change_the_result():
    one, two = (compare(cheap_methods(), cv=3, n_jobs=n_jobs) for n_jobs in (1, 2))
    for method, row in rows_by_method(one).items():
        assert rows_by_method(two)[method].fold_accuracies == row.fold_accuracies
        assert_array_equal(one.predictions_[method], two.predictions_[method])


@pytest.mark.parametrize("random_state", [7, np.random.RandomState(7)])
def test_the_seed_reaches_every_method_that_has_none(random_state):
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


def test_methods_are_found_by_name_and_take_images():
    comparison = compare_methods(images[:200], y[:200], ["knn", "svm"], cv=2, verbose=0)
    assert set(comparison.predictions_) == {"knn", "svm"}


def test_all_methods_are_compared_by_default(monkeypatch):
    # The networks cost seconds; their names are what matters here.
    monkeypatch.setattr("sklenet.comparison._compare.make_method", lambda name: GaussianNB())
    comparison = compare(None, cv=2)
    assert set(comparison.predictions_) == {"deep_lenet", "lenet5", "svm", "mlp", "knn"}


def test_networks_are_compared_too():
    network = make_method("deep_lenet")
    network.set_params(classifier__max_epochs=1, classifier__hidden_layer_sizes=(8,))
    comparison = compare_methods(
        images[:200], y[:200], {"net": network, "knn": make_method("knn")}, cv=2, verbose=0
    )
    assert rows_by_method(comparison)["net"].model_size > 0


def test_data_may_be_tensors_frames_and_lists_and_labels_strings():
    pd = pytest.importorskip("pandas")
    labels = np.array([f"digit {label}" for label in y])
    expected = compare({"bayes": GaussianNB()}, cv=2).predictions_["bayes"]
    for same in (torch.from_numpy(X), pd.DataFrame(X), X.tolist()):
        comparison = compare_methods(
            same, labels, {"bayes": GaussianNB()}, cv=2, random_state=0, verbose=0
        )
        assert_array_equal(comparison.predictions_["bayes"], [f"digit {x}" for x in expected])


def test_progress_shows_a_line_for_each_fit(capsys):
    compare({"bayes": GaussianNB()}, cv=2, verbose=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith("[1/2] bayes, fold 1: accuracy 0.")
    assert second.startswith("[2/2] bayes, fold 2: accuracy 0.")


def test_it_is_silent_when_asked_to_be(capsys):
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
            "X_test have 63 pixels, those of X have 64",
        ),
        ({"y": y[1:]}, ValueError, "inconsistent numbers of samples"),
        ({"y": y + 0.5}, ValueError, "Unknown label type: continuous"),
        ({"methods": ["knn", "cnn"]}, ValueError, "'cnn' is unknown; the known ones are"),
        ({"methods": []}, ValueError, "methods is empty; the known ones are"),
        ({"methods": "knn"}, TypeError, "must be a list of names or a dict"),
        ({"methods": {"bayes": GaussianNB}}, TypeError, "instance of scikit-learn estimator"),
        ({"cv": 1}, ValueError, "n_splits=2 or more"),
        ({"cv": ShuffleSplit(2)}, ValueError, "must test each sample exactly once"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_fit(arguments, error, message):
    arguments = {"X": X, "y": y, "methods": {"failing": Failing(AssertionError)}, **arguments}
    with pytest.raises(error, match=message):
        compare_methods(**arguments, verbose=0)
