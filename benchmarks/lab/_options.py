"""The options of an experiment as arguments of the command line."""

import argparse
from types import SimpleNamespace


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def add_options(parser, options):
    """Add the data set and an argument for each option, of the type of its default."""
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    for name, default in options.items():
        flag = "--" + name.replace("_", "-")
        help = f"default: {default['digits']}, {default['mnist']} on MNIST"
        if isinstance(default["digits"], bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=help)
        else:
            nargs = "+" if isinstance(default["digits"], list) else None
            parser.add_argument(flag, type=positive, nargs=nargs, metavar="N", help=help)


def fill_in(parsed, options):
    """Return the options of an experiment, the defaults of its data set filled in."""
    values = {"data": parsed.data}
    for name, default in options.items():
        value = getattr(parsed, name)
        value = default[parsed.data] if value is None else value
        values[name] = sorted(set(value)) if isinstance(value, list) else value
    return SimpleNamespace(**values)


def positive(text):
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a positive whole number, got {text!r}")
    return int(text)
