"""Dropout that draws from a given generator."""

import torch
from torch import nn

__all__ = ["Dropout"]


class Dropout(nn.Dropout):
    """Dropout whose `generator`, on any device, is PyTorch's own if None."""

    def __init__(self, p, generator=None):
        super().__init__(p)
        self.generator = generator

    def forward(self, x):
        # `torch.compile` does not support a generator.
        if self.generator is None or not self.training or torch.compiler.is_compiling():
            return super().forward(x)
        kept = torch.empty(x.shape, device=self.generator.device)
        kept.bernoulli_(1 - self.p, generator=self.generator)
        return x * (kept / (1 - self.p)).to(x.device, x.dtype)
