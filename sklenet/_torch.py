"""The machine that trains: its devices, the types it computes in, its memory and its seeds."""

from contextlib import contextmanager, nullcontext
from threading import RLock

import torch

__all__ = [
    "PRECISIONS",
    "default_settings",
    "keep_freed_memory",
    "products_in",
    "resolve_device",
    "resolve_precision",
    "seeded_torch",
]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_LARGEST_MMAP_THRESHOLD = 2**25  # of glibc on 64 bits, in bytes
_SETTINGS = RLock()


def resolve_device(device):
    """Turn the `device` parameter into a device that is there.

    Parameters
    ----------
    device : str or torch.device
        "auto" (CUDA where there is one, then MPS, else the CPU) or any name that PyTorch knows.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ValueError
        If the name is unknown or this machine has no such device.

    Examples
    --------
    >>> from sklenet._torch import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={str(device)!r} cannot be used: {reason}") from error
    return device


def resolve_precision(precision, device):
    """Turn the `precision` parameter into a type of PyTorch.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        "auto" is bfloat16 where the hardware computes with it, else float32.
    device : torch.device
        Where training runs.

    Returns
    -------
    torch.dtype
        The type.

    Examples
    --------
    >>> import torch
    >>> from sklenet._torch import resolve_precision
    >>> resolve_precision("float32", torch.device("cpu"))
    torch.float32
    """
    if precision == "auto":
        return torch.bfloat16 if _computes_with_bfloat16(device) else torch.float32
    return PRECISIONS[precision]


def _computes_with_bfloat16(device):
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # A step of 128 images takes two thirds of the time of one in float32.
        has_instructions = torch.cpu.get_capabilities().get("avx512_bf16", False)
        return has_instructions and torch.backends.mkldnn.is_available()
    return False


def products_in(dtype, device):
    """Compute layers in a type, whatever the caller of sklenet has chosen for his own.

    Parameters
    ----------
    dtype : torch.dtype
        Type of the products of matrices and of the convolutions.
    device : torch.device
        Where they are computed.

    Returns
    -------
    torch.autocast
        A context; the weights keep their type in it.
    """
    # The cache would keep the weights of the first step if the caller had an autocast of his own.
    if dtype == torch.float32:
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, dtype, cache_enabled=False)


@contextmanager
def default_settings():
    """Shield a computation from what the caller has set in PyTorch for his own.

    Gradients are recorded, new tensors are of float32 and on the CPU, and the algorithms of cuDNN
    are deterministic. On leaving the settings are as they were. They belong to the process: threads
    take turns.

    Yields
    ------
    None
        Within, the same computation gives the same result.
    """
    cudnn = torch.backends.cudnn
    with _SETTINGS:
        before = cudnn.benchmark, cudnn.deterministic, torch.get_default_dtype()
        on_cpu = torch.get_default_device().type == "cpu"
        cudnn.benchmark, cudnn.deterministic = False, True
        torch.set_default_dtype(torch.float32)
        try:
            # A device that is entered costs time in each call of PyTorch.
            device = nullcontext() if on_cpu else torch.device("cpu")
            with device, torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            cudnn.benchmark, cudnn.deterministic, dtype = before
            torch.set_default_dtype(dtype)


@contextmanager
def seeded_torch(seed, device):
    """Seed the generators of PyTorch, and restore them on leaving.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device
        The device whose generator is seeded besides that of the CPU.

    Yields
    ------
    None
        Within, the generators draw the same numbers each time.
    """
    is_cuda, is_mps = device.type == "cuda", device.type == "mps"
    with torch.random.fork_rng(devices=[device] if is_cuda else []):
        torch.default_generator.manual_seed(seed)
        if is_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        if not is_mps:
            yield
            return
        state = torch.mps.get_rng_state()  # fork_rng does not know this one
        try:
            torch.mps.manual_seed(seed)
            yield
        finally:
            torch.mps.set_rng_state(state)


def keep_freed_memory():
    """Let the allocator keep the memory that a training step frees for the next step.

    glibc returns large blocks to the system, which clears them before they are used again: a fifth
    of a training step of 128 images. Its threshold for this adapts to the largest block that was
    freed; one that is never written to costs nothing. The process holds on to some 60 MB more for
    it. Other allocators just see the block.
    """
    torch.empty(_LARGEST_MMAP_THRESHOLD - 2**14, dtype=torch.uint8, device="cpu")
