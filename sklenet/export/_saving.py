"""A fitted model as one safe file: `save` and `load`.

The file has the safetensors format: the tensors are the weights, and its metadata are JSON text
that describes the rest. It does not hold code, and nothing in it is executed.
"""

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.numpy import save as to_safetensors

from .. import __version__
from .._torch import default_torch_settings
from ._decoding import Decoder
from ._encoding import encode
from ._pipeline import split_model
from ._write import write_atomically

__all__ = ["load", "save"]

_FORMAT = "sklenet"
_PROTOCOL = 1  # 1: sklenet 0.1
_DTYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}  # of tensors


def save(model: Any, path: str | os.PathLike) -> None:
    """Save a fitted model to a file that is safe to load.

    Parameters
    ----------
    model : DeepLeNetClassifier or sklearn.pipeline.Pipeline
        A fitted classifier, or a pipeline of an `ImageReader` and a classifier.
    path : path-like
        The file, by convention with the suffix ``.sklenet``. It is replaced when the new one is
        complete.

    Raises
    ------
    ValueError
        If a parameter or a step of the pipeline is code, which is not saved.
    TypeError
        If the model is another estimator.
    NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Loads the file.

    Notes
    -----
    The file has the safetensors format [1]_: the weights, the statistics of the pixels and of the
    normalization as tensors, and all else as JSON in the metadata. A loaded model predicts the same
    to the bit and can be trained further with `partial_fit` and `warm_start`. Not saved are the
    moments of the optimizer, which start at zero in the next `partial_fit`, and the records of
    single batches in `history_`.

    References
    ----------
    .. [1] https://github.com/huggingface/safetensors

    Examples
    --------
    >>> import tempfile
    >>> import sklenet
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> classifier = sklenet.DeepLeNetClassifier(max_epochs=1).fit(X[:200], y[:200])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sklenet.save(classifier, f"{folder}/digits.sklenet")
    ...     loaded = sklenet.load(f"{folder}/digits.sklenet")
    >>> bool((loaded.predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    split_model(model)  # refuses other models
    tensors: dict[str, np.ndarray] = {}
    content = {
        "format": _FORMAT,
        "protocol": _PROTOCOL,
        "version": __version__,
        "model": encode(model, "model", tensors),
    }
    content["checksum"] = _checksum(content, tensors)
    write_atomically(path, to_safetensors(tensors, {_FORMAT: _to_json(content)}))


def load(path: str | os.PathLike) -> Any:
    """Load a model that `save` has written.

    Parameters
    ----------
    path : path-like
        The file. It need not be trusted: nothing in it is executed, and the memory that it takes
        is bounded by its size.

    Returns
    -------
    DeepLeNetClassifier or sklearn.pipeline.Pipeline
        The fitted model. Its network is on the device that it was trained on, or on the CPU where
        that is not available.

    Raises
    ------
    ValueError
        If the file is damaged, is not from sklenet, or is from a newer version.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Writes the file.
    """
    file = Path(os.path.expanduser(path))
    if not file.exists():
        raise FileNotFoundError(
            f"path must be a file that sklenet.save wrote, got {file}, which is missing."
        )
    if not file.is_file():
        raise ValueError(f"path must be a file that sklenet.save wrote, got {file}.")
    try:
        content = _read_bytes(file)
        description = _read_description(content)
    except _Foreign:
        raise ValueError(f"{file} is not a file of sklenet: it was not written by save.") from None
    except _ERRORS as error:
        raise ValueError(f"{file} is damaged: {_reason(error)}.") from error
    protocol = description.get("protocol")
    if type(protocol) is int and protocol > _PROTOCOL:
        raise ValueError(
            f"{file} was written by a newer sklenet, {description.get('version')!r:.20}, with "
            f"protocol {protocol!r:.20}; {__version__} reads protocols up to {_PROTOCOL}: upgrade."
        )
    try:
        if protocol != _PROTOCOL or type(protocol) is not int:
            raise ValueError(f"its protocol is {protocol!r:.20}")
        tensors = _read_tensors(content)
        if description.pop("checksum", None) != _checksum(description, tensors):
            raise ValueError("its checksum differs")
        with np.errstate(over="raise", invalid="raise"), default_torch_settings():
            return Decoder(tensors, len(content)).decode_model(description["model"])
    except torch.OutOfMemoryError:  # of the device: the file may be intact
        raise
    except _ERRORS as error:
        raise ValueError(f"{file} is damaged: {_reason(error)}.") from error


class _Foreign(Exception):
    """The file is not one of sklenet."""


# What a malformed description can raise while it is read.
_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
)


def _read_bytes(file):
    """Read a file, of one that does not begin like a file of sklenet only the beginning."""
    with open(file, "rb") as opened:
        beginning = opened.read(100)
        if beginning[8:].lstrip()[:1] != b"{":
            raise _Foreign
        return beginning + opened.read()


def _reason(error):
    if isinstance(error, AttributeError | LookupError | TypeError):
        return "its description is malformed"
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:200].rstrip(".")


def _to_json(content):
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(content, tensors):
    """Compute a digest of all that the file holds."""
    digest = hashlib.blake2b(_to_json(content).encode(), digest_size=16)
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_description(content):
    """Return the description in the metadata of a safetensors file."""
    (size,) = struct.unpack_from("<Q", content)
    is_ours = f'"{_FORMAT}"'.encode() in content[:100]
    if size > len(content) - 8:
        raise ValueError("it is truncated") if is_ours else _Foreign
    try:
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]
        text = metadata[_FORMAT]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise (ValueError("its header is malformed") if is_ours else _Foreign) from None
    description = json.loads(text, parse_constant=_refuse_constant)
    if description["format"] != _FORMAT:
        raise _Foreign
    return description


def _refuse_constant(name):
    raise ValueError(f"its description holds {name}")


def _read_tensors(content):
    tensors: dict[str, np.ndarray] = {}
    parsed: Any = safetensors.deserialize(content)
    for name, tensor in parsed:
        dtype = _DTYPES[tensor["dtype"]]
        tensors[name] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
        if not np.isfinite(tensors[name]).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    return tensors
