"""A fitted model as a safe file, as ONNX and as a web page."""

from ._onnx import to_onnx
from ._page import to_page
from ._saving import load, save

__all__ = ["load", "save", "to_onnx", "to_page"]
