"""The code of the README and of docs/ runs, and their numbers are those of the results."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
# A block of Python code, and the block of its output, if there is one.
CODE = re.compile(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", re.M | re.S)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_python_code_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": "page"}
    for block, output in re.findall(CODE, text):
        exec(block, namespace)
        printed = capsys.readouterr().out
        if output:
            assert ast.literal_eval(printed) == pytest.approx(ast.literal_eval(output), abs=0.02)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_linked_files_exist(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


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


def test_readme_every_value_is_used(readme):
    assert {name for *_, name, _ in readme.MARKED.findall(README)} == set(readme.make_values())


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
