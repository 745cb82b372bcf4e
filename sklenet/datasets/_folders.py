"""Folders of image files, and tables that list them."""

import csv
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_images", "list_image_folder", "load_image_folder", "splits_of"]

_EXTENSION = re.compile(
    r"\.(avif|bmp|dib|gif|ico|jfif|jp2|jpe|jpe?g|mpo|pbm|pcx|pgm|png|pnm|ppm|sgi|tga|tiff?|webp)",
    re.IGNORECASE,
)
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")  # as Python writes integers of 64 bits
_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_FILE_COLUMNS = ("file", "filename", "file_name", "filepath", "path", "image", "image_path")
_DELIMITERS = ",;\t"
_LABEL_COLUMNS = ("label", "class", "target", "category", "y")
_N_LISTED = 5


def list_image_folder(
    path: Any,
    split: str | None = None,
    *,
    columns: tuple[str, str] | None = None,
    root: str | os.PathLike | None = None,
) -> tuple[list[str], NDArray[Any]]:
    """List the image files of a folder of class folders, with their labels.

    Parameters
    ----------
    path : path-like or data frame
        A folder with a folder of image files for each class, ``CLASS/file``, as for torchvision's
        `ImageFolder` and Keras' `image_dataset_from_directory`; or a table with a column of file
        names and one of labels, a data frame or a CSV file, whose first row names the columns and
        whose values are separated by commas, semicolons or tabs.
    split : str, default=None
        Which part of a folder that has the class folders in ``train``, ``test`` or ``val``. Also
        known are ``training``, ``testing``, ``valid`` and ``validation``.
    columns : tuple of str, default=None
        Names of the columns of files and of labels of a table. By default they are those with usual
        names, as "file" and "label", or the two columns of a table that does not have more.
    root : path-like, default=None
        The folder that the file names in a table are relative to. By default it is the folder of
        the CSV file, or the current one for a data frame.

    Returns
    -------
    files : list of str
        The paths of the files: of a folder class by class, sorted by name, also those in folders of
        a class folder; of a table in its order.
    labels : ndarray of shape (n_files,)
        The names of the class folders, or the labels of the table. Those of a CSV file are integers
        where all are written as integers.

    Raises
    ------
    FileNotFoundError
        If the folder or the CSV file does not exist.
    ValueError
        If there are not any class folders, if a class folder, which is named, is without images,
        if a link leads to a folder above it, if `split` does not fit, or if the columns of a table
        are unclear.

    See Also
    --------
    load_image_folder : Reads the files as well.
    sklenet.ImageReader : Reads files in a pipeline.

    Notes
    -----
    Hidden files, and files whose extension is not that of an image, are left out.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from sklenet.datasets import list_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
    ...         Path(folder, name).parent.mkdir(exist_ok=True)
    ...         Image.new("L", (32, 32)).save(Path(folder, name))
    ...     files, labels = list_image_folder(folder)
    >>> labels
    array(['cat', 'dog', 'dog'], dtype='<U3')
    """
    is_frame = hasattr(path, "columns")
    path = path if is_frame else Path(path).expanduser()
    if is_frame or (path.is_file() and path.suffix.lower() == ".csv"):
        if split is not None:
            raise ValueError(f"split must be None for a table of files, got {split!r}.")
        return (_list_frame if is_frame else _list_csv)(path, columns, root)
    for name, value in (("columns", columns), ("root", root)):
        if value is not None:
            raise ValueError(f"{name} is for a CSV file or a data frame, got the folder {path}.")
    return _list_classes(_find_split(_check_folder(path), split))


def load_image_folder(
    path: Any,
    split: str | None = None,
    *,
    columns: tuple[str, str] | None = None,
    root: str | os.PathLike | None = None,
    size: int | Sequence[int] | None = None,
    mode: Literal["L", "RGB"] | None = None,
    background: str | Sequence[int] = "white",
    on_error: Literal["raise", "skip"] = "raise",
    n_jobs: int | None = None,
    verbose: int = 1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Load the images of a folder of class folders, or of a table, into an array.

    Parameters
    ----------
    path : path-like or data frame
        The folder or table, as for `list_image_folder`.
    split : str, default=None
        Which part of the folder, as for `list_image_folder`.
    columns : tuple of str, default=None
        Columns of the table, as for `list_image_folder`.
    root : path-like, default=None
        Folder of the files of the table, as for `list_image_folder`.
    size : int, tuple of int or None, default=None
        Height and width of the images, as for `sklenet.ImageReader`.
    mode : {"L", "RGB"} or None, default=None
        Gray or color, as for `sklenet.ImageReader`.
    background : str or tuple of int, default="white"
        Color behind transparent pixels, as for `sklenet.ImageReader`.
    on_error : {"raise", "skip"}, default="raise"
        "skip" leaves out images that cannot be read, with their labels, and warns of their number.
    n_jobs : int or None, default=None
        Number of processes that read files, as in joblib.
    verbose : int, default=1
        With 1, a progress bar on the standard error stream where loading takes longer than two
        seconds.

    Returns
    -------
    X : ndarray of shape (n_files, height, width) or (n_files, height, width, 3)
        The images.
    y : ndarray of shape (n_files,)
        Their labels.

    Raises
    ------
    FileNotFoundError
        If the folder, the CSV file or an image does not exist.
    ValueError
        If an image cannot be read, which is named, or as for `list_image_folder`.
    ImportError
        If Pillow is missing.

    Warns
    -----
    UserWarning
        If images are left out.

    See Also
    --------
    list_image_folder : Lists the files, for pipelines with an `ImageReader`.

    Examples
    --------
    >>> from sklenet.datasets import load_image_folder
    >>> X, y = load_image_folder("photographs", n_jobs=2)  # doctest: +SKIP
    """
    from ..images import ImageReader, read_images

    files, labels = list_image_folder(path, split, columns=columns, root=root)
    reader = ImageReader(size, mode, background, on_error, n_jobs)
    images, positions, failures = read_images(reader, files, verbose=verbose)
    if not positions:
        raise ValueError(
            f"path must have an image that can be read, got {len(failures)} that cannot. "
            f"{failures[0]}"
        )
    if failures:
        others = f" And {len(failures) - 1:,} more." if len(failures) > 1 else ""
        warnings.warn(
            f"{len(failures):,} of {len(files):,} images were left out: {failures[0]}{others}",
            UserWarning,
            stacklevel=2,
        )
    return images, labels[positions]


def find_images(folder: str | os.PathLike) -> list[str]:
    """List the image files in a folder and in its folders, sorted by name.

    A link to a folder is followed, unless it leads to one above it, which is an error.
    """
    above = [str(parent) for parent in Path(folder).resolve().parents]
    return [*_walk(os.fspath(folder), above)]


def _walk(folder, above):
    identity = os.path.realpath(folder)
    if identity in above:
        raise ValueError(f"{folder} is a link to a folder above it: remove it.")
    for entry in _visible(folder):
        if _is_folder(entry):
            yield from _walk(entry.path, [*above, identity])
        elif _EXTENSION.fullmatch(os.path.splitext(entry.name)[1]):
            yield entry.path


def _visible(folder):
    """Return the entries of a folder, sorted by name, without hidden ones."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    return sorted(shown, key=lambda entry: entry.name)


def _folders(folder):
    return [entry for entry in _visible(folder) if _is_folder(entry)]


def _is_folder(entry):
    """Tell whether an entry is a folder; a link to itself is a file that cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _check_folder(path):
    if not path.exists():
        raise FileNotFoundError(
            f"path must be a folder or a CSV file, got {path}, which does not exist."
        )
    if not path.is_dir():
        raise ValueError(f"path must be a folder or a CSV file, got the file {path}.")
    return path


def splits_of(folder: Path) -> dict[str, Path]:
    """Return the parts of a folder that has its class folders in folders such as ``train``."""
    folders = _folders(folder)
    known = [name for names in _SPLITS.values() for name in names]
    found = [
        (split, Path(entry))
        for split, names in _SPLITS.items()
        for entry in folders
        if entry.name.lower() in names and _folders(entry)  # a class may be called so
    ]
    parts = dict(found)
    if not (len(parts) > 1 or all(entry.name.lower() in known for entry in folders)):
        return {}
    if len(parts) < len(found):
        names = [part.name for _, part in found]
        raise ValueError(
            f"path must have one folder for each part of the images, got {folder} with {names}: "
            "join or rename those of the same part."
        )
    return parts


def _find_split(folder, split):
    parts = splits_of(folder)
    if split is None and not parts:
        return folder
    name = next((name for name, names in _SPLITS.items() if str(split).lower() in names), None)
    if name in parts:
        return parts[name]
    if parts:
        raise ValueError(
            f"split must be one of {list(parts)} for the folder {folder}, whose class folders are "
            f"in {', '.join(part.name for part in parts.values())}; got {split!r}."
        )
    raise ValueError(
        f"split must be None for the folder {folder}, which does not have class folders in folders "
        f"such as 'train' and 'test'; got {split!r}."
    )


def _list_classes(folder):
    classes = _folders(folder)
    if not classes:
        names = [entry.name for entry in _visible(folder)]
        more = ", ..." if len(names) > _N_LISTED else ""
        raise ValueError(
            f"path must have a folder of images for each class, got {folder} with "
            f"{', '.join(names[:_N_LISTED]) + more or 'nothing'}."
        )
    files, labels = [], []
    for entry in classes:
        images = find_images(entry)
        if not images:
            raise ValueError(
                f"Each class folder must have an image, got the class {entry.name!r} of {folder} "
                "without any: remove the folder or add images."
            )
        files += images
        labels += [entry.name] * len(images)
    return files, np.array(labels)


def _list_csv(path, columns, root):
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            line = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=line.count)
            rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"path must be a CSV file in UTF-8, got {path}: {error}.") from error
    if len(rows) < 2:
        raise ValueError(f"path must be a CSV file with a header and rows, got {path} without.")
    header, *rows = rows
    if any(_EXTENSION.fullmatch(os.path.splitext(name.strip())[1]) for name in header):
        raise ValueError(
            f"path must be a CSV file whose first row names its columns, got {path} with the first "
            f"row {header}: put file{delimiter}label above it."
        )
    ragged = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if ragged:
        raise ValueError(
            f"{path} must have {len(header)} values in each row, got {len(rows[ragged - 2])} in "
            f"row {ragged}."
        )
    file_column, label_column = _choose_columns(header, columns, path)
    names = [row[header.index(file_column)] for row in rows]
    labels = np.array([row[header.index(label_column)] for row in rows])
    for number, (name, label) in enumerate(zip(names, labels, strict=True), 2):
        if not (name and label):
            raise ValueError(f"{path} must have a file name and a label in row {number}.")
    if all(_INTEGER.fullmatch(label) for label in labels):
        labels = labels.astype(np.int64)
    return _join(root if root is not None else path.parent, names), labels


def _list_frame(frame, columns, root):
    file_column, label_column = _choose_columns(list(frame.columns), columns, "the data frame")
    from .._validation import check_label_types

    names, labels = list(frame[file_column]), np.asarray(frame[label_column])
    if not names:
        raise ValueError("path must be a data frame with rows, got an empty one.")
    check_label_types(labels, f"The column {label_column!r}")
    if all(isinstance(label, str) for label in labels):
        labels = labels.astype(str)
    for row, (name, label) in enumerate(zip(names, labels, strict=True)):
        if not (isinstance(name, str | os.PathLike) and os.fspath(name)):
            raise ValueError(
                f"path must have file names in its column {file_column!r}, got {name!r} in row "
                f"{row}."
            )
        if label != label or (isinstance(label, str) and not label):
            raise ValueError(
                f"path must have labels in its column {label_column!r}, got {label!r} in row {row}."
            )
    return _join(root, names), labels


def _join(root, names):
    return [os.path.join(os.path.expanduser(root or ""), name) for name in names]


def _choose_columns(header, columns, source):
    """Return the names of the columns of files and of labels."""
    if columns is not None:
        chosen = tuple(columns)
        if len(chosen) != 2 or not set(chosen) <= set(header):
            raise ValueError(
                f"columns must be two of {header}, the columns of {source}, got {columns!r}."
            )
        return chosen
    found = [
        [name for name in header if str(name).strip().lower() in usual]
        for usual in (_FILE_COLUMNS, _LABEL_COLUMNS)
    ]
    if all(len(names) == 1 for names in found):
        return found[0][0], found[1][0]
    if len(header) == 2:
        return tuple(header)
    raise ValueError(
        f"columns must be those of files and of labels, as ('file', 'label'), for {source} with "
        f"the columns {header}, got None."
    )
