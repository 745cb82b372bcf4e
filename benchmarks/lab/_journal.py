"""Measurements that outlive an interruption."""

import json
import time


class Journal:
    """The measurements of each cell, written to a file as soon as they are made.

    The first line of the file describes the run; measurements of another run are refused. An
    incomplete last line of an interrupted run is dropped. Without a path nothing is written.
    """

    def __init__(self, path, run):
        self.path, self.measured = path, {}
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        lines = [line for line in lines if line.endswith("\n")] or [json.dumps(run) + "\n"]
        try:
            first, *entries = map(json.loads, lines)
            self.measured = dict(entries)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged; delete the file") from error
        if first != json.loads(json.dumps(run)):
            raise ValueError(
                f"{path} is the beginning of a run with other arguments, on another machine or "
                "with other code; finish that run as it was, or delete the file"
            )
        path.write_text("".join(lines))
        if entries:
            print(f"Resuming after {len(entries)} measurements in {path}", flush=True)

    def measure(self, cell, function):
        """Return what the function returns, or what it returned before the interruption."""
        name = ", ".join(f"{key} {value}" for key, value in cell.items())
        if name not in self.measured:
            start = time.perf_counter()
            measured = function()
            print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
            self.measured[name] = measured
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps([name, measured]) + "\n")
        return self.measured[name]

    def remove(self):
        if self.path:
            self.path.unlink()
