"""Pages from the templates in `pages/`."""

from numbers import Integral
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tabulate import tabulate

PAGES = [Path(__file__).parents[1] / "pages"]


def render(template, **context):
    """Fill in a template: data frames become tables, whole numbers have commas."""
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        finalize=as_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(context)


def as_markdown(value):
    if isinstance(value, pd.DataFrame):
        value = value.reset_index() if value.index.name else value
        alignment = ["left"] + ["right"] * (value.shape[1] - 1)
        table = {"headers": "keys", "tablefmt": "pipe", "showindex": False}
        return tabulate(value, **table, disable_numparse=True, colalign=alignment)
    return f"{value:,}" if isinstance(value, Integral) else value
