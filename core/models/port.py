"""What every model is to the rest of the program: a module that maps clouds to logits and a latent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class Output(NamedTuple):
    """What a classifier says of a batch of clouds."""

    logits: Tensor
    """(B, K), never log-probabilities."""
    latent: Tensor
    """(B, D), the global descriptor that the classifier's fully connected layers read."""


@runtime_checkable
class Classifier(Protocol):
    """A callable from clouds (B, N, 3) in the unit sphere to ``Output``; attacks ask for no more than this."""

    def __call__(self, clouds: Tensor, /) -> Output: ...


@contextmanager
def evaluating(model: Classifier) -> Iterator[None]:
    """Every sub-module in eval mode inside, each one's own mode restored after, also after an error."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[Classifier]:
    """The model in training mode, as a bare callable that no caller puts into eval mode: batch norm normalises a batch
    by its own statistics. Modes and running statistics are restored after.
    """
    modes = [(module, module.training) for module in model.modules()]
    before = [buffer.clone() for buffer in model.buffers()]
    model.train()
    try:
        yield lambda clouds: model(clouds)
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)
