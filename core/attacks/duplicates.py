"""Points of a cloud that lie on one another."""

import torch
from torch import Tensor

from core.attacks.samples import are_clouds

_HASH = (0x9E3779B97F4A7C15 - 2**64, 0x632BE59BD9B4E019, 0x2545F4914F6CDD1D)
"""Odd 64-bit multipliers of a hash of points; two different points collide about once in 2^64 pairs."""


@torch.no_grad()
def average_over_duplicates(clouds: Tensor, gradient: Tensor) -> Tensor:
    """The gradient (B, N, 3) with its mean at points of clouds (B, N, 3) that lie on one another.

    A maximum over points passes its gradient on to one of several equal ones, and which is up to the layer. If that one
    moved alone the others would still hold the maximum, and a cloud that was resampled with repeats would seem robust.
    Samples of other shapes, which have no points, keep their gradient.
    """
    group = places(clouds) if are_clouds(clouds) else None
    if group is None:
        return gradient
    rows = group[..., None].expand_as(gradient)
    total = torch.zeros_like(gradient).scatter_add_(1, rows, gradient)
    count = torch.zeros_like(gradient).scatter_add_(1, rows, torch.ones_like(gradient))
    return (total / count.clamp_min(1)).gather(1, rows)


@torch.no_grad()
def first_at_place(clouds: Tensor) -> Tensor:
    """(B, N), for each point of clouds (B, N, 3) the first that lies where it does: itself, unless it is a repeat."""
    rows = torch.arange(clouds.shape[1], device=clouds.device).expand(clouds.shape[:2])
    group = places(clouds)
    if group is None:
        return rows
    return torch.zeros_like(group).scatter_reduce_(1, group, rows, "amin", include_self=False).gather(1, group)


def places(clouds: Tensor) -> Tensor | None:
    """(B, N), a number of 0..N-1 for the place of each point, the same for points on one another; None if none are."""
    if not _alike(clouds[..., 0].sort(1).values).any():  # usual in a cloud, and found out in half the time
        return None
    points = (clouds if clouds.dtype == torch.float64 else clouds.float()) + 0.0  # without a negative zero
    bits = points.contiguous().view(torch.int64 if points.dtype == torch.float64 else torch.int32).long()
    bits = bits ^ (bits >> 32 & 0xFFFFFFFF)  # of round numbers in double precision the lower half is all zeros
    ordered, order = (bits * torch.tensor(_HASH, device=clouds.device)).sum(2).sort(1)
    again = _alike(ordered)
    if not again.any():
        return None
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ~again
    return torch.empty_like(order).scatter_(1, order, first.cumsum(1) - 1)


def _alike(ordered: Tensor) -> Tensor:
    """(B, N - 1), which of ordered numbers (B, N) are the ones before them again."""
    return ordered[:, 1:] == ordered[:, :-1]
