"""Experiments on the claims of the paper."""

from . import architecture_ablation, paper_table

EXPERIMENTS = [paper_table.experiment, architecture_ablation.experiment]
