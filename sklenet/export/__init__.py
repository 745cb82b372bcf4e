"""A fitted model as a safe file, as ONNX and as a web page."""

__all__: list[str] = []
