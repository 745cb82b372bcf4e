"""The checks of parameters, labels and weights."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)

from sklenet._validation import (
    check_callbacks,
    check_count,
    check_discrete,
    check_label_types,
    check_positive,
    check_sizes,
    encode_target,
    is_small_finite_array,
    weigh_classes,
)


@pytest.mark.parametrize("value", [0, -1, 2.0, 2.5, "2", None, True])
def test_check_count_other_value_raises(value):
    message = re.escape(f"n_columns must be a positive integer, got {value!r}.")
    with pytest.raises(ValueError, match=message):
        check_count("n_columns", value)


@pytest.mark.parametrize("value", [1, 10**30, np.int64(3), np.uint8(255)])
def test_check_count_positive_integer_passes(value):
    check_count("n_columns", value)


@pytest.mark.parametrize("value", [0, -1.5, math.inf, math.nan, "1", None, 1j, True])
def test_check_positive_other_value_raises(value):
    message = re.escape(f"limit must be a positive finite number, got {value!r}.")
    with pytest.raises(ValueError, match=message):
        check_positive("limit", value)


@pytest.mark.parametrize("value", [1, 1e-300, np.float32(2), np.int64(3)])
def test_check_positive_positive_number_passes(value):
    check_positive("limit", value)


@pytest.mark.parametrize("values", [[8, 9], (8, 9), np.array([8, 9], dtype=np.uint8)])
def test_check_sizes_positive_integers_become_tuple_of_int(values):
    sizes = check_sizes("image_shape", values, lengths=(2, 3))
    assert sizes == (8, 9)
    assert {type(size) for size in sizes} == {int}


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        ((4, 0), None, "sizes must have positive integers, got (4, 0)."),
        ((4, -1), None, "sizes must have positive integers, got (4, -1)."),
        ([1.5], None, "sizes must have positive integers, got [1.5]."),
        ("ab", None, "sizes must have positive integers, got 'ab'."),
        ((True, 2), None, "sizes must have positive integers, got (True, 2)."),
        (8, (2, 3), "sizes must have 2 or 3 positive integers, got 8."),
        ((8,), (2, 3), "sizes must have 2 or 3 positive integers, got (8,)."),
        ((8, 0), (2, 3), "sizes must have 2 or 3 positive integers, got (8, 0)."),
    ],
)
def test_check_sizes_other_values_raises(values, lengths, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_sizes("sizes", values, lengths)


def test_check_sizes_integer_becomes_tuple():
    assert check_sizes("conv_channels", 4) == (4,)
    assert check_sizes("conv_channels", np.int64(4)) == (4,)
    assert check_sizes("conv_channels", torch.tensor([4, 8])) == (4, 8)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", 1], "y must have labels of one type, got int, str."),
        ([1.0, "a", "b"], "y must have labels of one type, got float, str."),
        (("a", b"a"), "y must have labels of one type, got bytes, str."),
        (np.array(["a", 1], dtype=object), "y must have labels of one type, got int, str."),
        (pd.Series(["a", True]), "y must have labels of one type, got bool, str."),
        ([1, None], "y must have a label for each image, got None."),
        ([None, None], "y must have a label for each image, got None."),
        (["a", np.nan], "y must have a label for each image, got nan."),
        (pd.Series(["a", np.nan]), "y must have a label for each image, got nan."),
        (np.array([1, None], dtype=object), "y must have a label for each image, got None."),
    ],
    ids=repr,
)
def test_check_label_types_missing_or_mixed_labels_raises(y, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_label_types(y)
    with pytest.raises(ValueError, match="y_test must have"):
        check_label_types(y, "y_test")


@pytest.mark.parametrize("y", [{1, 2}, {"a": 1}, (label for label in [1, 2]), 3, object()])
def test_check_label_types_other_container_raises(y):
    message = f"y must be an array or a list of labels, got {type(y).__name__}."
    with pytest.raises(TypeError, match=re.escape(message)):
        check_label_types(y)


@pytest.mark.parametrize(
    "y",
    [
        None,
        [1, 2.0, True, np.int64(3), np.True_],
        ["a", np.str_("b")],
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        np.arange(3),
        pd.Series(["a", "b"]),
        pd.Series(["a", "b"], dtype="category"),
        [[1], [2]],
    ],
    ids=repr,
)
def test_check_label_types_labels_of_one_type_pass(y):
    check_label_types(y)


def test_check_discrete_continuous_numbers_raises():
    message = (
        "Unknown label type: continuous. y must have class labels, got continuous numbers such as "
        "0.25."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_discrete(np.array([0.0, 1.0, 0.25, 0.5]))
    with pytest.raises(ValueError, match="y_test must have class labels"):
        check_discrete(np.array([0.5, 1.0]), "y_test")


def test_check_discrete_missing_label_raises():
    with pytest.raises(ValueError, match="Input y_test contains NaN"):
        check_discrete(np.array([0.0, np.nan]), "y_test")


@pytest.mark.parametrize("y", [[0, 1], [0.0, 1.0], ["a", "b"], [True, False]], ids=repr)
def test_check_discrete_class_labels_pass(y):
    check_discrete(np.array(y))


def check(callbacks, has_validation_data=False, has_schedule=True):
    check_callbacks(callbacks, has_validation_data=has_validation_data, has_schedule=has_schedule)


@pytest.mark.parametrize("item", [1, "name", ("name", 1), len])
def test_check_callbacks_other_item_raises(item):
    message = f"callbacks must be skorch callbacks or (name, callback) tuples, got {item!r}."
    with pytest.raises(TypeError, match=re.escape(message)):
        check([Callback(), item])


def test_check_callbacks_callbacks_and_named_callbacks_pass():
    check([Callback(), ("name", Callback()), Callback])


@pytest.mark.parametrize("make", [lambda x: x, lambda x: ("name", x)])
def test_check_callbacks_schedule_beside_schedule_raises(make):
    message = "lr_schedule must be 'constant' with a .* in callbacks, got LRScheduler"
    with pytest.raises(ValueError, match=message):
        check([make(LRScheduler())])
    check([make(LRScheduler())], has_schedule=False)


@pytest.mark.parametrize(
    "callback", [EarlyStopping(), EarlyStopping("valid_acc"), Checkpoint(), EarlyStopping]
)
def test_check_callbacks_monitor_without_validation_data_raises(callback):
    with pytest.raises(ValueError, match="must not monitor validation data .* with monitor='valid"):
        check([callback])
    check([callback], has_validation_data=True)


@pytest.mark.parametrize("scoring", [EpochScoring, BatchScoring])
def test_check_callbacks_score_without_validation_data_raises(scoring):
    message = f"must not score validation data without early_stopping=True, got {scoring.__name__}"
    with pytest.raises(ValueError, match=message):
        check([scoring("accuracy")])
    check([scoring("accuracy", on_train=True)])
    check([scoring("accuracy")], has_validation_data=True)


def test_check_callbacks_monitor_of_training_passes():
    check([EarlyStopping("train_loss"), Checkpoint(monitor=None)])


def test_encode_target_labels_are_positions_in_classes():
    classes = np.array(["a", "c", "d"])
    y = np.array(["d", "a", "unknown", "c"])
    target = encode_target(y, np.array([1.0, 2.0, 0.0, 1.0]), classes)
    assert target.tolist() == [2, 0, 0, 1]
    assert target.dtype == np.int64


def weigh(class_weight, sample_weight=(1.0, 1.0, 1.0, 1.0)):
    y = np.array(["a", "a", "a", "b"])
    weight, classes = np.array(sample_weight), np.array(["a", "b"])
    target = encode_target(y, weight, classes)
    return weigh_classes(class_weight, y, target, weight, classes).tolist()


def test_weigh_classes_unknown_label_raises():
    message = r"class_weight must have labels of y as keys, got \['c'\]; .* are \['a', 'b'\]"
    with pytest.raises(ValueError, match=message):
        weigh({"a": 2, "c": 3})
    np.testing.assert_array_equal(weigh({"a": 2, "b": 1, "c": 3}), weigh({"a": 2}))


def test_weigh_classes_multiplies_sample_weight():
    assert weigh(None, (1.0, 2.0, 0.0, 3.0)) == [1, 2, 0, 3]
    assert weigh({"b": 5.0}, (1.0, 2.0, 0.0, 3.0)) == [1, 2, 0, 15]


def test_weigh_classes_balanced_gives_classes_the_same_sum():
    weights = weigh("balanced")
    assert sum(weights[:3]) == pytest.approx(weights[3])


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weigh_classes_negative_or_infinite_weight_raises(weight):
    with pytest.raises(
        ValueError, match="class_weight must have finite non-negative values, got {'a': "
    ):
        weigh({"a": weight})


@pytest.mark.parametrize(
    ("class_weight", "sample_weight", "total"),
    [({"a": 0.0, "b": 0.0}, (1.0, 1.0, 1.0, 1.0), "0.0"), (None, 4 * (1e308,), "inf")],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_weigh_classes_sum_of_zero_or_infinity_raises(class_weight, sample_weight, total):
    with pytest.raises(ValueError, match=f"must have a positive finite sum, got {total}"):
        weigh(class_weight, sample_weight)


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "f8", "f2"])
def test_is_small_finite_array_numbers_is_true(dtype):
    assert is_small_finite_array(np.ones((256, 3), dtype), 3)


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((2, 4)),
        np.ones((0, 3)),
        np.ones((257, 3)),
        np.ones(3),
        np.ones((2, 3), bool),
        np.ones((2, 3), object),
        np.array([[1, 2, np.nan]]),
        np.array([[1, 2, np.inf]]),
        np.ma.ones((2, 3)),
        [[1, 2, 3]],
    ],
    ids=["columns", "none", "many", "flat", "bool", "object", "nan", "inf", "masked", "list"],
)
def test_is_small_finite_array_other_values_is_false(rows):
    assert not is_small_finite_array(rows, 3)
