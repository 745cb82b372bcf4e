"""`benchmarks/compare_methods.py`: what it prints and writes, and its errors."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from sklenet.comparison import METHODS, Comparison, MethodScores, make_method
from sklenet.comparison._report import draw_error_against_time, report_files
from sklenet.datasets import load_digits_images

pytest.importorskip("matplotlib")
pytest.importorskip("pandas", "3.1")

from benchmarks import compare_methods as command
from benchmarks import lab

RESULT = Path(command.__file__).parent / "results" / "compare_methods"
FILES = {"comparison.md", "error_vs_time.png", "mistakes.png", "rows.csv", "run.json"}
QUICK = ["--methods", "knn", "svm", "--n-train", "200"]
X, y = load_digits_images()


@pytest.fixture
def idx_folder(tmp_path):
    """A data set of 200 training and 100 test images in IDX files."""
    arrays = {
        "train-images-idx3-ubyte": X[:200],
        "t10k-images-idx3-ubyte": X[200:300],
        "train-labels-idx1-ubyte": y[:200],
        "t10k-labels-idx1-ubyte": y[200:300],
    }
    folder = tmp_path / "data"
    folder.mkdir()
    for name, array in arrays.items():
        header = struct.pack(f">4B{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape)
        (folder / name).write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


def read_comparison(folder):
    """Return the comparison of a result, without predictions, and the description of its run."""
    rows, run = lab.read_result(folder)
    scores = []
    for row in rows.to_dict("records"):
        row["fold_accuracies"] = json.loads(row["fold_accuracies"])
        scores.append(MethodScores(**{key: value for key, value in row.items() if value == value}))
    return Comparison(scores, None, run["protocol"], run["significance_test"]), run


def refusal(capsys, *arguments):
    """Run the command with wrong arguments and return what it says."""
    with pytest.raises(SystemExit) as exit_:
        command.main(list(arguments))
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_compare_digits_cross_validates_and_writes_everything(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    command.main([*QUICK, "--out", str(out), "--seed", "3"])
    printed = capsys.readouterr()
    assert "5-fold cross-validation on 200 images" in printed.out
    assert "[10/10] svm, fold 5" in printed.err
    assert {path.name for path in out.iterdir()} == FILES

    comparison, run = read_comparison(out)
    assert {row.method for row in comparison.scores} == {"knn", "svm"}
    assert all(row.accuracy > 0.8 and len(row.fold_accuracies) == 5 for row in comparison.scores)
    assert run["command"].startswith("python benchmarks/compare_methods.py --methods knn svm")
    assert run["options"]["seed"] == 3

    page = (out / "comparison.md").read_text(encoding="utf-8")
    assert comparison.to_markdown() in page
    assert f"`{run['command']}`" in page
    for picture in ("error_vs_time.png", "mistakes.png"):
        assert f"]({picture})" in page
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


def test_committed_result_has_the_page_of_its_rows():
    comparison, run = read_comparison(RESULT)
    page = (RESULT / "comparison.md").read_text(encoding="utf-8")
    assert comparison.to_markdown() in page
    assert page.endswith(lab.render("_made_by.md", run=run, source="compare_methods.py"))
    assert {path.name for path in RESULT.iterdir()} == FILES


def test_picture_of_the_committed_result_has_labels_beside_the_dots():
    from matplotlib.figure import Figure

    comparison, _ = read_comparison(RESULT)
    ax = Figure(figsize=(6.5, 4), layout="constrained").subplots()
    draw_error_against_time(comparison, ax)
    labels = [text.get_window_extent() for text in ax.texts]
    assert len(labels) == len(comparison.scores)
    for number, label in enumerate(labels):
        others = labels[:number] + [line.get_window_extent() for line in ax.lines]
        assert label.count_overlaps(others) == 0


def test_compare_folder_scores_its_test_images(idx_folder, tmp_path, capsys):
    command.main(["--data", str(idx_folder), "--methods", "knn", "--out", str(tmp_path / "out")])
    assert "Trained on 200 images, tested on 100" in capsys.readouterr().out


def test_compare_folder_of_several_data_sets_scores_the_split(idx_folder, capsys):
    for path in list(idx_folder.iterdir()):
        for name in ("balanced", "letters"):
            (idx_folder / f"emnist-{name}-{path.name}").write_bytes(path.read_bytes())
        path.unlink()
    arguments = ["--data", str(idx_folder), "--methods", "knn"]
    command.main([*arguments, "--split", "letters"])
    assert "Trained on 200 images, tested on 100" in capsys.readouterr().out
    assert "split must be one of ['balanced', 'letters']" in refusal(capsys, *arguments)


def test_compare_folder_with_cv_cross_validates(idx_folder, capsys):
    command.main(["--data", str(idx_folder), "--methods", "knn", "--cv", "3", "--n-train", "150"])
    assert "3-fold cross-validation on 150 images" in capsys.readouterr().out


def test_compare_with_tuning_writes_what_was_chosen(tmp_path):
    out = tmp_path / "out"
    command.main(["--methods", "knn", "--n-train", "100", "--cv", "2", "--tune", "--out", str(out)])
    rows, _ = lab.read_result(out)
    assert rows.best_params[0].count("classifier__n_neighbors") == 2


def test_make_contender_accelerated_has_the_other_class(monkeypatch):
    class FastSVC(SVC):
        """Stands for the class of scikit-learn-intelex, which has the same parameters."""

    sklearnex = ModuleType("sklearnex")
    sklearnex.svm = SimpleNamespace(SVC=FastSVC)
    sklearnex.neighbors = SimpleNamespace(KNeighborsClassifier=KNeighborsClassifier)
    monkeypatch.setitem(sys.modules, "sklearnex", sklearnex)
    options = command.make_parser().parse_args(["--accelerate"])
    svm = command.make_contender("svm", options)["classifier"]
    assert isinstance(svm, FastSVC)
    assert svm.C == make_method("svm")["classifier"].C
    assert command.make_contender("mlp", options)["classifier"].early_stopping


def test_compare_method_that_fails_is_in_the_table(monkeypatch, tmp_path, capsys):
    def make_failing_svm(name, options):
        method = make_method(name)
        return method.set_params(classifier__C=-1) if name == "svm" else method

    monkeypatch.setattr(command, "make_contender", make_failing_svm)
    out = tmp_path / "out"
    command.main([*QUICK, "--out", str(out)])
    assert "svm failed: InvalidParameterError" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == FILES


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(["--help"])
    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    options = ["--data", "--split", "--n-train", "--cv", "--methods", "--tune", "--device"]
    for option in [*options, "--accelerate", "--seed", "--n-jobs", "--out", *METHODS]:
        assert option in printed
    assert all(action.help for action in command.make_parser()._actions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "cnn"], "argument --methods: invalid choice: 'cnn'"),
        (
            ["--data", "nowhere"],
            "path must be a folder or a CSV file, got nowhere, which does not exist",
        ),
        (["--data", command.__file__], "path must be a folder or a CSV file, got the file"),
        (["--split", "letters"], "split must be None for 'digits', got 'letters'"),
        (["--cv", "many"], "argument --cv: must be a positive whole number, got 'many'"),
        (["--cv", "1"], "n_splits=1"),
        (["--cv", "400"], "n_splits=400 cannot be greater than the number of members"),
        (["--n-train", "5000"], "argument --n-train: must be from 10 to 1787"),
        (["--n-train", "5"], "for all training images, got 5"),
        (["--device", "abacus"], "device='abacus' cannot be used"),
        (["--n-jobs", "0"], "argument --n-jobs: must be a positive whole number, got '0'"),
        (["--seed", "99999999999"], "argument --seed: must be from 0 to 4294967295"),
        (["--color"], "unrecognized arguments: --color"),
    ],
)
def test_wrong_option_is_refused_in_one_line(capsys, arguments, message):
    assert message in refusal(capsys, *arguments)


def test_out_that_cannot_be_written_is_refused_before_the_run(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    message = refusal(capsys, *QUICK, "--out", str(file))
    assert message.startswith("compare_methods.py: error: argument --out: ")


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        (
            "sklearnex",
            ["--accelerate"],
            "argument --accelerate: needs scikit-learn-intelex: pip install 'sklenet[accelerate]'",
        ),
        (
            "matplotlib",
            ["--out", "out"],
            "argument --out: needs matplotlib: pip install 'sklenet[plots]'",
        ),
    ],
)
def test_missing_package_is_named(monkeypatch, capsys, missing, arguments, message):
    monkeypatch.setitem(sys.modules, missing, None)
    assert message in refusal(capsys, *arguments)


def test_report_without_matplotlib_raises_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    comparison, _ = read_comparison(RESULT)
    message = r"^The report needs matplotlib: pip install 'sklenet\[plots\]'$"
    with pytest.raises(ImportError, match=message):
        report_files(comparison, X)


def test_interruption_writes_nothing(monkeypatch, tmp_path, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "compare_methods", interrupt)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as exit_:
        command.main([*QUICK, "--out", str(out)])
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "Interrupted; nothing was written.\n"
    assert list(out.iterdir()) == []


def test_write_files_that_fails_keeps_the_older_ones(tmp_path):
    lab.write_files(tmp_path, {"a": b"old", "b": b"old"})
    with pytest.raises(TypeError):
        lab.write_files(tmp_path, {"a": b"new", "b": "no bytes"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"old",
        "b": b"old",
    }


@pytest.mark.slow
@pytest.mark.parametrize("how", [[command.__file__], ["-m", "benchmarks.compare_methods"]])
def test_command_runs_as_a_file_and_as_a_module(how):
    root = RESULT.parents[2]
    completed = subprocess.run(
        [sys.executable, *how, "--cv", "0"], cwd=root, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 2
    assert completed.stderr.startswith("compare_methods.py: error: argument --cv")
