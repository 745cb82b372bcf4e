"""Devices, dtypes, settings and seeds of PyTorch."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest
import torch
from helpers import exit_code_of_fork
from torch import nn

from sklenet._torch import (
    autocast_to,
    default_torch_settings,
    resolve_device,
    resolve_precision,
    seeded_torch,
)

CPU = torch.device("cpu")


# resolve_device, resolve_precision


@pytest.mark.parametrize("accelerator", [None, torch.device("mps")])
def test_resolve_device_auto_is_accelerator_or_cpu(monkeypatch, accelerator):
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available: accelerator
    )
    assert resolve_device("auto") == (accelerator or CPU)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", CPU, torch.device("cpu", 0)])
def test_resolve_device_available_is_returned(device):
    assert resolve_device(device) == CPU


@pytest.mark.parametrize("device", ["tpu9", "hpu", "meta", torch.device("meta")])
def test_resolve_device_unavailable_raises(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used: .") as error:
        resolve_device(device)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("has_instructions", "has_onednn", "expected"),
    [
        (True, True, torch.bfloat16),
        (True, False, torch.float32),
        (False, True, torch.float32),
    ],
)
def test_resolve_precision_auto_on_cpu_follows_hardware(
    monkeypatch, has_instructions, has_onednn, expected
):
    capabilities = {"avx512_bf16": has_instructions}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: has_onednn)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("auto", torch.device("mps")) == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_resolve_precision_name_is_dtype(name):
    assert resolve_precision(name, CPU) == getattr(torch, name)


# autocast_to


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype_of_caller", [torch.float16, torch.bfloat16, torch.float32])
def test_autocast_to_dtype_overrides_autocast_of_caller(dtype, dtype_of_caller):
    layer, x = nn.Linear(4, 4), torch.ones(2, 4)
    is_enabled = dtype_of_caller != torch.float32
    with torch.autocast("cpu", dtype_of_caller if is_enabled else None, enabled=is_enabled):
        with autocast_to(dtype, CPU):
            assert layer(x).dtype == dtype
        assert layer(x).dtype == dtype_of_caller


def test_autocast_to_bfloat16_sees_changed_weights():
    layer, x = nn.Linear(4, 4, bias=False), torch.ones(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        for expected in (4.0, 8.0):
            with torch.no_grad():
                layer.weight.fill_(expected / 4)
            with autocast_to(torch.bfloat16, CPU):
                assert (layer(x) == expected).all()


# default_torch_settings


@pytest.fixture
def restored_settings():
    """Restore the settings that a test changes."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, torch.get_default_dtype()
    precision = cudnn.conv.fp32_precision
    yield
    cudnn.benchmark, cudnn.deterministic, dtype = before
    torch.set_default_dtype(dtype)
    cudnn.conv.fp32_precision = precision


@pytest.mark.parametrize(
    "make_setting",
    [torch.inference_mode, torch.no_grad, partial(torch.device, "meta")],
    ids=["inference_mode", "no_grad", "meta"],
)
def test_default_torch_settings_in_context_of_caller_shields_from_it(make_setting):
    with make_setting(), default_torch_settings():
        x = torch.ones(2)
        assert x.device == CPU
        y = x.requires_grad_() * 2
        assert y.requires_grad
        assert not y.is_inference()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_default_torch_settings_meta_device_of_caller_is_restored():
    with torch.device("meta"):
        with default_torch_settings():
            pass
        assert torch.ones(2).device.type == "meta"


@pytest.mark.usefixtures("restored_settings")
@pytest.mark.parametrize("error", [None, RuntimeError])
def test_default_torch_settings_left_restores_settings(error):
    cudnn = torch.backends.cudnn
    torch.set_default_dtype(torch.float64)
    cudnn.benchmark, cudnn.deterministic = True, False
    cudnn.conv.fp32_precision = "ieee"
    try:
        with default_torch_settings():
            assert torch.ones(2).dtype == torch.float32
            assert (cudnn.benchmark, cudnn.deterministic) == (False, True)
            if error:
                raise error
    except RuntimeError:
        assert error
    assert torch.ones(2).dtype == torch.float64
    assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
    assert cudnn.conv.fp32_precision == "ieee"


@pytest.mark.usefixtures("restored_settings")
def test_default_torch_settings_nested_restores_once_each():
    torch.set_default_dtype(torch.float64)
    with default_torch_settings():
        with default_torch_settings():
            pass
        assert torch.get_default_dtype() == torch.float32
    assert torch.get_default_dtype() == torch.float64


def compute_in_fork():
    with default_torch_settings():
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12, for a fork
def test_default_torch_settings_used_by_thread_does_not_block_forked_process():
    is_entered, is_forked = Event(), Event()

    def compute():
        with default_torch_settings():
            is_entered.set()
            is_forked.wait()

    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(compute)
        is_entered.wait()
        try:
            assert exit_code_of_fork(compute_in_fork) == 0
        finally:
            is_forked.set()
        computing.result()


# seeded_torch


def test_seeded_torch_same_seed_draws_same_numbers():
    drawn = []
    for seed in (0, 0, 1):
        with seeded_torch(seed, CPU):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_seeded_torch_left_restores_state_of_generator(error):
    state = torch.get_rng_state()
    try:
        with seeded_torch(0, CPU):
            torch.rand(3)
            if error:
                raise error
    except KeyboardInterrupt:
        assert error
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.gpu
def test_seeded_torch_cuda_seeds_and_restores_both_generators():
    cuda, states = torch.device("cuda"), (torch.get_rng_state(), torch.cuda.get_rng_state())
    drawn = []
    for _ in range(2):
        with seeded_torch(0, cuda):
            drawn.append((torch.rand(3), torch.rand(3, device=cuda)))
    assert all(map(torch.equal, *drawn))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])
