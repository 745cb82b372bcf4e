"""The description of a run: what ran, where, when and with which versions."""

import hashlib
import os
import platform
import re
import shlex
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import sklenet

from ._sklenet import resolve_device, resolve_precision

PACKAGES = ["sklenet", "scikit-learn", "torch", "skorch", "numpy", "scipy", "scikit-learn-intelex"]
PACKAGES += ["matplotlib", "pillow", "onnxruntime"]


def describe_run(name, options, command, device="auto", precision="auto"):
    device = resolve_device(device)
    return {
        "experiment": name,
        "options": vars(options),
        "command": shlex.join(command),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.system(),
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "precision": resolve_precision(precision, device),
        },
        "versions": installed_versions(),
    }


def digest_of_code():
    """Return a digest of the source of sklenet and of the benchmarks."""
    folders = [Path(sklenet.__file__).parent, Path(__file__).parents[1]]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def installed_versions():
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def cpu_name():
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
