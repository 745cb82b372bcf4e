"""The code of the README runs, and its numbers are those of the results."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_python_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    assert blocks
    namespace = {"__name__": "readme"}
    for block in blocks:
        exec(block, namespace)


def test_readme_linked_files_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_readme_values_do_not_begin_a_line():
    """Markdown takes a line that begins with a comment for HTML."""
    assert not re.search(r"^\s*<!-- value:", README, re.M)


@pytest.fixture
def readme():
    pytest.importorskip("jinja2")
    from benchmarks import readme

    return readme


def test_readme_generated_parts_are_up_to_date(readme):
    assert readme.update(is_check=True)


def test_readme_every_value_can_be_made(readme):
    for make in readme.VALUES.values():
        assert str(make(readme.read))


def test_readme_check_of_other_numbers_fails_in_one_line(readme, tmp_path, monkeypatch, capsys):
    from benchmarks import __main__ as command

    copy = tmp_path / "README.md"
    before = "It takes <!-- value: svm_fit_s -->1<!-- end --> s."
    copy.write_text(before)
    monkeypatch.setattr(readme, "README", copy)
    with pytest.raises(SystemExit) as exit_:
        command.main(["readme", "--check"])
    assert "not up to date" in str(exit_.value)
    assert copy.read_text() == before
    command.main(["readme"])
    assert re.fullmatch(
        r"It takes <!-- value: svm_fit_s -->\d{2,}<!-- end --> s\.", copy.read_text()
    )
    command.main(["readme", "--check"])


def test_readme_unknown_value_is_refused_in_one_line(readme, tmp_path, monkeypatch, capsys):
    from benchmarks import __main__ as command

    copy = tmp_path / "README.md"
    copy.write_text("It takes <!-- value: patience --><!-- end -->.")
    monkeypatch.setattr(readme, "README", copy)
    with pytest.raises(SystemExit) as exit_:
        command.main(["readme"])
    assert exit_.value.code == 2
    assert "got patience" in capsys.readouterr().err
