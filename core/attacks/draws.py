"""Random numbers of each cloud's own, so that they do not depend on the rest of the batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

Generators = Sequence[torch.Generator]
"""One for each cloud of a batch."""

_STRIDE = 7919  # between the seeds of two steps, so that those of neighbouring clouds do not meet them


def generators(seed: Tensor, step: int = 0) -> Generators:
    """Generators of a step, from the seeds (B,) of the clouds."""
    return [torch.Generator().manual_seed(int(each) + _STRIDE * step) for each in seed]


def uniform(draw: Generators, like: Tensor, *shape: int) -> Tensor:
    """(B, *shape), uniform in [0, 1)."""
    rows = [torch.rand(*shape, generator=generator, dtype=like.dtype) for generator in draw]
    return torch.stack(rows).to(like.device)


def normal(draw: Generators, like: Tensor, *shape: int) -> Tensor:
    """(B, *shape), standard normal."""
    rows = [torch.randn(*shape, generator=generator, dtype=like.dtype) for generator in draw]
    return torch.stack(rows).to(like.device)


def signs(draw: Generators, like: Tensor, *shape: int) -> Tensor:
    """(B, *shape), -1 or 1."""
    return 1 - 2 * (uniform(draw, like, *shape) < 0.5).to(like.dtype)


def order_along(clouds: Tensor, draw: Generators) -> Tensor:
    """(B, N), the points of clouds (B, N, 3) in their order along a random direction.

    What is drawn for the k-th point of this order follows the points when their rows are permuted.
    """
    x, y, z = (clouds * normal(draw, clouds, 1, 3)).unbind(2)
    return (x + y + z).argsort(1)


def at_points(values: Tensor, order: Tensor) -> Tensor:
    """``values`` (B, N, 3), drawn for the points in their ``order`` (B, N), at the rows of these points."""
    return torch.empty_like(values).scatter_(1, order[..., None].expand_as(values), values)
