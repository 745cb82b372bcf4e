"""The skorch net: optimiser, training loop and training budget."""

import math
import warnings
from copy import copy, deepcopy
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet

from .._torch import keep_freed_memory, products_in
from ..images import to_device
from ._data import CHUNK_SIZE, ImageBatches, LabelledImages

__all__ = ["OPTIMIZERS", "ImageClassifierNet", "training_budget"]

# One kernel updates all weights: a third of the time of the unfused step on a CPU.
OPTIMIZERS = {
    "adamw": partial(torch.optim.AdamW, fused=True),
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, fused=True),
}


class ImageClassifierNet(NeuralNet):
    """The net of skorch, reading batches as slices of one tensor and weighting the loss.

    Parameters
    ----------
    *args
        As for `skorch.NeuralNet`; the criterion returns a loss for each sample.
    augment : callable, default=None
        Applied to the images of each training batch.
    precision : torch.dtype, default=torch.float32
        Type in which training computes the layers (autocast); the weights, the loss and all
        predictions are float32 in any case.
    compiled : bool, default=False
        Whether training runs the module as `torch.compile` makes it.
    **kwargs
        As for `skorch.NeuralNet`.
    """

    module_: Any

    def __init__(self, *args, augment=None, precision=torch.float32, compiled=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.augment = augment
        self.precision = precision
        self.compiled = compiled
        self._forward = None

    def initialize_module(self):
        """Make the module, with its weights in the memory order that is fastest on a CPU.

        Returns
        -------
        ImageClassifierNet
            The net itself.
        """
        super().initialize_module()
        self.module_ = self.module_.to(torch.float32, memory_format=torch.channels_last)
        self._forward = None
        return self

    def fit_loop(self, *args, **kwargs):
        """Run the training of skorch, keeping freed memory at hand.

        Parameters
        ----------
        *args, **kwargs
            As for `skorch.NeuralNet.fit_loop`.

        Returns
        -------
        ImageClassifierNet
            The net itself.

        Raises
        ------
        ValueError
            If the module cannot be compiled.
        """
        keep_freed_memory()
        try:
            # Around the backward pass, too, which would take an autocast of the caller for its own.
            with products_in(torch.float32, torch.device(self.device)):
                return super().fit_loop(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise _compilation_error(error) from error
        except KeyboardInterrupt:
            warnings.warn(
                f"Training was interrupted in epoch {len(self.history)}; "
                "the model is that of the training so far.",
                stacklevel=2,
            )
            raise
        finally:
            self._forward = None

    def infer(self, x, **fit_params):
        """Compute the class scores of a batch while training.

        Parameters
        ----------
        x : torch.Tensor of shape (n_samples, n_channels, 32, 32)
            The images.
        **fit_params : dict
            Passed on to the module.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_classes), float32
            The scores. Those of validation batches are computed in float32.
        """
        is_training, device = self.module_.training, torch.device(self.device)
        with products_in(self.precision if is_training else torch.float32, device):
            if not (is_training and self.compiled):
                return super().infer(x, **fit_params).float()
            if self._forward is None:
                self._forward = _compile(self.module_)
            return self._forward(x, **fit_params).float()

    def __getstate__(self):
        state = super().__getstate__()
        state["_forward"] = None  # what is compiled cannot be pickled
        return state

    def get_iterator(self, dataset, training=False):
        """Iterate over batches, shuffled and augmented in training.

        Parameters
        ----------
        dataset : LabelledImages or any data set that skorch knows
            The data.
        training : bool, default=False
            Whether the batches are for training.

        Returns
        -------
        ImageBatches or torch.utils.data.DataLoader
            The batches.
        """
        if not isinstance(dataset, LabelledImages):
            return super().get_iterator(dataset, training=training)
        if training:
            return ImageBatches(dataset, self.batch_size, shuffle=True, augment=self.augment)
        return ImageBatches(dataset, CHUNK_SIZE)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Compute the weighted mean loss of a batch.

        Parameters
        ----------
        y_pred : torch.Tensor of shape (n_samples, n_classes)
            The class scores.
        y_true : tuple of two torch.Tensor of shape (n_samples,)
            The classes and the sample weights, whose mean over the data set is one.
        X : torch.Tensor, default=None
            The images; ignored.
        training : bool, default=False
            Ignored.

        Returns
        -------
        torch.Tensor of shape ()
            The loss.
        """
        target, sample_weight = y_true
        return (self.criterion_(y_pred, target) * sample_weight).mean()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch as skorch does, and read its losses at the end.

        Parameters
        ----------
        iterator : ImageBatches or None
            The batches; None skips the epoch.
        training : bool
            Whether they are for training.
        prefix : str
            Start of the names in the history.
        step_fn : callable
            Called for each batch.
        **fit_params : dict
            Passed on to `step_fn`.
        """
        if iterator is None:
            return
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                loss = step["loss"].detach()
                # A GPU that is asked in each step idles until the next: its losses are read last.
                loss = loss.item() if loss.device.type == "cpu" else loss
                self.history.record_batch(f"{prefix}_loss", loss)
                self.history.record_batch(f"{prefix}_batch_size", len(batch[0]))
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            for record in self.history[-1]["batches"]:
                if isinstance(record.get(f"{prefix}_loss"), torch.Tensor):
                    record[f"{prefix}_loss"] = record[f"{prefix}_loss"].item()
        self.history.record(f"{prefix}_batch_count", len(iterator))

    def continue_from(self, previous, with_optimizer=False):
        """Take over the weights and the history of an earlier net.

        Parameters
        ----------
        previous : ImageClassifierNet
            A trained net with the same layers.
        with_optimizer : bool, default=False
            Whether to take over the moments of its optimiser, too.

        Raises
        ------
        ValueError
            If the layers or the optimiser are others.
        """
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

    def logits(self, pixels, image_format):
        """Compute the class scores of images.

        Parameters
        ----------
        pixels : torch.Tensor of shape (n_samples, n_features)
            Flat rows of pixels.
        image_format : ImageFormat
            How rows become images.

        Returns
        -------
        torch.Tensor of shape (n_samples, n_classes), float32
            The scores, on the CPU. Those of a row do not depend on the other rows if they are
            computed on a CPU.
        """
        if self.module_.training:
            self._set_training(False)
        device, scores = torch.device(self.device), []
        image_format = image_format.to(device)
        with torch.inference_mode(), products_in(torch.float32, device):
            for rows in pixels.split(CHUNK_SIZE):
                images = image_format.batch(to_device(rows, device))
                scores.append(self.module_(images).cpu())
        return torch.cat(scores)


def _compile(module):
    # Networks share their code, of which PyTorch compiles eight versions only: isolated, each has
    # its own. PyTorch's overloads, unlike its function, lack the name.
    try:
        return torch.compile(module.__call__, isolate_recompiles=True)  # type: ignore[call-overload]
    except RuntimeError as error:
        raise _compilation_error(error) from error


def _compilation_error(error):
    return ValueError(f"compile=True cannot be used: {str(error).splitlines()[0]}")


def training_budget(n_samples, augmented=False):
    """Choose the batch size and the number of epochs for a data set.

    Parameters
    ----------
    n_samples : int
        Number of training images.
    augmented : bool, default=False
        Whether the images are augmented, so that more passes keep paying.

    Returns
    -------
    batch_size : int
        Images in a batch.
    max_epochs : int
        Passes over the data.
    """
    batch_size = min(max(2 ** math.floor(math.log2(n_samples) / 2), 16), 512)
    max_epochs = min(400 / n_samples**0.4, 30)
    return batch_size, max(1, round(2 * max_epochs if augmented else max_epochs))
