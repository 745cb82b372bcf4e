"""Measurements that outlive an interruption."""

import hashlib
import json
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import sklenet


class Journal:
    """Measurements by name, each written to a file as soon as it is made.

    The first line of the file says what the run is: measurements of another run are refused. Of an
    interrupted run the last line may be incomplete; it is dropped. Without a path nothing is kept.
    """

    def __init__(self, path=None, run=None):
        self.path, self.measured = path, {}
        if path is None:
            return
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        try:
            entries = [json.loads(line) for line in lines if line.endswith("\n")]
            measured = dict(entries[1:])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged; delete the file") from error
        if not entries:
            path.write_text(json.dumps(run) + "\n")
            return
        if entries[0] != json.loads(json.dumps(run)):
            raise ValueError(
                f"{path} is the beginning of a run with other arguments, on another machine or "
                "with other code; finish that run as it was, or delete the file"
            )
        self.measured = measured
        path.write_text("".join(lines[: len(entries)]))
        print(f"Going on after {len(self.measured)} measurements in {path}", flush=True)

    def measure(self, name, function, *args):
        """Return what the function returns, or what it returned before the interruption."""
        if name not in self.measured:
            start = time.perf_counter()
            with interruption_at_the_end():
                measured = function(*args)
            self.measured[name] = measured
            print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps([name, measured]) + "\n")
        return self.measured[name]

    def remove(self):
        if self.path:
            self.path.unlink()


@contextmanager
def interruption_at_the_end():
    """Raise KeyboardInterrupt even where an estimator took it for the end of its training.

    skorch and MLPClassifier do; what they return is no measurement.
    """
    interruptions = []

    def interrupt(number, frame):
        interruptions.append(number)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if interruptions:
        raise KeyboardInterrupt


def digest_of_code():
    """Tell apart the versions of all code of sklenet and of this folder that is in use."""
    folders = {Path(module).resolve().parent for module in (sklenet.__file__, __file__)}
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    # PyTorch has modules whose file, a bare name, does not exist.
    files = {Path(file).resolve() for file in files if file and Path(file).is_file()}
    own = sorted(file for file in files if not folders.isdisjoint(file.parents))
    return hashlib.sha256(b"".join(file.read_bytes() for file in own)).hexdigest()[:16]
