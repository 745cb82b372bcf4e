"""The code that experiments share: their form, images, statistics and commands."""

from ._commands import (
    Refusal,
    check_installed,
    judge_result,
    read_result,
    redraw,
    refusing,
    run,
    write_files,
)
from ._description import describe_run
from ._experiment import DATA_NAMES, Experiment
from ._figures import draw_line, draw_lines, style_of
from ._images import load_split, load_subset, sample_trials, sample_tuned_trials, take_subset
from ._kinds import Images, draw_dots, draw_letters, load_photographs
from ._options import Parser, add_options, fill_in, positive
from ._page import as_markdown, render
from ._processes import run_in_new_process
from ._sklenet import (
    ACTIVATIONS,
    ARCHITECTURES,
    COLORS,
    MARKERS,
    NORMALIZED,
    PLAIN,
    AccuracyClock,
    UnitGain,
    accelerate,
    resolve_precision,
)
from ._statistics import (
    Estimate,
    Finding,
    estimate,
    format_median,
    format_p,
    format_reached,
    geometric_interval,
    interval,
    judge,
    leads,
    overlap,
)
