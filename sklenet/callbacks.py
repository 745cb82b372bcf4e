"""Callbacks for `DeepLeNetClassifier(callbacks=[...])`, besides those of skorch."""

from .training._callbacks import GradientSize

__all__ = ["GradientSize"]
