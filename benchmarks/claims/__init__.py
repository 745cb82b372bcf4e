"""Experiments on the claims of the paper."""

from . import (
    activation_convergence,
    architecture_ablation,
    generalization,
    gradient_flow,
    paper_table,
)

EXPERIMENTS = [
    paper_table.experiment,
    generalization.experiment,
    activation_convergence.experiment,
    gradient_flow.experiment,
    architecture_ablation.experiment,
]
