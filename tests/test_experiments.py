"""The experiments of `benchmarks/`: how they run, what they claim, and their committed results."""

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklenet import DeepLeNetClassifier
from sklenet.datasets import load_digits_images

pytest.importorskip("matplotlib")
pytest.importorskip("pandas", "3.1")

from benchmarks import __main__ as command
from benchmarks import lab, recipe
from benchmarks.claims import (
    activation_convergence,
    architecture_ablation,
    generalization,
    gradient_flow,
    paper_table,
)
from benchmarks.lab import _page

RESULTS = Path(command.__file__).parent / "results"
CLAIMS = [
    activation_convergence,
    architecture_ablation,
    generalization,
    gradient_flow,
    paper_table,
]
NAMES = [module.experiment.name for module in CLAIMS]
VERDICTS = ["holds", "partly supported", "inconclusive", "fails"]
PAGE = """{% extends "_experiment.md" %}
{% block title %}Seven{% endblock %}
{% block body %}
{{ options.size }} images of {{ data_name }}

{{ means }}
{% endblock %}
"""


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """An experiment without images; `calls` has the cells that it measured."""
    experiment = lab.Experiment(
        "benchmarks.claims.tiny",
        "Is seven more\nthan three?",
        digits={"trials": 2, "size": 1000},
        mnist={"trials": 3, "size": 1000},
    )
    experiment.calls = []

    @experiment.images
    def images(options):
        if options.size > 5000:
            raise ValueError(f"argument --size: must be at most 5000, got {options.size}")

    @experiment.rows
    def cells(options):
        return {"trial": range(options.trials), "method": ["seven", "three"]}

    @experiment.measure
    def value(trial, method, *, images, options):
        experiment.calls.append((trial, method))
        return {"value": {"seven": 7, "three": 3}[method] + trial / 3}

    @experiment.claim("Seven is more than three.", "values.png")
    def is_more(rows, options):
        return lab.judge(
            lab.leads(rows.assign(all="all"), "value", "method", "seven", "all", options)
        )

    @experiment.table
    def means(rows, options):
        means = lab.estimate(rows, "value", "method", options).map("{:.2f}".format)
        return pd.DataFrame({"mean": means})

    @experiment.figure("values.png", "{size:,} images of {data_name}", size=(3, 2))
    def values(rows, options, ax):
        lab.draw_lines(ax, rows, "trial", "value", "method", options)

    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "tiny.md").write_text(PAGE)
    monkeypatch.setattr(_page, "PAGES", [*_page.PAGES, tmp_path / "pages"])
    monkeypatch.setitem(command.EXPERIMENTS, "tiny", experiment)
    return experiment


def refusal(arguments, capsys):
    """Return the line with which the command refuses such arguments."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        command.main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert len(error.splitlines()) == 1
    return error


def interrupt(experiment, monkeypatch, after):
    """Let Ctrl-C be pressed after so many cells."""
    measure = experiment._measure

    def interrupted(**cell):
        if len(experiment.calls) == after:
            os.kill(os.getpid(), signal.SIGINT)
        return measure(**cell)

    monkeypatch.setattr(experiment, "_measure", interrupted)


def test_run_with_out_writes_rows_description_page_and_picture(tiny, tmp_path, capsys):
    command.main(["run", "tiny", "--trials", "3", "--out", str(tmp_path / "out")])
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"rows.csv", "run.json", "README.md", "values.png"}
    rows = pd.read_csv(tmp_path / "out" / "rows.csv")
    assert rows.trial.tolist() == [0, 0, 1, 1, 2, 2]
    assert rows.value.tolist() == [7, 3, 7 + 1 / 3, 3 + 1 / 3, 7 + 2 / 3, 3 + 2 / 3]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["options"] == {"data": "digits", "trials": 3, "size": 1000}
    assert run["command"].startswith("python -m benchmarks run tiny --trials 3 --out ")
    page = (tmp_path / "out" / "README.md").read_text()
    assert page in capsys.readouterr().out
    assert "Is seven more than three?" in page
    assert "**Claim.** Seven is more than three.\n**Verdict: holds.** 1 better: +4.0000" in page
    assert "1,000 images of the digits" in page
    assert re.search(r"\| seven +\| +7.33 ± 1.31 \|", page)
    assert run["command"] in page
    assert (tmp_path / "out" / "values.png").read_bytes().startswith(b"\x89PNG")


def test_run_without_out_only_prints_the_page(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command.main(["run", "tiny"])
    assert "**Verdict: holds.**" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["pages"]


def test_run_on_mnist_has_its_own_defaults(tiny, capsys):
    command.main(["run", "tiny", "--data", "mnist"])
    assert len(tiny.calls) == 6
    assert "images of MNIST" in capsys.readouterr().out


def test_run_interrupted_is_resumed_by_the_same_command(tiny, tmp_path, monkeypatch, capsys):
    arguments = ["run", "tiny", "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        interrupt(tiny, patch, after=2)
        with pytest.raises(SystemExit) as exit_:
            command.main(arguments)
    assert exit_.value.code == 130
    assert "the same command resumes" in capsys.readouterr().err
    journal = tmp_path / "out" / "unfinished.jsonl"
    journal.write_text(journal.read_text() + '["trial 1, method se')  # cut off while it was written
    command.main(arguments)
    assert tiny.calls == [(0, "seven"), (0, "three"), (1, "seven"), (1, "three")]
    assert len(pd.read_csv(tmp_path / "out" / "rows.csv")) == 4
    assert not journal.exists()


def test_run_interruption_that_ends_a_training_ends_the_run(tiny, tmp_path, monkeypatch):
    def train(**cell):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:  # as skorch and MLPClassifier do
            return {"value": 0.5}

    monkeypatch.setattr(tiny, "_measure", train)
    with pytest.raises(SystemExit) as exit_:
        command.main(["run", "tiny", "--out", str(tmp_path / "out")])
    assert exit_.value.code == 130
    assert len((tmp_path / "out" / "unfinished.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("part", ["options", "code", "machine", "versions"])
def test_run_journal_of_another_run_is_refused(part, tiny, tmp_path, monkeypatch, capsys):
    arguments = ["run", "tiny", "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        interrupt(tiny, patch, after=0)
        with pytest.raises(SystemExit):
            command.main(arguments)
    journal = tmp_path / "out" / "unfinished.jsonl"
    content = json.dumps(json.loads(journal.read_text()) | {part: "other"}) + "\n"
    journal.write_text(content)
    assert "a run with other arguments" in refusal(arguments, capsys)
    assert journal.read_text() == content


@pytest.mark.parametrize("content", ["garbage\n", "{}\n3\n", '{}\n["name"]\n', "\n\n"])
def test_run_damaged_journal_is_refused(content, tiny, tmp_path, capsys):
    journal = tmp_path / "unfinished.jsonl"
    journal.write_text(content)
    error = refusal(["run", "tiny", "--out", tmp_path], capsys)
    assert f"argument --out: {journal} is damaged" in error
    assert journal.read_text() == content


def test_run_help_lists_the_experiments(capsys):
    with pytest.raises(SystemExit) as exit_:
        command.main(["run", "--help"])
    assert exit_.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, experiment in command.EXPERIMENTS.items():
        assert f"{name} {experiment.question}" in printed


def test_run_out_that_is_a_file_is_refused(tiny, tmp_path, capsys):
    (tmp_path / "out").touch()
    assert "argument --out: " in refusal(["run", "tiny", "--out", tmp_path / "out"], capsys)
    assert not tiny.calls


def test_run_without_matplotlib_refuses_out(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = "argument --out: needs matplotlib: pip install 'sklenet[plots]'"
    assert message in refusal(["run", "tiny", "--out", tmp_path], capsys)


def test_generalization_without_intelex_refuses_accelerate(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearnex", None)
    error = refusal(["run", "generalization", "--accelerate"], capsys)
    assert "argument --accelerate/--no-accelerate: needs scikit-learn-intelex: pip inst" in error


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_run_option_that_is_not_positive_is_refused(value, tiny, capsys):
    error = refusal(["run", "tiny", f"--size={value}"], capsys)
    assert f"argument --size: must be a positive whole number, got '{value}'" in error


def test_run_images_that_do_not_exist_are_refused(tiny, capsys):
    error = refusal(["run", "tiny", "--size", 6000], capsys)
    assert "argument --size: must be at most 5000, got 6000" in error
    assert not tiny.calls


def test_run_cells_that_depend_on_others_see_what_was_measured(tiny, capsys):
    @tiny.rows
    def cells(options):
        first = yield {"trial": 0, "method": "seven"}
        for trial in range(int(first["value"]) - 5):
            yield {"trial": trial, "method": "three"}

    tiny._claims.clear()
    command.main(["run", "tiny"])
    assert tiny.calls == [(0, "seven"), (0, "three"), (1, "three")]


def test_redraw_remakes_the_page_and_the_picture(tiny, tmp_path):
    out = tmp_path / "out"
    command.main(["run", "tiny", "--out", str(out)])
    before = (out / "README.md").read_bytes()
    (out / "README.md").unlink()
    (out / "values.png").unlink()
    command.main(["redraw", "tiny", "--out", str(out)])
    assert (out / "README.md").read_bytes() == before
    assert (out / "values.png").exists()


@pytest.mark.parametrize("content", [None, "", "[]", '{"experiment": "scaling"}'])
def test_redraw_of_what_is_not_a_result_is_refused(content, tiny, tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("trial\n1\n")
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert str(tmp_path) in refusal(["redraw", "tiny", "--out", tmp_path], capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("activation_convergence", ["--n-train", "40", "--epochs", "1"]),
        ("architecture_ablation", ["--n-train", "40", "--epochs", "1"]),
        ("generalization", ["--sizes", "80"]),
        ("gradient_flow", ["--n-train", "40", "--epochs", "1"]),
        ("paper_table", ["--n-train", "80"]),
    ],
)
def test_run_on_few_digits_writes_claims_and_pictures(name, options, tmp_path):
    command.main(["run", name, *options, "--trials", "2", "--out", str(tmp_path)])
    page = (tmp_path / "README.md").read_text()
    assert set(re.findall(r"\*\*Verdict: (.*?)\.\*\*", page)) <= set(VERDICTS)
    pictures = re.findall(r"\]\((\w+\.png)\)", page)
    assert pictures
    assert {path.name for path in tmp_path.glob("*.png")} == set(pictures)


@pytest.mark.slow
def test_run_recipe_on_few_digits_compares_each_change(tmp_path):
    few = ["--sizes", "20", "--trials", "2", "--most-epochs", "2"]
    command.main(["run", "recipe", *few, "--out", str(tmp_path)])
    page = (tmp_path / "README.md").read_text()
    assert all(f"| {change} " in page for change in recipe.CHANGES if change != recipe.DEFAULT)
    rows, _ = lab.read_result(tmp_path)
    assert set(rows.n_images) == {20}
    assert rows.log_loss.between(0, 9).all()


@pytest.mark.slow
def test_run_pixel_check_on_digits_counts_warnings(tmp_path):
    few = ["--draws", "20", "--changed-draws", "10", "--out", str(tmp_path)]
    command.main(["run", "pixel_check", *few])
    rows, _ = lab.read_result(tmp_path)
    is_plain = rows.change == "none"
    assert not rows.warnings[is_plain].any()
    is_certain = (rows.n_images > 1000) & (rows.draw == "100")
    assert (rows.warnings == rows.n_draws)[is_certain & ~is_plain].all()
    assert "| digits " in (tmp_path / "README.md").read_text()


def test_recipe_scores_no_image_that_it_trains_on():
    X, y = np.arange(200)[:, None], np.arange(200) % 4
    fonts = np.arange(200) // 20
    for images in (lab.Images(X, y), lab.Images(X, y, fonts)):
        X_train, X_valid, *_ = images.split(trial=1)
        assert not as_set(X_train) & as_set(X_valid)
    assert not set(fonts[X_train[:, 0]]) & set(fonts[X_valid[:, 0]])


def test_drawn_letters_and_dots_are_images_of_their_class():
    letters, dots = lab.draw_letters(), lab.draw_dots()
    assert letters.X.any(axis=(1, 2)).all()
    assert len(np.unique(letters.y)) == 26
    ink = {letter: letters.X[letters.y == letter].mean() for letter in "IM"}
    assert ink["I"] < ink["M"] / 2
    columns = (dots.X == 255).any(axis=1).argmax(axis=1)
    assert_array_equal(columns // 3, dots.y)


def test_recipe_calibration_error_is_the_gap_of_confidence_and_accuracy():
    proba = np.array([[0.8, 0.2]] * 10)
    y = np.array([0] * 6 + [1] * 4)
    assert recipe.calibration_error(proba, np.array([0, 1]), y) == pytest.approx(0.2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_run_gpu_without_a_device_is_refused_in_one_line(capsys):
    assert "needs a CUDA device" in refusal(["run", "gpu"], capsys)


@pytest.mark.gpu
def test_run_gpu_on_few_digits_compares_the_devices(tmp_path):
    command.main(["run", "gpu", "--n-train", "300", "--trials", "1", "--out", str(tmp_path)])
    rows, _ = lab.read_result(tmp_path)
    assert set(rows.device) == {"cuda", "cpu"}


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option", "claim"),
    [
        ("generalization", "--sizes", "every other method on the other data set."),
        ("paper_table", "--n-train", "In twice the epochs the deep LeNet-5"),
    ],
)
def test_run_on_few_images_of_mnist_has_the_claims_about_it(name, option, claim, tmp_path, mnist):
    few = ["--no-accelerate"] if name == "generalization" else []
    arguments = [option, "100", "--trials", "2", *few, "--out", str(tmp_path)]
    command.main(["run", name, "--data", "mnist", *arguments])
    claims = re.findall(r"\*\*Claim\.\*\* (.*)", (tmp_path / "README.md").read_text())
    assert any(claim in text for text in claims)


@pytest.mark.parametrize("name", NAMES)
def test_redraw_of_a_committed_result_reproduces_its_page(name):
    experiment = command.EXPERIMENTS[name]
    rows, run = lab.read_result(RESULTS / name)
    page = (RESULTS / name / "README.md").read_text(encoding="utf-8")
    assert experiment.make_page(rows, run) == page


@pytest.mark.parametrize("name", NAMES)
def test_page_of_a_committed_result_shows_all_of_its_pictures(name):
    page = (RESULTS / name / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\((\w+\.png)\)", page))
    assert {path.name for path in (RESULTS / name).glob("*.png")} == shown


def test_redraw_of_a_committed_result_leaves_it_as_it_is(tmp_path):
    name = "architecture_ablation"
    shutil.copytree(RESULTS / name, tmp_path / name)
    command.main(["redraw", name, "--out", str(tmp_path / name)])
    for path in (RESULTS / name).iterdir():
        assert (
            path.suffix == ".png" or path.read_bytes() == (tmp_path / name / path.name).read_bytes()
        )


def test_readme_has_the_claims_that_follow_from_the_rows():
    readme = (RESULTS.parent / "README.md").read_text(encoding="utf-8")
    assert command.make_readme() == readme
    assert set(re.findall(r"\*\*(.*?)\*\* \|", readme)) == set(VERDICTS)


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ("better better", "holds"),
        ("better inconclusive", "partly supported"),
        ("better worse", "partly supported"),
        ("better worse worse", "fails"),
        ("better inconclusive worse worse", "fails"),
        ("inconclusive inconclusive", "inconclusive"),
        ("inconclusive worse", "fails"),
        ("worse", "fails"),
    ],
)
def test_finding_verdict_follows_from_the_outcomes(outcomes, verdict):
    assert lab.Finding(outcomes.split(), "").verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.51, 0.6, "better"),
        (0.5, 0.6, "inconclusive"),
        (0.4, 0.5, "inconclusive"),
        (0.4, 0.49, "worse"),
    ],
)
def test_estimate_outcome_depends_on_the_threshold(low, high, outcome):
    assert lab.Estimate(0.5, low, high).outcome(0.5) == outcome


def test_interval_of_three_trials_is_that_of_student():
    estimate = lab.interval([0.97, 0.98, 0.99])
    assert estimate.mean == pytest.approx(0.98)
    assert estimate.high - estimate.mean == pytest.approx(4.302653 * 0.01 / np.sqrt(3))
    assert f"{estimate:+.3f}" == "+0.980 ± 0.025"
    corrected = lab.interval([0.97, 0.98, 0.99], test_train_ratio=1 / 3)
    assert corrected.mean - corrected.low == pytest.approx(4.302653 * 0.01 * np.sqrt(2 / 3))


def test_interval_on_the_digits_is_widened_for_the_shared_training_images():
    assert lab.overlap(SimpleNamespace(data="digits", trials=5)) == 1 / 4
    assert lab.overlap(SimpleNamespace(data="mnist", trials=5)) == 0


def test_judge_counts_the_leads_and_names_the_exceptions():
    values = {"clear": [0.95, 0.94, 0.94], "close": [0.97, 0.98, 0.99], "lost": [1.0, 1.0, 1.01]}
    values["ours"] = [0.99, 0.98, 0.99]
    rows = pd.DataFrame(
        [
            {"trial": trial, "method": method, "part": "all", "accuracy": accuracy}
            for method, accuracies in values.items()
            for trial, accuracy in enumerate(accuracies)
        ]
    )
    options = SimpleNamespace(data="mnist", trials=3)
    finding = lab.judge(lab.leads(rows, "accuracy", "method", "ours", "part", options))
    assert finding.verdict == "partly supported"
    assert finding.effect.startswith("1 better, 1 inconclusive, 1 worse: -0.0167 ± ")
    assert finding.effect.endswith("(all against lost) to +0.0433 ± 0.0143 (all against clear).")
    assert finding.details == "Worse: all against lost. Inconclusive: all against close."


@pytest.mark.parametrize(
    ("p_values", "text"),
    [([0.0004], "p < 0.001"), ([0.0514], "p = 0.051"), ([0.2, 1e-9, 0.04], "p < 0.001 to 0.200")],
)
def test_format_p_has_the_lowest_and_the_highest(p_values, text):
    assert lab.format_p(*p_values) == text


def test_sample_trials_share_no_test_image():
    trials = lab.sample_trials("digits", 5, n_train=300)
    X, _ = load_digits_images()
    tested = np.concatenate([X_test for _, X_test, _, _ in trials])
    assert_array_equal(np.unique(tested, axis=0), np.unique(X, axis=0))
    assert len(tested) == len(X)
    for X_train, X_test, y, _ in trials:
        assert len(X_train) == len(y) == 300
        assert not as_set(X_train) & as_set(X_test)


def as_set(images):
    return {image.tobytes() for image in images}


def test_sample_tuned_trials_choose_recipes_on_images_of_no_trial():
    images = lab.sample_tuned_trials(SimpleNamespace(data="digits", trials=5, n_train=200))
    ((X, X_validation, _, _),) = images["validation"]
    assert len(X) == 200
    for X_train, X_test, _, _ in images["test"]:
        assert not (as_set(X) | as_set(X_validation)) & (as_set(X_train) | as_set(X_test))


@pytest.mark.mnist
def test_sample_tuned_trials_choose_recipes_on_no_test_image_of_mnist(mnist):
    images = lab.sample_tuned_trials(SimpleNamespace(data="mnist", trials=2, n_train=1000))
    ((X, X_validation, _, _),) = images["validation"]
    assert not (as_set(X) | as_set(X_validation)) & as_set(mnist[1])


@pytest.mark.parametrize(
    ("name", "option"),
    [("generalization", "--sizes"), ("gradient_flow", "--n-train"), ("recipe", "--sizes")],
)
@pytest.mark.parametrize("number", ["5", "1437", "1790"])
def test_run_with_too_few_or_too_many_images_is_refused(name, option, number, capsys):
    assert f"error: argument {option}: " in refusal(["run", name, option, number], capsys)


def test_run_with_one_trial_is_refused(capsys):
    error = refusal(["run", "gradient_flow", "--trials", "1"], capsys)
    assert "argument --trials: must be at least 2, got 1" in error


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_unit_gain_takes_the_gain_from_the_hidden_layers(activation):
    class Deviation(gradient_flow.Callback):
        def on_train_begin(self, net, **kwargs):
            self.deviations = [
                float(weight.detach().std() * weight[0].numel() ** 0.5)
                for weight in net.module_.parameters()
                if weight.dim() > 1
            ]

    X, y = (part[:50] for part in load_digits_images())
    callbacks = [lab.UnitGain(), Deviation()]
    DeepLeNetClassifier(activation, max_epochs=1, callbacks=callbacks, random_state=0).fit(X, y)
    assert_allclose(callbacks[1].deviations, 1, atol=0.1)


def test_flat_shares_counts_saturated_values_and_dead_units():
    z = torch.tensor([[-1.0, -1.0], [-1.0, 2.0]])
    assert gradient_flow.flat_shares("relu", z) == (0.75, 0.5)
    assert gradient_flow.flat_shares("leaky_relu", z) == (0.0, 0.0)
    assert gradient_flow.flat_shares("sigmoid", z) == (0.0, 0.0)
    assert gradient_flow.flat_shares("sigmoid", z * 10) == (1.0, 1.0)


def test_converted_digits_have_the_size_and_range_of_the_other_data_set():
    digits, _ = load_digits_images()
    enlarged = generalization.as_mnist(digits[:50])
    assert enlarged.shape == (50, 28, 28)
    assert enlarged.dtype == np.uint8
    assert enlarged.max() == 255
    assert not enlarged[:, :4].any()
    back = generalization.as_digits(enlarged)
    assert back.shape == (50, 8, 8)
    assert np.abs(back - digits[:50].astype(float)).mean() < 1.5  # of 16


def tune(setting, score):
    """Return the rate that is chosen by a validation that measures `score(lr)`, and those tried."""
    tuning = activation_convergence.tune((setting, "LeNet-5", "sigmoid"))
    tried, cell = [], next(tuning)
    while True:
        tried.append(cell["lr"])
        accuracy, loss = score(cell["lr"])
        try:
            cell = tuning.send({"accuracy": accuracy, "loss": loss})
        except StopIteration as end:
            return end.value, tried


def test_tune_goes_on_until_the_neighbors_are_worse():
    best = 10**1.5
    rate, tried = tune("plain SGD", lambda lr: (1 - abs(np.log10(lr / best)) / 10, 1.0))
    assert rate == pytest.approx(best)
    assert len(tried) == len(set(tried))


def test_tune_equal_accuracies_are_told_apart_by_their_loss():
    rate, _ = tune("default recipe", lambda lr: (0.1, abs(np.log10(lr))))
    assert rate == pytest.approx(1)


def test_epochs_to_an_accuracy_are_interpolated():
    curves = [[0.5, 0.9, 1.0], [0.98, 0.9, 0.9], [0.1, 0.2, 0.3]]
    epochs = [activation_convergence.epochs_to(0.95, curve) for curve in curves]
    assert_allclose(epochs, [2.5, 0.95 / 0.98, 4])


def test_curve_of_a_training_that_diverges_is_the_worst():
    options = SimpleNamespace(data="digits", trials=2, n_train=100, epochs=1)
    images = lab.sample_tuned_trials(options)
    cell = {"setting": "plain SGD", "architecture": "LeNet-5", "activation": "relu", "trial": 0}
    (row,) = activation_convergence.curve(
        stage="test", lr=1e4, **cell, images=images, options=options
    )
    assert (row["accuracy"], row["loss"]) == (0.0, 1e9)


def test_paper_table_compares_trial_by_trial():
    wrong = {("svm", 0): range(40), ("deep_lenet", 0): range(5), ("deep_lenet", 1): range(40, 50)}
    rows = pd.DataFrame(
        [
            {"contender": name, "trial": trial, "n_test": 1000, "wrong": json.dumps([*images])}
            for (name, trial), images in wrong.items()
        ]
    )
    contenders = paper_table.summarize(rows)
    assert contenders["svm"].p_values == pytest.approx([2**-34, 2.4e-5], rel=0.03)
    assert contenders["svm"].outcome(contenders["deep_lenet"]) == "better"
    assert contenders["deep_lenet"].rates.tolist() == [0.995, 0.99]


def test_gains_of_the_ablation_have_their_sign():
    changes = list(architecture_ablation.CHANGES)
    added = [name for _, _, name in architecture_ablation.ADDED]
    accuracies = dict(zip(["LeNet-5", *added], [0.90, 0.92, 0.91, 0.93, 0.95, 0.96], strict=True))
    for change, before, _ in architecture_ablation.ADDED_LAST[:-1]:
        accuracies[before] = 0.97 if change == changes[0] else 0.94
    rows = pd.DataFrame(
        [
            {"stage": "test", "trial": trial, "network": network, "n_train": 400, "n_test": 100}
            | {"accuracy": accuracy + 1e-4 * trial * (1 + number)}
            for trial in range(3)
            for number, (network, accuracy) in enumerate(accuracies.items())
        ]
    )
    for pairs, expected in (
        (architecture_ablation.ADDED, [0.02, -0.01, 0.02, 0.02, 0.01]),
        (architecture_ablation.ADDED_LAST, [-0.01, 0.02, 0.02, 0.02, 0.01]),
    ):
        gains = architecture_ablation.gains(rows, pairs)
        assert_allclose([estimate.mean for estimate in gains.estimate], expected, atol=1e-3)
    claims = architecture_ablation.experiment.judge(rows, SimpleNamespace())
    verdicts = [claim.finding.verdict for claim in claims]
    assert verdicts == ["holds", "partly supported", "partly supported"]


def verdicts_of(module, change, trials):
    """Return the verdicts on the claims of an experiment on its committed rows, changed."""
    rows, run = lab.read_result(RESULTS / module.experiment.name)
    options = SimpleNamespace(**run["options"])
    assert options.trials == trials
    claims = module.experiment.judge(change(rows), options)
    return [claim.finding.verdict for claim in claims]


def test_claims_about_convergence_hold_if_only_the_sigmoid_is_slow():
    levels = {"l_relu": 0.99, "sigmoid": 0.5, activation_convergence.SUITED: 0.96}

    def change(rows):
        level = rows.activation.map(levels).fillna(0.97)
        return rows.assign(accuracy=level + 1e-4 * rows.trial + 1e-3 * rows.epoch / 10)

    assert verdicts_of(activation_convergence, change, trials=3) == ["holds"] * 6


def test_claims_about_generalization_have_their_direction():
    def change(rows):
        ours = 0.1 * (rows.method == "deep_lenet")
        return rows.assign(accuracy=0.5 + ours + 0.001 * rows.trial)

    def change_on_mnist(rows):
        rows = change(rows)
        is_lost = (rows.trained_on == "digits") & (rows.method == "deep_lenet")
        return rows.assign(accuracy=rows.accuracy - 0.2 * is_lost)

    assert verdicts_of(generalization, change, trials=5) == ["holds"] * 9
    verdicts = verdicts_of(generalization, change_on_mnist, trials=5)
    assert verdicts == ["holds", "partly supported"] + ["holds"] * 7


@pytest.mark.parametrize(
    ("norm", "verdicts"),
    [
        (1e-4, ["holds", "holds", "fails", "fails"]),
        (1, ["fails", "holds", "holds", "holds"]),
    ],
)
def test_claims_about_gradients_have_their_direction(norm, verdicts):
    def change(rows):
        is_small = (rows.activation == "sigmoid") & (rows.layer == "C1")
        return rows.assign(output_gradient=np.where(is_small, norm, 1.0))

    assert verdicts_of(gradient_flow, change, trials=5) == verdicts
