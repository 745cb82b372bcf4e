"""`benchmarks/compare_methods.py`: what it prints and writes, and how it refuses."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import compare_methods as command
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from sklenet.comparison import METHODS, make_method
from sklenet.datasets import load_digits_images

pytest.importorskip("matplotlib")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "compare_methods.py"
FILES = {"comparison.md", "comparison.json", "accuracy_vs_time.png", "mistakes.png"}
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


def refusal(capsys, *arguments):
    """Run the command with wrong arguments and return what it says."""
    with pytest.raises(SystemExit) as exit_:
        command.main(list(arguments))
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_digits_are_cross_validated_and_everything_is_written(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    command.main([*QUICK, "--out", str(out), "--seed", "3"])
    printed = capsys.readouterr()
    assert "5-fold cross-validation on 200 images" in printed.out
    assert "[10/10] svm, fold 5" in printed.err
    assert {path.name for path in out.iterdir()} == FILES

    numbers = json.loads((out / "comparison.json").read_text())
    assert {row["method"] for row in numbers["methods"]} == {"knn", "svm"}
    assert all(row["accuracy"] > 0.8 for row in numbers["methods"])
    assert numbers["command"].startswith("python benchmarks/compare_methods.py --methods knn svm")
    assert numbers["machine"]["cores"] >= 1
    assert {"python", "scikit-learn", "torch"} <= numbers["versions"].keys()
    assert numbers["date"].endswith("+00:00")

    page = (out / "comparison.md").read_text()
    assert "| method | accuracy |" in page
    assert f"`{numbers['command']}`" in page
    for picture in ("accuracy_vs_time.png", "mistakes.png"):
        assert f"]({picture})" in page
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


def test_a_folder_is_scored_on_its_test_images(idx_folder, tmp_path, capsys):
    command.main(["--data", str(idx_folder), "--methods", "knn", "--out", str(tmp_path / "out")])
    assert "Trained on 200 images, tested on 100" in capsys.readouterr().out


def test_a_folder_is_cross_validated_if_asked_for(idx_folder, capsys):
    command.main(["--data", str(idx_folder), "--methods", "knn", "--cv", "3", "--n-train", "150"])
    assert "3-fold cross-validation on 150 images" in capsys.readouterr().out


def test_the_training_images_are_a_stratified_choice():
    _, labels = command.choose(X, y, 500, seed=0)
    assert np.ptp(np.bincount(labels)) <= 3
    _, everything = command.choose(X, y, len(y), seed=0)
    assert everything is y


def test_tuning_tells_what_was_chosen(tmp_path):
    out = tmp_path / "out"
    command.main(["--methods", "knn", "--n-train", "100", "--cv", "2", "--tune", "--out", str(out)])
    (row,) = json.loads((out / "comparison.json").read_text())["methods"]
    assert [set(chosen) for chosen in row["best_params"]] == [{"classifier__n_neighbors"}] * 2


def test_acceleration_replaces_the_classifier(monkeypatch):
    class FastSVC(SVC):
        """Stands for the class of scikit-learn-intelex, which has the same parameters."""

    sklearnex = ModuleType("sklearnex")
    sklearnex.svm = SimpleNamespace(SVC=FastSVC)
    sklearnex.neighbors = SimpleNamespace(KNeighborsClassifier=KNeighborsClassifier)
    monkeypatch.setitem(sys.modules, "sklearnex", sklearnex)
    options = command.make_parser().parse_args(["--accelerate"])
    svm = command.make_contender("svm", options)["classifier"]
    assert isinstance(svm, FastSVC)
    assert svm.C == command.make_method("svm")["classifier"].C
    assert command.make_contender("mlp", options)["classifier"].early_stopping


def test_a_method_that_fails_is_in_the_table(monkeypatch, tmp_path, capsys):
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
    options = ["--data", "--n-train", "--cv", "--methods", "--tune", "--device", "--accelerate"]
    for option in [*options, "--seed", "--n-jobs", "--out", *METHODS]:
        assert option in printed
    assert all(action.help for action in command.make_parser()._actions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "cnn"], "argument --methods: invalid choice: 'cnn'"),
        (["--data", "nowhere"], "The folder nowhere does not exist"),
        (["--cv", "1"], "argument --cv: '1' is no whole number from 2 on"),
        (["--cv", "many"], "argument --cv: 'many' is no whole number from 2 on"),
        (["--cv", "400"], "n_splits=400 cannot be greater than the number of members"),
        (["--n-train", "5000"], "argument --n-train: there are only 1797 training images"),
        (["--device", "abacus"], "device='abacus' cannot be used"),
        (["--n-jobs", "0"], "argument --n-jobs: '0' is no whole number from 1 to 1000"),
        (["--out", ""], "argument --out"),
        (["--data", ""], "argument --data: the name is empty"),
        (
            ["--seed", "99999999999"],
            "argument --seed: '99999999999' is no whole number from 0 to 4294967295",
        ),
        (["--n-train", "5"], "argument --n-train: a stratified choice of 5 of 1797 images"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_a_wrong_option_gets_one_clear_line(capsys, arguments, message):
    assert message in refusal(capsys, *arguments)


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    message = refusal(capsys, *QUICK, "--out", str(file))
    assert "argument --out: cannot write there" in message


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ("sklearnex", ["--accelerate"], "--accelerate needs scikit-learn-intelex"),
        ("matplotlib", ["--out", "out"], "--out needs matplotlib"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, capsys, missing, arguments, message):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == missing else object())
    assert message in refusal(capsys, *arguments)


def test_an_interruption_writes_nothing(monkeypatch, tmp_path, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "compare_methods", interrupt)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as exit_:
        command.main([*QUICK, "--out", str(out)])
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "Interrupted; nothing was written.\n"
    assert list(out.iterdir()) == []


def test_files_are_replaced_only_when_all_are_complete(tmp_path):
    command.write_files(tmp_path, {"a": b"old", "b": b"old"})
    with pytest.raises(TypeError):
        command.write_files(tmp_path, {"a": b"new", "b": "no bytes"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"old",
        "b": b"old",
    }


def test_it_runs_as_a_command():
    completed = subprocess.run(
        [sys.executable, SCRIPT, "--cv", "1"], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 2
    assert completed.stderr.startswith("compare_methods.py: error: argument --cv")
