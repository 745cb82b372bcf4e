"""The experiments of `benchmarks/speed`: they run on small data, and they count right."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("matplotlib")
pytest.importorskip("pandas", "3.1")

from benchmarks import __main__ as command
from benchmarks import lab
from benchmarks.speed import (
    EXPERIMENTS,
    busy_machine,
    image_files,
    prediction_speed,
    scaling,
    time_to_accuracy,
    training_speed,
)
from sklenet import DeepLeNet

RESULTS = command.FOLDER / "results"
SMALL = {
    "training_speed": [
        *("--n-images", "64", "--batch-size", "32", "--rounds", "1"),
        *("--cv-rounds", "1", "--cv-epochs", "1"),
    ],
    "time_to_accuracy": ["--n-train", "100", "--trials", "2"],
    "prediction_speed": [
        *("--n-train", "100", "--n-predict", "300", "--rounds", "2", "--calls", "3"),
    ],
    "image_files": ["--n-files", "20", "--rounds", "2"],
    "busy_machine": ["--n-train", "100", "--rounds", "1"],
    "scaling": ["--sizes", "100", "200", "--search-size", "100", "--rounds", "2"],
}
TRAINED = ["sklenet", "sklenet, float32", "skorch", "DataLoader loop", "bound (bfloat16)"]
by_name = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs an experiment on the digits; it returns its rows and its page."""

    def run(name):
        command.main(["run", name, *SMALL[name], "--out", str(tmp_path)])
        rows, description = lab.read_result(tmp_path)
        assert description["experiment"] == name
        return rows, (tmp_path / "README.md").read_text(encoding="utf-8")

    ways = dict(list(scaling.WAYS.items())[:2])
    monkeypatch.setattr(scaling, "WAYS", ways)
    monkeypatch.setattr(scaling, "SEARCH_EPOCHS", {"digits": 1})
    few = {name: training_speed.CONTENDERS[name] for name in TRAINED}
    monkeypatch.setattr(training_speed, "CONTENDERS", few)
    contenders = ("deep_lenet, 2 epochs", "svm", "knn")
    monkeypatch.setattr(time_to_accuracy, "CONTENDERS", contenders)
    return run


@pytest.mark.slow
def test_busy_machine_small_run_measures_each_load(run):
    rows, page = run("busy_machine")
    assert set(zip(rows.load, rows.contender, strict=True)) == {
        (load, contender) for load in busy_machine.LOADS for contender in busy_machine.CONTENDERS
    }
    assert (rows.n_threads[rows.contender == "one thread"] == 1).all()
    assert page.count("| idle") == page.count("| busy") == 3


def test_busy_processes_run_until_left():
    with busy_machine.busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() for process in processes)


@pytest.mark.slow
def test_training_speed_small_run_measures_each_contender_in_each_round(run):
    rows, page = run("training_speed")
    fits = rows[rows.task == "fit"]
    assert set(fits.contender) == set(TRAINED)
    assert rows.seconds.notna().all()
    assert list(rows[rows.task == "step"].part) == training_speed.PARTS
    validations = rows[rows.task == "cross-validation"]
    assert set(validations.contender) == {*training_speed.OURS, training_speed.RIVAL}
    assert validations.accuracy.between(0.3, 1).all()
    assert "| bound (bfloat16)" in page


@pytest.mark.slow
def test_time_to_accuracy_small_run_scores_networks_after_each_epoch(run):
    rows, page = run("time_to_accuracy")
    n_points = rows.groupby(["trial", "contender"], sort=False).size()
    names = {"deep_lenet, 2 epochs": 2, "svm": 1, "knn": 1}
    first = {(0, name): count for name, count in names.items()}
    assert n_points.to_dict() == first | {(1, "deep_lenet, 2 epochs"): 2, (1, "knn"): 1}
    assert rows.seconds.notna().all()
    assert "| svm " in page


@pytest.mark.slow
def test_prediction_speed_small_run_times_each_call(run):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    rows, page = run("prediction_speed")
    n_calls = prediction_speed.each_call(rows).groupby(["contender", "n_images"]).size()
    assert n_calls.groupby("n_images").unique().map(list).to_dict() == {1: [6], 100: [2], 300: [2]}
    assert "| svm `predict` " in page
    assert "ONNX Runtime runs what" in page
    assert "| deep_lenet in ONNX Runtime " in page
    assert "svm `predict_proba`" not in page  # it has none


@pytest.mark.slow
def test_image_files_small_run_reads_the_same_images(run, monkeypatch):
    read = {}

    def keep(contender):
        def call(files, side):
            images = image_files.CONTENDERS_BEFORE[contender](files, side)
            read.setdefault(side, []).append(images)

        return call

    before = dict(image_files.CONTENDERS)
    monkeypatch.setattr(image_files, "CONTENDERS_BEFORE", before, raising=False)
    monkeypatch.setattr(image_files, "CONTENDERS", {name: keep(name) for name in before})
    rows, page = run("image_files")
    assert len(rows) == 12
    assert "| ImageReader, 2 jobs " in page
    for images in read.values():
        assert len(images) == 9
        for other in images:
            assert np.abs(other.astype(float) - images[0]).mean() < 2


@pytest.mark.slow
@pytest.mark.skipif(not scaling.RESET_PEAK.exists(), reason="reads the memory from Linux's /proc")
def test_scaling_small_run_measures_each_size_and_each_way(run):
    rows, page = run("scaling")
    fits = rows[rows.task == "fit"]
    assert fits.groupby("n_images").size().to_dict() == {100: 2, 200: 2}
    assert (fits.memory_mb > 0).all()
    assert rows.groupby("way").size().to_dict() == dict.fromkeys(scaling.WAYS, 2)
    assert "From 100 images on" in page


@by_name
def test_redraw_committed_result_reproduces_the_page(experiment):
    rows, description = lab.read_result(RESULTS / experiment.name)
    page = (RESULTS / experiment.name / "README.md").read_text(encoding="utf-8")
    assert experiment.make_page(rows, description) == page


@by_name
def test_draw_committed_result_makes_the_pictures_of_the_page(experiment):
    rows, description = lab.read_result(RESULTS / experiment.name)
    pictures = experiment.draw(rows, SimpleNamespace(**description["options"]))
    folder = RESULTS / experiment.name
    assert set(pictures) == {path.name for path in folder.glob("*.png")}
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"]({name})" in page for name in pictures)


def test_training_bound_is_the_time_of_its_flops(monkeypatch):
    c1 = 2 * 2 * 28 * 28 * 32 * 25  # the images need no gradient
    c3 = 3 * 2 * 10 * 10 * 64 * 25 * 32
    fully_connected = 3 * 2 * (1600 * 1024 + 1024 * 67 + 67 * 10)
    n_flops = training_speed.EPOCHS * 7 * (c1 + c3 + fully_connected)
    monkeypatch.setattr(training_speed.timeit, "repeat", lambda *args, **kwargs: [3.0])
    bound = training_speed.prepare_bound(range(7), None, 1, torch.mm, torch.float32)
    assert bound() == pytest.approx(3.0 * n_flops / (2 * training_speed.MATMUL_SIZE**3))


def test_plain_lenet_with_our_weights_has_our_logits():
    ours, plain = DeepLeNet(), training_speed.PlainLeNet()
    for found, given in zip(plain.parameters(), ours.parameters(), strict=True):
        found.data.copy_(given)
    images = torch.randn(4, 1, 32, 32)
    torch.testing.assert_close(plain(images), ours(images), rtol=1e-4, atol=1e-4)


def test_growth_of_a_line_does_not_depend_on_small_fits():
    sizes = [1_000, 10_000, 60_000, 600_000]
    seconds = [9.0, *(3e-4 * size for size in sizes[1:])]
    fits = {"task": "fit", "n_images": sizes, "seconds": seconds, "data_mb": 1.0}
    growth = scaling.growth(pd.DataFrame({**fits, "memory_mb": [200, 300, 250, 220]}), None)
    assert growth["exponent"] == pytest.approx(1)
    assert growth["microseconds"] == pytest.approx(300)
    assert (growth["least_mb"], growth["most_mb"]) == (200, 300)


def test_load_images_repeated_images_differ():
    X, y = scaling.load_images("digits", 4000)
    assert len(X) == len(y) == len(np.unique(X.reshape(4000, -1), axis=0))


@pytest.mark.parametrize(
    ("sizes", "message"), [(["100", "100"], "two different numbers"), (["9", "600000"], "at most")]
)
def test_scaling_wrong_sizes_are_refused_in_one_line(sizes, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(["run", "scaling", "--sizes", *sizes])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_time_to_accuracy_ratios_compare_the_same_trial():
    rows = pd.DataFrame(
        [
            *[("deep_lenet", 0, 10.0, 0.992), ("svm, intelex", 0, 20.0, 0.992)],
            *[("deep_lenet", 1, 30.0, 0.992), ("svm, intelex", 1, 40.0, 0.992)],
            ("svm", 0, 100.0, 0.98),
        ],
        columns=["contender", "trial", "seconds", "accuracy"],
    )
    table = time_to_accuracy.contenders(rows, None)
    ratios = table["to 0.99 / fit of svm, intelex"]
    assert ratios["deep_lenet"] == "0.62 (0.50 to 0.75)"
    assert ratios["svm"] == ""  # never reached
    assert table["to 0.99 (s)"].to_dict() == {
        "deep_lenet": "20.0",
        "svm, intelex": "30.0",
        "svm": "never",
    }


def test_seconds_to_counts_the_first_time():
    points = {
        "contender": "a",
        "trial": 0,
        "seconds": [1.0, 2.0, 3.0],
        "accuracy": [0.97, 0.985, 0.981],
    }
    rows = pd.DataFrame(points)
    assert time_to_accuracy.seconds_to(0.98, rows).loc["a", 0] == 2.0
    assert time_to_accuracy.seconds_to(0.99, rows).loc["a"].count() == 0


def test_relative_rates_compare_the_same_round():
    rows = pd.DataFrame(
        {
            "n_images": 300,
            "round": [0, 0, 1, 1],
            "contender": ["bare module", "knn `predict`"] * 2,
            "seconds": [json.dumps([s]) for s in (1.0, 2.0, 3.0, 6.0)],
        }
    )
    rates = prediction_speed.relative_rates(rows, SimpleNamespace(n_predict=300))
    assert rates.to_dict() == {"bare module": 1, "knn `predict`": 0.5}
