"""The skorch net: batches, precision, weighted losses and the training loop."""

import warnings
from copy import copy, deepcopy
from typing import Any

import torch
from skorch import NeuralNetClassifier

from .._compat import compilation_error
from .._torch import autocast_to, raise_mmap_threshold
from ._data import CHUNK_SIZE, Batches, ImageDataset

__all__ = ["ImageClassifierNet"]


class ImageClassifierNet(NeuralNetClassifier):
    """skorch's net, reading batches as slices of one tensor and weighting the loss.

    `dtype` is the type in which training computes the layers (autocast); weights, loss and
    predictions are float32. With `compiled`, training runs the module through `torch.compile`.
    The criterion returns the loss of each sample.
    """

    module_: Any

    def __init__(self, *args, augment=None, dtype=torch.float32, compiled=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.augment = augment
        self.dtype = dtype
        self.compiled = compiled
        self._compiled_forward = None

    # skorch's defaults without its accuracy, which ignores weights.
    @property
    def _default_callbacks(self):
        return [named for named in super()._default_callbacks if named[0] != "valid_acc"]

    def initialize_module(self):
        super().initialize_module()
        # The memory order in which convolutions are fastest on a CPU.
        self.module_ = self.module_.to(torch.float32, memory_format=torch.channels_last)
        self._compiled_forward = None
        return self

    def fit_loop(self, X, y=None, epochs=None, **kwargs):
        """Train until the epochs are over or a callback sets `stop_training_`."""
        raise_mmap_threshold()
        self.stop_training_ = False
        dataset_train, dataset_valid = self.get_split_datasets(X)
        batches_train = self.get_iterator(dataset_train, training=True)
        batches_valid = None if dataset_valid is None else self.get_iterator(dataset_valid)
        datasets = {"dataset_train": dataset_train, "dataset_valid": dataset_valid}
        try:
            # The backward pass is within: it would run under an autocast of the caller.
            with autocast_to(torch.float32, torch.device(self.device)):
                for _ in range(self.max_epochs if epochs is None else epochs):
                    self.notify("on_epoch_begin", **datasets)
                    self.run_single_epoch(batches_train, True, "train", self.train_step)
                    self.run_single_epoch(batches_valid, False, "valid", self.validation_step)
                    self.notify("on_epoch_end", **datasets)
                    if self.stop_training_:
                        break
        except KeyboardInterrupt:
            warnings.warn(
                f"Training was interrupted in epoch {len(self.history)}; "
                "the model is that of the training so far.",
                stacklevel=2,
            )
            raise
        except compilation_error() as error:
            raise _cannot_compile(error) from error
        finally:
            self._compiled_forward = None
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                loss = step["loss"].detach()
                # Reading a loss synchronizes a GPU: its losses are read at the end of the epoch.
                loss = loss.item() if loss.device.type == "cpu" else loss
                self.history.record_batch(f"{prefix}_loss", loss)
                self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            for record in self.history[-1]["batches"]:
                if isinstance(record.get(f"{prefix}_loss"), torch.Tensor):
                    record[f"{prefix}_loss"] = record[f"{prefix}_loss"].item()
        self.history.record(f"{prefix}_batch_count", len(iterator))

    def get_iterator(self, dataset, training=False):
        if not isinstance(dataset, ImageDataset):
            return super().get_iterator(dataset, training=training)
        if training:
            return Batches(dataset, self.batch_size, shuffle=True, augment=self.augment)
        return Batches(dataset, CHUNK_SIZE)

    def infer(self, x, **fit_params):
        """Compute the logits of a batch, those of validation batches in float32."""
        is_training = self.module_.training
        dtype = self.dtype if is_training else torch.float32
        with autocast_to(dtype, torch.device(self.device)):
            if not (is_training and self.compiled):
                return self.module_(x["images"]).float()
            if self._compiled_forward is None:
                self._compiled_forward = _compile(self.module_)
            return self._compiled_forward(x["images"]).float()

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the weighted mean loss of a batch."""
        return (self.criterion_(y_pred, y_true) * X["sample_weight"]).mean()

    def continue_from(self, previous, with_optimizer=False):
        """Take over the weights and the history of an earlier net, and its optimizer's moments."""
        weights, own = previous.module_.state_dict(), self.module_.state_dict()
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError(
                "Training continues with the network of the last fit, whose layers must not "
                "change; set warm_start=False and call fit to train another network."
            )
        self.module_.load_state_dict(weights)
        self.history_ = copy(previous.history_)
        if with_optimizer:
            if type(previous.optimizer_) is not type(self.optimizer_):
                raise ValueError(
                    "partial_fit continues with the optimizer of the last call, which must not "
                    "change; call fit to train with another optimizer."
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
        return state


def _compile(module):
    # All networks share their code, of which PyTorch compiles eight versions at most; isolated,
    # each network has its own. PyTorch's overloads, unlike its function, lack the keyword.
    try:
        return torch.compile(module.__call__, isolate_recompiles=True)  # type: ignore[call-overload]
    except RuntimeError as error:
        raise _cannot_compile(error) from error


def _cannot_compile(error):
    return ValueError(f"compile=True cannot be used: {str(error).splitlines()[0]}")
