"""Standard deviation of the differences between points and their neighbours, by which PointMLP scales them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.models.fast.sampling import reverse_neighbours, rows_of


def reference_spread(x: Tensor, index: Tensor) -> Tensor:
    """The definition in plain PyTorch: any device; arguments are those of ``spread``."""
    near = x.flatten(0, 1)[rows_of(index, x.shape[1])].unflatten(0, index.shape[:2])
    return (near - x[:, : index.shape[1], None]).flatten(1).std(1)


def spread(x: Tensor, index: Tensor) -> Tensor:
    """Standard deviation of all entries of all x_j - x_i of a cloud, (B,).

    On the CPU it follows from sums over the neighbours of a point, and no difference is stored.

    Parameters
    ----------
    x : Tensor (B, N, C)
    index : Tensor (B, M, k), the neighbours j of each of the first M points i.
    """
    return reference_spread(x, index) if x.device.type != "cpu" else _Spread.apply(x, index)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        (clouds, n, channels), (_, centres, k) = x.shape, index.shape
        rows = rows_of(index, n)
        centred = x - x.mean(1, keepdim=True)  # differences are the same, and squares lose no digits
        own = centred[:, :centres]
        seen = F.embedding_bag(rows, centred.flatten(0, 1), mode="sum").view_as(own)
        degree = torch.bincount(rows.flatten(), minlength=clouds * n).view(clouds, n, 1)
        entries = centres * k * channels
        mean = (seen - k * own).sum((1, 2), dtype=torch.float64) / entries
        squares = (degree * centred.square()).sum((1, 2), dtype=torch.float64)
        squares += (own * (k * own - 2 * seen)).sum((1, 2), dtype=torch.float64)
        variance = (squares - entries * mean.square()).clamp_min_(0) / (entries - 1)
        deviation = variance.sqrt().to(x.dtype)
        ctx.save_for_backward(rows, centred, seen, mean.to(x.dtype), deviation)
        ctx.entries = entries
        return deviation

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, centred, seen, mean, deviation = ctx.saved_tensors
        (clouds, n, _), (centres, k) = centred.shape, (seen.shape[1], rows.shape[1])
        own, mean = centred[:, :centres], mean[:, None, None]
        order, start, count = reverse_neighbours(rows, clouds * n)
        seen_by = F.embedding_bag(order // k, own.flatten(0, 1), start, mode="sum").view_as(centred)
        gradient = count.view(clouds, n, 1) * (centred - mean) - seen_by
        gradient[:, :centres] -= seen - k * (own + mean)
        share = torch.where(deviation > 0, grad / ((ctx.entries - 1) * deviation), 0.0)
        return gradient.mul_(share[:, None, None]), None
