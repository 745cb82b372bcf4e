"""Callbacks for `DeepLeNetClassifier(callbacks=[...])`, besides those of skorch."""

from .training import GradientNorm

__all__ = ["GradientNorm"]
