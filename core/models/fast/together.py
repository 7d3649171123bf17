"""Sums over the clouds of all processes that train a model together, so that batch norm sees the whole batch.

Each process computes its share of a batch. Where a layer needs sums over all rows, forwards or backwards, it takes
those of all processes; alone they are its own, unchanged. Sums are added in double precision.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def trains_together() -> bool:
    """Whether this process trains together with others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sums_of_all(*sums: Tensor) -> tuple[Tensor, ...]:
    """Sums over the rows of all processes, given those over the rows of this one. Every process has to call it."""
    if not trains_together():
        return sums
    whole = _SumOfAll.apply(torch.cat([each.flatten().double() for each in sums]))
    parts = whole.split([each.numel() for each in sums])
    return tuple(part.view_as(each).to(each.dtype) for part, each in zip(parts, sums, strict=True))


def mean_of_all(mean: Tensor, n: int) -> tuple[Tensor, int]:
    """Mean over the rows of all processes and their number, given the mean over the ``n`` rows of this one."""
    if not trains_together():
        return mean, n
    total, count = sums_of_all(mean.double() * n, mean.new_tensor(n, dtype=torch.float64))
    return (total / count).to(mean.dtype), int(count)


def moments_of_all(mean: Tensor, covariance: Tensor, n: int) -> tuple[Tensor, Tensor, int]:
    """Mean (C,) and covariance (C, C), or variance (C,), over the rows of all processes, and their number."""
    if not trains_together():
        return mean, covariance, n
    whole, count = mean_of_all(mean, n)
    shift = mean - whole
    between = shift * shift if covariance.dim() == 1 else torch.outer(shift, shift)
    (total,) = sums_of_all((covariance + between) * n)
    return whole, total / count, count


class _SumOfAll(torch.autograd.Function):
    """The sum of a tensor of each process. The gradient is that of the sum of the processes' losses."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total
