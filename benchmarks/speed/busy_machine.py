"""How long do training and prediction take while another process keeps a core busy?"""

import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

from sklenet import DeepLeNetClassifier

from .. import lab

EPOCHS = 3
WARM_UP = 200  # images
LOADS = {"idle": 0, "busy": 1}  # busy processes
# The values of n_threads; None is PyTorch's number.
CONTENDERS = {"default": "auto", "one thread": 1, "all threads": None}

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"n_train": 1_000, "rounds": 3},
    mnist={"n_train": 5_000, "rounds": 5},
    device="cpu",
)
experiment.images(lab.load_subset)


@experiment.rows
def cells(options):
    for number in range(options.rounds):
        for load in LOADS:
            for contender in np.random.default_rng(number).permutation([*CONTENDERS]):
                yield {"round": number, "load": load, "contender": str(contender)}


@experiment.measure
def seconds(round, load, contender, *, images, options):
    X, X_test, y, _ = images
    return lab.run_in_new_process(time_calls, X, X_test, y, LOADS[load], CONTENDERS[contender])


def time_calls(X, X_test, y, n_busy, n_threads):
    options = {"n_threads": n_threads or torch.get_num_threads(), "device": "cpu"}
    DeepLeNetClassifier(max_epochs=1, **options).fit(X[:WARM_UP], y[:WARM_UP])
    classifier = DeepLeNetClassifier(max_epochs=EPOCHS, random_state=0, **options)
    with busy_processes(n_busy):
        start = time.perf_counter()
        classifier.fit(X, y)
        fitted = time.perf_counter()
        classifier.predict(X_test)
        predicted = time.perf_counter()
    times = {"fit_seconds": fitted - start, "predict_seconds": predicted - fitted}
    return times | {
        "n_threads": classifier.n_threads_[0],
        "epochs": EPOCHS,
        "n_predict": len(X_test),
    }


@contextmanager
def busy_processes(number):
    """Keep a number of cores busy, as far as other processes let them."""
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(number)]
    try:
        for process in processes:
            process.stdout.readline()  # it runs
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@experiment.table
def contenders(rows, options):
    one = rows[rows.contender == "one thread"].set_index(["load", "round"])
    table = []
    for (load, contender), group in rows.groupby(["load", "contender"], sort=False):
        group = group.set_index(["load", "round"])
        entry = {"machine": load, "n_threads": contender}
        for task in ("fit", "predict"):
            times = group[f"{task}_seconds"]
            entry[f"{task} (s)"] = f"{times.median():.2f}"
            entry[f"range of {task} (s)"] = f"{times.min():.2f} to {times.max():.2f}"
            ratio = times / one[f"{task}_seconds"].reindex(times.index)
            entry[f"{task} / one thread"] = f"{ratio.median():.2f}"
        table.append(entry)
    order = {name: number for number, name in enumerate([*LOADS, *CONTENDERS])}
    frame = pd.DataFrame(table).sort_values(["machine", "n_threads"], key=lambda c: c.map(order))
    return frame.reset_index(drop=True)
