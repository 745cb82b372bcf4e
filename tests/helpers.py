"""Helpers of several test files: a small classifier, its weights, forks, and IDX files."""

import multiprocessing
import struct
from functools import partial

import numpy as np
import torch
from numpy.testing import assert_array_equal

from sklenet import DeepLeNetClassifier

Small = partial(
    DeepLeNetClassifier,
    conv_channels=(4, 8),
    hidden_layer_sizes=(32,),
    lr=1e-2,
    max_epochs=3,
    batch_size=32,
    random_state=0,
)

IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IDX_NAMES = [
    "train-images-idx3-ubyte",
    "t10k-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-labels-idx1-ubyte",
]


def weights_of(classifier):
    return torch.cat([weight.flatten() for weight in classifier.module_.parameters()])


def exit_code_of_fork(function):
    """Return the exit code of a forked process that calls a function, None if it hangs."""
    process = multiprocessing.get_context("fork").Process(target=function)
    process.start()
    process.join(60)
    exit_code = process.exitcode
    process.kill()
    return exit_code


def idx_bytes(array, code=0x08):
    header = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(IDX_DTYPES[code]).tobytes()


def assert_same_data(found, expected):
    """Compare the four arrays of a data set; labels must be int64, and all must be writable."""
    for found_array, expected_array in zip(found, expected, strict=True):
        assert_array_equal(found_array, expected_array)
        assert found_array.flags.writeable
    assert [array.dtype for array in found[2:]] == [np.int64, np.int64]
