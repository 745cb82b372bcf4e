"""`Comparison` as text, Markdown, data frame and dict."""

import json
import math
import sys

import numpy as np
import pytest

from sklenet.comparison import Comparison, MethodScores


@pytest.fixture
def comparison():
    """A comparison of two fitted methods and one that failed."""
    return Comparison(
        scores=[
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
        y_true=np.array([1, 2]),
        protocol="2-fold cross-validation on 2 images",
        significance_test="a test",
    )


def test_comparison_str_is_aligned_table(comparison):
    header, best, knn, svm, *notes = str(comparison).splitlines()
    assert header.split("  ")[0] == "method"
    assert " ".join(best.split()) == "deep_lenet 0.9912 ± 0.0031 0.9908 123 0.250 7.05 best"
    assert " ".join(knn.split()) == "knn 0.9700 ± 0.0100 0.9600 0.00123 12.3 0.376 <0.001"
    assert svm.split() == ["svm", "failed"]
    # The columns are aligned: their cells end where the header's do.
    assert header.index("accuracy") + len("accuracy") == knn.index("0.0100") + len("0.0100")
    assert len(header) == len(best) == len(knn)
    assert notes == [
        "2-fold cross-validation on 2 images. p: a test against the best method.",
        "svm failed: ValueError: no luck",
    ]
    assert repr(comparison) == str(comparison)


def test_comparison_str_test_set_lacks_standard_deviation(comparison):
    comparison.scores[1].accuracy_std = math.nan
    assert "±" not in str(comparison).splitlines()[2]


def test_comparison_str_missing_size_is_left_out(comparison):
    comparison.scores[1].model_size = math.nan
    assert "nan" not in str(comparison)


def test_comparison_to_markdown_is_table_with_notes(comparison):
    lines = comparison.to_markdown().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:5]]
    assert cells[0][:2] == ["method", "accuracy"]
    assert [set(cell) for cell in cells[1]] == [{":", "-"}] * 7
    assert cells[2] == ["deep_lenet", "0.9912 ± 0.0031", "0.9908", "123", "0.250", "7.05", "best"]
    assert lines[5] == ""
    assert lines[-1] == "svm failed: ValueError: no luck"


def test_comparison_to_frame_has_row_for_each_method(comparison):
    pytest.importorskip("pandas")
    frame = comparison.to_frame()
    assert frame.index.tolist() == ["deep_lenet", "knn", "svm"]
    assert frame.loc["knn", "p_value"] == 0.0004
    assert frame.loc["svm", "error"] == "ValueError: no luck"
    assert np.isnan(frame.loc["svm", "accuracy"])


def test_comparison_to_frame_without_pandas_raises_with_what_to_install(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    message = r"^Comparison\.to_frame needs pandas: pip install 'sklenet\[plots\]'$"
    with pytest.raises(ImportError, match=message):
        comparison.to_frame()


def test_comparison_to_dict_is_json(comparison):
    numbers = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    best, knn, svm = numbers["methods"]
    assert numbers["protocol"] == comparison.protocol
    assert best["method"] == comparison.best == "deep_lenet"
    assert best["p_value"] is None
    assert knn["fold_accuracies"] == [0.96, 0.98]
    assert knn["best_params"] == [{"k": 1}]
    assert svm["accuracy"] is None
