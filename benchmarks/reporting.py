"""What the scripts of this folder share: arguments, the description of a run, tables and files."""

import argparse
import io
import json
import math
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sklenet._torch import resolve_precision

PACKAGES = ["sklenet", "scikit-learn", "torch", "skorch", "numpy", "scipy"]


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


class MeasurementParser(Parser):
    """The parser of a script that measures something on images of MNIST or the digits."""

    def __init__(self, prog, description, default_data="mnist"):
        super().__init__(prog=prog, description=description)
        self.add_argument(
            "--data",
            choices=["mnist", "digits"],
            default=default_data,
            help=f"default: {default_data}",
        )
        name = prog.removesuffix(".py")
        self.add_argument(
            "--out", type=folder, metavar="FOLDER", help=f"write {name}.md, {name}.json, ... here"
        )

    def add_number(self, flag, minimum, help, default=None, maximum=math.inf, **options):
        """Add an argument that takes a whole number, or several."""
        number = whole_number(minimum, maximum)
        self.add_argument(flag, type=number, default=default, metavar="N", help=help, **options)

    def read(self, argv, load):
        """Return the options and what `load` makes of them, or exit with one line of error."""
        accept_any_character()
        arguments = sys.argv[1:] if argv is None else argv
        options = self.parse_args(arguments)
        options.arguments = arguments
        try:
            data = load(options)
            check_out(options.out, self.file_names())
        except (OSError, ValueError) as error:
            self.error(" ".join(str(error).split()))
        return options, data

    def report(self, options, run, numbers, page, pictures=None):
        """Print the page, and write it with the numbers and the pictures into the folder."""
        print(page)
        if options.out:
            content = json.dumps({**run, **numbers}, indent=2) + "\n"
            files = zip(self.file_names(), [page.encode(), content.encode()], strict=True)
            try:
                write_files(options.out, {**dict(files), **(pictures or {})})
            except OSError as error:
                self.exit(1, f"{self.prog}: error: cannot write to {options.out}: {error}\n")
            print(f"Written to {options.out}")

    def file_names(self):
        name = self.prog.removesuffix(".py")
        return f"{name}.md", f"{name}.json"


def accept_any_character():
    """Let a terminal that does not know a character, such as ±, show another one."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def whole_number(minimum, maximum=math.inf):
    limits = f"from {minimum} on" if maximum == math.inf else f"from {minimum} to {maximum}"

    def convert(text):
        if not text.isdecimal() or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {limits}")
        return int(text)

    return convert


def not_empty(text):
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def folder(text):
    return Path(not_empty(text))


def check_out(folder, names):
    """Refuse, before anything is computed, a folder that such files cannot be written to."""
    if folder:
        try:
            write_files(folder, {})
            check_names(folder, names)
        except OSError as error:
            raise OSError(f"argument --out: cannot write there: {error}") from error


def describe_run(script, arguments, device="cpu", packages=(), precision="auto"):
    """Say what ran, when and where; the versions are those of `PACKAGES` and `packages`."""
    versions = {"python": platform.python_version()}
    for package in [*PACKAGES, *packages]:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    device = torch.device(device)
    return {
        "command": shlex.join(["python", f"benchmarks/{script}", *arguments]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.system(),
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "precision": str(resolve_precision(precision, device)).removeprefix("torch."),
        },
        "versions": versions,
    }


def made_by(run):
    """Put the description of a run into words."""
    machine, versions = run["machine"], run["versions"]
    packages = ", ".join(f"{package} {number}" for package, number in versions.items())
    return (
        f"Made by `{run['command']}` on {run['date']}:\n"
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"networks trained on {machine['device']} in {machine['precision']};\n{packages}."
    )


def cpu_name():
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(header, rows):
    """Format a Markdown table whose first column is text and whose others are numbers."""
    lines = [header, [":---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def to_png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def write_files(folder, files):
    """Write files that replace older ones only when all of them are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as unfinished:
        for name, content in files.items():
            Path(unfinished, name).write_bytes(content)
        check_names(folder, files)
        for name in files:
            Path(unfinished, name).replace(folder / name)


def check_names(folder, names):
    taken = [name for name in names if (folder / name).is_dir()]
    if taken:
        raise IsADirectoryError(f"{folder} has a folder with the name of a file: {taken[0]}")
