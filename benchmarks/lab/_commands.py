"""The commands: run an experiment, and remake page and pictures of a result."""

import io
import json
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pandas as pd

from ._description import describe_run, digest_of_code
from ._journal import Journal

_OPTIONAL = {
    "matplotlib": ("matplotlib", "plots"),
    "sklearnex": ("scikit-learn-intelex", "accelerate"),
}


class Refusal(Exception):
    """An error that the user can fix, reported in one line."""


def check_installed(argument, module):
    """Refuse an argument whose optional package is missing."""
    if find_spec(module) is None:
        package, extra = _OPTIONAL[module]
        raise Refusal(f"argument {argument}: needs {package}: pip install 'sklenet[{extra}]'")


@contextmanager
def refusing(what="", errors=(OSError, ValueError)):
    """Raise such errors as a Refusal that begins with what they are about."""
    try:
        yield
    except errors as error:
        raise Refusal(f"{what}{error}") from error


def run(experiment, options, out, command):
    """Measure the rows of an experiment, print its page and, with `out`, write its result there.

    An interrupted run with the same `out` is resumed.
    """
    if out:
        check_installed("--out", "matplotlib")
    with refusing():
        images = experiment.load(options)
    description = describe_run(
        experiment.name, options, command, experiment.device, experiment.precision
    )
    circumstances = {key: description[key] for key in ("options", "machine", "versions")}
    with refusing("argument --out: "):
        path = out / "unfinished.jsonl" if out else None
        journal = Journal(path, circumstances | {"code": digest_of_code()})
    rows = pd.DataFrame(experiment.measure_rows(images, options, journal)).to_csv(index=False)
    if out:
        content = json.dumps(description, indent=2) + "\n"
        write_files(out, {"rows.csv": rows.encode(), "run.json": content.encode()})
        journal.remove()
    report(experiment, pd.read_csv(io.StringIO(rows)), description, out)


def redraw(experiment, folder):
    """Remake the page and the pictures of a result from its rows."""
    with refusing(f"cannot read a result of {experiment.name} in {folder}: "):
        rows, description = read_result(folder)
        if not isinstance(description, dict) or description.get("experiment") != experiment.name:
            raise ValueError("run.json describes another experiment")
    report(experiment, rows, description, folder)


def report(experiment, rows, description, folder):
    page = experiment.make_page(rows, description)
    print(page)
    if folder:
        with refusing(f"cannot make the pictures in {folder}: ", OSError):
            pictures = experiment.draw(rows, SimpleNamespace(**description["options"]))
            write_files(folder, {"README.md": page.encode(), **pictures})
        print(f"Written to {folder}")


def read_result(folder):
    """Return the rows of a result and the description of its run."""
    description = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return pd.read_csv(folder / "rows.csv"), description


def judge_result(experiment, folder):
    """Return the claims of a result with their verdicts."""
    rows, description = read_result(folder)
    return experiment.judge(rows, SimpleNamespace(**description["options"]))


def write_files(folder, files):
    """Write files that replace older ones only when all of them are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as unfinished:
        for name, content in files.items():
            Path(unfinished, name).write_bytes(content)
        for name in files:
            Path(unfinished, name).replace(folder / name)
