"""How fast does sklenet train compared with skorch, plain loops and a large matmul?"""

import math
import time
import timeit
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold, cross_val_score
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from sklenet import DeepLeNet, DeepLeNetClassifier, ImageLayout, ImagePreprocessor, LReLU
from sklenet._compat import onednn_linear
from sklenet._torch import autocast_to, raise_mmap_threshold, resolve_precision
from sklenet.datasets import load_digits_images
from sklenet.training import training_budget

from .. import lab

CPU = torch.device("cpu")
LR, BETAS, WEIGHT_DECAY, LABEL_SMOOTHING = 1e-2, (0.8, 0.95), 0.3, 0.1  # sklenet's defaults
EPOCHS = 5  # the default for 60,000 images
PARTS = ["data", "forward", "backward", "optimizer"]
OURS = {"sklenet": "auto", "sklenet, float32": "float32"}
RIVAL = "skorch"
MATMUL_SIZE = 2048

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"n_images": 1_000, "batch_size": 128, "rounds": 3, "cv_rounds": 1, "cv_epochs": 5},
    mnist={"n_images": 6_400, "batch_size": 256, "rounds": 7, "cv_rounds": 2, "cv_epochs": 22},
    device="cpu",
)


@experiment.images
def images(options):
    X, _, y, _ = lab.load_split(options.data)
    X, y = lab.take_subset(X, y, options.n_images, 0, "--n-images")
    return X, y


@experiment.rows
def cells(options):
    for task, contenders, n_rounds in [
        ("fit", [*CONTENDERS], options.rounds),
        ("step", ["bare loop"], options.rounds),
        ("cross-validation", [*OURS, RIVAL], options.cv_rounds),
    ]:
        for number in range(n_rounds):
            for contender in np.random.default_rng(number).permutation(contenders):
                yield {"task": task, "round": number, "contender": str(contender)}


@experiment.measure
def seconds(task, round, contender, *, images, options):
    # In a separate process no contender changes a setting of another.
    if task == "cross-validation":
        return lab.run_in_new_process(cross_validate, contender, options.cv_epochs, round)
    measure = {"fit": time_fit, "step": time_step}[task]
    measured = lab.run_in_new_process(measure, contender, *images, options.batch_size)
    size = {"n_images": options.n_images, "batch_size": options.batch_size, "epochs": EPOCHS}
    return [{**size, **each} for each in measured]


class PlainLeNet(nn.Sequential):
    """The deep LeNet-5 as in a textbook: each activation before its pooling."""

    def __init__(self, n_classes=10):
        first = [nn.Conv2d(1, 32, 5), LReLU(), nn.MaxPool2d(2)]
        second = [nn.Conv2d(32, 64, 5), LReLU(), nn.MaxPool2d(2)]
        hidden = [nn.Flatten(), nn.Linear(1600, 1024), LReLU(), nn.Linear(1024, 67), LReLU()]
        super().__init__(*first, *second, *hidden, nn.Linear(67, n_classes))


def make_sklenet(batch_size, epochs, precision, parameters=lab.PLAIN):
    options = {"batch_size": batch_size, "max_epochs": epochs, "precision": precision}
    return DeepLeNetClassifier(device="cpu", lr=LR, random_state=0, **options, **parameters)


def make_skorch(n_images, batch_size, epochs):
    """Make skorch's classifier with the optimizer, schedule and loss of sklenet."""
    n_steps = epochs * math.ceil(n_images / batch_size)
    schedule = {"max_lr": LR, "total_steps": n_steps + 1, "cycle_momentum": False}
    options = {"max_epochs": epochs, "batch_size": batch_size, "lr": LR, "verbose": 0}
    options |= {"criterion": nn.CrossEntropyLoss, "criterion__label_smoothing": LABEL_SMOOTHING}
    options |= {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": WEIGHT_DECAY}
    options |= {"optimizer__betas": BETAS}
    options |= {"callbacks": [LRScheduler(OneCycleLR, step_every="batch", **schedule)]}
    return NeuralNetClassifier(
        PlainLeNet, train_split=None, iterator_train__shuffle=True, **options
    )


def prepare_loop(X, y, batch_size, precision=None):
    """Return a hand-written loop: a textbook's or, in a precision, the fastest that we know."""
    images, target = as_tensors(X, y)
    loader = DataLoader(TensorDataset(images, target), batch_size=batch_size, shuffle=True)
    if precision:
        raise_mmap_threshold()

    def fit():
        module, optimizer, dtype = make_loop(precision)
        for _ in range(EPOCHS):
            batches = loader
            if precision:
                order = torch.randperm(len(target)).split(batch_size)
                batches = ((images[batch], target[batch]) for batch in order)
            for batch in batches:
                optimizer.zero_grad()
                loss_of(module, *batch, dtype).backward()
                optimizer.step()

    return fit


def make_loop(precision):
    """Return the module, the optimizer and the dtype of a hand-written loop."""
    module = DeepLeNet().to(memory_format=torch.channels_last) if precision else PlainLeNet()
    options = {"lr": LR, "betas": BETAS, "weight_decay": WEIGHT_DECAY, "fused": bool(precision)}
    dtype = resolve_precision(precision or "float32", CPU)
    return module, torch.optim.AdamW(module.parameters(), **options), dtype


def loss_of(module, images, target, dtype):
    with autocast_to(dtype, CPU):
        logits = module(images).float()
    return nn.functional.cross_entropy(logits, target, label_smoothing=LABEL_SMOOTHING)


def prepare_bound(X, y, batch_size, multiply, dtype):
    """Return a function that returns the seconds of a fit at the rate of a matmul."""
    with FlopCounterMode(display=False) as counter:
        PlainLeNet()(torch.zeros(1, 1, 32, 32)).sum().backward()
    n_flops = EPOCHS * len(X) * counter.get_total_flops()
    matrix = torch.rand(MATMUL_SIZE, MATMUL_SIZE).to(dtype)

    def fit():
        times = timeit.repeat(lambda: multiply(matrix, matrix), number=1, repeat=10)
        return n_flops * float(np.median(times)) / (2 * MATMUL_SIZE**3)

    return fit


def as_tensors(X, y):
    """Return standardized images and the target."""
    rows = torch.from_numpy(X).flatten(1)
    images = ImagePreprocessor(ImageLayout.from_images(X)).fit(rows)(rows)
    return images, torch.from_numpy(y.astype("int64"))


def prepare_sklenet(X, y, batch_size, precision="auto", parameters=lab.PLAIN):
    return partial(make_sklenet(batch_size, EPOCHS, precision, parameters).fit, X, y)


def prepare_skorch(X, y, batch_size):
    return partial(make_skorch(len(X), batch_size, EPOCHS).fit, *as_tensors(X, y))


CONTENDERS = {
    **{name: partial(prepare_sklenet, precision=precision) for name, precision in OURS.items()},
    "sklenet, normalized and augmented": partial(prepare_sklenet, parameters={}),
    "skorch": prepare_skorch,
    "DataLoader loop": prepare_loop,
    "bare loop": partial(prepare_loop, precision="auto"),
    "bare loop, float32": partial(prepare_loop, precision="float32"),
    "bound (torch.mm)": partial(prepare_bound, multiply=torch.mm, dtype=torch.float32),
    "bound (oneDNN)": partial(prepare_bound, multiply=onednn_linear, dtype=torch.float32),
    "bound (bfloat16)": partial(prepare_bound, multiply=torch.mm, dtype=torch.bfloat16),
}


def time_fit(contender, X, y, batch_size):
    torch.manual_seed(0)
    fit = CONTENDERS[contender](X, y, batch_size)
    fit()  # the first fit warms up
    start = time.perf_counter()
    result = fit()
    seconds = result if isinstance(result, float) else time.perf_counter() - start
    return [{"seconds": seconds}]


def cross_validate(contender, epochs, seed):
    X, y = load_digits_images()
    n_train = len(X) * 4 // 5
    batch_size, _ = training_budget(n_train)
    if contender in OURS:
        classifier = make_sklenet(batch_size, epochs, OURS[contender])
    else:
        classifier = make_skorch(n_train, batch_size, epochs)
        X, y = (tensor.numpy() for tensor in as_tensors(X, y))
    torch.manual_seed(seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    start = time.perf_counter()
    accuracy = float(cross_val_score(classifier, X, y, cv=folds).mean())
    measured = {"seconds": time.perf_counter() - start, "accuracy": accuracy}
    return {"n_images": len(X), "batch_size": batch_size, "epochs": epochs, **measured}


def time_step(contender, X, y, batch_size):
    """Time the parts of a step of the bare loop: the means of ten steps after the first."""
    rows, (_, target) = torch.from_numpy(X).flatten(1), as_tensors(X, y)
    preprocessor = ImagePreprocessor(ImageLayout.from_images(X)).fit(rows)
    raise_mmap_threshold()
    (module, optimizer, dtype), times = make_loop("auto"), []
    for _ in range(11):
        batch = torch.randperm(len(X))[:batch_size]
        optimizer.zero_grad()
        clock = [time.perf_counter()]
        images = preprocessor(rows[batch])
        clock.append(time.perf_counter())
        loss = loss_of(module, images, target[batch], dtype)
        clock.append(time.perf_counter())
        loss.backward()
        clock.append(time.perf_counter())
        optimizer.step()
        clock.append(time.perf_counter())
        times.append(np.diff(clock))
    means = np.mean(times[1:], axis=0).tolist()
    return [{"part": part, "seconds": mean} for part, mean in zip(PARTS, means, strict=True)]


def times_of(rows, task, columns="contender"):
    """Return the seconds of a task, a row for each round."""
    return rows[rows.task == task].pivot(index="round", columns=columns, values="seconds")


def compare(times, name, other):
    """Format the ratio to the times of another contender in the same rounds."""
    return "" if name == other else lab.format_median(times[name] / times[other], ".2f")


@experiment.table
def contenders(rows, options):
    times = times_of(rows, "fit")
    n_images = EPOCHS * rows.n_images.iloc[0]
    return pd.DataFrame(
        {
            "contender": name,
            "images/s": f"{n_images / times[name].median():,.0f}",
            "range": " to ".join(f"{n_images / times[name].agg(end):,.0f}" for end in (max, min)),
            **{f"speed of {ours} / its": compare(times, name, ours) for ours in OURS},
        }
        for name in CONTENDERS
    )


@experiment.table
def step(rows, options):
    medians = times_of(rows, "step", "part").median()[PARTS]
    shares = medians / medians.sum()
    return pd.DataFrame(
        {"ms": (1e3 * medians).map("{:.2f}".format), "share": shares.map("{:.0%}".format)}
    )


@experiment.table
def cross_validation(rows, options):
    times = times_of(rows, "cross-validation")
    accuracies = rows.groupby("contender").accuracy.mean()
    return pd.DataFrame(
        {
            "contender": name,
            "seconds": f"{times[name].median():.1f}",
            f"of {RIVAL}'s time": compare(times, name, RIVAL),
            "accuracy": f"{accuracies[name]:.4f}",
        }
        for name in (*OURS, RIVAL)
    )
