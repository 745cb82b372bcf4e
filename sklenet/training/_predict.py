"""The prediction of class scores: `predict_logits`."""

from contextlib import nullcontext

import torch
from torch.nn import functional

from .._torch import autocast_to
from ..images import to_device
from ._data import CHUNK_SIZE

__all__ = ["forward_padded", "predict_logits"]


def predict_logits(network, preprocessor, rows, device, threads=None):
    """Compute the class scores of flat rows, in float32 and chunk by chunk.

    Returns a tensor of shape (n_samples, n_classes) on the CPU. The scores of a row that are
    computed on a CPU do not depend on the other rows; `threads` adapt to the load of the machine.
    """
    measured, logits = threads.step if threads and device.type == "cpu" else nullcontext, []
    if network.training:
        network.eval()
    if preprocessor.mean.device != device:  # after unpickling
        preprocessor.to(device)
    with torch.inference_mode(), autocast_to(torch.float32, device):
        for chunk in rows.split(CHUNK_SIZE):
            with measured():
                images = preprocessor(to_device(chunk, device))
                logits.append(forward_padded(network, images).cpu())
    return torch.cat(logits)


def forward_padded(network, images):
    """Compute scores of a batch, padded to a size at which its rows are independent."""
    n_images = len(images)
    missing = -n_images % network.batch_multiple
    if missing:
        images = functional.pad(images, (0, 0, 0, 0, 0, 0, 0, missing))
    return network(images)[:n_images]
