"""The package: its public names, its version and its lazy imports."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import sklenet


@pytest.mark.parametrize("statement", ["import sklenet", "import sklenet.datasets"])
def test_import_without_use_does_not_import_torch(statement):
    code = f"{statement}; import sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


@pytest.mark.slow
def test_import_comparison_does_not_import_matplotlib():
    code = "import sklenet.comparison, sys; print('matplotlib' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


@pytest.mark.parametrize("name", ["DeepLeNetwork", "_LAZY_", "comparisons"])
def test_getattr_unknown_name_raises(name):
    message = f"module 'sklenet' has no attribute '{name}'"
    with pytest.raises(AttributeError, match=message):
        getattr(sklenet, name)
    with pytest.raises(ImportError):
        exec(f"from sklenet import {name}")


def test_star_import_has_public_names():
    namespace = {}
    exec("from sklenet import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(sklenet.__all__)
    assert namespace["LReLU"] is sys.modules["sklenet.network"].LReLU
    assert namespace["plotting"] is sys.modules["sklenet.plotting"]


def test_dir_is_public_names():
    assert dir(sklenet) == sorted(sklenet.__all__)


def test_version_is_that_of_the_distribution():
    assert sklenet.__version__ == version("sklenet")
