"""A data set by its name or place, for commands."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from ._digits import load_digits_images
from ._folders import load_image_folder, splits_of
from ._idx import holds_idx_files, load_idx_folder
from ._mnist import fetch_mnist

__all__ = ["Source", "find_test_split", "load_source", "take_subset"]

_NAMES = ("digits", "mnist")


@dataclass
class Source:
    """Images and labels; without a test part the latter two are None."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None


def load_source(source: str | os.PathLike, split: str | None = None, **reading: Any) -> Source:
    """Load "digits", "mnist", an IDX folder, a folder of image files or a table.

    `split` is the part of a folder of image files, or the data set of an IDX folder; `reading` are
    the options of `load_image_folder`, whose `size` and `mode` hold for arrays as well. A folder
    with a part "train" has "test", else "val", as its test part.
    """
    if source in _NAMES and split is not None:
        raise ValueError(f"split must be None for {source!r}, got {split!r}.")
    if source in _NAMES and Path(source).is_dir():
        raise ValueError(
            f"source must be one data set, got {source!r}, which is also a folder here: write "
            f"./{source} for the folder, or go to another folder for the data set of this name."
        )
    folder = Path(source).expanduser()
    if source in _NAMES or holds_idx_files(folder):
        if reading.get("columns") is not None:
            raise ValueError(f"columns is for a CSV file, got the data set {source!r}.")
        return _convert(_load_arrays(source, split), reading.get("size"), reading.get("mode"))
    has_parts = folder.is_dir() and "train" in splits_of(folder)
    if split is not None or not has_parts:
        return Source(*load_image_folder(folder, split, **reading))
    X, y = load_image_folder(folder, "train", **reading)
    test = find_test_split(source)
    if test is None:
        return Source(X, y)
    reading |= {"size": X.shape[1:3], "mode": "L" if X.ndim == 3 else "RGB"}
    return Source(X, y, *load_image_folder(folder, test, **reading))


def _load_arrays(source, split):
    if source == "digits":
        X, y = load_digits_images()
        return Source((X * (255 / 16)).round().astype(np.uint8), y)  # of 0 to 16
    X, X_test, y, y_test = (
        fetch_mnist() if source == "mnist" else load_idx_folder(source, split=split)
    )
    return Source(X, y, X_test, y_test)


def _convert(source, size, mode):
    """Convert the images to a size and a mode as image files are, where they have others."""
    if size in (None, source.X.shape[1:3]) and mode in (None, "L"):
        return source
    from ..images import ImageReader

    reader = ImageReader(size, mode)
    source.X = reader.fit_transform(source.X)
    if source.X_test is not None:
        source.X_test = reader.transform(source.X_test)
    return source


def find_test_split(source: str | os.PathLike) -> str | None:
    """Return the part of a folder of image files to test on, "test" or "val", if it has one."""
    folder = Path(source).expanduser()
    parts = splits_of(folder) if source not in _NAMES and folder.is_dir() else {}
    return next((name for name in ("test", "val") if name in parts), None)


def take_subset(X, y, n_train, seed, argument="--n-train"):
    """Return a stratified random subset of the training images; with None, all of them."""
    if n_train in (None, len(y)):
        return X, y
    n_classes = len(np.unique(y))
    if not n_classes <= n_train <= len(y) - n_classes:
        raise ValueError(
            f"argument {argument}: must be from {n_classes} to {len(y) - n_classes}, or {len(y)} "
            f"for all training images, got {n_train}"
        )
    X, _, y, _ = train_test_split(X, y, train_size=n_train, stratify=y, random_state=seed)
    return X, y
