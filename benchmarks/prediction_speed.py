"""A fitted sklenet predicts many images as fast as its bare module, and one in 0.4 ms more.

10,000 images come at 0.97 of the module's rate or more, of which a textbook's module with the same
weights has a third. One image takes 1.0 ms: the module alone 0.7, the textbook's 0.5.

`predict` and `predict_proba` of every method for 1, 100 and 10,000 images, next to the module of
the deep LeNet-5 alone, called in batches under `torch.inference_mode` with standardised float
images that are ready made, and next to a textbook's module with the same weights. The contenders
take turns over several rounds; for one image each makes many calls in a row, whose median and 99th
percentile are given. The committed result:

    python benchmarks/prediction_speed.py --out benchmarks/results/prediction_speed
"""

import time
from functools import partial

import numpy as np
import torch
from reporting import MeasurementParser, describe_run, made_by, table
from sklenet.training._data import CHUNK_SIZE
from training_speed import PlainLeNet

from sklenet.comparison import METHODS, make_method
from sklenet.datasets import fetch_mnist, load_digits_images

MODULE, PLAIN = "bare module", "textbook module"
ONE, SOME = 1, 100  # images, besides as many as --n-predict says


def main(argv=None):
    parser = make_parser()
    options, (X, X_test, y) = parser.read(argv, load_images)
    names = dict.fromkeys(["deep_lenet", *options.methods])
    methods = {name: make_method(name, random_state=0, device="cpu") for name in names}
    for name, method in methods.items():
        method.fit(X, y)
        print(f"{name} is fitted", flush=True)
    seconds = time_predictions(methods, X_test, options.rounds, options.calls)
    run = describe_run("prediction_speed.py", options.arguments)
    run["data"] = {"name": options.data, "training images": len(X), "images": len(X_test)}
    parser.report(options, run, {"seconds": seconds}, format_page(seconds, run))


def make_parser():
    parser = MeasurementParser("prediction_speed.py", "How fast fitted methods predict.")
    add = parser.add_number
    add("--n-train", 100, "training images; the SVM and KNN like few; default: 10000", 10000)
    add("--n-predict", 101, "images to predict, besides 1 and 100; default: 10000", 10000, 10**6)
    add("--rounds", 1, "how often the contenders take turns; default: 7", 7)
    add("--calls", 1, "calls with one image in a row; default: 200", 200)
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        metavar="METHOD",
        help=f"besides deep_lenet, of {', '.join(METHODS)}; default: all",
    )
    return parser


def load_images(options):
    """Load training images, and those to predict, repeated where there are too few."""
    if options.data == "digits":
        X, y = load_digits_images()
        X_test = X
    else:
        X, X_test, y, _ = fetch_mnist()
    return (
        X[: options.n_train],
        np.resize(X_test, (options.n_predict, *X_test.shape[1:])),
        y[: options.n_train],
    )


def time_predictions(methods, X_test, rounds, calls):
    """Time the calls, by contender, function and number of images."""
    network = methods["deep_lenet"]["classifier"]
    ready = network._image_format.batch(torch.from_numpy(X_test).flatten(1))
    plain = PlainLeNet()
    for own, trained in zip(plain.parameters(), network.module_.parameters(), strict=True):
        own.data.copy_(trained)

    @torch.inference_mode()
    def run(module, n_images):
        return [module(batch) for batch in ready[:n_images].split(CHUNK_SIZE)]

    # The module runs just before what its rate is compared with.
    contenders = {(MODULE, "forward"): partial(run, network.module_.eval())}
    for name, method in methods.items():
        for function in ("predict", "predict_proba"):
            if hasattr(method, function):
                call = getattr(method, function)
                contenders[name, function] = lambda n_images, call=call: call(X_test[:n_images])
    contenders[PLAIN, "forward"] = partial(run, plain.eval())
    seconds = {name: {} for name, _ in contenders}
    for n_images in (ONE, SOME, len(X_test)):
        print(f"{n_images} images a call", flush=True)
        times = {contender: [] for contender in contenders}
        in_a_row = calls if n_images == ONE else 1
        for _ in range(rounds):
            for contender, call in contenders.items():
                call(n_images)  # what follows finds its own data in the cache
                for _ in range(in_a_row):
                    start = time.perf_counter()
                    call(n_images)
                    times[contender].append(time.perf_counter() - start)
        for (name, function), values in times.items():
            seconds[name].setdefault(function, {})[str(n_images)] = values
    return seconds


def format_page(seconds, run):
    rows, many = [], run["data"]["images"]
    bare = seconds[MODULE]["forward"]
    for name, functions in seconds.items():
        for function, times in functions.items():
            one = 1e3 * np.array(times[str(ONE)])
            above = np.median(one) - 1e3 * np.median(bare[str(ONE)])
            rate = np.median(np.divide(bare[str(many)], times[str(many)]))
            rows.append(
                [
                    name if function == "forward" else f"{name} `{function}`",
                    f"{np.median(one):.2f}",
                    f"{np.percentile(one, 99):.2f}",
                    "" if name == MODULE else f"{above:+.2f}",
                    f"{1e3 * np.median(times[str(SOME)]):.1f}",
                    f"{np.median(times[str(many)]):.3f}",
                    "" if name == MODULE else f"{rate:.2f}",
                ]
            )
    header = [
        "contender",
        "1 image, p50 (ms)",
        "p99 (ms)",
        "above the module (ms)",
        "100 images (ms)",
        f"{many:,} images (s)",
        "rate of the module",
    ]
    return f"""# Prediction speed

Fitted to {run["data"]["training images"]:,} images of {run["data"]["name"]}; times are medians.
The last column compares the rates for {many:,} images in the same rounds: above 1.00 is faster than
the module alone. The SVM gives no probabilities.

{table(header, rows)}

{made_by(run)}
"""


if __name__ == "__main__":
    main()
