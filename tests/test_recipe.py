"""`Recipe.from_parameters`: the values of each "auto"."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from sklenet import DeepLeNetClassifier
from sklenet.training import OPTIMIZERS, Recipe, training_budget


def recipe(n_samples=1000, *, is_partial=False, is_table=False, **parameters):
    given = DeepLeNetClassifier(**{"device": "cpu", **parameters}).get_params(deep=False)
    return Recipe.from_parameters(given, n_samples, is_partial=is_partial, is_table=is_table)


@pytest.fixture(params=[True, False])
def has_bfloat16(request, monkeypatch):
    """Make the CPU support bfloat16, or not."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    return request.param


@pytest.mark.parametrize(
    ("n_samples", "batch_size"),
    [(1, 16), (500, 16), (540, 32), (1_000, 32), (10_000, 128), (60_000, 256), (10**7, 512)],
)
def test_recipe_auto_batch_size_is_near_the_square_root(n_samples, batch_size):
    assert recipe(n_samples).batch_size == batch_size


@pytest.mark.parametrize(
    ("n_samples", "plain", "augmented"),
    [(1, 60, 120), (100, 60, 120), (1000, 41, 82), (60_000, 5, 11), (10**7, 1, 1)],
)
def test_recipe_auto_max_epochs_doubles_with_chosen_augmentation(n_samples, plain, augmented):
    assert recipe(n_samples).max_epochs == plain
    assert recipe(n_samples, augmentation=None).max_epochs == plain
    assert recipe(n_samples, augmentation="affine").max_epochs == augmented


def test_recipe_auto_augmentation_is_affine_for_images_alone():
    assert recipe().augmentation == ("affine",)
    assert recipe(is_table=True).augmentation == ()
    assert recipe(is_table=True, augmentation="shift").augmentation == ("shift",)


def test_recipe_auto_counts_are_those_of_the_documentation():
    page = Path(__file__).parents[1] / "docs" / "training.md"
    rows = re.findall(
        r"^\| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) \|$", page.read_text(), re.MULTILINE
    )
    assert len(rows) == 4
    for size, *counts in rows:
        n_samples = int(size.replace(",", ""))
        plain, named = recipe(n_samples), recipe(n_samples, augmentation="affine")
        assert [plain.batch_size, plain.max_epochs, named.max_epochs] == list(map(int, counts))


def test_recipe_auto_lr_follows_normalization():
    assert (recipe().lr, recipe(normalization=None).lr) == (1e-2, 5e-3)
    assert recipe(lr=0.1).lr == 0.1


def test_recipe_given_counts_are_kept():
    resolved = recipe(60_000, batch_size=7, max_epochs=3, augmentation="affine")
    assert (resolved.batch_size, resolved.max_epochs) == (7, 3)


@pytest.mark.parametrize(
    ("optimizer", "weight_decay", "expected"),
    [
        ("adamw", "auto", 0.3),
        ("adam", "auto", None),
        ("sgd", "auto", None),
        (torch.optim.AdamW, "auto", None),
        ("adamw", 0.0, 0.0),
        ("sgd", 0.01, 0.01),
    ],
)
def test_recipe_auto_weight_decay_is_for_adamw(optimizer, weight_decay, expected):
    assert recipe(optimizer=optimizer, weight_decay=weight_decay).weight_decay == expected


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)],
)
def test_recipe_optimizer_name_makes_fused_one(name, optimizer):
    made = OPTIMIZERS[recipe(optimizer=name).optimizer]([nn.Parameter(torch.zeros(1))], lr=0.1)
    assert type(made) is optimizer
    assert made.defaults["fused"]
    assert name == "sgd" or made.defaults["betas"] == (0.8, 0.95)


def test_recipe_optimizer_callable_is_kept():
    optimizer = partial(torch.optim.SGD, momentum=0.9)
    assert recipe(optimizer=optimizer).optimizer is optimizer


@pytest.mark.parametrize("activation", ["l_relu", "gelu"])
def test_recipe_auto_precision_named_activation_follows_hardware(has_bfloat16, activation):
    expected = "bfloat16" if has_bfloat16 else "float32"
    assert recipe(activation=activation).precision == expected


@pytest.mark.usefixtures("has_bfloat16")
def test_recipe_auto_precision_custom_activation_is_float32():
    assert recipe(activation=nn.ReLU).precision == "float32"


@pytest.mark.usefixtures("has_bfloat16")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recipe_given_precision_is_kept(precision):
    for activation in ("l_relu", nn.ReLU):
        resolved = recipe(activation=activation, precision=precision)
        assert resolved.precision == precision


def test_recipe_partial_is_one_epoch_at_constant_rate():
    resolved = recipe(60_000, is_partial=True, max_epochs=9)
    assert (resolved.max_epochs, resolved.lr_schedule) == (1, "constant")
    assert resolved.batch_size == 256
    assert recipe(60_000).lr_schedule == "one_cycle"


def test_recipe_network_has_sizes_as_tuples():
    network = recipe(conv_channels=[4, 8], hidden_layer_sizes=64).network
    assert (network["conv_channels"], network["hidden_layer_sizes"]) == ((4, 8), (64,))


@pytest.mark.parametrize("parameter", ["conv_channels", "hidden_layer_sizes"])
def test_recipe_invalid_sizes_raises(parameter):
    with pytest.raises(ValueError, match=rf"{parameter} must have positive integers, got \(4, 0\)"):
        recipe(**{parameter: (4, 0)})


def test_training_budget_any_number_of_samples_is_within_bounds():
    budgets = [training_budget(2**power) for power in range(40)]
    assert {batch_size for batch_size, _ in budgets} == {16, 32, 64, 128, 256, 512}
    assert (budgets[0][1], budgets[-1][1]) == (60, 1)
    assert budgets == sorted(budgets, key=lambda budget: (budget[0], -budget[1]))
