"""Callbacks: learning rate schedule, validation accuracy, early stopping, gradient norms."""

import math
from copy import deepcopy

import torch
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import OneCycleLR

__all__ = [
    "LR_SCHEDULES",
    "EarlyStopping",
    "GradientNorm",
    "OneCycle",
    "ValidationAccuracy",
    "sees_batches",
]


class OneCycle(Callback):
    """Raise the learning rate to its peak and lower it to zero, once in a fit.

    The schedule of L. N. Smith and N. Topin ("Super-Convergence", 2017, arXiv:1708.07120) as
    PyTorch implements it, stepped with each batch.
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
        self.__dict__.pop(
            "scheduler_", None
        )  # another callback may end the training before its begin


class WarmupStableDecay(Callback):
    """Raise the learning rate in the first epoch, hold it, and lower it to zero in the last ones.

    The decay takes half as many epochs as came before it. It ends with the last epoch, or begins
    earlier by `begin_decay`: unlike a cycle, the schedule need not know the number of epochs. Hu et
    al. ("MiniCPM", 2024, arXiv:2404.06395, section 4) gave it the name.
    """

    def on_train_begin(self, net, X=None, **kwargs):
        self.n_batches_ = len(net.get_iterator(X, training=True))
        self.step_, self.decay_ = 0, None  # the decay: its first step and their number

    def on_epoch_begin(self, net, **kwargs):
        n_epochs = self.step_ // self.n_batches_
        if net.max_epochs - n_epochs <= max(1, math.ceil(n_epochs / 2)):
            self.begin_decay(net)

    def begin_decay(self, net):
        """Lower the learning rate from the next step on, and end the training with the decay."""
        if self.decay_ is None:
            n_epochs = self.step_ // self.n_batches_
            n_left = min(max(1, math.ceil(n_epochs / 2)), net.max_epochs - n_epochs)
            self.decay_ = self.step_, self.n_batches_ * n_left

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            share = min(1.0, (self.step_ + 1) / self.n_batches_)
            if self.decay_ is not None:
                first, n_steps = self.decay_
                share = min(share, 1 - (self.step_ - first) / n_steps)
            for group in net.optimizer_.param_groups:
                group["lr"] = net.lr * share
            self.step_ += 1

    def on_epoch_end(self, net, **kwargs):
        if self.decay_ is not None and self.step_ == sum(self.decay_):
            net.stop_training_ = True


LR_SCHEDULES = {
    "one_cycle": OneCycle,
    "warmup_stable_decay": WarmupStableDecay,
    "constant": None,
}


class ValidationAccuracy(Callback):
    """Record the weighted accuracy on the validation data as ``valid_acc``."""

    def on_epoch_begin(self, net, **kwargs):
        self.correct_, self.weight_ = [], []

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        if not training:
            inputs, target = batch
            self.correct_.append(y_pred.argmax(dim=1) == target)
            self.weight_.append(inputs["sample_weight"])

    def on_epoch_end(self, net, **kwargs):
        correct, weight = (torch.cat(x).cpu().double() for x in (self.correct_, self.weight_))
        net.history.record("valid_acc", float(correct @ weight / weight.sum()))

    def on_train_end(self, net, **kwargs):
        self.__dict__.clear()


class EarlyStopping(Callback):
    """Stop when ``valid_acc`` no longer improves, and restore the weights of the best epoch.

    `WarmupStableDecay` decays first, when ``valid_loss`` no longer improves either: on few images
    the accuracy soon reaches its maximum.
    """

    tol = 1e-4

    def __init__(self, patience, schedule=None):
        self.patience = patience
        self.schedule = schedule

    def on_train_begin(self, net, **kwargs):
        self.best_score_, self.best_epoch_, self.best_weights_ = -float("inf"), 0, None
        self.n_misses_, self.best_loss_ = 0, float("inf")

    def on_epoch_end(self, net, **kwargs):
        epoch, schedule = net.history[-1], self.schedule
        score, may_decay = epoch["valid_acc"], isinstance(schedule, WarmupStableDecay)
        is_record = score > self.best_score_ + self.tol
        if is_record:
            self.best_score_ = score
        # Of scores within a standard error the last is better where the learning rate falls.
        margin = 0.0 if schedule is None else _standard_error(self.best_score_, epoch)
        if is_record or (margin and score >= self.best_score_ - margin):
            self.best_epoch_ = epoch["epoch"]
            self.best_weights_ = deepcopy(net.module_.state_dict())
        has_improved = is_record
        if may_decay and epoch["valid_loss"] < self.best_loss_:
            self.best_loss_, has_improved = epoch["valid_loss"], True
        self.n_misses_ = 0 if has_improved else self.n_misses_ + 1
        if self.n_misses_ < self.patience:
            return
        if not may_decay:
            net.stop_training_ = True
            self._report(net, "Stopping: valid_acc has not")
        elif schedule.decay_ is None:
            schedule.begin_decay(net)
            self._report(net, "Lowering the learning rate: neither valid_acc nor valid_loss has")

    def _report(self, net, finding):
        if net.verbose:
            print(f"{finding} improved in the last {self.patience} epochs.")

    def on_train_end(self, net, **kwargs):
        if self.best_weights_ is not None:
            net.module_.load_state_dict(self.best_weights_)
            if net.verbose and self.best_epoch_ != net.history[-1, "epoch"]:
                print(f"Restoring the weights of epoch {self.best_epoch_}.")
        self.best_weights_ = None


def _standard_error(accuracy, epoch):
    """Compute the standard error of a validation accuracy.

    Two right and two wrong samples are added, so that it is positive at an accuracy of 1 (Agresti
    and Coull, "Approximate is better than 'exact' for interval estimation of binomial proportions",
    The American Statistician 52(2), 1998).
    """
    n_samples = sum(batch.get("valid_batch_size", 0) for batch in epoch["batches"])
    share = (accuracy * n_samples + 2) / (n_samples + 4)
    return math.sqrt(share * (1 - share) / (n_samples + 4))


class GradientNorm(Callback):
    """Record the root mean square of the gradient in the weights of each layer.

    The history of the net then has, for each epoch, ``event_gradient_norm``: a dict from the name
    of a layer to the root mean square over its weights and the batches. skorch prints of an event
    only that it happened.

    See Also
    --------
    sklenet.plotting.GradientFlowDisplay : Draws what is recorded.

    Examples
    --------
    >>> from sklenet import DeepLeNetClassifier
    >>> from sklenet.callbacks import GradientNorm
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> classifier = DeepLeNetClassifier(callbacks=[GradientNorm()], max_epochs=1, random_state=0)
    >>> list(classifier.fit(X[:200], y[:200]).history_[0, "event_gradient_norm"])
    ['C1', 'C3', 'F5', 'F6', 'output']
    """

    def on_epoch_begin(self, net, **kwargs):
        self.squares_ = {}

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for name, parameter in named_parameters:
            _, layer, *kind = name.split(".")
            # Matmuls and convolutions; an activation has other weights, if any.
            if kind == ["weight"] and parameter.dim() > 1 and parameter.grad is not None:
                self.squares_.setdefault(layer, []).append(parameter.grad.square().mean())

    def on_epoch_end(self, net, **kwargs):
        norms = {
            layer: float(torch.stack(squares).mean().sqrt())
            for layer, squares in self.squares_.items()
        }
        net.history.record("event_gradient_norm", norms)

    def on_train_end(self, net, **kwargs):
        self.__dict__.pop("squares_", None)


def sees_batches(callback):
    """Tell whether a callback, or a tuple of its name and it, looks into the steps of an epoch."""
    callback = callback[-1] if isinstance(callback, tuple) else callback
    methods = ("on_batch_begin", "on_grad_computed", "on_batch_end")
    hooks = [getattr(callback, name, None) for name in methods]
    return any(
        getattr(hook, "__func__", hook) is not getattr(Callback, name)
        for hook, name in zip(hooks, methods, strict=True)
    )
