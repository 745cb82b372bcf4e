"""The skorch net: precision, weighted loss and training loop."""

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from copy import copy, deepcopy
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import torch
from skorch import NeuralNetClassifier

from .._compat import compilation_error
from .._interrupts import Interrupts
from .._torch import PRECISIONS, autocast_to, raise_mmap_threshold
from ..network import Dropout, estimate_statistics, fold_normalization, insert_normalization
from ._cuda_graph import CapturedSteps
from ._data import CHUNK_SIZE, Batches, ImageDataset, RandomBatches
from ._predict import forward_padded

__all__ = ["ImageClassifierNet"]


class ImageClassifierNet(NeuralNetClassifier):
    """skorch's net, reading batches as slices of one tensor and weighting the loss.

    `precision` names the type in which training computes the layers (autocast); weights, loss and
    predictions are float32. With `compiled`, training runs the module through `torch.compile`;
    with `captured`, its steps on a CUDA device are one CUDA graph. `generator`, of the CPU, is the
    source of the initial weights and of the batches, `device_generator` that of dropout and of
    `augment`. The criterion returns the loss of each sample.
    """

    module_: Any
    cuda_dependent_attributes_: ClassVar[list[str]] = ["normalizations_"]  # for pickles

    def __init__(
        self,
        *args,
        generator=None,
        device_generator=None,
        augment=None,
        normalization=None,
        precision="float32",
        compiled=False,
        captured=False,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.generator = generator
        self.device_generator = device_generator
        self.augment = augment
        self.normalization = normalization
        self.precision = precision
        self.compiled = compiled
        self.captured = captured
        self._compiled_forward = None

    def initialize_module(self):
        kwargs = self.get_params_for("module") | {"generator": self.generator}
        module = self.initialized_instance(self.module, kwargs)
        for layer in module.modules():
            if isinstance(layer, Dropout):
                layer.generator = self.device_generator
        if self.normalization:
            insert_normalization(module)
        # The memory order in which convolutions are fastest on a CPU.
        self.module_ = module.to(torch.float32, memory_format=torch.channels_last)
        self._compiled_forward, self.temperature_ = None, 1.0
        return self

    def initialize_optimizer(self, *args, **kwargs):
        try:
            super().initialize_optimizer(*args, **kwargs)
            if not isinstance(self.optimizer_, torch.optim.Optimizer):
                raise TypeError(f"it returned {self.optimizer_!r}")
        except (AttributeError, TypeError, ValueError) as error:
            raise TypeError(
                f"optimizer={self.optimizer!r} must return an optimizer of PyTorch when it is "
                "called with the parameters, lr and, where given, weight_decay; the error is: "
                f"{str(error).splitlines()[0]}"
            ) from error
        closure = signature(self.optimizer_.step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise ValueError(
                "optimizer must not need a closure in each step, got "
                f"{type(self.optimizer_).__name__}."
            )
        if isinstance(self.optimizer_, torch.optim.SparseAdam):
            raise ValueError("optimizer must support dense gradients, got SparseAdam.")
        return self

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train with `fit_loop`; a `KeyboardInterrupt`, as skorch's callbacks raise it, ends it."""
        if not self.initialized_:
            self.initialize()
        self.stop_training_ = False
        with suppress(KeyboardInterrupt):
            self.notify("on_train_begin", X=X, y=y)
            self.fit_loop(X, y, **fit_params)
        with suppress(KeyboardInterrupt):
            self.notify("on_train_end", X=X, y=y)
        return self

    def fit_loop(self, X, y=None, interrupts=None, threads=None, **kwargs):
        """Train until the epochs are over, the user interrupts or a callback ends the training."""
        interrupts = interrupts or Interrupts()
        # A compiled network is compiled for a number of threads.
        adapts = threads and torch.device(self.device).type == "cpu" and not self.compiled
        measured = threads.step if adapts else nullcontext
        raise_mmap_threshold()
        n_epochs_before = len(self.history)
        dataset_train, dataset_valid = self.get_split_datasets(X)
        batches_train, step = self.get_iterator(dataset_train, training=True), self.train_step
        if self.captured:
            batches_train = step = CapturedSteps(self, batches_train, self.device_generator)
        batches_valid = None if dataset_valid is None else self.get_iterator(dataset_valid)
        datasets = {"dataset_train": dataset_train, "dataset_valid": dataset_valid}
        try:
            # The backward pass is within: it would run under an autocast of the caller.
            with autocast_to(torch.float32, torch.device(self.device)):

                def train_step(batch):
                    if interrupts.arrived():
                        raise KeyboardInterrupt
                    with measured():
                        return step(batch)

                for _ in range(self.max_epochs):
                    if self.stop_training_ or interrupts.arrived():
                        break
                    self.notify("on_epoch_begin", **datasets)
                    self.run_single_epoch(batches_train, True, "train", train_step)
                    self.run_single_epoch(batches_valid, False, "valid", self.validation_step)
                    self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:
            self._drop_unfinished_epoch(n_epochs_before)
            raise
        except compilation_error() as error:
            raise _cannot_compile(error) from error
        finally:
            self._compiled_forward = None
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn):
        if iterator is None:
            return
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch)
                loss = step["loss"].detach()
                # Reading a loss synchronizes a GPU: its losses are read at the end of the epoch.
                loss = loss.item() if loss.device.type == "cpu" else loss
                self.history.record_batch(f"{prefix}_loss", loss)
                self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            records = [batch for batch in self.history[-1]["batches"] if f"{prefix}_loss" in batch]
            losses = [batch[f"{prefix}_loss"] for batch in records]
            if losses and isinstance(losses[0], torch.Tensor):
                for batch, loss in zip(records, torch.stack(losses).tolist(), strict=True):
                    batch[f"{prefix}_loss"] = loss
        self.history.record(f"{prefix}_batch_count", len(iterator))

    def _drop_unfinished_epoch(self, n_epochs_before):
        """Drop the last epoch if it was not finished, but keep the first one that has a loss."""
        if len(self.history) == n_epochs_before:
            return
        epoch = self.history[-1]
        done = [batch for batch in epoch["batches"] if "train_loss" in batch]
        if "train_loss" in epoch:
            return
        if len(self.history) > n_epochs_before + 1 or not done:
            self.history.pop()
        else:
            losses, sizes = zip(
                *((b["train_loss"], b["train_batch_size"]) for b in done), strict=True
            )
            self.history.record("train_loss", float(np.average(losses, weights=sizes)))

    def get_iterator(self, dataset, training=False):
        if not isinstance(dataset, ImageDataset):
            return super().get_iterator(dataset, training=training)
        if training:
            return RandomBatches(dataset, self.batch_size, self.generator, self.augment)
        return Batches(dataset, CHUNK_SIZE)

    def infer(self, x, **fit_params):
        """Compute the logits of a batch, in evaluation as `predict_logits` does."""
        images = x["images"] if isinstance(x, Mapping) else x
        is_training, device = self.module_.training, torch.device(self.device)
        with autocast_to(PRECISIONS[self.precision if is_training else "float32"], device):
            if not is_training:
                return forward_padded(self.module_, images)
            if self.compiled and self._compiled_forward is None:
                self._compiled_forward = _compile(self.module_)
            return (self._compiled_forward or self.module_)(images).float()

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the weighted mean loss of a batch."""
        return (self.criterion_(y_pred, y_true) * X["sample_weight"]).mean()

    def fold(self, batches, n_before=0):
        """Fold the normalization into the layers, with the statistics of batches.

        Those of the training count as `n_before` images.
        """
        if self.normalization:
            with autocast_to(torch.float32, torch.device(self.device)):
                estimate_statistics(self.module_, batches, n_before)
            self.normalizations_ = fold_normalization(self.module_)
        self.module_.eval()

    def divide_logits(self, temperature):
        """Divide the class scores by a temperature, within the output layer."""
        output = self.module_.head.output
        with torch.no_grad():
            output.weight /= temperature
            output.bias /= temperature
        self.temperature_ *= temperature

    def continue_from(self, previous, with_optimizer=False):
        """Take over the weights and the history of an earlier net, and its optimizer's moments."""
        if self.normalization != previous.normalization:
            raise ValueError(
                f"normalization must be that of the last fit, {previous.normalization!r}, whose "
                f"training continues, got {self.normalization!r}."
            )
        module = deepcopy(previous.module_)
        if self.normalization:
            insert_normalization(module, deepcopy(previous.normalizations_))
        weights, own = module.state_dict(), self.module_.state_dict()
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError(
                "The layers must be those of the last fit, whose training continues; set "
                "warm_start=False and call fit to train another network."
            )
        self.module_.load_state_dict(weights)
        self.divide_logits(1 / previous.temperature_)
        self.temperature_ = 1.0
        self.history_ = copy(previous.history_)
        if with_optimizer:
            if type(previous.optimizer_) is not type(self.optimizer_):
                raise ValueError(
                    "optimizer must be that of the last partial_fit, "
                    f"{type(previous.optimizer_).__name__}, got {type(self.optimizer_).__name__}; "
                    "call fit to train with another optimizer."
                )
            settings = [
                {key: value for key, value in group.items() if key != "params"}
                for group in self.optimizer_.param_groups
            ]
            self.optimizer_.load_state_dict(deepcopy(previous.optimizer_.state_dict()))
            for group, setting in zip(self.optimizer_.param_groups, settings, strict=True):
                group.update(setting)

    def __getstate__(self):
        state = super().__getstate__()
        state["_compiled_forward"] = None  # a compiled function cannot be pickled
        del state["predict_nonlinearity"]  # nor, by skops, the method of a class
        return state

    def __setstate__(self, state):
        super().__setstate__(state | {"predict_nonlinearity": state["criterion"].proba})


def _compile(module):
    # All networks share their code, of which PyTorch compiles eight versions at most; isolated,
    # each network has its own. PyTorch's overloads, unlike its function, lack the keyword.
    try:
        return torch.compile(module.__call__, isolate_recompiles=True)  # type: ignore[call-overload]
    except RuntimeError as error:
        raise _cannot_compile(error) from error


def _cannot_compile(error):
    return ValueError(f"compile=True cannot be used: {str(error).splitlines()[0]}")
