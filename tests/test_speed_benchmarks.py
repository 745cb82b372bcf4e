"""The scripts of `benchmarks/` that measure speed: they run on small data, and they count right."""

import json

import numpy as np
import prediction_speed
import pytest
import scaling
import time_to_accuracy
import torch
import training_speed

from sklenet import DeepLeNet


def run(script, tmp_path, *arguments):
    """Run a script and return the numbers and the page that it writes."""
    script.main([*arguments, "--data", "digits", "--out", str(tmp_path)])
    name = script.__name__
    numbers = json.loads((tmp_path / f"{name}.json").read_text())
    assert numbers["command"].startswith(f"python benchmarks/{name}.py --")
    page = (tmp_path / f"{name}.md").read_text()
    assert numbers["command"] in page
    return numbers, page


def test_training_speed(tmp_path, capsys):
    numbers, page = run(
        training_speed,
        tmp_path,
        *("--n-images", "100", "--batch-size", "32", "--rounds", "2"),
        *("--cv-epochs", "1", "--cv-rounds", "1"),
    )
    assert page in capsys.readouterr().out
    seconds = numbers["fit_s"]
    assert list(seconds) == [*training_speed.CONTENDERS, *training_speed.PRODUCTS]
    assert all(len(values) == 2 and min(values) > 0 for values in seconds.values())
    assert all(len(values) == 2 for values in numbers["parts_s"].values())
    rate = training_speed.EPOCHS * 100 / np.median(seconds["sklenet"])
    assert f"| sklenet | {rate:,.0f} |" in page
    assert all(0.3 < accuracy[0] <= 1 for accuracy in numbers["digits"]["accuracy"].values())


def test_training_flops_are_those_of_the_layers():
    c1 = 2 * 2 * 28 * 28 * 32 * 25  # the images need no gradient
    c3 = 3 * 2 * 10 * 10 * 64 * 25 * 32
    fully_connected = 3 * 2 * (1600 * 1024 + 1024 * 67 + 67 * 10)
    assert training_speed.training_flops(DeepLeNet()) == c1 + c3 + fully_connected


def test_the_plain_network_has_the_layers_of_ours():
    ours, plain = DeepLeNet(), training_speed.PlainLeNet()
    for found, given in zip(plain.parameters(), ours.parameters(), strict=True):
        found.data.copy_(given)
    images = torch.randn(4, 1, 32, 32)
    torch.testing.assert_close(plain(images), ours(images), rtol=1e-4, atol=1e-4)


def test_prediction_speed(tmp_path):
    numbers, page = run(
        prediction_speed,
        tmp_path,
        *("--n-train", "200", "--n-predict", "500", "--rounds", "2", "--calls", "3"),
    )
    for functions in numbers["seconds"].values():
        for times in functions.values():
            assert {size: len(values) for size, values in times.items()} == {
                "1": 6,
                "100": 2,
                "500": 2,
            }
    assert "| bare module |" in page
    assert "| svm `predict` |" in page
    assert "svm `predict_proba`" not in page  # it has none


def test_scaling(tmp_path):
    if not scaling.Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak memory is read from Linux's /proc")
    numbers, page = run(
        scaling,
        tmp_path,
        *("--sizes", "100", "200", "--search-size", "60", "--search-epochs", "1", "--rounds", "2"),
    )
    assert list(numbers["fits"]) == ["100", "200"]
    for size, fits in numbers["fits"].items():
        assert [fit["images"] for fit in fits] == [int(size)] * 2
        assert all(fit["seconds"] > 0 and fit["megabytes"] > 0 for fit in fits)
    assert [list(search["seconds"]) for search in numbers["searches"]] == [list(scaling.WAYS)]
    assert "| 200 |" in page
    assert "From 100 images on" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "100", "100"], "two different numbers"),
        (["--sizes", "100", "600000"], "too many"),
        (["--search-size", "20"], "--search-size: some class has fewer than 3"),
    ],
)
def test_what_cannot_be_scaled_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        scaling.main(["--data", "digits", "--sizes", "100", "200", *arguments])
    assert message in capsys.readouterr().err


def test_a_folder_in_the_way_of_a_result_is_refused(tmp_path, capsys):
    (tmp_path / "prediction_speed.md").mkdir()
    with pytest.raises(SystemExit) as exit_:
        prediction_speed.main(["--data", "digits", "--out", str(tmp_path)])
    assert exit_.value.code == 2
    assert "argument --out: cannot write there" in capsys.readouterr().err


def test_slope_of_a_line_is_one_whatever_small_fits_take():
    fits = [{"images": n, "seconds": 3e-4 * n} for n in (10_000, 60_000, 600_000)]
    counted = scaling.large_ones([{"images": 1000, "seconds": 9.0}, *fits])
    assert scaling.slope(counted) == pytest.approx(1)


def test_repeated_images_differ():
    X, y = scaling.load_images("digits", 4000)
    assert len(X) == len(y) == len(np.unique(X.reshape(4000, -1), axis=0))
    with pytest.raises(ValueError, match="600000 images are too many"):
        scaling.load_images("digits", 600_000)


def test_time_to_accuracy(tmp_path):
    pytest.importorskip("matplotlib")
    numbers, page = run(
        time_to_accuracy,
        tmp_path,
        *("--n-train", "300", "--seeds", "0", "1", "--contenders"),
        *("deep_lenet, fast", "svm", "knn"),
    )
    runs = [(run["contender"], run["seed"]) for run in numbers["runs"]]
    first = [("deep_lenet, fast", 0), ("svm", 0), ("knn", 0)]
    assert runs == [*first, ("deep_lenet, fast", 1), ("knn", 1)]
    points = numbers["runs"][0]["points"]
    assert len(points) == time_to_accuracy.FAST["max_epochs"]
    assert 0 < points[0][0] < points[1][0]
    assert (tmp_path / "accuracy_over_time.png").stat().st_size > 10_000
    assert "| svm |" in page


def test_ratios_compare_the_same_turn():
    runs = [
        {"contender": name, "seed": seed, "points": [(seconds, 0.992)]}
        for name, seed, seconds in [
            *(("deep_lenet", 0, 10.0), ("svm, intelex", 0, 20.0)),
            *(("deep_lenet", 1, 30.0), ("svm, intelex", 1, 40.0)),
        ]
    ]
    runs.append({"contender": "svm", "seed": 0, "points": [(100.0, 0.98)]})
    assert time_to_accuracy.compare_with_rival("deep_lenet", runs) == "0.62 (0.50 to 0.75)"
    assert time_to_accuracy.compare_with_rival("svm", runs) == ""  # never reached


def test_seconds_to_an_accuracy():
    points = [(1.0, 0.97), (2.0, 0.985), (3.0, 0.981)]
    assert time_to_accuracy.seconds_to(0.98, points) == 2.0
    assert time_to_accuracy.seconds_to(0.99, points) is None


@pytest.mark.parametrize("script", [training_speed, prediction_speed, scaling, time_to_accuracy])
def test_wrong_arguments_are_refused_in_one_line(script, capsys):
    with pytest.raises(SystemExit) as exit_:
        script.main(["--rounds", "0"] if script is not time_to_accuracy else ["--seeds", "-1"])
    assert exit_.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
