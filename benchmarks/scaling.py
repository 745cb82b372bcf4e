"""Each further image takes a fit the same time and hardly any memory; two jobs beat one.

It holds beyond the first thousands, where a process has to warm up: from 60,000 to 600,000 images
each one adds 216 µs to an epoch and 75 bytes to what a fit needs beyond the data, some 200 MB for
1,000 images as for 600,000. `GridSearchCV` with two jobs of one thread each takes 0.8 of the time
of one job with two threads, on small and on large data; two jobs with two threads each wait for
each other: that took 3 and 7 times as long as one job, in a single run of each.

Each fit runs in a process of its own, for one epoch in batches of 128 images (those of the default
grow with the data): seconds, and the highest resident memory during `fit` above what the process
held before the call, the data included. More images than MNIST has are MNIST repeated, each copy
with another grey value in one corner, because equal images count as one.

Then a grid search over four candidates and three folds, small and large data, in three ways: one
process with all threads, two processes with one thread each, as joblib grants them, and, only once,
two processes with two threads each. The full run:

    python benchmarks/scaling.py --out benchmarks/results/scaling
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from joblib import parallel_config
from reporting import MeasurementParser, describe_run, made_by, table
from sklearn.model_selection import GridSearchCV, ParameterGrid

from sklenet import DeepLeNetClassifier
from sklenet.datasets import fetch_mnist, load_digits_images

BATCH_SIZE = 128
# Processes, and threads in each; None leaves it to PyTorch.
WAYS = {
    "n_jobs=1, all threads": (1, None),
    "n_jobs=2, one thread each": (2, 1),
    "n_jobs=2, two threads each": (2, 2),
}
ONLY_ONCE = "n_jobs=2, two threads each"  # it takes minutes, whatever the round
N_FOLDS = 3
GRID = {"activation": ["l_relu", "relu"], "lr": [3e-3, 5e-3]}


def main(argv=None):
    parser = make_parser()
    options, smallest = parser.read(argv, load_smallest)
    if options.single:
        print(json.dumps(measure_fit(*smallest)))
        return
    fits = {str(size): [] for size in options.sizes}
    for _ in range(options.rounds):
        for size, measured in fits.items():
            measured.append(measure_in_process(options.data, size))
            print(f"{size} images: {measured[-1]['seconds']:.1f} s", flush=True)
    searches = time_searches(options)
    run = describe_run("scaling.py", options.arguments)
    run["data"] = options.data
    page = format_page(medians(fits), searches, run)
    parser.report(options, run, {"fits": fits, "searches": searches}, page)


def make_parser():
    parser = MeasurementParser("scaling.py", "How time and memory grow with the data.")
    add, sizes = parser.add_number, [1000, 3000, 10000, 30000, 60000, 600000]
    default = " ".join(map(str, sizes))
    add("--sizes", 20, f"numbers of training images; default: {default}", sizes, nargs="+")
    add("--search-size", 20, "at most so many images in a grid search; default: 10000", 10000)
    add("--search-epochs", 1, "epochs of a fit; default: 10 on the digits, 2 on the large data")
    add("--rounds", 1, "how often each fit and each search runs, in turn; default: 3", 3)
    add("--single", 20, "only measure one fit with so many images, in this process")
    return parser


def load_smallest(options):
    if not Path("/proc/self/clear_refs").exists():
        raise OSError("the peak memory is read from Linux's /proc, which is not there")
    if options.single:
        return load_images(options.data, options.single)
    options.sizes = sorted(set(options.sizes))
    if len(options.sizes) < 2:
        raise ValueError("argument --sizes: needs at least two different numbers")
    load_images(options.data, options.sizes[-1])  # there must be so many
    for data in {"digits", options.data}:
        _, y = load_images(data, options.search_size)
        if np.bincount(y).min() < N_FOLDS:
            raise ValueError(f"argument --search-size: some class has fewer than {N_FOLDS} images")
    return load_images(options.data, options.sizes[0])


def load_images(data, n_images):
    """Load so many images, with repetitions that differ in their first pixel."""
    if data == "digits":
        X, y = load_digits_images()
    else:
        X, _, y, _ = fetch_mnist()
    n_different, n_copies = len(X), -(-n_images // len(X))
    if n_copies > 256:
        raise ValueError(
            f"{n_images} images are too many: {data} has {n_different}, repeated 256 times at most"
        )
    X, y = np.tile(X, (n_copies, 1, 1))[:n_images], np.tile(y, n_copies)[:n_images]
    X[:, 0, 0] = np.arange(n_images) // n_different
    return X, y


def measure_fit(X, y):
    """Fit once and return the time and the memory that it took."""
    classifier = DeepLeNetClassifier(
        batch_size=BATCH_SIZE, max_epochs=1, device="cpu", random_state=0
    )
    before = resident_memory(start_anew=True)
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    return {
        "images": len(X),
        "seconds": seconds,
        "megabytes": (resident_memory() - before) / 1e6,
        "data_megabytes": X.nbytes / 1e6,
    }


def resident_memory(start_anew=False):
    """Return the highest resident memory of this process in bytes, as Linux counts it."""
    if start_anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def measure_in_process(data, n_images):
    command = [sys.executable, __file__, "--data", data, "--single", str(n_images)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def time_searches(options):
    """Time a grid search on small and large data in each of the ways."""
    epochs = options.search_epochs
    X, y = (part[: options.search_size] for part in load_digits_images())
    problems = {f"{len(y):,} images of digits": (X, y, epochs or 10)}
    if options.data == "mnist":
        X, y = load_images("mnist", options.search_size)
        problems[f"{len(y):,} images of mnist"] = (X, y, epochs or 2)
    searches = []
    for name, (X, y, max_epochs) in problems.items():
        seconds = {way: [] for way in WAYS}
        for number in range(options.rounds):
            for way, (n_jobs, n_threads) in WAYS.items():
                if number and way == ONLY_ONCE:
                    continue
                classifier = DeepLeNetClassifier(
                    max_epochs=max_epochs, device="cpu", random_state=0
                )
                search = GridSearchCV(classifier, GRID, cv=N_FOLDS, n_jobs=n_jobs, refit=False)
                with parallel_config("loky", inner_max_num_threads=n_threads):
                    start = time.perf_counter()
                    search.fit(X, y)
                    seconds[way].append(time.perf_counter() - start)
                print(f"{name}, {way}: {seconds[way][-1]:.1f} s", flush=True)
        searches.append({"data": name, "epochs": max_epochs, "seconds": seconds})
    return searches


def medians(fits):
    """Return the median of each number over the rounds, by number of images."""
    return [
        {key: float(np.median([fit[key] for fit in measured])) for key in measured[0]}
        for measured in fits.values()
    ]


def large_ones(fits):
    """Leave out small fits, whose first steps take longest, unless there are no others."""
    large = [fit for fit in fits if fit["images"] >= 10_000]
    return large if len(large) > 1 else fits


def slope(fits):
    """Fit seconds ~ images ** slope."""
    images, seconds = (np.log([fit[key] for fit in fits]) for key in ("images", "seconds"))
    return float(np.polyfit(images, seconds, 1)[0])


def median_and_range(values):
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{np.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def format_page(fits, searches, run):
    large = large_ones(fits)
    added = {key: fits[-1][key] - fits[-2][key] for key in fits[-1]}
    fit_rows = [
        [
            f"{fit['images']:,.0f}",
            f"{fit['seconds']:.2f}",
            f"{1e6 * fit['seconds'] / fit['images']:.0f}",
            f"{fit['data_megabytes']:.0f}",
            f"{fit['megabytes']:.0f}",
        ]
        for fit in fits
    ]
    fit_header = ["images", "seconds", "µs per image", "data (MB)", "memory above (MB)"]
    search_rows = [
        [search["data"], *(median_and_range(seconds) for seconds in search["seconds"].values())]
        for search in searches
    ]
    epochs = " and ".join(str(search["epochs"]) for search in searches)
    n_rounds = len(searches[0]["seconds"]["n_jobs=1, all threads"])
    return f"""# Scaling

One epoch in batches of {BATCH_SIZE}, medians of {n_rounds} rounds.
From {large[0]["images"]:,.0f} images on seconds ~ images^{slope(large):.2f}; the first steps of a
process weigh on the smaller fits. The last {added["images"]:,.0f} images add
{1e6 * added["seconds"] / added["images"]:.0f} µs each, and
{1e6 * added["megabytes"] / added["images"]:.0f} bytes of memory beyond their own.
Memory is the highest resident memory during `fit` above that before the call, which has the data
already.

{table(fit_header, fit_rows)}

Grid search over {len(ParameterGrid(GRID))} candidates and {N_FOLDS} folds, {epochs} epochs a
fit: seconds, medians of {n_rounds} rounds ("{ONLY_ONCE}": one),
the start of the processes included.

{table(["data", *WAYS], search_rows)}

{made_by(run)}
"""


if __name__ == "__main__":
    main()
