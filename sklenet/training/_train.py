"""The training of a network: `fit_network`."""

from contextlib import nullcontext
from functools import partial
from itertools import islice

import torch
from skorch.helper import predefined_split
from skorch.history import History
from torch import nn
from torch.nn.functional import one_hot

from .._torch import autocast_to, seeded_torch
from ..images import compose_augmentations, to_device
from ..network import DeepLeNet, Dropout, fold_normalization
from ._calibration import fit_temperature, undo_smoothing
from ._callbacks import LR_SCHEDULES, EarlyStopping, ValidationAccuracy, sees_batches
from ._data import CHUNK_SIZE, Batches, ImageDataset, RandomBatches
from ._losses import LOSSES
from ._net import ImageClassifierNet
from ._predict import forward_padded
from ._recipe import OPTIMIZERS

__all__ = ["fit_network", "restore_net"]

_N_DRAWN = 1024  # training images that the statistics and the temperature are estimated from
# Images that moving averages count as in the statistics of a chunk, which may have one class only.
# On 2,000 drawn shapes in chunks of 500 the accuracy after four passes is 0.91, without the chunk's
# own statistics 0.55.
_N_BEFORE = 512


def fit_network(
    recipe,
    preprocessor,
    train,
    valid,
    *,
    n_classes,
    seed,
    callbacks,
    verbose,
    previous,
    with_optimizer,
    interrupts,
    threads,
):
    """Train a network by a recipe and return its skorch net, in evaluation mode.

    The accuracy on `valid`, unless it is None, stops the training. The weights and the history of
    `previous`, unless it is None, are continued, and `with_optimizer` the moments of its optimizer.
    An interruption that has `arrived` ends the training after the current step; `threads` adapt to
    the load of the machine.
    """
    device = recipe.device
    # MPS does not have float64.
    preprocessor.to(device=device, dtype=torch.float32 if device.type == "mps" else None)
    rows = to_device(train.rows, device)
    dataset = ImageDataset(train, preprocessor, rows)
    held_out = None if valid is None else ImageDataset(valid, preprocessor, rows)
    split = None if held_out is None else predefined_split(held_out)
    # Custom activations and augmentation, and compiled dropout, may draw from PyTorch's own.
    draws_globally = _has_callables(recipe) or (recipe.compile and recipe.network["dropout"])
    with seeded_torch(seed, device) if draws_globally else nullcontext():
        network = partial(DeepLeNet, n_classes, preprocessor.layout.channels, **recipe.network)
        net = _make_net(recipe, network, range(n_classes), seed, callbacks, split, verbose)
        if previous is not None:
            net.continue_from(previous, with_optimizer)
        net.partial_fit(dataset, interrupts=interrupts, threads=threads)
    if not any("train_loss" in epoch for epoch in net.history_) and not interrupts.arrived():
        raise ValueError(
            "callbacks and augmentation must not end the training before its first step."
        )
    images = []
    if recipe.normalization or (recipe.label_smoothing and valid is None):
        drawn = islice(RandomBatches(dataset, CHUNK_SIZE, net.generator), _N_DRAWN // CHUNK_SIZE)
        images = [inputs["images"] for inputs, _ in drawn]
    net.fold(images, _N_BEFORE if with_optimizer else 0)
    if not all(parameter.isfinite().all() for parameter in net.module_.parameters()):
        if interrupts.arrived():
            raise KeyboardInterrupt
        is_custom = any(map(callable, recipe.augmentation))
        raise ValueError(
            "Training diverged: the network has weights that are not finite. "
            f"Lower lr={recipe.lr} or scale X"
            f"{'; augmentation must return finite values.' if is_custom else '.'}"
        )
    loss = net.criterion_
    if held_out is not None:
        logits = _compute_scores(
            net, (inputs["images"] for inputs, _ in Batches(held_out, CHUNK_SIZE))
        )
        proba, weight = one_hot(valid.target, n_classes), valid.sample_weight
        net.divide_logits(fit_temperature(loss, logits, proba, weight / weight.mean()))
    elif recipe.label_smoothing:
        net.divide_logits(undo_smoothing(loss, _compute_scores(net, images)))
    _release(net, with_optimizer)
    return net


def restore_net(recipe, n_classes, n_channels, weights, statistics, temperature, history):
    """Make the skorch net of a network that was trained before, to predict or to train further.

    `weights` are the parameters of the network by name, `statistics` those of its normalizations,
    which `fit_network` has folded into the weights.
    """
    network = partial(DeepLeNet, n_classes, n_channels, **recipe.network)
    net = _make_net(recipe, network, range(n_classes), 0, (), None, 0)
    if recipe.normalization:
        net.normalizations_ = fold_normalization(net.module_)
        nn.ModuleList(net.normalizations_).load_state_dict(statistics)
    net.module_.load_state_dict(weights)
    net.module_.eval()
    net.temperature_ = temperature
    net.history_ = History({"batches": []} | epoch for epoch in history)
    _release(net, with_optimizer=False)
    return net


def _make_net(recipe, network, classes, seed, callbacks, split, verbose):
    """Make the skorch net of a recipe, with the weights that `seed` draws."""
    schedule = LR_SCHEDULES[recipe.lr_schedule]
    own_callbacks = [] if schedule is None else [schedule()]
    if split is not None:
        stop = EarlyStopping(recipe.n_iter_no_change, *own_callbacks)
        own_callbacks = [ValidationAccuracy(), stop, *own_callbacks]
    loss, decay = LOSSES[recipe.output], recipe.weight_decay
    generator = device_generator = torch.Generator().manual_seed(seed)
    if recipe.device.type == "cuda":
        device_generator = torch.Generator(recipe.device).manual_seed(seed)
    net = ImageClassifierNet(
        network,
        classes=classes,
        criterion=loss,
        criterion__label_smoothing=recipe.label_smoothing,
        predict_nonlinearity=loss.proba,
        optimizer=OPTIMIZERS.get(recipe.optimizer, recipe.optimizer),
        **({} if decay is None else {"optimizer__weight_decay": decay}),
        lr=recipe.lr,
        batch_size=recipe.batch_size,
        max_epochs=recipe.max_epochs,
        train_split=split,
        generator=generator,
        device_generator=device_generator,
        augment=compose_augmentations(recipe.augmentation, device_generator),
        normalization=recipe.normalization,
        precision=recipe.precision,
        compiled=recipe.compile,
        captured=_can_be_captured(recipe, callbacks),
        callbacks=[*own_callbacks, *callbacks],
        callbacks__valid_acc=None,  # skorch's accuracy ignores the sample weights
        device=str(recipe.device),
        verbose=verbose,
    )
    net.recipe = recipe
    return net.initialize()


def _compute_scores(net, batches):
    """Compute the class scores of batches of images, in float64 on the CPU."""
    with torch.inference_mode(), autocast_to(torch.float32, torch.device(net.device)):
        return torch.cat([forward_padded(net.module_, batch) for batch in batches]).cpu().double()


def _has_callables(recipe):
    """Tell whether the activation or an augmentation is the user's own."""
    parts = (recipe.network["activation"], *recipe.augmentation)
    return not all(isinstance(part, str) for part in parts)


def _can_be_captured(recipe, callbacks):
    """Tell whether all parts of a training step run on a CUDA device alone."""
    return (
        recipe.device.type == "cuda"
        and not (_has_callables(recipe) or recipe.compile)
        and recipe.optimizer in OPTIMIZERS
        and not any(map(sees_batches, callbacks))
    )


def _release(net, with_optimizer):
    """Drop the parts of the training; the moments of the optimizer may be continued."""
    net.train_split = None  # it holds the validation images
    net.generator = net.device_generator = net.augment = None
    for layer in net.module_.modules():
        if isinstance(layer, Dropout):
            layer.generator = None
    if not with_optimizer:
        net.optimizer_.state.clear()  # the schedule has ended
