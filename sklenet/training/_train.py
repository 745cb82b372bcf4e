"""One door to training: `fit_network`."""

from functools import partial

import torch
from skorch.helper import predefined_split

from .._torch import seeded_torch
from ..images import AUGMENTATIONS, to_device
from ..network import DeepLeNet
from ._callbacks import LR_SCHEDULES, EarlyStopping, ValidationAccuracy
from ._data import ImageDataset
from ._losses import LOSSES
from ._net import ImageClassifierNet

__all__ = ["fit_network"]


def fit_network(
    recipe,
    preprocessor,
    train,
    valid=None,
    *,
    n_classes,
    seed,
    callbacks=(),
    verbose=0,
    previous=None,
    with_optimizer=False,
):
    """Train a network by a recipe and return its skorch net.

    Parameters
    ----------
    recipe : Recipe
        How to train.
    preprocessor : ImagePreprocessor
        From rows to images; it is moved to the device of the recipe.
    train, valid : TrainingSet
        The images to train on and, optionally, those whose accuracy stops the training.
    n_classes : int
        Outputs of the network.
    seed : int
        Seed of PyTorch's generators: weights, order of the batches, dropout, augmentation.
    callbacks : sequence of skorch.callbacks.Callback, default=()
        The user's callbacks, called after those of the recipe.
    verbose : int, default=0
        Whether to print a table of the epochs.
    previous : ImageClassifierNet, default=None
        A net whose weights and history the new one continues.
    with_optimizer : bool, default=False
        Whether the new net also continues the moments of the optimizer of `previous`.

    Returns
    -------
    ImageClassifierNet
        The trained net, in evaluation mode.

    Raises
    ------
    ValueError
        If the weights are not finite after the training.
    """
    device = recipe.device
    # MPS does not have float64.
    preprocessor.to(device=device, dtype=torch.float32 if device.type == "mps" else None)
    rows = to_device(train.rows, device)
    dataset = ImageDataset(train, preprocessor, rows)
    split = None if valid is None else predefined_split(ImageDataset(valid, preprocessor, rows))
    own_callbacks = [schedule() for schedule in LR_SCHEDULES[recipe.lr_schedule]]
    if valid is not None:
        own_callbacks += [ValidationAccuracy(), EarlyStopping(recipe.n_iter_no_change)]
    loss = LOSSES[recipe.output]
    decay = recipe.weight_decay
    with seeded_torch(seed, device):
        net = ImageClassifierNet(
            partial(DeepLeNet, n_classes, preprocessor.layout.channels, **recipe.network_options),
            classes=range(n_classes),
            criterion=loss,
            criterion__label_smoothing=recipe.label_smoothing,
            predict_nonlinearity=loss.proba,
            optimizer=recipe.optimizer,
            **({} if decay is None else {"optimizer__weight_decay": decay}),
            lr=recipe.lr,
            batch_size=recipe.batch_size,
            max_epochs=recipe.max_epochs,
            train_split=split,
            augment=AUGMENTATIONS.get(recipe.augmentation),
            dtype=recipe.dtype,
            compiled=recipe.compile,
            callbacks=[*own_callbacks, *callbacks],
            device=str(device),
            verbose=verbose,
        ).initialize()
        if previous is not None:
            net.continue_from(previous, with_optimizer)
        net.partial_fit(dataset)
    net.train_split = None  # it holds the validation images
    net.module_.eval()
    if not all(parameter.isfinite().all() for parameter in net.module_.parameters()):
        raise ValueError(
            "Training diverged: the weights of the network are no longer finite. "
            f"Lower lr={recipe.lr} or scale X."
        )
    return net
