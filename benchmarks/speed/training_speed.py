"""How fast does sklenet train, compared with skorch, loops by hand and the rate of a matmul?"""

import math
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold, cross_val_score
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from sklenet import DeepLeNet, DeepLeNetClassifier, ImageLayout, ImagePreprocessor, LReLU
from sklenet._torch import autocast_to, raise_mmap_threshold, resolve_precision
from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.training import training_budget

from .. import lab

CPU = torch.device("cpu")
LR, WEIGHT_DECAY, LABEL_SMOOTHING = 5e-3, 0.3, 0.1  # the defaults of DeepLeNetClassifier
EPOCHS = 5  # the default for 60,000 images
STEP = ["data", "forward", "backward", "optimizer"]
N_STEPS = 10
OURS = {"sklenet": "auto", "sklenet, float32": "float32"}
MATMUL_SIZE = 2048
BOUNDS = {
    "bound (torch.mm)": (torch.mm, torch.float32),
    "bound (oneDNN)": (
        lambda a, b: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""),
        torch.float32,
    ),
    "bound (bfloat16)": (torch.mm, torch.bfloat16),
}

experiment = lab.Experiment(
    "training_speed",
    __doc__,
    options={
        "n_images": lab.Option("training images", 1_000, 6_400, minimum=2),
        "batch_size": lab.Option("images in a batch", 128, 128, minimum=1),
        "rounds": lab.Option("fits of each contender", 3, 7, minimum=1),
        "cv_rounds": lab.Option("cross-validations of each contender", 1, 2, minimum=1),
        "cv_epochs": lab.Option("epochs of the cross-validation", 5, 22, minimum=1),
    },
    device="cpu",
)


@experiment.images
def images(options):
    if options.data == "digits":
        X, y = load_digits_images()
    else:
        X, _, y, _ = fetch_mnist()
    # In a process of its own, no contender changes a setting of another.
    processes = defaultdict(lambda: ProcessPoolExecutor(1, get_context("spawn")))
    return X[: options.n_images], y[: options.n_images], processes


@experiment.rows
def cells(options):
    for number in range(options.rounds):
        for contender in (*np.random.default_rng(number).permutation([*CONTENDERS]), *BOUNDS):
            yield {"task": "fit", "round": number, "contender": str(contender)}
    for number in range(options.rounds):
        yield {"task": "step", "round": number}
    for number in range(options.cv_rounds):
        for contender in np.random.default_rng(number).permutation([*OURS, "skorch"]):
            yield {"task": "cross-validation", "round": number, "contender": str(contender)}


@experiment.measure
def seconds(task, round, contender=None, *, images, options):
    X, y, processes = images
    size = {"n_images": len(X), "batch_size": options.batch_size, "epochs": EPOCHS}
    if task == "step":
        parts = time_step(X, y, options.batch_size)
        return [{"contender": part, **size, "epochs": 1, "seconds": parts[part]} for part in STEP]
    if contender in BOUNDS:
        n_flops = EPOCHS * len(X) * training_flops(DeepLeNet())
        return {**size, "seconds": n_flops / matmul_rate(*BOUNDS[contender])}
    submit = processes[contender].submit
    if task == "fit":
        return {**size, "seconds": submit(time_fit, contender, X, y, options.batch_size).result()}
    return submit(cross_validate, contender, options.cv_epochs, round).result()


class PlainLeNet(nn.Sequential):
    """The deep LeNet-5 as in a textbook: each activation before its pooling."""

    def __init__(self, n_classes=10):
        super().__init__(
            *(nn.Conv2d(1, 32, 5), LReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5), LReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1600, 1024), LReLU(), nn.Linear(1024, 67), LReLU()),
            nn.Linear(67, n_classes),
        )


def make_sklenet(batch_size, epochs, precision):
    options = {"batch_size": batch_size, "max_epochs": epochs, "precision": precision}
    return DeepLeNetClassifier(device="cpu", random_state=0, **options)


def make_skorch(n_images, batch_size, epochs):
    """Make skorch's classifier with the optimizer, schedule and loss of sklenet."""
    schedule = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        max_lr=LR,
        total_steps=epochs * math.ceil(n_images / batch_size) + 1,
        cycle_momentum=False,
        step_every="batch",
    )
    return NeuralNetClassifier(
        PlainLeNet,
        criterion=nn.CrossEntropyLoss,
        criterion__label_smoothing=LABEL_SMOOTHING,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=WEIGHT_DECAY,
        lr=LR,
        batch_size=batch_size,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        callbacks=[schedule],
        train_split=None,
        verbose=0,
    )


def prepare_sklenet(X, y, batch_size, precision):
    return partial(make_sklenet(batch_size, EPOCHS, precision).fit, X, y)


def prepare_skorch(X, y, batch_size):
    return partial(make_skorch(len(X), batch_size, EPOCHS).fit, standardize(X), as_target(y))


def prepare_loader_loop(X, y, batch_size):
    dataset = TensorDataset(standardize(X), as_target(y))

    def fit():
        module = PlainLeNet()
        criterion = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
        optimizer = torch.optim.AdamW(module.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
        for _ in range(EPOCHS):
            for images, target in loader:
                optimizer.zero_grad()
                criterion(module(images), target).backward()
                optimizer.step()

    return fit


def prepare_bare_loop(X, y, batch_size, precision):
    images, target = standardize(X), as_target(y)
    dtype = resolve_precision(precision, CPU)
    raise_mmap_threshold()

    def fit():
        module, optimizer = make_module()
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(target)).split(batch_size):
                optimizer.zero_grad()
                loss_of(module, images[batch], target[batch], dtype).backward()
                optimizer.step()

    return fit


def make_module():
    """Make the network of sklenet and its optimizer for a loop by hand."""
    module = DeepLeNet().to(memory_format=torch.channels_last)
    parameters = module.parameters()
    return module, torch.optim.AdamW(parameters, lr=LR, weight_decay=WEIGHT_DECAY, fused=True)


def loss_of(module, images, target, dtype):
    with autocast_to(dtype, CPU):
        logits = module(images)
    return functional.cross_entropy(logits.float(), target, label_smoothing=LABEL_SMOOTHING)


def make_preprocessor(X):
    return ImagePreprocessor(ImageLayout.from_images(X)).fit(torch.from_numpy(X).flatten(1))


def standardize(X):
    return make_preprocessor(X)(torch.from_numpy(X).flatten(1))


def as_target(y):
    return torch.from_numpy(y.astype("int64"))


CONTENDERS = {
    **{name: partial(prepare_sklenet, precision=precision) for name, precision in OURS.items()},
    "skorch": prepare_skorch,
    "DataLoader loop": prepare_loader_loop,
    "bare loop": partial(prepare_bare_loop, precision="auto"),
    "bare loop, float32": partial(prepare_bare_loop, precision="float32"),
}
prepared = {}  # in the process of a contender


def time_fit(contender, X, y, batch_size):
    if contender not in prepared:
        torch.manual_seed(0)
        prepared[contender] = CONTENDERS[contender](X, y, batch_size)
        prepared[contender]()  # the first fit warms up
    start = time.perf_counter()
    prepared[contender]()
    return time.perf_counter() - start


def cross_validate(contender, epochs, seed):
    X, y = load_digits_images()
    n_train = len(X) * 4 // 5
    batch_size, _ = training_budget(n_train)
    if contender in OURS:
        classifier = make_sklenet(batch_size, epochs, OURS[contender])
    else:
        classifier = make_skorch(n_train, batch_size, epochs)
        X, y = standardize(X).numpy(), y.astype("int64")
    torch.manual_seed(seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    start = time.perf_counter()
    accuracy = float(cross_val_score(classifier, X, y, cv=folds).mean())
    seconds = time.perf_counter() - start
    size = {"n_images": len(X), "batch_size": batch_size, "epochs": epochs}
    return {**size, "seconds": seconds, "accuracy": accuracy}


def time_step(X, y, batch_size):
    """Time the parts of a step of the bare loop, the mean over some steps after the first."""
    preprocessor, rows, target = make_preprocessor(X), torch.from_numpy(X).flatten(1), as_target(y)
    raise_mmap_threshold()
    module, optimizer = make_module()
    dtype = resolve_precision("auto", CPU)
    steps = []
    for _ in range(N_STEPS + 1):
        batch = torch.randperm(len(X))[:batch_size]
        optimizer.zero_grad()
        times = [time.perf_counter()]
        images = preprocessor(rows[batch])
        times.append(time.perf_counter())
        loss = loss_of(module, images, target[batch], dtype)
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        optimizer.step()
        times.append(time.perf_counter())
        steps.append(np.diff(times))
    return dict(zip(STEP, np.mean(steps[1:], axis=0).tolist(), strict=True))


def matmul_rate(multiply, dtype):
    """Return the FLOPs per second of a large matmul, the median of ten."""
    matrix, seconds = torch.rand(MATMUL_SIZE, MATMUL_SIZE, dtype=dtype), []
    for _ in range(10):
        start = time.perf_counter()
        multiply(matrix, matrix)
        seconds.append(time.perf_counter() - start)
    return 2 * MATMUL_SIZE**3 / float(np.median(seconds))


def training_flops(module):
    """Count the FLOPs of a training step for one image.

    Each layer takes a matmul in the forward pass, one for the gradient of its weights and, except
    the first, one for the gradient of its input; a multiplication and an addition each.
    """
    flops = []

    def count(layer, inputs, output):
        positions = output[0].numel() // len(layer.weight)
        n_matmuls = 3 if flops else 2
        flops.append(n_matmuls * 2 * positions * layer.weight.numel())

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(2, 1, 32, 32))
    return sum(flops)


def median_ratio(times, other_times):
    """Format the median and the range of ratios of times of the same round."""
    ratios = times / other_times
    return f"{ratios.median():.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def seconds_per_round(rows, task):
    """Return the seconds of a task, a column for each contender."""
    rows = rows[rows.task == task]
    return rows.pivot(index="round", columns="contender", values="seconds")


@experiment.table
def contenders(rows, options):
    seconds = seconds_per_round(rows, "fit")
    n_images = EPOCHS * rows.n_images.iloc[0]
    return pd.DataFrame(
        {
            "contender": name,
            "images/s": f"{n_images / seconds[name].median():,.0f}",
            "range": f"{n_images / seconds[name].max():,.0f} to "
            f"{n_images / seconds[name].min():,.0f}",
            **{
                f"speed of {ours} / its": ""
                if name == ours
                else median_ratio(seconds[name], seconds[ours])
                for ours in OURS
            },
        }
        for name in (*CONTENDERS, *BOUNDS)
    )


@experiment.table
def step(rows, options):
    medians = seconds_per_round(rows, "step").median()[STEP]
    shares = medians / medians.sum()
    columns = {"ms": (1e3 * medians).map("{:.2f}".format), "share": shares.map("{:.0%}".format)}
    return pd.DataFrame({"part": STEP, **columns})


@experiment.table
def cross_validation(rows, options):
    seconds = seconds_per_round(rows, "cross-validation")
    accuracies = rows.groupby("contender").accuracy.mean()
    return pd.DataFrame(
        {
            "contender": name,
            "seconds": f"{seconds[name].median():.1f}",
            "of skorch's time": ""
            if name == "skorch"
            else median_ratio(seconds[name], seconds.skorch),
            "accuracy": f"{accuracies[name]:.4f}",
        }
        for name in (*OURS, "skorch")
    )


@experiment.figure(
    "images_per_second.png", "Training on {n_images:,} images of {data_name}", size=(7, 3.6)
)
def images_per_second(rows, options, ax):
    names = [*CONTENDERS, *BOUNDS]
    rates = EPOCHS * rows.n_images.iloc[0] / seconds_per_round(rows, "fit")[names]
    ax.barh(names, rates.median(), color=[lab.COLORS[i] for i in 2 * [0] + 4 * [1] + 3 * [6]])
    for height, name in enumerate(names):
        ax.plot([rates[name].min(), rates[name].max()], [height, height], color="black")
    ax.invert_yaxis()
    ax.set_xlabel("Images per second, median and range of the rounds")
