"""What experiments share: their form, their images, statistics, and how they run."""

from ._commands import Refusal, judge_result, read_result, redraw, run
from ._experiment import Experiment
from ._figures import draw_line, draw_lines
from ._images import load_split, sample_trials, sample_tuned_trials, take_subset
from ._options import Parser, add_options, fill_in, positive
from ._page import render
from ._sklenet import (
    ACTIVATIONS,
    ARCHITECTURES,
    COLORS,
    MARKERS,
    AccuracyClock,
    UnitGain,
    accelerate,
    loss_of,
    make_activation,
    resolve_device,
    resolve_precision,
)
from ._statistics import (
    Estimate,
    Finding,
    count_outcomes,
    estimate,
    format_p,
    geometric_interval,
    interval,
    judge,
    leads,
    overlap,
)
