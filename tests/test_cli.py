"""The command `sklenet`."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import idx_bytes
from PIL import Image

import sklenet
from sklenet import _cli
from sklenet.datasets import load_digits_images
from sklenet.datasets._folders import find_images

DIGITS, LABELS = load_digits_images()
SUFFIXES = ["png", "jpg", "bmp", "gif", "tif"]


def write_digits(folder, indices):
    """Write digits as image files of several sizes, modes and formats."""
    for index in indices:
        path = folder / f"{'even' if LABELS[index] % 2 == 0 else 'odd'}"
        path.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(DIGITS[index] * np.uint8(15)).resize((24 + index % 9, 28))
        image = image.convert(["L", "RGB", "P"][index % 3] if index % 5 != 1 else "L")
        image.save(path / f"{index}.{SUFFIXES[index % 5]}")
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with digits as files in train/ and test/."""
    root = tmp_path_factory.mktemp("digits")
    write_digits(root / "train", range(160))
    write_digits(root / "test", range(160, 220))
    return root


@pytest.fixture(scope="session")
def model(folder):
    """A model file that tests must not change."""
    path = folder / "model.sklenet"
    arguments = ["train", folder, "--out", path, "--epochs", "6", "--mode", "L"]
    assert _cli.main([*map(str, arguments)]) == 0
    return path


@pytest.fixture
def run(capsys):
    """Return a function that runs the command: exit code, output and errors."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = _cli.main([*map(str, arguments)])
        except SystemExit as exit:
            code = exit.code
        output, errors = capsys.readouterr()
        return SimpleNamespace(code=code, output=output, errors=errors)

    return run


@pytest.fixture
def stdin(monkeypatch):
    """Return a function that sets the content of standard input."""

    def set(content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))

    return set


def test_train_reports_and_writes_a_pipeline(folder, tmp_path, run):
    result = run("train", folder, "--out", tmp_path / "m", "--epochs", 6, "--augmentation", "none")
    assert result.code == 0
    assert "Trained for 6 epochs" in result.output
    assert "Accuracy on the 60 test images: " in result.output
    assert "Training on 160 color images of 32x32 pixels in 2 classes" in result.errors
    loaded = sklenet.load(tmp_path / "m")
    assert [*loaded.named_steps] == ["imagereader", "deeplenetclassifier"]
    assert loaded[-1].augmentation is None


def test_train_options(folder, tmp_path, run):
    out, size = tmp_path / "m", ("--size", "20x24", "--mode", "L", "--seed", 3)
    result = run("train", folder / "train", "--out", out, *size, "--time", "0.01s")
    assert result.code == 0
    assert "An epoch takes" in result.errors
    assert "`sklenet compare" in result.errors
    loaded = sklenet.load(out)
    assert loaded[0].size_ == (20, 24)
    assert (loaded[1].n_iter_, loaded[1].random_state) == (1, 3)
    assert run("train", folder / "train", "--out", tmp_path / "m2", *size, "--epochs", 1).code == 0
    files = find_images(folder / "test")
    np.testing.assert_array_equal(
        sklenet.load(tmp_path / "m2").predict_proba(files), loaded.predict_proba(files)
    )


@pytest.mark.slow
def test_train_enough_time_does_not_shorten(folder, tmp_path, run):
    data = folder / "test"
    assert run("train", data, "--out", tmp_path / "m", "--time", "1h", "--mode", "L").code == 0
    assert sklenet.load(tmp_path / "m")[1].n_iter_ == 60


@pytest.mark.slow
def test_train_digits_predicts_image_files(tmp_path, folder, run):
    assert run("train", "digits", "--out", tmp_path / "m", "--epochs", 3).code == 0
    result = run("predict", tmp_path / "m", folder / "test", "--csv")
    rows = [*csv.DictReader(io.StringIO(result.output))]
    truth = [LABELS[int(row["file"].rsplit(os.sep, 1)[1].split(".")[0])] for row in rows]
    assert (
        np.mean([int(row["label"]) == label for row, label in zip(rows, truth, strict=True)]) > 0.8
    )


def test_train_skips_broken_images_when_asked(tmp_path, run):
    data = write_digits(tmp_path / "data", range(40))
    (data / "odd" / "broken.png").write_bytes(b"broken")
    result = run("train", data, "--out", tmp_path / "m", "--epochs", 1)
    assert result.code == 1
    assert "broken.png cannot be read as an image" in result.errors
    assert not (tmp_path / "m").exists()
    result = run("train", data, "--out", tmp_path / "m", "--epochs", 1, "--skip-broken")
    assert result.code == 0
    assert "sklenet: warning: 1 of 41 images were left out" in result.errors


def test_predict_table_csv_and_json_agree(model, folder, run):
    files = sorted((folder / "test" / "odd").iterdir())[:5]
    expected = sklenet.load(model).predict_proba(files)
    table = run("predict", model, *files)
    assert (table.code, table.errors) == (0, "")
    rows = [line.split() for line in table.output.splitlines()[2:]]
    records = json.loads(run("predict", model, *files, "--json").output)
    lines = [*csv.DictReader(io.StringIO(run("predict", model, *files, "--csv").output))]
    for i, file in enumerate(files):
        label = ["even", "odd"][expected[i].argmax()]
        assert rows[i] == [str(file), label, f"{expected[i].max():.4f}"]
        assert [*lines[i].values()] == rows[i]
        assert (records[i]["file"], records[i]["label"]) == (str(file), label)
        assert records[i]["probabilities"]["odd"] == pytest.approx(expected[i, 1])


def test_predict_folder_is_its_images(model, folder, run):
    result = run("predict", model, folder / "test" / "odd", "--csv", "--jobs", 2)
    n_files = len([*(folder / "test" / "odd").iterdir()])
    assert len(result.output.splitlines()) == 1 + n_files


def test_predict_broken_image_is_named_and_others_are_predicted(model, folder, tmp_path, run):
    (tmp_path / "broken.png").write_bytes(b"broken")
    file = next((folder / "test" / "odd").iterdir())
    result = run("predict", model, tmp_path / "broken.png", file, tmp_path / "none.png")
    assert result.code == 1
    assert str(file) in result.output
    assert len(result.output.splitlines()) == 3
    assert "broken.png cannot be read as an image" in result.errors
    assert "none.png cannot be read as an image: it does not exist" in result.errors


@pytest.mark.parametrize("change", [bytes, lambda listed: b"\xef\xbb\xbf\r\n" + listed[:-1]])
def test_predict_list_of_standard_input(change, model, folder, run, stdin):
    files = [str(file) for file in sorted((folder / "test" / "even").iterdir())[:2]]
    expected = run("predict", model, *files, "--json").output
    stdin(change("".join(f"{file}\n" for file in files).encode()))
    assert run("predict", model, "-", "--json").output == expected


@pytest.mark.parametrize("format", ["png", "ppm"])
def test_predict_image_of_standard_input(format, model, folder, run, stdin):
    file = next((folder / "test" / "even").glob("*.png"))
    (expected,) = json.loads(run("predict", model, file, "--json").output)
    content = io.BytesIO()
    Image.open(file).save(content, format)
    stdin(content.getvalue())
    (record,) = json.loads(run("predict", model, "-", "--json").output)
    assert record == expected | {"file": "-"}


def test_predict_list_with_a_missing_file_first(model, folder, run, stdin):
    file = next((folder / "test" / "even").iterdir())
    stdin(f"none.png\n{file}\n".encode())
    result = run("predict", model, "-", "--csv")
    assert (result.code, len(result.output.splitlines())) == (1, 2)
    assert "none.png cannot be read as an image: it does not exist" in result.errors


def test_predict_without_an_image_that_can_be_read(model, run):
    result = run("predict", model, "a.png", "b.png", "--json")
    assert (result.code, json.loads(result.output)) == (1, [])
    assert [line.split()[2] for line in result.errors.splitlines()] == ["a.png", "b.png"]


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_closed_stream_is_an_error(stream, model, run, monkeypatch):
    monkeypatch.setattr(sys, stream, None)
    result = run("predict", model, "-")
    assert result.code == 1
    assert result.errors.startswith("sklenet: error: standard ")


def test_evaluate_measures_the_test_part(model, folder, run):
    result = run("evaluate", model, folder)
    assert result.code == 0
    assert result.output.startswith("Accuracy on 60 images: 0.")
    record = json.loads(run("evaluate", model, folder, "--split", "test", "--json").output)
    assert f"{record['accuracy']:.4f}" in result.output
    assert record["n_images"] == 60
    assert sum(each["n"] for each in record["mistakes"]) == round(60 * (1 - record["accuracy"]))
    assert record["classes"]["odd"]["support"] + record["classes"]["even"]["support"] == 60


def test_evaluate_does_not_read_the_training_images(model, folder, tmp_path, run):
    data = tmp_path / "data"
    write_digits(data / "test", range(160, 180))
    (data / "train" / "odd").mkdir(parents=True)
    (data / "train" / "odd" / "broken.png").write_bytes(b"broken")
    result = run("evaluate", model, data)
    assert (result.code, result.output[:22]) == (0, "Accuracy on 20 images:")


@pytest.mark.slow
def test_evaluate_labels_of_other_type(tmp_path, folder, run):
    for index in range(1, 10):
        path = tmp_path / "data" / str(LABELS[index])
        path.mkdir(parents=True)
        Image.fromarray(DIGITS[index] * np.uint8(15)).save(path / "1.png")
    assert run("train", "digits", "--out", tmp_path / "m", "--epochs", 2).code == 0
    assert run("evaluate", tmp_path / "m", tmp_path / "data").output.startswith("Accuracy on 9 ")
    result = run("evaluate", tmp_path / "m", folder)
    assert result.code == 1
    assert "DATA must have the classes of the model" in result.errors


def test_compare_folder_uses_its_test_part(folder, run):
    result = run("compare", folder, "--methods", "knn", "svm")
    assert result.code == 0
    assert "Trained on 160 images, tested on 60." in result.output
    result = run("compare", folder / "train", "--methods", "knn", "--cv", 3)
    assert "3-fold cross-validation on 160 images" in result.output


def test_compare_idx_folder_and_csv(tmp_path, run):
    data = tmp_path / "idx"
    data.mkdir()
    arrays = {"train": slice(0, 200), "t10k": slice(200, 300)}
    for name, part in arrays.items():
        (data / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(DIGITS[part]))
        (data / f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[part].astype(np.uint8)))
    result = run("compare", data, "--methods", "knn")
    assert "Trained on 200 images, tested on 100." in result.output
    files = [f"{index}.png" for index in range(60)]
    for index, file in enumerate(files):
        Image.fromarray(DIGITS[index]).save(tmp_path / file)
    table = "".join(f"{file},{LABELS[index] % 2}\n" for index, file in enumerate(files))
    (tmp_path / "table.csv").write_text("file,label\n" + table)
    result = run("compare", tmp_path / "table.csv", "--methods", "knn", "--cv", 2)
    assert "2-fold cross-validation on 60 images" in result.output


@pytest.mark.slow
def test_export_onnx(model, folder, tmp_path, run):
    onnxruntime = pytest.importorskip("onnxruntime")
    result = run("export", model, "--onnx", tmp_path / "m.onnx")
    assert (result.code, result.output) == (0, f"Written to {tmp_path / 'm.onnx'}\n")
    pipeline, files = sklenet.load(model), find_images(folder / "test")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (labels,) = session.run(["label"], {"images": pipeline[0].transform(files)})
    assert labels.tolist() == pipeline.predict(files).tolist()


INCOMPLETE = {
    "one": {"odd": "odd"},
    "unknown": {"train/odd": "odd", "train/other": "even", "test/even": "even"},
}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "{folder}"], 2, "required: --out"),
        (["train", "{folder}", "--out", "{none}/m"], 1, "existing folder"),
        (["train", "{folder}", "--out", "{folder}"], 1, "--out must be a file, got the folder"),
        (["train", "{none}", "--out", "{folder}/m"], 1, "which does not exist"),
        (["train", "{folder}", "--out", "m", "--size", "0"], 2, "must be a size such as 32"),
        (["train", "{folder}", "--out", "m", "--time", "5x"], 2, "must be a time such as 90s"),
        (["train", "{folder}", "--out", "m", "--time", "5s", "--epochs", "1"], 2, "not allowed"),
        (["train", "{folder}", "--out", "m", "--device", "nowhere"], 2, "device='nowhere'"),
        (["train", "{folder}", "--out", "m", "--seed", "-1"], 2, "argument --seed"),
        (["train", "{folder}", "--out", "m", "--augmentation", "none", "flip"], 2, "the only one"),
        (["train", "digits", "--out", "m", "--split", "test"], 1, "--split must be None"),
        (["predict", "{none}", "x.png"], 1, "which is missing"),
        (["predict", "{model}", "x.png"], 1, "x.png cannot be read"),
        (["predict", "{model}", "x.png", "--csv", "--json"], 2, "not allowed with"),
        (["evaluate", "{model}", "digits"], 1, "must have the classes of the model"),
        (["export", "{model}"], 2, "one is required"),
        (["export", "{model}", "--onnx", "{model}"], 2, "must be different files"),
        (["export", "{model}", "--onnx", "m", "--page", "./m"], 2, "must be different files"),
        (["export", "{none}", "--onnx", "m"], 1, "MODEL must be a file that sklenet.save wrote"),
        (["export", "{model}", "--onnx", "{none}/m"], 1, "--onnx must be in an existing folder"),
        (["compare", "{folder}", "--methods", "nothing"], 2, "invalid choice"),
        (["compare", "{folder}", "--cv", "1"], 2, "--cv: must be 2 or more"),
        (["compare", "{one}"], 1, "DATA must have two classes at least, got only 'odd'"),
        (["train", "{one}", "--out", "m"], 1, "DATA must have two classes at least"),
        (["train", "{unknown}", "--out", "m"], 1, "got also ['even'] among its test images"),
        (["compare", "{unknown}"], 1, "got also ['even'] among its test images"),
        (["train", "{table}", "--out", "m", "--columns", "a", "b"], 1, "--columns must be two of"),
        (["train", "{table}", "--out", "m", "--split", "test"], 1, "--split must be None"),
        (["unknown"], 2, "invalid choice"),
    ],
)
def test_mistake_is_one_line(arguments, code, message, model, folder, tmp_path, run):
    places = {"folder": folder, "none": folder / "none", "model": model}
    for name, parts in INCOMPLETE.items():
        places[name] = tmp_path / name
        for part, label in parts.items():
            shutil.copytree(folder / "test" / label, tmp_path / name / part)
    places["table"] = tmp_path / "table.csv"
    places["table"].write_text("file,label\n1.png,odd\n")
    result = run(*(argument.format(**places) for argument in arguments))
    assert (result.code, result.output) == (code, "")
    assert message in result.errors.splitlines()[-1]
    assert "Traceback" not in result.errors


def test_name_of_a_data_set_that_is_also_a_folder(tmp_path, run, monkeypatch):
    write_digits(tmp_path / "digits", range(60))
    monkeypatch.chdir(tmp_path)
    result = run("compare", "digits", "--methods", "knn")
    assert (result.code, result.output) == (1, "")
    assert "write ./digits for the folder" in result.errors
    result = run("compare", "./digits", "--methods", "knn", "--cv", 2)
    assert "2-fold cross-validation on 60 images" in result.output


def test_warning_of_unlike_images_is_for_a_user_of_files(model, folder, tmp_path, run):
    for file in (folder / "test").rglob("*.png"):
        pixels = np.asarray(Image.open(file).convert("L"))
        Image.fromarray(255 - pixels).save(tmp_path / file.name)
    errors = run("predict", model, tmp_path, "--csv").errors
    assert errors.startswith("sklenet: warning: X looks inverted")
    assert "check_pixels" not in errors


def test_evaluate_class_with_the_name_of_a_measure(folder, tmp_path, run):
    for label in ("accuracy", "odd"):
        (tmp_path / "data" / label).mkdir(parents=True)
        Image.new("L", (8, 8), len(label)).save(tmp_path / "data" / label / "1.png")
    assert run("train", tmp_path / "data", "--out", tmp_path / "m", "--epochs", 1).code == 0
    result = run("evaluate", tmp_path / "m", tmp_path / "data", "--json")
    assert [*json.loads(result.output)["classes"]] == ["accuracy", "odd"]


def test_help_is_shown_without_arguments(run):
    result = run()
    assert result.code == 2
    assert "sklenet train photos --out photos.sklenet" in result.errors
    assert run("--version").output == f"sklenet {sklenet.__version__}\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_the_command_and_nothing_is_written(number, code, folder, tmp_path):
    command = [sys.executable, "-m", "sklenet", "train", folder, "--out", tmp_path / "m"]
    process = subprocess.Popen(
        [*map(str, command), "--epochs", "100000"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert "Training on" in process.stderr.readline()
    time.sleep(2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.endswith("Interrupted.\n") == (number == signal.SIGINT)
    assert "Traceback" not in errors
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX pipes")
def test_closed_pipe_is_not_an_error(model, folder):
    command = f"set -o pipefail; {sys.executable} -m sklenet predict {model} {folder}/test | true"
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONUNBUFFERED"}
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_predict_files_by_a_model_of_other_arrays(dtype, tmp_path, folder, run):
    X = np.stack([DIGITS, DIGITS]).reshape(-1, 8, 8)[:400] * 15
    classifier = sklenet.DeepLeNetClassifier(max_epochs=3, random_state=0)
    classifier.fit(X.astype(dtype), LABELS[:400])
    sklenet.save(classifier, tmp_path / "m")
    result = run("predict", tmp_path / "m", folder / "test", "--json")
    labels = [record["label"] for record in json.loads(result.output)]
    assert len(set(labels)) > 5


@pytest.mark.parametrize("labels", [np.array(["even", "odd"], object), np.array([True, False])])
def test_evaluate_classes_of_any_type(labels, tmp_path, run):
    X = DIGITS[:60] * np.uint8(15)
    classifier = sklenet.DeepLeNetClassifier(max_epochs=1).fit(X, labels[np.arange(60) % 2])
    sklenet.save(classifier, tmp_path / "m")
    for number, label in enumerate(labels):
        (tmp_path / "data" / str(label)).mkdir(parents=True)
        Image.fromarray(X[number]).save(tmp_path / "data" / str(label) / "1.png")
    result = run("evaluate", tmp_path / "m", tmp_path / "data")
    assert (result.code, result.output[:21]) == (0, "Accuracy on 2 images:")


@pytest.mark.slow
def test_train_with_little_time_and_a_rare_class(tmp_path, run):
    data = write_digits(tmp_path / "data", range(30))
    (data / "rare").mkdir()
    Image.fromarray(DIGITS[30]).save(data / "rare" / "1.png")
    assert run("train", data, "--out", tmp_path / "m", "--time", "1s").code == 0


def test_data_set_of_arrays_is_converted_as_files_are(tmp_path, run):
    arguments = ("--size", "10x12", "--mode", "RGB", "--epochs", 1)
    result = run("train", "digits", "--out", tmp_path / "m", *arguments)
    assert "1,797 color images of 10x12 pixels" in result.errors
    assert run("evaluate", tmp_path / "m", "digits").output.startswith("Accuracy on 1,797 images")
    result = run("compare", "digits", "--columns", "file", "label")
    assert result.code == 1
    assert "--columns is for a CSV file, got the data set 'digits'" in result.errors
