"""The code of the README runs, and its table is that of the benchmark."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert blocks
    namespace = {"__name__": "readme"}
    for block in blocks:
        exec(block, namespace)


@pytest.mark.parametrize(
    "page",
    [
        "mnist/comparison.md",
        "time_to_accuracy/time_to_accuracy.md",
        "training_speed/training_speed.md",
        "scaling/scaling.md",
    ],
)
def test_table_is_that_of_the_benchmark(page):
    results = (ROOT / "benchmarks/results" / page).read_text(encoding="utf-8")
    table = re.search(r"(?:^\|.*\n){3,}", results, re.M)
    assert table.group() in README


def test_linked_files_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
