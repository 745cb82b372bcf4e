"""The table of a comparison."""

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from .._compat import import_optional

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "MethodScores"]

_HEADER = ["method", "accuracy", "macro F1", "fit (s)", "predict 1000 (s)", "size (MB)", "p"]
_ALIGNMENT = ["left", *["right"] * (len(_HEADER) - 1)]
_ARRAYS = ("predictions", "confidence")


@dataclass(eq=False)
class MethodScores:
    """Scores of one method: a row of a `Comparison`, or one of the folds that it is the mean of.

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
    predictions : ndarray of shape (n_samples,) or None
        The predicted labels of the test set or, out of fold, of all samples.
    confidence : ndarray of shape (n_samples,) or None
        The highest probability of a class for each of them, or the highest class score.
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
    predictions: np.ndarray | None = field(default=None, repr=False)
    confidence: np.ndarray | None = field(default=None, repr=False)

    def __str__(self):
        if self.error:
            return f"failed: {self.error}"
        return f"accuracy {self.accuracy:.4f}, fitted in {self.fit_time:.3g} s"

    def _numbers(self):
        """Return all but the arrays."""
        names = (column.name for column in fields(self) if column.name not in _ARRAYS)
        return {name: getattr(self, name) for name in names}

    def _cells(self, is_best):
        """Format a row of the table."""
        if self.error:
            return [self.method, "failed", *[""] * (len(_HEADER) - 2)]
        std = "" if math.isnan(self.accuracy_std) else f" ± {self.accuracy_std:.4f}"
        p_value = "<0.001" if self.p_value < 0.001 else f"{self.p_value:.3f}"
        return [
            self.method,
            f"{self.accuracy:.4f}{std}",
            f"{self.macro_f1:.4f}",
            format_three_digits(self.fit_time),
            format_three_digits(self.predict_time),
            format_three_digits(self.model_size / 1e6),
            "best" if is_best else p_value,
        ]


@dataclass(repr=False, eq=False)
class Comparison:
    """The result of comparing methods; it prints as a table, the most accurate method first.

    Attributes
    ----------
    scores : list of MethodScores
        A row for each method, the most accurate first and those that failed last.
    y_true : ndarray of shape (n_samples,)
        The true labels of the test set or of all samples.
    protocol : str
        On which images the methods were compared.
    significance_test : str
        The test of the differences.

    See Also
    --------
    sklenet.comparison.compare_methods : Runs the comparison.
    """

    scores: list[MethodScores]
    y_true: np.ndarray
    protocol: str
    significance_test: str

    @property
    def best(self) -> str:
        """Name of the most accurate method."""
        return self.scores[0].method

    @property
    def predictions(self) -> dict[str, NDArray[Any]]:
        """Predicted labels of `y_true`, by the name of each method that did not fail."""
        return {row.method: row.predictions for row in self.scores if row.predictions is not None}

    @property
    def confidences(self) -> dict[str, NDArray[np.float64] | None]:
        """The confidence of each prediction, by method; None if a method does not have any."""
        return {row.method: row.confidence for row in self.scores if not row.error}

    def to_dict(self) -> dict[str, Any]:
        """Convert the table to plain numbers and strings, for JSON.

        Returns
        -------
        dict
            The protocol, the significance test and the list "methods", a dict of the attributes of
            `MethodScores` but the arrays for each; None instead of NaN.
        """
        rows = [
            {key: None if value != value else value for key, value in row._numbers().items()}
            for row in self.scores
        ]
        return {
            "protocol": self.protocol,
            "significance_test": self.significance_test,
            "methods": rows,
        }

    def to_frame(self) -> "pd.DataFrame":
        """Convert the table to a data frame.

        Returns
        -------
        pandas.DataFrame
            A row for each method, a column for each attribute of `MethodScores` but the arrays.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = import_optional("pandas", "Comparison.to_frame")
        return pd.DataFrame([row._numbers() for row in self.scores]).set_index("method")

    def to_markdown(self) -> str:
        """Format the table in Markdown.

        Returns
        -------
        str
            The table and, below it, the protocol and the errors of methods that failed.
        """
        return f"{self._table('pipe')}\n\n" + "  \n".join(self._notes())

    def __str__(self):
        return "\n".join([self._table("plain"), *self._notes()])

    __repr__ = __str__

    def _table(self, tablefmt):
        rows = [row._cells(is_best=row.method == self.best) for row in self.scores]
        return tabulate(
            rows, _HEADER, tablefmt=tablefmt, colalign=_ALIGNMENT, disable_numparse=True
        )

    def _notes(self):
        notes = [f"{self.protocol}. p: {self.significance_test} against the best method."]
        return notes + [f"{row.method} failed: {row.error}" for row in self.scores if row.error]


def format_three_digits(value):
    """Format three significant digits, all digits before the point, or nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"
