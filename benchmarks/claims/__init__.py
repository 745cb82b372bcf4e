"""Experiments on the claims of the paper."""

from . import architecture_ablation

EXPERIMENTS = [architecture_ablation.experiment]
