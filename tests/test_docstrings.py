"""Every public docstring passes the checks of pyproject.toml."""

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from numpydoc.hooks.validate_docstrings import parse_config
from numpydoc.validate import validate

import sklenet

ROOT = Path(__file__).parents[1]
CONFIG = parse_config(ROOT)


def public_names():
    """Yield the full name of each public module, class, method and function of the package."""
    for info in pkgutil.walk_packages(sklenet.__path__, "sklenet."):
        module = importlib.import_module(info.name)
        if not info.ispkg:  # numpydoc looks for the first definition, of which a package has none
            yield info.name
        for name, member in vars(module).items():
            if getattr(member, "__module__", None) != info.name:
                continue
            if inspect.isfunction(member) or inspect.isclass(member):
                yield f"{info.name}.{name}"
            if inspect.isclass(member):
                for attribute, value in vars(member).items():
                    if inspect.isfunction(value) or isinstance(value, property | classmethod):
                        yield f"{info.name}.{name}.{attribute}"


def has_written_init(member):
    """Whether parameters are the member's own: not inherited, nor the fields of a dataclass."""
    return not inspect.isclass(member) or ("__init__" in vars(member) and not is_dataclass(member))


PUBLIC = [name for name in public_names() if not CONFIG["exclude"].search(name)]


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_valid(name):
    checks = set(CONFIG["checks"])
    if not has_written_init(pkgutil.resolve_name(name)):
        checks.discard("PR01")  # undocumented parameters
    assert not [error for error in validate(name)["errors"] if error[0] in checks]


def test_public_names_exist_and_are_documented():
    assert sklenet.__all__
    undocumented = [name for name in sklenet.__all__ if not getattr(sklenet, name).__doc__]
    assert not undocumented
