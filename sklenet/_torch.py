"""PyTorch's devices, dtypes, settings and seeds."""

import os
from contextlib import contextmanager, nullcontext
from threading import RLock

import torch

__all__ = [
    "PRECISIONS",
    "autocast_to",
    "default_torch_settings",
    "raise_mmap_threshold",
    "resolve_device",
    "resolve_precision",
    "seeded_torch",
]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_LARGEST_MMAP_THRESHOLD = 2**25  # of glibc on 64 bits, in bytes
_SETTINGS_LOCK = RLock()


def _renew_lock():
    """Replace the lock, which a thread of the parent may have held when it was forked."""
    global _SETTINGS_LOCK
    _SETTINGS_LOCK = RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


def resolve_device(device):
    """Resolve `device` to an available device; "auto" is an accelerator, else the CPU."""
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        # The device of a tensor: "cpu:0" is "cpu", which tensors and unpickling know.
        probe = torch.zeros(1, device=torch.device(device))
        probe.item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={str(device)!r} cannot be used: {reason}") from error
    return probe.device


def resolve_precision(precision, device):
    """Resolve `precision` to a dtype; "auto" is bfloat16 where the hardware supports it."""
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return PRECISIONS[precision]


def _has_bfloat16(device):
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # A step of 128 images takes two thirds of the time of one in float32.
        has_instructions = torch.cpu.get_capabilities().get("avx512_bf16", False)
        return has_instructions and torch.backends.mkldnn.is_available()
    return False


def autocast_to(dtype, device):
    """Compute matmuls and convolutions in a dtype, overriding an autocast of the caller."""
    if dtype == torch.float32:
        return torch.autocast(device.type, enabled=False)
    # Within an autocast of the caller, the cache would keep the weights of the first step.
    return torch.autocast(device.type, dtype, cache_enabled=False)


@contextmanager
def default_torch_settings():
    """Shield a computation from the caller's settings of PyTorch, and restore these on leaving.

    Gradients are recorded, new tensors are float32 on the CPU, and cuDNN is deterministic. The
    settings belong to the process: threads take turns.
    """
    cudnn = torch.backends.cudnn
    with _SETTINGS_LOCK:
        before = cudnn.benchmark, cudnn.deterministic, torch.get_default_dtype()
        on_cpu = torch.get_default_device().type == "cpu"
        cudnn.benchmark, cudnn.deterministic = False, True
        torch.set_default_dtype(torch.float32)
        try:
            # A device context costs time in each call of PyTorch.
            device = nullcontext() if on_cpu else torch.device("cpu")
            with device, torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            cudnn.benchmark, cudnn.deterministic, dtype = before
            torch.set_default_dtype(dtype)


@contextmanager
def seeded_torch(seed, device):
    """Seed PyTorch's generators of the CPU and of a device, and restore them on leaving."""
    is_mps, backend = device.type == "mps", torch.get_device_module(device)
    forked = [] if device.type in ("cpu", "mps") else [device]
    with torch.random.fork_rng(forked, device_type=device.type if forked else "cuda"):
        torch.default_generator.manual_seed(seed)
        if forked:
            with backend.device(device):
                backend.manual_seed(seed)
        state = backend.get_rng_state() if is_mps else None  # fork_rng does not support MPS
        try:
            if is_mps:
                backend.manual_seed(seed)
            yield
        finally:
            if is_mps:
                backend.set_rng_state(state)


def raise_mmap_threshold():
    """Raise the threshold above which glibc's malloc returns freed memory to the system.

    The system clears such memory before it is used again: a fifth of a training step of 128 images.
    The threshold (M_MMAP_THRESHOLD) adapts to the largest block that was freed; a block that is
    never written to costs nothing. The process holds on to some 60 MB more. Other allocators just
    see the block.
    """
    torch.empty(_LARGEST_MMAP_THRESHOLD - 2**14, dtype=torch.uint8, device="cpu")
