"""Experiments on the claims of the paper."""

from . import architecture_ablation, generalization, gradient_flow, paper_table

EXPERIMENTS = [
    paper_table.experiment,
    generalization.experiment,
    gradient_flow.experiment,
    architecture_ablation.experiment,
]
