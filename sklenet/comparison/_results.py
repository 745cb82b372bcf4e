"""The table that a comparison of methods results in."""

import math
from dataclasses import asdict, dataclass, field, fields

import numpy as np

__all__ = ["Comparison", "MethodScores"]

_HEADER = ["method", "accuracy", "macro F1", "fit (s)", "predict 1000 (s)", "size (MB)", "p"]


@dataclass
class MethodScores:
    """What one method achieves: a row of a `Comparison`.

    Attributes
    ----------
    method : str
        Name of the method.
    accuracy : float
        Accuracy, the mean over the folds.
    accuracy_std : float
        Standard deviation of the accuracy over the folds; NaN with a test set.
    macro_f1 : float
        Mean over the classes of the F1 score, the mean over the folds.
    fit_time : float
        Seconds to fit the method, the mean over the folds.
    predict_time : float
        Seconds to predict a thousand images, the mean over the folds.
    model_size : float
        Bytes of the pickled fitted model, the mean over the folds; NaN if it cannot be pickled.
    p_value : float
        Significance of the difference to the best method; NaN for that one.
    fold_accuracies : list of float
        Accuracy on each fold, or on the test set.
    best_params : list of dict or None
        The settings chosen on each fold, for a method that searches them (`best_params_`).
    error : str or None
        Why the method failed; then the numbers are NaN.
    """

    method: str
    accuracy: float = math.nan
    accuracy_std: float = math.nan
    macro_f1: float = math.nan
    fit_time: float = math.nan
    predict_time: float = math.nan
    model_size: float = math.nan
    p_value: float = math.nan
    fold_accuracies: list[float] = field(default_factory=list)
    best_params: list[dict] | None = None
    error: str | None = None


@dataclass(repr=False, eq=False)
class Comparison:
    """The result of comparing methods; it prints as a table, the most accurate method first.

    Attributes
    ----------
    scores_ : list of MethodScores
        A row for each method, the most accurate first and those that failed last.
    predictions_ : dict of str to ndarray of shape (n_samples,)
        What each method predicts for the test set or, out of fold, for all of `X`.
    confidences_ : dict of str to (ndarray of shape (n_samples,) or None)
        The confidence of these predictions.
    y_true_ : ndarray of shape (n_samples,)
        The true labels.
    protocol_ : str
        On what the methods were compared.
    significance_test_ : str
        The test of the differences.
    best_ : str
        Name of the most accurate method.

    See Also
    --------
    sklenet.comparison.compare_methods : Makes it.
    """

    scores_: list[MethodScores]
    predictions_: dict[str, np.ndarray]
    confidences_: dict[str, np.ndarray | None]
    y_true_: np.ndarray
    protocol_: str
    significance_test_: str

    @property
    def best_(self):
        """Name of the most accurate method."""
        return self.scores_[0].method

    def to_dict(self):
        """Convert the table to plain numbers and strings, for JSON.

        Returns
        -------
        dict
            The protocol, the significance test and the list "methods", a dict of the attributes of
            `MethodScores` for each; None in place of NaN.
        """
        rows = [
            {key: None if value != value else value for key, value in asdict(scores).items()}
            for scores in self.scores_
        ]
        return {
            "protocol": self.protocol_,
            "significance_test": self.significance_test_,
            "methods": rows,
        }

    def to_frame(self):
        """Convert the table to a data frame; this needs pandas.

        Returns
        -------
        pandas.DataFrame
            A row for each method, a column for each attribute of `MethodScores`.
        """
        import pandas as pd

        columns = [column.name for column in fields(MethodScores)]
        return pd.DataFrame(map(asdict, self.scores_), columns=columns).set_index("method")

    def to_markdown(self):
        """Format the table in Markdown.

        Returns
        -------
        str
            The table and, below it, what was compared and which methods failed why.
        """
        header, *rows = self._cells()
        rules = [":---", *["---:"] * (len(header) - 1)]
        lines = ["| " + " | ".join(cells) + " |" for cells in (header, rules, *rows)]
        return "\n".join([*lines, "", "  \n".join(self._notes())])

    def __str__(self):
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in cells
        ]
        return "\n".join([*lines, *self._notes()])

    __repr__ = __str__

    def _cells(self):
        rows = [_cells(row, is_best=row.method == self.best_) for row in self.scores_]
        return [_HEADER, *rows]

    def _notes(self):
        notes = [f"{self.protocol_}. p: {self.significance_test_} against the best method."]
        return notes + [f"{row.method} failed: {row.error}" for row in self.scores_ if row.error]


def _cells(row, is_best):
    """Format a row of the table."""
    if row.error:
        return [row.method, "failed", *[""] * 5]
    std = "" if math.isnan(row.accuracy_std) else f" ± {row.accuracy_std:.4f}"
    p_value = "<0.001" if row.p_value < 0.001 else f"{row.p_value:.3f}"
    return [
        row.method,
        f"{row.accuracy:.4f}{std}",
        f"{row.macro_f1:.4f}",
        _number(row.fit_time),
        _number(row.predict_time),
        _number(row.model_size / 1e6),
        "best" if is_best else p_value,
    ]


def _number(value):
    """Format three significant digits, all digits before the point, or nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"
