"""The table of a comparison, in every form that it takes."""

import json
import math

import numpy as np
import pytest

from sklenet.comparison import Comparison, MethodScores


@pytest.fixture
def comparison():
    """Two methods that worked and one that failed."""
    return Comparison(
        scores_=[
            MethodScores("deep_lenet", 0.9912, 0.0031, 0.9908, 123.4, 0.25, 7_050_000.0),
            MethodScores(
                "knn",
                0.97,
                0.01,
                0.96,
                0.00123,
                12.345,
                376_000.0,
                0.0004,
                [0.96, 0.98],
                [{"k": 1}],
            ),
            MethodScores("svm", error="ValueError: no luck"),
        ],
        predictions_={"deep_lenet": np.array([1, 2]), "knn": np.array([1, 1])},
        confidences_={"deep_lenet": None, "knn": np.array([0.5, 0.6])},
        y_true_=np.array([1, 2]),
        protocol_="2-fold cross-validation on 2 images",
        significance_test_="a test",
    )


def test_it_prints_an_aligned_table(comparison):
    assert str(comparison).splitlines() == [
        "method             accuracy  macro F1  fit (s)  predict 1000 (s)  size (MB)       p",
        "deep_lenet  0.9912 ± 0.0031    0.9908      123             0.250       7.05    best",
        "knn         0.9700 ± 0.0100    0.9600  0.00123              12.3      0.376  <0.001",
        "svm                  failed",
        "2-fold cross-validation on 2 images. p: a test against the best method.",
        "svm failed: ValueError: no luck",
    ]
    assert repr(comparison) == str(comparison)


def test_a_test_set_has_no_standard_deviation(comparison):
    comparison.scores_[1].accuracy_std = math.nan
    assert "±" not in str(comparison).splitlines()[2]


def test_a_missing_size_is_left_out(comparison):
    comparison.scores_[1].model_size = math.nan
    assert "nan" not in str(comparison)


def test_markdown(comparison):
    lines = comparison.to_markdown().splitlines()
    assert lines[0].startswith("| method | accuracy |")
    assert lines[1] == "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert lines[2] == "| deep_lenet | 0.9912 ± 0.0031 | 0.9908 | 123 | 0.250 | 7.05 | best |"
    assert lines[5] == ""
    assert lines[-1] == "svm failed: ValueError: no luck"


def test_frame(comparison):
    pytest.importorskip("pandas")
    frame = comparison.to_frame()
    assert frame.index.tolist() == ["deep_lenet", "knn", "svm"]
    assert frame.loc["knn", "p_value"] == 0.0004
    assert frame.loc["svm", "error"] == "ValueError: no luck"
    assert np.isnan(frame.loc["svm", "accuracy"])


def test_dict_is_json(comparison):
    numbers = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    best, knn, svm = numbers["methods"]
    assert numbers["protocol"] == comparison.protocol_
    assert best["method"] == comparison.best_ == "deep_lenet"
    assert best["p_value"] is None
    assert knn["fold_accuracies"] == [0.96, 0.98]
    assert knn["best_params"] == [{"k": 1}]
    assert svm["accuracy"] is None
