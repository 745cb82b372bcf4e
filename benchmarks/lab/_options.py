"""The options of an experiment as arguments of the command line."""

import argparse
from types import SimpleNamespace

from sklenet._cli import Parser, positive

__all__ = ["Parser", "add_options", "fill_in", "positive"]


def add_options(parser, defaults):
    """Add the data set and an argument for each option, of the type of its default."""
    parser.add_argument("--data", choices=defaults, default="digits", help="default: digits")
    for name, default in defaults["digits"].items():
        flag = "--" + name.replace("_", "-")
        help = f"default: {default} on the digits, {defaults['mnist'][name]} on MNIST"
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=help)
        else:
            nargs = "+" if isinstance(default, list) else None
            parser.add_argument(flag, type=positive, nargs=nargs, metavar="N", help=help)


def fill_in(parsed, defaults):
    """Return the options of an experiment, the defaults of its data set filled in."""
    options = {"data": parsed.data, **defaults[parsed.data]}
    for name in defaults[parsed.data]:
        value = getattr(parsed, name)
        if value is not None:
            options[name] = sorted(set(value)) if isinstance(value, list) else value
    return SimpleNamespace(**options)
