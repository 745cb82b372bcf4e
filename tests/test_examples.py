"""Every script of examples/ runs."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parents[1].glob("examples/*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_script_runs_and_prints(path, tmp_path):
    # The timeout only ends a hung script: it is far above what an example takes.
    command = [sys.executable, "-W", "error::DeprecationWarning:sklenet", path]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
