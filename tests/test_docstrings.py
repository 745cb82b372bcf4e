"""Every public docstring passes the checks of pyproject.toml."""

import importlib
import inspect
import pkgutil
import re
from collections import Counter
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import validate

ROOT = Path(__file__).parents[1]
CONFIG = parse_config(ROOT)
PUBLIC_PACKAGES = [
    "sklenet",
    "sklenet.callbacks",
    "sklenet.comparison",
    "sklenet.datasets",
    "sklenet.plotting",
]


def public_names():
    """Yield the full name of each public class, method and function, where it is defined."""
    for package in PUBLIC_PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            member = getattr(module, name)
            if not (inspect.isfunction(member) or inspect.isclass(member)):
                continue
            full_name = f"{member.__module__}.{name}"
            yield full_name
            if inspect.isclass(member):
                for attribute, value in vars(member).items():
                    if inspect.isfunction(value) or isinstance(value, property | classmethod):
                        yield f"{full_name}.{attribute}"


def has_written_init(member):
    """Whether parameters are the member's own: not inherited, nor the fields of a dataclass."""
    return not inspect.isclass(member) or ("__init__" in vars(member) and not is_dataclass(member))


PRIVATE = re.compile(r"\._[^.]*$|_$|\.on_\w+$")  # but the module that a public name is defined in
PUBLIC = [name for name in public_names() if not PRIVATE.search(name)]


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_public_name_passes_checks(name):
    checks = set(CONFIG["checks"])
    if not has_written_init(pkgutil.resolve_name(name)):
        checks.discard("PR01")  # undocumented parameters
    assert not [error for error in validate(name)["errors"] if error[0] in checks]


def test_public_name_has_one_path():
    names = Counter(
        name
        for package in PUBLIC_PACKAGES
        for name in importlib.import_module(package).__all__
        if not inspect.ismodule(getattr(importlib.import_module(package), name))
    )
    assert names.most_common(1)[0][1] == 1
