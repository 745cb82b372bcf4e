"""The training of a network: `fit_network`."""

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
    valid,
    *,
    n_classes,
    seed,
    callbacks,
    verbose,
    previous,
    with_optimizer,
):
    """Train a network by a recipe and return its skorch net, in evaluation mode.

    The accuracy on `valid`, unless it is None, stops the training. The weights and the history of
    `previous`, unless it is None, are continued, and `with_optimizer` the moments of its optimizer.
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
            partial(DeepLeNet, n_classes, preprocessor.layout.channels, **recipe.network),
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
            callbacks__valid_acc=None,  # skorch's accuracy ignores the sample weights
            device=str(device),
            verbose=verbose,
        ).initialize()
        if previous is not None:
            net.continue_from(previous, with_optimizer)
        net.partial_fit(dataset)
    net.train_split = None  # it holds the validation images
    if not with_optimizer:
        net.optimizer_.state.clear()  # the schedule has ended
    net.module_.eval()
    if not all(parameter.isfinite().all() for parameter in net.module_.parameters()):
        raise ValueError(
            "Training diverged: the network has weights that are not finite. "
            f"Lower lr={recipe.lr} or scale X."
        )
    return net
