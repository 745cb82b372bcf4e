"""What happens during training besides the steps themselves."""

import torch
from skorch.callbacks import Callback, EarlyStopping
from torch.optim.lr_scheduler import OneCycleLR

__all__ = [
    "LR_SCHEDULES",
    "GradientSize",
    "OneCycle",
    "ValidationAccuracy",
    "early_stopping_callbacks",
]


class OneCycle(Callback):
    """Raise the learning rate to its peak and lower it to zero, once in a fit.

    The schedule of Smith and Topin [1]_ as PyTorch implements it, stepped with each batch.

    References
    ----------
    .. [1] L. N. Smith, N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", 2017, arXiv:1708.07120.
    """

    def on_train_begin(self, net, X=None, **kwargs):
        n_steps = net.max_epochs * len(net.get_iterator(X, training=True))
        # The last step has a rate of zero: a fit of a single step takes the first of two.
        self.scheduler_ = OneCycleLR(
            net.optimizer_, max_lr=net.lr, total_steps=max(n_steps, 2), cycle_momentum=False
        )
        self.is_first_ = True

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            if not self.is_first_:
                self.scheduler_.step()
            self.is_first_ = False

    def on_train_end(self, net, **kwargs):
        del self.scheduler_


class ValidationAccuracy(Callback):
    """Record the weighted accuracy on the validation data as ``valid_acc``."""

    def on_epoch_begin(self, net, **kwargs):
        self.correct_, self.weight_ = [], []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        if not training:
            _, (target, sample_weight) = batch
            self.correct_.append(y_pred.argmax(dim=1) == target)
            self.weight_.append(sample_weight)

    def on_epoch_end(self, net, **kwargs):
        correct, weight = (torch.cat(x).cpu().double() for x in (self.correct_, self.weight_))
        net.history.record("valid_acc", float(correct @ weight / weight.sum()))

    def on_train_end(self, net, **kwargs):
        del self.correct_, self.weight_


class GradientSize(Callback):
    """Record the size of the gradient in each layer.

    The history of the net then has, for each epoch, ``event_gradient_size``: a dict from the name
    of a layer to the root mean square of the gradient of its weights, over weights and batches.
    Of what is called an event, skorch prints only that it happened.
    """

    def on_epoch_begin(self, net, **kwargs):
        self.squares_ = {}

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for name, parameter in named_parameters:
            _, layer, *kind = name.split(".")
            # Products of matrices and convolutions; an activation has other weights, if any.
            if kind == ["weight"] and parameter.dim() > 1 and parameter.grad is not None:
                self.squares_.setdefault(layer, []).append(parameter.grad.square().mean())

    def on_epoch_end(self, net, **kwargs):
        sizes = {
            layer: float(torch.stack(squares).mean().sqrt())
            for layer, squares in self.squares_.items()
        }
        net.history.record("event_gradient_size", sizes)

    def on_train_end(self, net, **kwargs):
        del self.squares_


def early_stopping_callbacks(n_iter_no_change):
    """Stop when the validation accuracy no longer improves, and restore the best weights.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without improvement after which training stops.

    Returns
    -------
    list of skorch.callbacks.Callback
        The callbacks, in their order.
    """
    stopping = EarlyStopping(
        "valid_acc",
        patience=n_iter_no_change,
        lower_is_better=False,
        threshold_mode="abs",
        load_best=True,
    )
    return [ValidationAccuracy(), stopping]


LR_SCHEDULES = {"one_cycle": (OneCycle,), "constant": ()}
