"""The prediction of class scores: `predict_logits`."""

import torch
from torch.nn import functional

from .._torch import autocast_to
from ..images import to_device
from ._data import CHUNK_SIZE

__all__ = ["forward_padded", "predict_logits"]


def predict_logits(network, preprocessor, rows, device):
    """Compute the class scores of flat rows, in float32 and chunk by chunk.

    Returns a tensor of shape (n_samples, n_classes) on the CPU. The scores of a row that are
    computed on a CPU do not depend on the other rows.
    """
    if network.training:
        network.eval()
    if preprocessor.mean.device != device:  # after unpickling
        preprocessor.to(device)
    with torch.inference_mode(), autocast_to(torch.float32, device):
        return torch.cat(
            [
                forward_padded(network, preprocessor(to_device(chunk, device))).cpu()
                for chunk in rows.split(CHUNK_SIZE)
            ]
        )


def forward_padded(network, images):
    """Compute scores of a batch, padded to a size at which its rows are independent."""
    n_images = len(images)
    missing = -n_images % network.batch_multiple
    if missing:
        images = functional.pad(images, (0, 0, 0, 0, 0, 0, 0, missing))
    return network(images)[:n_images]
