"""A fitted sklenet predicts nearly as fast as its bare module.

10,000 images come at 0.9 of the module's rate, one image takes 0.6 ms more than the module's
1.1 ms. A textbook's module with the same weights has a third of that rate.

`predict` and `predict_proba` of every method for 1, 100 and 10,000 images, next to the module of
the deep LeNet-5 alone, called in batches under `torch.inference_mode` with standardised float
images that are ready made, and next to a textbook's module with the same weights. The contenders
take turns over several rounds; for one image each makes many calls in a row, whose median and 99th
percentile are given. The committed result:

    python benchmarks/prediction_speed.py --out benchmarks/results/prediction_speed
"""

import io
import json
import sys
import time
from functools import partial

import numpy as np
import torch
from reporting import (
    Parser,
    check_out,
    describe_run,
    folder,
    made_by,
    table,
    whole_number,
    write_files,
)
from training_speed import PlainLeNet

from sklenet.baselines import METHODS, make_method
from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.training import PREDICTION_BATCH

MODULE, PLAIN = "bare module", "textbook module"
SIZES = [1, 100, 10000]


def main(argv=None):
    arguments = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        X, X_test, y = load_images(options)
        check_out(options.out)
    except (OSError, ValueError) as error:
        parser.error(" ".join(str(error).split()))
    names = dict.fromkeys(["deep_lenet", *options.methods])
    methods = {name: make_method(name, random_state=0, device="cpu") for name in names}
    for method in methods.values():
        method.fit(X, y)
    seconds = time_predictions(methods, X_test, options.rounds, options.calls)
    run = describe_run("prediction_speed.py", arguments)
    run["data"] = {"name": options.data, "training images": len(X)}
    page = format_page(seconds, run)
    print(page)
    if options.out:
        content = json.dumps({**run, "seconds": seconds}, indent=2) + "\n"
        files = {"prediction_speed.md": page, "prediction_speed.json": content}
        write_files(options.out, {name: text.encode() for name, text in files.items()})
        print(f"Written to {options.out}")


def make_parser():
    parser = Parser(prog="prediction_speed.py", description="How fast fitted methods predict.")
    add = parser.add_argument
    add("--data", choices=["mnist", "digits"], default="mnist", help="default: mnist")
    add(
        "--n-train",
        type=whole_number(100),
        default=10000,
        metavar="N",
        help="training images; the SVM and KNN are slower with more of them; default: 10000",
    )
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        metavar="METHOD",
        help=f"besides deep_lenet, of {', '.join(METHODS)}; default: all",
    )
    add(
        "--rounds",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="how often the contenders take turns; default: 5",
    )
    add(
        "--calls",
        type=whole_number(1),
        default=200,
        metavar="N",
        help="calls with one image in a row; default: 200",
    )
    add("--out", type=folder, metavar="FOLDER", help="write prediction_speed.md and .json here")
    return parser


def load_images(options):
    """Load training images, and 10,000 images to predict, repeated where there are fewer."""
    if options.data == "digits":
        X, y = load_digits_images()
        X_test = X
    else:
        X, X_test, y, _ = fetch_mnist()
    return (
        X[: options.n_train],
        np.resize(X_test, (SIZES[-1], *X_test.shape[1:])),
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
        return [module(batch) for batch in ready[:n_images].split(PREDICTION_BATCH)]

    contenders = {
        (MODULE, "forward"): partial(run, network.module_.eval()),
        (PLAIN, "forward"): partial(run, plain.eval()),
    }
    for name, method in methods.items():
        for function in ("predict", "predict_proba"):
            if hasattr(method, function):
                call = getattr(method, function)
                contenders[name, function] = lambda n_images, call=call: call(X_test[:n_images])
    seconds = {name: {} for name, _ in contenders}
    for n_images in SIZES:
        times = {contender: [] for contender in contenders}
        in_a_row = calls if n_images == 1 else 1
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
    rows = []
    bare = seconds[MODULE]["forward"]
    for name, functions in seconds.items():
        for function, times in functions.items():
            one = 1e3 * np.array(times["1"])
            above = np.median(one) - 1e3 * np.median(bare["1"])
            rate = np.median(np.divide(bare["10000"], times["10000"]))
            rows.append(
                [
                    name if function == "forward" else f"{name} `{function}`",
                    f"{np.median(one):.2f}",
                    f"{np.percentile(one, 99):.2f}",
                    "" if name == MODULE else f"{above:+.2f}",
                    f"{1e3 * np.median(times['100']):.1f}",
                    f"{np.median(times['10000']):.3f}",
                    "" if name == MODULE else f"{rate:.2f}",
                ]
            )
    header = [
        "contender",
        "1 image, p50 (ms)",
        "p99 (ms)",
        "above the module (ms)",
        "100 images (ms)",
        "10,000 images (s)",
        "rate of the module",
    ]
    return f"""# Prediction speed

Fitted to {run["data"]["training images"]:,} images of {run["data"]["name"]}; times are medians.
The last column compares the rates for 10,000 images in the same rounds: above 1.00 is faster than
the module alone. The SVM gives no probabilities.

{table(header, rows)}

{made_by(run)}
"""


if __name__ == "__main__":
    main()
