"""The options of an experiment as arguments of the command line."""

import argparse
import math
from dataclasses import dataclass
from types import SimpleNamespace


@dataclass(frozen=True)
class Option:
    """An option with a default for each data set: a whole number, several, or a switch."""

    help: str
    digits: int | list[int] | bool
    mnist: int | list[int] | bool
    minimum: int = 0
    maximum: float = math.inf

    def add_to(self, parser, name):
        flag = "--" + name.replace("_", "-")
        help = f"{self.help}; default: {self.digits} on the digits, {self.mnist} on MNIST"
        if isinstance(self.digits, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=help)
        else:
            number = whole_number(self.minimum, self.maximum)
            nargs = "+" if isinstance(self.digits, list) else None
            parser.add_argument(flag, type=number, nargs=nargs, metavar="N", help=help)


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def add_options(parser, options):
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    for name, option in options.items():
        option.add_to(parser, name)


def fill_in(parsed, options):
    """Return the options of an experiment, the defaults of its data set filled in."""
    filled = {"data": parsed.data}
    for name, option in options.items():
        value = getattr(parsed, name)
        value = getattr(option, parsed.data) if value is None else value
        filled[name] = sorted(set(value)) if isinstance(value, list) else value
    return SimpleNamespace(**filled)


def whole_number(minimum, maximum=math.inf):
    limits = f"{minimum} or more" if maximum == math.inf else f"from {minimum} to {maximum}"

    def convert(text):
        if not text.isdecimal() or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"must be a whole number, {limits}, got {text!r}")
        return int(text)

    return convert
