"""The training set, its merged rows and its batches."""

import numpy as np
import pytest
import torch
from helpers import Small

from sklenet import ImageLayout, ImagePreprocessor
from sklenet.training._data import (
    CHUNK_SIZE,
    Batches,
    ImageDataset,
    RandomBatches,
    TrainingSet,
    merge_repeated_rows,
)

# merge_repeated_rows


def merged(X, y, weight):
    index, weight = merge_repeated_rows(X, y, weight)
    return {(*X[row].tolist(), int(y[row])): w for row, w in zip(index, weight, strict=True)}


def test_merge_equal_rows_of_class_adds_weights():
    X = np.array([[1, 2], [3, 4], [1, 2], [1, 2]], dtype=np.uint8)
    y = np.array([0, 1, 0, 1])
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    assert merged(X, y, weight) == {(1, 2, 0): 1.5, (3, 4, 1): 2.0, (1, 2, 1): 3.0}


def test_merge_rows_without_weight_are_left_out():
    X = np.array([[1.0], [2.0], [1.0]])
    assert merged(X, np.zeros(3, int), np.array([0.0, 1.0, 2.0])) == {(2.0, 0): 1, (1.0, 0): 2}


def test_merge_weights_and_repetitions_are_equal_in_any_order():
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(20, 5)), rng.integers(0, 3, 20), rng.integers(0, 4, 20)
    repeated = rng.permutation(np.repeat(np.arange(20), weight))
    index, merged_weight = merge_repeated_rows(X, y, weight.astype(float))
    again, repeated_weight = merge_repeated_rows(X[repeated], y[repeated], np.ones(len(repeated)))
    np.testing.assert_array_equal(X[index], X[repeated][again])
    np.testing.assert_array_equal(merged_weight, repeated_weight)


def test_merge_strided_and_read_only_rows_equals_copy():
    X = np.arange(24.0).reshape(6, 4)
    X.flags.writeable = False
    index, _ = merge_repeated_rows(X[:, ::2], np.zeros(6, int), np.ones(6))
    expected, _ = merge_repeated_rows(X[:, ::2].copy(), np.zeros(6, int), np.ones(6))
    np.testing.assert_array_equal(index, expected)


VALUES = {
    "bytes": [[0, 1, 255], [2, 3, 4], [0, 1, 255]],
    "integers": [[0, -1, 256], [70000, 3, 4], [0, -1, 256]],
    "floats": [[0.5, -0.25, 1e30], [0.0, 2.5, 3], [0.5, -0.25, 1e30]],
    "doubles": [[0.1, 1e300, 0], [0.2, 3, 4], [0.1, 1e300, 0]],
}
DTYPES = ["u1", "i2", "<i4", ">i8", "f2", "<f4", ">f4", "f8", ">f8", "longdouble", "u4"]


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_merge_equal_values_of_any_type_have_one_order(values):
    rows = np.array(values, dtype="f8")
    expected = merge_repeated_rows(rows, np.zeros(3, int), np.ones(3))
    assert sorted(expected[1]) == [1, 2]
    with np.errstate(all="ignore"):
        same = [rows.astype(t) for t in DTYPES if np.array_equal(rows.astype(t), rows)]
    assert len(same) >= 2
    for other in [*same, np.asfortranarray(rows), 0.0 + rows]:
        found = merge_repeated_rows(other, np.zeros(3, int), np.ones(3))
        np.testing.assert_array_equal(found, expected)


def test_merge_row_without_weight_does_not_change_order():
    rows = np.random.default_rng(0).integers(0, 9, (20, 4)).astype(float)
    expected, _ = merge_repeated_rows(rows, np.zeros(20, int), np.ones(20))
    with_fraction = np.append(rows, [[0.1] * 4], axis=0)
    index, _ = merge_repeated_rows(with_fraction, np.zeros(21, int), np.append(np.ones(20), 0))
    np.testing.assert_array_equal(index, expected)


def test_merge_negative_zero_equals_zero():
    index, _ = merge_repeated_rows(
        np.array([[0.0, 0.5], [-0.0, 0.5]]), np.zeros(2, int), np.ones(2)
    )
    assert len(index) == 1


# TrainingSet


def make_training_set(n_samples=20, n_features=64, seed=0, weight=None):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (n_samples, n_features), dtype=np.uint8)
    target = rng.integers(0, 3, n_samples)
    weight = np.ones(n_samples) if weight is None else weight
    return TrainingSet.from_arrays(rows, target, weight)


def test_from_arrays_weights_follow_their_rows():
    weight = np.random.default_rng(0).uniform(0, 9, 20)
    train = make_training_set(weight=weight)
    np.testing.assert_array_equal(train.sample_weight, weight[train.index])


def test_from_arrays_rows_share_memory():
    rows = np.arange(12, dtype=np.uint8).reshape(3, 4)
    train = TrainingSet.from_arrays(rows, np.array([0, 1, 1]), np.ones(3))
    assert train.rows.data_ptr() == rows.ctypes.data
    np.testing.assert_array_equal(train.target, np.array([0, 1, 1])[train.index])


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_split_fraction_is_stratified(fraction):
    rows, target = np.arange(300)[:, None], np.repeat([0, 1, 2], [150, 100, 50])
    both = TrainingSet.from_arrays(rows, target, np.ones(300))
    train, valid = both.split(fraction, np.random.RandomState(0))
    counts = np.bincount(valid.target, minlength=3)
    assert counts.sum() == np.ceil(fraction * 300)
    assert (np.abs(counts - fraction * np.bincount(target)) <= 1).all()
    index = torch.cat([train.index, valid.index])
    np.testing.assert_array_equal(index.sort()[0], np.arange(300))


def test_split_other_random_state_holds_out_others():
    both = make_training_set(100)
    held_out = [both.split(0.3, np.random.RandomState(seed))[1].index for seed in (0, 0, 1)]
    assert torch.equal(held_out[0], held_out[1])
    assert not torch.equal(held_out[0], held_out[2])


def test_split_class_of_one_sample_stays_in_first_part():
    rows, target = np.arange(10)[:, None], np.array([0] * 8 + [1, 2])
    both = TrainingSet.from_arrays(rows, target, np.ones(10))
    train, valid = both.split(0.9, np.random.RandomState(0))
    assert set(train.target.tolist()) == {0, 1, 2}
    assert valid.target.tolist() == [0] * 7


def test_split_only_classes_of_one_sample_raises():
    both = TrainingSet.from_arrays(np.arange(3)[:, None], np.arange(3), np.ones(3))
    with pytest.raises(ValueError, match="needs a class with at least two different samples"):
        both.split(0.1, np.random.RandomState(0))


# ImageDataset


def make_dataset(train):
    preprocessor = ImagePreprocessor(ImageLayout(8, 8)).fit(train.rows)
    return ImageDataset(train, preprocessor, train.rows)


def test_dataset_part_of_training_set_has_weights_with_mean_of_one():
    both = make_training_set(weight=np.arange(1.0, 21))
    train, valid = both.split(0.3, np.random.RandomState(0))
    for part in (train, valid):
        weight = make_dataset(part).sample_weight
        assert weight.dtype == torch.float32
        assert float(weight.mean()) == pytest.approx(1)
        torch.testing.assert_close(
            weight.double() * part.sample_weight.mean(), part.sample_weight, rtol=1e-6, atol=0
        )


def test_dataset_weights_below_float32_have_mean_of_one():
    weight = torch.tensor([1e-60, 2e-60, 3e-60], dtype=torch.float64)
    train = TrainingSet(torch.zeros(3, 64), torch.arange(3), torch.zeros(3).long(), weight)
    torch.testing.assert_close(make_dataset(train).sample_weight, torch.tensor([0.5, 1.0, 1.5]))


@pytest.mark.parametrize("max_cached_values", [0, 2**24])
def test_dataset_positions_gives_images_targets_and_weights(monkeypatch, max_cached_values):
    monkeypatch.setattr("sklenet.training._data._MAX_CACHED_VALUES", max_cached_values)
    train = make_training_set(CHUNK_SIZE + 5, weight=np.arange(1.0, CHUNK_SIZE + 6))
    dataset = make_dataset(train)
    positions = torch.tensor([CHUNK_SIZE + 1, 3, 0])
    inputs, target = dataset[positions]
    expected = dataset.preprocessor(train.rows[train.index[positions]])
    assert torch.equal(inputs["images"], expected)
    assert torch.equal(target, train.target[positions])
    assert torch.equal(inputs["sample_weight"], dataset.sample_weight[positions])


# Batches


class Positions(ImageDataset):
    """A dataset whose targets are the positions."""

    def __init__(self, train):
        super().__init__(train, ImagePreprocessor(ImageLayout(8, 8)), train.rows)
        self.target = torch.arange(len(train))


def test_batches_in_order_covers_all_samples():
    batches = Batches(Positions(make_training_set(20)), batch_size=8)
    targets = [target.tolist() for _, target in batches]
    assert targets == [list(range(8)), list(range(8, 16)), list(range(16, 20))]
    assert len(batches) == 3


def positions_of(batches):
    return torch.cat([target for _, target in batches]).tolist()


def test_random_batches_epoch_has_new_order_of_all_samples():
    generator = torch.Generator().manual_seed(0)
    batches = RandomBatches(Positions(make_training_set(50)), 8, generator)
    epochs = [positions_of(batches) for _ in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3
    generator.manual_seed(0)
    assert positions_of(batches) == epochs[0]


@pytest.mark.parametrize(
    ("n_samples", "sizes"), [(3, [3]), (11, [11]), (12, [8, 4]), (17, [8, 9]), (24, [8, 8, 8])]
)
def test_random_batches_small_remainder_joins_the_last_batch(n_samples, sizes):
    batches = RandomBatches(Positions(make_training_set(n_samples)), 8)
    assert [len(target) for _, target in batches] == sizes
    assert len(batches) == len(sizes)


def test_random_batches_end_of_an_iterator_in_augmentation_is_an_error():
    spent = iter([])
    batches = RandomBatches(make_dataset(make_training_set(20)), 8, augment=lambda _: next(spent))
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(batches)


def draws(weight, n_epochs=1):
    """Count how often each sample is drawn, in the order of the weights."""
    dataset = Positions(make_training_set(len(weight), weight=np.array(weight, float)))
    batches = RandomBatches(dataset, 8, torch.Generator().manual_seed(0))
    counts = np.zeros(len(weight))
    for _ in range(n_epochs):
        for inputs, target in batches:
            np.add.at(counts, target, 1)
            assert (inputs["sample_weight"] == 1).all()
    assert counts.sum() == n_epochs * dataset.n_draws
    order = np.empty(len(weight))
    order[dataset.index] = counts
    return order


@pytest.mark.parametrize("scale", [1, 0.1, 3, 1e-300, 1e290])
def test_random_batches_whole_weights_are_exact_counts(scale):
    weight = np.array([1, 1, 2, 3, 1, 1, 40])
    np.testing.assert_array_equal(draws(weight * scale), weight)


def test_random_batches_weights_are_frequencies():
    weight = np.random.default_rng(0).uniform(0.2, 3, 50)
    expected = weight / np.sort(weight)[:25].mean()
    counts = draws(weight, 400) / 400
    np.testing.assert_allclose(counts, expected, atol=0.1)
    counts = draws(weight)
    assert ((np.floor(expected * 0.99) <= counts) & (counts <= np.ceil(expected * 1.01))).all()


def test_random_batches_extreme_weights_limit_the_epoch():
    weight = [1e-9] * 10 + [1.0] * 5 + [1e9]
    counts = draws(weight)
    assert counts.sum() == 160
    assert counts[-1] == 160


def test_random_batches_length_of_epoch_varies_little_with_share_of_weights():
    lengths = [draws([1] * n + [10] * (100 - n)).sum() for n in (48, 50, 52)]
    assert max(lengths) < 1.5 * min(lengths)


def test_random_batches_repeated_draws_are_augmented_separately():
    train = make_training_set(4, weight=np.array([1.0, 1, 1, 5]))

    def augment(images):
        return images + torch.rand(len(images), 1, 1, 1)

    ((inputs, _),) = RandomBatches(make_dataset(train), 8, augment=augment)
    assert len(inputs["images"].flatten(1).unique(dim=0)) == 8


def test_batches_augmented_in_place_keeps_cached_images():
    dataset = make_dataset(make_training_set(20))
    expected = [inputs["images"] for inputs, _ in Batches(dataset, 8)]
    for inputs, _ in RandomBatches(dataset, 8, augment=lambda images: images.zero_()):
        assert not inputs["images"].any()
    assert all(map(torch.equal, [inputs["images"] for inputs, _ in Batches(dataset, 8)], expected))


@pytest.mark.parametrize("options", [{}, {"augmentation": "affine"}, {"early_stopping": True}])
def test_dataset_without_cache_trains_same_model(digits, monkeypatch, options):
    X_train, X_test, y_train, _ = digits
    cached = Small(**options).fit(X_train, y_train)
    monkeypatch.setattr("sklenet.training._data._MAX_CACHED_VALUES", 0)
    uncached = Small(**options).fit(X_train, y_train)
    assert cached.loss_curve_ == uncached.loss_curve_
    np.testing.assert_array_equal(cached.predict_proba(X_test), uncached.predict_proba(X_test))
