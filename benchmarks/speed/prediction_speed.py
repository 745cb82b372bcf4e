"""How fast do fitted methods predict one image, a hundred and many?"""

import json
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sklenet import to_onnx
from sklenet._compat import import_optional
from sklenet.comparison import METHODS, make_method
from sklenet.training._data import CHUNK_SIZE

from .. import lab
from .training_speed import PlainLeNet

MODULE, PLAIN, ONNX = "bare module", "textbook module", "deep_lenet in ONNX Runtime"
METHOD_CALLS = {
    f"{name} `{function}`": (name, function)
    for name in METHODS
    for function in ("predict", "predict_proba")
    if hasattr(make_method(name), function)
}
# The module runs just before deep_lenet, whose rate is compared with it.
CONTENDERS = [MODULE, *METHOD_CALLS, PLAIN, ONNX]
FEW = 100

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"n_train": 1_000, "n_predict": 5_000, "rounds": 3, "calls": 100},
    mnist={"n_train": 10_000, "n_predict": 10_000, "rounds": 7, "calls": 200},
    device="cpu",
)


@experiment.images
def images(options):
    X, X_test, y, _ = lab.load_subset(options)
    return X, y, np.resize(X_test, (options.n_predict, *X_test.shape[1:])), {}


def prepare_calls(X, y, X_test):
    """Fit the methods; return what each contender does with a number of images."""
    methods = {name: make_method(name, random_state=0, device="cpu") for name in METHODS}
    for method in methods.values():
        method.fit(X, y)
    network = methods["deep_lenet"]["classifier"]
    plain = PlainLeNet()
    for own, trained in zip(plain.parameters(), network.module_.parameters(), strict=True):
        own.data.copy_(trained)
    images = network.preprocessor_(torch.from_numpy(X_test).flatten(1))

    @torch.inference_mode()
    def forward(module, n_images):
        return [module(batch) for batch in images[:n_images].split(CHUNK_SIZE)]

    def predict(name, function, n_images):
        return getattr(methods[name], function)(X_test[:n_images])

    modules = {MODULE: network.module_.eval(), PLAIN: plain.eval()}
    calls = {contender: partial(predict, *called) for contender, called in METHOD_CALLS.items()}
    calls |= {contender: partial(forward, module) for contender, module in modules.items()}
    return calls | {ONNX: partial(run_onnx, open_onnx(network), X_test)}


def open_onnx(network):
    """Export a classifier, and open it in ONNX Runtime with the number of threads of PyTorch."""
    runtime = import_optional("onnxruntime", "the benchmark", "benchmarks")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        to_onnx(network, path)
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(session, X_test, n_images):
    """Predict raw images in the batches of the module; one batch of all takes much memory."""
    starts = range(0, n_images, CHUNK_SIZE)
    return [
        session.run(None, {"images": X_test[start : min(start + CHUNK_SIZE, n_images)]})
        for start in starts
    ]


@experiment.rows
def cells(options):
    sizes = [1, FEW, options.n_predict]
    return {"n_images": sizes, "round": range(options.rounds), "contender": CONTENDERS}


@experiment.measure
def seconds(n_images, round, contender, *, images, options):
    *data, calls = images
    if not calls:
        calls.update(prepare_calls(*data))
    call, times = calls[contender], []
    call(n_images)  # the others have evicted the contender's data from the cache
    for _ in range(options.calls if n_images == 1 else 1):
        start = time.perf_counter()
        call(n_images)
        times.append(time.perf_counter() - start)
    return {"seconds": json.dumps(times)}


@experiment.table
def contenders(rows, options):
    calls = each_call(rows)
    ms = (1e3 * calls.seconds).groupby([calls.n_images, calls.contender])
    medians, p99 = ms.median().unstack(), ms.quantile(0.99).unstack()
    one, few, many = medians.loc[1], medians.loc[FEW], medians.loc[options.n_predict]
    rates = relative_rates(rows, options)
    return pd.DataFrame(
        {
            "contender": name,
            "1 image, p50 (ms)": f"{one[name]:.2f}",
            "p99 (ms)": f"{p99.loc[1, name]:.2f}",
            "above the module (ms)": "" if name == MODULE else f"{one[name] - one[MODULE]:+.2f}",
            f"{FEW} images (ms)": f"{few[name]:.1f}",
            f"{options.n_predict:,} images (s)": f"{many[name] / 1e3:.3f}",
            "rate of the module": "" if name == MODULE else f"{rates[name]:.2f}",
        }
        for name in CONTENDERS
        if name in one  # older results lack ONNX Runtime
    )


def each_call(rows):
    """Return a row for each call."""
    calls = rows.assign(seconds=rows.seconds.map(json.loads)).explode("seconds")
    return calls.astype({"seconds": float})


def relative_rates(rows, options):
    """Return the rate of each contender for many images, as a multiple of the bare module's."""
    many = each_call(rows[rows.n_images == options.n_predict])
    seconds = many.pivot(index="round", columns="contender", values="seconds")
    return (1 / seconds.div(seconds[MODULE], axis=0)).median()
