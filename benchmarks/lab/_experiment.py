"""The form of an experiment."""

from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import NamedTuple

from ._figures import Picture
from ._page import render
from ._statistics import Finding

DATA_NAMES = {"digits": "the digits", "mnist": "MNIST"}


class Claim(NamedTuple):
    """A claim, the picture that shows it best, and its finding."""

    text: str
    picture: str
    finding: Finding


class Experiment:
    """A question, the cells that are measured to answer it, and claims, tables and pictures.

    `module` and `question` are the name and the docstring of its module; `digits` and `mnist` have
    the default of each option; its networks are trained on `device` in `precision`.
    """

    def __init__(self, module, question, *, digits, mnist, device="auto", precision="auto"):
        _, *folders, self.name = module.split(".")
        self.source = "/".join([*folders, f"{self.name}.py"])
        self.question = " ".join(question.split())
        self.defaults = {"digits": digits, "mnist": mnist}
        self.device, self.precision = device, precision
        self._claims, self._tables, self._pictures = [], {}, {}

    def images(self, function):
        """Register `f(options)`, which loads images, or raises a ValueError for wrong options."""
        self.load = function
        return function

    def rows(self, function):
        """Register `f(options)`, which returns the values of each key, whose product is the cells.

        Or it yields cells; `yield` returns the measured columns, for cells that depend on others.
        """
        self._cells = function
        return function

    def measure(self, function):
        """Register `f(**cell, images, options)`, which returns further columns, or a list of them.

        A list has the columns of several rows.
        """
        self._measure = function
        return function

    def claim(self, text, picture=None):
        """Register `f(rows, options)`, which returns a Finding, or None for no claim.

        `picture` is the one that shows it best, by default the first one.
        """

        def register(function):
            self._claims.append((text, picture, function))
            return function

        return register

    def table(self, function):
        """Register `f(rows, options)`, whose result has its name in the template."""
        self._tables[function.__name__] = function
        return function

    def figure(self, file_name, title, size, panels=(), data=("digits", "mnist"), **shared):
        """Register `f(rows, options, ax)`, which draws all rows, or those of a panel.

        There is a panel for each group of rows by the columns `panels`; `data` is where there is
        such a figure; `shared` goes to `matplotlib.figure.Figure.subplots`.
        """

        def register(function):
            picture = Picture(function, title, size, list(panels), shared)
            self._pictures[file_name] = data, picture
            return function

        return register

    def measure_rows(self, images, options, journal):
        """Measure the cells that the journal lacks; return the rows of all cells."""
        rows, cells, measured = [], self._cells(options), None
        if isinstance(cells, dict):
            keys, values = cells.keys(), cells.values()
            cells = (dict(zip(keys, cell, strict=True)) for cell in product(*values))
        while True:
            try:
                cell = cells.send(measured)
            except StopIteration:
                return rows
            function = partial(self._measure, **cell, images=images, options=options)
            measured = journal.measure(cell, function)
            parts = measured if isinstance(measured, list) else [measured]
            rows += [{**cell, **part} for part in parts]

    def judge(self, rows, options):
        """Return the claims with their findings, without those that have none."""
        first = next(iter(self._pictures), None)
        claims = [
            Claim(text, picture or first, judge(rows, options))
            for text, picture, judge in self._claims
        ]
        return [claim for claim in claims if claim.finding]

    def make_page(self, rows, run):
        """Return the page, from the template and the rows."""
        options = SimpleNamespace(**run["options"])
        tables = {name: make(rows, options) for name, make in self._tables.items()}
        context = {"experiment": self, "run": run, "rows": rows, "options": options}
        context |= {"claims": self.judge(rows, options), "data_name": DATA_NAMES[options.data]}
        return render(f"{self.name}.md", **context, **tables)

    def draw(self, rows, options):
        """Return the pictures, as PNG, by the names of their files."""
        return {
            file_name: picture.to_png(rows, options, DATA_NAMES[options.data])
            for file_name, (data, picture) in self._pictures.items()
            if options.data in data
        }
