"""Experiments on the claims of the paper."""

from . import architecture_ablation, generalization, paper_table

EXPERIMENTS = [
    paper_table.experiment,
    generalization.experiment,
    architecture_ablation.experiment,
]
