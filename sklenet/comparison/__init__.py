"""Every method on the same images: accuracy, time, size and the significance of differences."""

from ._compare import compare_methods
from ._methods import METHODS, make_method, search_grid, search_space
from ._pixel_scaler import PixelScaler
from ._results import Comparison, MethodScores
from ._significance import corrected_t_test, mcnemar_test

__all__ = [
    "METHODS",
    "Comparison",
    "MethodScores",
    "PixelScaler",
    "compare_methods",
    "corrected_t_test",
    "make_method",
    "mcnemar_test",
    "search_grid",
    "search_space",
]
