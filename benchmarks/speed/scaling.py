"""How do time and memory of a fit grow with the data, and do two jobs of a search beat one?"""

import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, ParameterGrid

from sklenet import DeepLeNetClassifier
from sklenet.datasets import fetch_mnist, load_digits_images

from .. import lab

BATCH_SIZE, SEEDED = 256, {"device": "cpu", "random_state": 0}
LARGE = 10_000  # images; the first steps, which take longest, weigh on smaller fits
# Jobs, and threads of each; None leaves the number to PyTorch.
WAYS = {
    "n_jobs=1, all threads": (1, None),
    "n_jobs=2, one thread each": (2, 1),
    "n_jobs=2, two threads each": (2, 2),
}
ONCE = "n_jobs=2, two threads each"  # it takes minutes
GRID = {"activation": ["l_relu", "relu"], "lr": [5e-3, 1e-2]}
N_FOLDS = 3
RESET_PEAK = Path("/proc/self/clear_refs")  # "5" resets the peak of the resident memory
SEARCH_EPOCHS = {"digits": 10, "mnist": 2}

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"sizes": [1_000, 3_000, 10_000], "search_size": 300, "rounds": 2},
    mnist={
        "sizes": [1_000, 3_000, 10_000, 30_000, 60_000, 600_000],
        "search_size": 10_000,
        "rounds": 3,
    },
    device="cpu",
)


@experiment.images
def images(options):
    if not RESET_PEAK.exists():
        raise OSError("the peak memory is read from /proc, which only Linux has")
    if len(options.sizes) < 2:
        raise ValueError("argument --sizes: must be at least two different numbers")
    load_images(options.data, options.sizes[-1])
    sizes = {options.data: options.search_size, "digits": min(options.search_size, 1797)}
    return {data: load_images(data, size) for data, size in sizes.items()}


def load_images(data, n_images):
    """Return training images; repeated ones differ in the first pixel, or they would be merged."""
    X, y = load_digits_images() if data == "digits" else fetch_mnist()[::2]
    n_different, n_copies = len(X), -(-n_images // len(X))
    if n_copies > 256:
        raise ValueError(f"argument --sizes: must be at most {256 * n_different}, got {n_images}")
    X, y = np.tile(X, (n_copies, 1, 1))[:n_images], np.tile(y, n_copies)[:n_images]
    X[:, 0, 0] = np.arange(n_images) // n_different
    return X, y


@experiment.rows
def cells(options):
    for number in range(options.rounds):
        for size in options.sizes:
            yield {"task": "fit", "round": number, "data": options.data, "n_images": size}
    for data in dict.fromkeys(["digits", options.data]):
        for number in range(options.rounds):
            for way in WAYS:
                if number == 0 or way != ONCE:
                    yield {"task": "search", "round": number, "data": data, "way": way}


@experiment.measure
def seconds(task, round, data, n_images=None, way=None, *, images, options):
    if task == "search":
        return time_search(*images[data], SEARCH_EPOCHS[data], *WAYS[way])
    return lab.run_in_new_process(measure_fit, data, n_images)


def measure_fit(data, n_images):
    """Measure a fit in this process, which has not fitted anything before."""
    X, y = load_images(data, n_images)
    classifier = DeepLeNetClassifier(max_epochs=1, batch_size=BATCH_SIZE, **SEEDED)
    RESET_PEAK.write_text("5")
    before = peak_memory()
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    memory = {"memory_mb": (peak_memory() - before) / 1e6, "data_mb": X.nbytes / 1e6}
    return {"epochs": 1, "seconds": seconds, **memory}


def peak_memory():
    """Return the highest resident memory of this process, in bytes."""
    kilobytes = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]
    return 1024 * int(kilobytes)


def time_search(X, y, epochs, n_jobs, n_threads):
    classifier = DeepLeNetClassifier(max_epochs=epochs, **SEEDED)
    search = GridSearchCV(classifier, GRID, cv=N_FOLDS, n_jobs=n_jobs, refit=False)
    with parallel_config("loky", inner_max_num_threads=n_threads):
        start = time.perf_counter()
        search.fit(X, y)
        seconds = time.perf_counter() - start
    return {"n_images": len(X), "epochs": epochs, "seconds": seconds}


def median_fits(rows):
    """Return the medians of the rounds, by number of images."""
    fits = rows[rows.task == "fit"].groupby("n_images")
    return fits[["seconds", "data_mb", "memory_mb"]].median()


@experiment.table
def fits(rows, options):
    return pd.DataFrame(
        {
            "images": f"{n_images:,}",
            "seconds": f"{fit.seconds:.2f}",
            "µs per image": f"{1e6 * fit.seconds / n_images:.0f}",
            "data (MB)": f"{fit.data_mb:.0f}",
            "memory above (MB)": f"{fit.memory_mb:.0f}",
        }
        for n_images, fit in median_fits(rows).iterrows()
    )


@experiment.table
def growth(rows, options):
    """Return the exponent of the time, what each of the last images adds, and the memory."""
    fits = median_fits(rows)
    large = fits[fits.index >= LARGE] if sum(fits.index >= LARGE) > 1 else fits
    exponent, _ = np.polyfit(np.log(large.index), np.log(large.seconds), 1)
    added = fits.iloc[-1] - fits.iloc[-2]
    n_added = fits.index[-1] - fits.index[-2]
    return {
        "first": large.index[0],
        "exponent": exponent,
        "n_added": n_added,
        "microseconds": 1e6 * added.seconds / n_added,
        "least_mb": fits.memory_mb.min(),
        "most_mb": fits.memory_mb.max(),
    }


@experiment.table
def settings(rows, options):
    n_candidates = len(ParameterGrid(GRID))
    return {"batch_size": BATCH_SIZE, "n_candidates": n_candidates, "n_folds": N_FOLDS}


@experiment.table
def searches(rows, options):
    searches = rows[rows.task == "search"]
    names = searches.n_images.map("{:,} images of ".format) + searches.data.map(lab.DATA_NAMES)
    runs = searches.assign(data=names).groupby(["data", "epochs", "way"], sort=False).seconds
    return runs.agg(lab.format_median, spec=".1f").unstack(sort=False).reset_index()


@experiment.figure("fit.png", "A fit of one epoch, images of {data_name}", size=(6.5, 3.8))
def fit(rows, options, ax):
    fits = median_fits(rows)
    ax.plot(fits.index, 1e6 * fits.seconds / fits.index, "o-", color=lab.COLORS[0])
    ax.set(xscale="log", xlabel="Training images", ylim=(0, None))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylabel("Time (µs per image)", color=lab.COLORS[0])
    memory = ax.twinx()
    memory.plot(fits.index, fits.memory_mb, "s--", color=lab.COLORS[1])
    memory.set_ylim(0, 1.1 * fits.memory_mb.max())
    memory.set_ylabel("Memory above that before (MB)", color=lab.COLORS[1])
