"""MNIST, from files or from OpenML."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml

from ._idx import (
    EXPECTED_FILES,
    decode_idx,
    describe_missing,
    encode_ubyte_idx,
    find_files,
    read_idx_bytes,
)

__all__ = ["fetch_mnist"]

# Of the decompressed files, in the order of `train_test_split`.
_MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def fetch_mnist(
    data_home: str | os.PathLike | None = None, download_if_missing: bool = True
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Load the MNIST handwritten digits, from files where there are any, else from OpenML.

    The four files are looked for in the folder ``mnist`` of `data_home`, then in the folder
    ``mnist`` of the folder that the environment variable ``SKLENET_DATA`` names. Only where
    neither folder holds all four is the data set fetched from OpenML.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder that holds ``mnist``. It is also where OpenML's copy is cached; None means
        scikit-learn's own data folder there, and no such folder here.
    download_if_missing : bool, default=True
        Whether to use OpenML, or its cached copy, where the files are missing.

    Returns
    -------
    X_train : ndarray of shape (60000, 28, 28), dtype uint8
        The training images, with pixels from 0 (background) to 255 (ink).
    X_test : ndarray of shape (10000, 28, 28), dtype uint8
        The test images.
    y_train : ndarray of shape (60000,), dtype int64
        The digits that the training images show, from 0 to 9.
    y_test : ndarray of shape (10000,), dtype int64
        The digits that the test images show.

    Raises
    ------
    OSError
        If the files are missing and OpenML is not to be used or cannot be reached.
    ValueError
        If a file is not an intact IDX file, or if the data are not those of MNIST: each
        decompressed file must have the MD5 of the original one.

    See Also
    --------
    load_idx_folder : Load another data set that is stored as MNIST is.
    load_digits_images : 1,797 smaller images that come with scikit-learn.
    sklearn.datasets.fetch_openml : The fetcher of the fallback.

    Notes
    -----
    The files are called ``train-images-idx3-ubyte``, ``t10k-images-idx3-ubyte``,
    ``train-labels-idx1-ubyte`` and ``t10k-labels-idx1-ubyte``. Each may be gzipped, may end in
    ``.gz``, may have ``test`` instead of ``t10k`` and may be spelled with a dot before ``idx``
    instead of the hyphen.

    OpenML's copy is read by scikit-learn's parser ``"liac-arff"``, which is slower than the one of
    pandas but does not need pandas.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits",
       http://yann.lecun.com/exdb/mnist/
    .. [2] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to
       document recognition", Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> from sklenet.datasets import fetch_mnist
    >>> X_train, X_test, y_train, y_test = fetch_mnist()  # doctest: +SKIP
    >>> X_train.shape, X_test.shape  # doctest: +SKIP
    ((60000, 28, 28), (10000, 28, 28))
    """
    homes = [data_home, os.environ.get("SKLENET_DATA")]
    folders = [Path(home).expanduser() / "mnist" for home in homes if home]
    folder = next((folder for folder in folders if all(find_files(folder).values())), None)
    if folder is not None:
        contents = {path: read_idx_bytes(path) for path in find_files(folder).values()}
    elif download_if_missing:
        contents = _fetch_mnist_from_openml(data_home, folders)
    else:
        raise OSError(
            f"{_describe_search(folders)} Put them there, or pass download_if_missing=True to "
            "fetch the data set from OpenML."
        )
    for (source, content), expected in zip(contents.items(), _MNIST_MD5.values(), strict=True):
        _check_md5(source, content, expected)
    X_train, X_test, y_train, y_test = (
        decode_idx(content, source) for source, content in contents.items()
    )
    return X_train, X_test, y_train.astype(np.int64), y_test.astype(np.int64)


def _describe_search(folders):
    """Say where MNIST was looked for, what is missing there and what would have been right."""
    looked = (
        "; ".join(map(describe_missing, folders)) or "Neither data_home nor SKLENET_DATA is given"
    )
    return (
        f"The MNIST files were not found. {looked}. {EXPECTED_FILES} They belong in the folder "
        "'mnist' of data_home or of the folder that the environment variable SKLENET_DATA names."
    )


def _fetch_mnist_from_openml(data_home, folders):
    """Return the content of MNIST's four files, rebuilt from OpenML's copy."""
    # The other parser needs pandas and fails with pandas 3.1 (scikit-learn issue 34892).
    options = {"version": 1, "as_frame": False, "parser": "liac-arff"}
    try:
        mnist = fetch_openml("mnist_784", data_home=data_home, **options)
    except (OSError, ValueError) as error:
        raise OSError(f"{_describe_search(folders)} OpenML also failed: {error}") from error
    images, labels = mnist.data.reshape(-1, 28, 28), mnist.target
    arrays = [images[:60000], images[60000:], labels[:60000], labels[60000:]]
    return {
        f"{name} (rebuilt from OpenML)": encode_ubyte_idx(array)
        for name, array in zip(_MNIST_MD5, arrays, strict=True)
    }


def _check_md5(source, content, expected):
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise ValueError(
            f"{source} is not the file of MNIST: expected the MD5 {expected} of its decompressed "
            f"bytes, found {found}."
        )
