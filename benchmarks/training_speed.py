"""Training with sklenet is as fast as the best loop we could write by hand with PyTorch.

It has 1.05 of that loop's speed in bfloat16 and 0.98 in float32, equal within the noise of the run,
and 2.9 and 1.75 times the speed of skorch with the usual layers. Few images, such as these, are
standardised once; more than 16,384 batch by batch, which is the share of "data" in a step below.
Timed are five epochs, as the default takes for all of MNIST, of the same network on the same
images, all contenders in turn, several rounds:

- sklenet: `DeepLeNetClassifier.fit` on the bytes, all of its own preparations included, with the
  products in the precision that it chooses ("auto"), and in float32;
- skorch: `NeuralNetClassifier` with the layers written the usual way and its default `DataLoader`;
- DataLoader loop: a loop over ``DataLoader(TensorDataset(...))``, the layers written the usual way;
- bare loop: the fastest loop we know, around sklenet's network, no library around it, in the same
  two precisions as sklenet;
- bounds: the FLOPs of the training steps at the rate of a large matrix product: PyTorch's own and
  oneDNN's of float32, and that of bfloat16.

The loops by hand keep their rate constant and record no loss, which favours them. Each contender
has a process of its own. All but sklenet are given standardised 32x32 float images, ready made.
Then the parts of a step are timed apart, and sklenet and skorch are cross-validated on
scikit-learn's digits with the same optimiser, schedule and loss. The committed result:

    python benchmarks/training_speed.py --out benchmarks/results/training_speed
"""

import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch
from reporting import MeasurementParser, describe_run, made_by, table
from sklearn.model_selection import StratifiedKFold, cross_val_score
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from sklenet import DeepLeNet, DeepLeNetClassifier
from sklenet._torch import keep_freed_memory, resolve_precision
from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.images import ImageFormat
from sklenet.network import LReLU
from sklenet.training import training_budget

LR, WEIGHT_DECAY, LABEL_SMOOTHING = 5e-3, 0.3, 0.1  # the defaults of DeepLeNetClassifier
SKLENET, SKLENET_FLOAT32, SKORCH = "sklenet", "sklenet, float32", "skorch"
MATRIX_SIDE = 2048
EPOCHS = 5


def main(argv=None):
    parser = make_parser()
    options, (X, y) = parser.read(argv, load_images)
    workers = {name: Isolated() for name in CONTENDERS}
    seconds = time_fits(workers, X, y, options.batch_size, options.rounds)
    folds = cross_validate(workers, options.cv_epochs, options.cv_rounds)
    for worker in workers.values():
        worker.pool.shutdown()
    parts = time_parts(X, y, options.batch_size, options.rounds)
    run = describe_run("training_speed.py", options.arguments)
    run["data"] = {"name": options.data, "images": len(X), "batch size": options.batch_size}
    page = format_page(seconds, parts, folds, run)
    parser.report(options, run, {"fit_s": seconds, "parts_s": parts, "digits": folds}, page)


def make_parser():
    parser = MeasurementParser("training_speed.py", "How fast the network is trained.")
    add = parser.add_number
    add("--n-images", 2, "training images, or all if there are fewer; default: 6400", 6400)
    add("--batch-size", 1, "default: 128, as sklenet takes for 60,000 images", 128)
    add("--rounds", 1, "how often each contender runs, in turn with the others; default: 7", 7)
    add("--cv-epochs", 1, "epochs of the cross-validation on the digits; default: sklenet's own")
    add("--cv-rounds", 1, "how often each is cross-validated; default: 2", 2)
    return parser


def load_images(options):
    if options.data == "digits":
        X, y = load_digits_images()
    else:
        X, _, y, _ = fetch_mnist()
    return X[: options.n_images], y[: options.n_images]


class PlainLeNet(nn.Module):
    """The deep LeNet-5 as a textbook has it: each activation before its pooling."""

    def __init__(self, n_classes=10):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 5), LReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5), LReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1600, 1024), LReLU(), nn.Linear(1024, 67), LReLU()),
            nn.Linear(67, n_classes),
        )

    def forward(self, images):
        return self.layers(images)


def make_skorch(n_images, batch_size, max_epochs=EPOCHS):
    """Make skorch's classifier with sklenet's optimiser and schedule and a textbook's module."""
    n_steps = max_epochs * math.ceil(n_images / batch_size)
    schedule = LRScheduler(
        OneCycleLR, max_lr=LR, total_steps=n_steps + 1, cycle_momentum=False, step_every="batch"
    )
    return NeuralNetClassifier(
        PlainLeNet,
        criterion=nn.CrossEntropyLoss,
        criterion__label_smoothing=LABEL_SMOOTHING,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=WEIGHT_DECAY,
        lr=LR,
        batch_size=batch_size,
        max_epochs=max_epochs,
        iterator_train__shuffle=True,
        callbacks=[schedule],
        train_split=None,
        verbose=0,
    )


def make_sklenet(batch_size, max_epochs=EPOCHS, precision="auto"):
    return DeepLeNetClassifier(
        batch_size=batch_size,
        max_epochs=max_epochs,
        precision=precision,
        device="cpu",
        random_state=0,
    )


def prepare_sklenet(X, y, batch_size, precision="auto"):
    classifier = make_sklenet(batch_size, precision=precision)
    return lambda: classifier.fit(X, y)


def prepare_skorch(X, y, batch_size):
    images, target = standardize(X), as_target(y)
    net = make_skorch(len(X), batch_size)
    return lambda: net.fit(images, target)


def prepare_loader_loop(X, y, batch_size):
    dataset = TensorDataset(standardize(X), as_target(y))

    def train():
        module = PlainLeNet()
        loss_of = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
        optimizer = torch.optim.AdamW(module.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
        for _ in range(EPOCHS):
            for images, target in loader:
                optimizer.zero_grad()
                loss = loss_of(module(images), target)
                loss.backward()
                optimizer.step()

    return train


def prepare_bare_loop(X, y, batch_size, precision="auto"):
    images, target = standardize(X), as_target(y)
    keep_freed_memory()
    in_precision = autocast(precision)

    def train():
        module, optimizer = make_module()
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(target)).split(batch_size):
                optimizer.zero_grad()
                with in_precision:
                    scores = module(images[batch])
                loss_of(scores.float(), target[batch]).backward()
                optimizer.step()

    return train


def make_module():
    """Make sklenet's network and its optimiser for a loop by hand."""
    module = DeepLeNet().to(memory_format=torch.channels_last)
    parameters = module.parameters()
    return module, torch.optim.AdamW(parameters, lr=LR, weight_decay=WEIGHT_DECAY, fused=True)


def autocast(precision="auto"):
    dtype = resolve_precision(precision, torch.device("cpu"))
    return torch.autocast("cpu", dtype, enabled=dtype != torch.float32)


def loss_of(scores, target):
    return functional.cross_entropy(scores, target, label_smoothing=LABEL_SMOOTHING)


def prepare_folds(classifier, images, target):
    return lambda cv: float(cross_val_score(classifier, images, target, cv=cv).mean())


CONTENDERS = {
    SKLENET: prepare_sklenet,
    SKLENET_FLOAT32: partial(prepare_sklenet, precision="float32"),
    SKORCH: prepare_skorch,
    "DataLoader loop": prepare_loader_loop,
    "bare loop": prepare_bare_loop,
    "bare loop, float32": partial(prepare_bare_loop, precision="float32"),
}
PRODUCTS = {
    "bound (torch.mm)": (torch.mm, torch.float32),
    "bound (oneDNN)": (
        lambda a, b: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""),
        torch.float32,
    ),
    "bound (bfloat16)": (torch.mm, torch.bfloat16),
}


class Isolated:
    """A process of its own for a contender, where no other one has changed a setting."""

    def __init__(self):
        self.pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def prepare(self, prepare, *data):
        """Let the process call `prepare`, whose result `run` then calls."""
        self.pool.submit(_prepare, prepare, *data).result()

    def run(self, *arguments):
        """Return the seconds that a call takes there, and what it returns."""
        return self.pool.submit(_run, *arguments).result()


def _prepare(prepare, *data):
    global _contender
    torch.manual_seed(0)
    _contender = prepare(*data)


def _run(*arguments):
    start = time.perf_counter()
    result = _contender(*arguments)
    return time.perf_counter() - start, result if isinstance(result, float) else None


def time_fits(workers, X, y, batch_size, rounds):
    """Time the contenders, in turn, and matrix products next to them.

    Returns the seconds of each round by contender; those of a bound are the FLOPs of a fit at the
    rate of the matrix products after that round.
    """
    for name, prepare in CONTENDERS.items():
        workers[name].prepare(prepare, X, y, batch_size)
    seconds = {name: [] for name in (*CONTENDERS, *PRODUCTS)}
    n_flops = EPOCHS * len(X) * training_flops(DeepLeNet())
    for number in range(rounds + 1):
        for name in np.random.default_rng(number).permutation(list(CONTENDERS)):
            seconds[name].append(workers[name].run()[0])
        print(f"round {number} of {rounds}" if number else "warm", flush=True)
        for name, (multiply, dtype) in PRODUCTS.items():
            seconds[name].append(n_flops / product_rate(multiply, dtype))
    return {name: values[1:] for name, values in seconds.items()}  # the first round warms up


def product_rate(multiply, dtype):
    """Return the FLOPs a second of a large matrix product, the median of ten."""
    matrix, seconds = torch.rand(MATRIX_SIDE, MATRIX_SIDE, dtype=dtype), []
    for _ in range(10):
        start = time.perf_counter()
        multiply(matrix, matrix)
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX_SIDE**3 / float(np.median(seconds))


def time_parts(X, y, batch_size, rounds):
    """Time the parts of a training step of the bare loop, over several batches in each round."""
    pixels, image_format = measure(X)
    target = as_target(y)
    keep_freed_memory()
    module, optimizer = make_module()
    in_precision = autocast()
    parts = {"data": [], "forward": [], "backward": [], "optimiser": []}
    n_batches = max(1, min(len(X) // batch_size, 10))
    for _ in range(rounds + 1):
        clock = np.zeros(len(parts))
        for batch in torch.randperm(len(X)).split(batch_size)[:n_batches]:
            optimizer.zero_grad()
            times = [time.perf_counter()]
            batch_images, batch_target = image_format.batch(pixels[batch]), target[batch]
            times.append(time.perf_counter())
            with in_precision:
                scores = module(batch_images)
            loss = loss_of(scores.float(), batch_target)
            times.append(time.perf_counter())
            loss.backward()
            times.append(time.perf_counter())
            optimizer.step()
            times.append(time.perf_counter())
            clock += np.diff(times)
        for part, value in zip(parts, clock / n_batches, strict=True):
            parts[part].append(float(value))
    return {part: values[1:] for part, values in parts.items()}  # the first round warms up


def cross_validate(workers, max_epochs, rounds):
    """Cross-validate sklenet and skorch on the digits with the same optimiser and schedule."""
    X, y = load_digits_images()
    n_train = len(X) * 4 // 5
    batch_size, auto_epochs = training_budget(n_train)
    max_epochs = max_epochs or auto_epochs
    skorch_net = make_skorch(n_train, batch_size, max_epochs)
    sklenet, in_float32 = (
        make_sklenet(batch_size, max_epochs, precision) for precision in ("auto", "float32")
    )
    problems = {
        SKLENET: (sklenet, X, y),
        SKLENET_FLOAT32: (in_float32, X, y),
        SKORCH: (skorch_net, standardize(X).numpy(), y.astype(np.int64)),
    }
    for name, problem in problems.items():
        workers[name].prepare(prepare_folds, *problem)
    seconds, accuracy = ({name: [] for name in problems} for _ in range(2))
    for number in range(rounds):
        cv = StratifiedKFold(5, shuffle=True, random_state=number)
        for name in np.random.default_rng(number).permutation(list(problems)):
            for values, value in zip((seconds, accuracy), workers[name].run(cv), strict=True):
                values[name].append(value)
        print(f"cross-validation {number + 1} of {rounds}", flush=True)
    return {
        "epochs": max_epochs,
        "batch size": batch_size,
        "seconds": seconds,
        "accuracy": accuracy,
    }


def training_flops(module):
    """Count the floating-point operations that training takes for one image.

    A product forward, one for the weights' gradient and, but for the first layer, one for the
    gradient of the input; a multiplication and an addition each.
    """
    flops = []

    def count(layer, inputs, output):
        positions = output[0].numel() // len(layer.weight)
        n_products = 3 if flops else 2
        flops.append(n_products * 2 * positions * layer.weight.numel())

    hooks = [
        layer.register_forward_hook(count)
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    with torch.inference_mode():
        module(torch.zeros(2, 1, 32, 32))
    for hook in hooks:
        hook.remove()
    return sum(flops)


def measure(X):
    pixels = torch.from_numpy(X.reshape(len(X), -1))
    weights = torch.ones(len(X), dtype=torch.float64)
    return pixels, ImageFormat(X).measure(pixels, torch.arange(len(X)), weights)


def standardize(X):
    pixels, image_format = measure(X)
    return image_format.batch(pixels)


def as_target(y):
    return torch.from_numpy(y.astype(np.int64))


def format_ratio(values, others):
    ratios = np.divide(values, others)
    return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def format_page(seconds, parts, folds, run):
    data = run["data"]
    n_images = EPOCHS * data["images"]
    rows = [
        [
            name,
            f"{n_images / np.median(values):,.0f}",
            f"{n_images / max(values):,.0f} to {n_images / min(values):,.0f}",
            *(
                "" if name == ours else format_ratio(values, seconds[ours])
                for ours in (SKLENET, SKLENET_FLOAT32)
            ),
        ]
        for name, values in seconds.items()
    ]
    header = ["contender", "images/s", "range"]
    header += [f"speed of {ours} / its" for ours in (SKLENET, SKLENET_FLOAT32)]
    total = sum(np.median(values) for values in parts.values())
    part_rows = [
        [name, f"{1e3 * np.median(values):.2f}", f"{np.median(values) / total:.0%}"]
        for name, values in parts.items()
    ]
    fold_rows = [
        [
            name,
            f"{np.median(values):.1f}",
            "" if name == SKORCH else format_ratio(values, folds["seconds"][SKORCH]),
            f"{np.mean(folds['accuracy'][name]):.4f}",
        ]
        for name, values in folds["seconds"].items()
    ]
    n_rounds = len(seconds[SKLENET])
    return f"""# Training speed

{EPOCHS} epochs of {data["images"]:,} images of {data["name"]} in batches of {data["batch size"]};
medians of {n_rounds} rounds in which all contenders took turns. The ratios compare times of the
same round, with their range; below 1.00 sklenet is slower. Here sklenet and the bare loop compute
in {run["machine"]["precision"]} where float32 is not said. The bounds are the FLOPs of the
training at the rate of a large matrix product.

{table(header, rows)}

The parts of a step of the bare loop, in milliseconds, here with sklenet's preparation of the data:

{table(["part", "ms", "share"], part_rows)}

5-fold cross-validation on the digits, {folds["epochs"]} epochs in batches of
{folds["batch size"]}, optimiser, schedule and loss alike; skorch's network has PyTorch's own
initial weights:

{table(["contender", "seconds", "of skorch's time", "accuracy"], fold_rows)}

{made_by(run)}
"""


if __name__ == "__main__":
    main()
