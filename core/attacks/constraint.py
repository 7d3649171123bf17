"""The budgets around the clean cloud, in units of epsilon: projections onto them and random points inside them."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Constraint = Literal["linf", "per-point-l2", "l2", "none"]


def _shrink(move: Tensor, norm: Tensor, radius: float) -> Tensor:
    return move * (radius / norm.clamp_min(radius))


def _per_point_l2(move: Tensor) -> Tensor:
    return _shrink(move, move.norm(dim=-1, keepdim=True), 1.0)


def _global_l2(move: Tensor) -> Tensor:
    radius = math.sqrt(move.shape[-2] * move.shape[-1])
    return _shrink(move, move.norm(dim=(-2, -1), keepdim=True), radius)


PROJECTIONS: dict[Constraint, Callable[[Tensor], Tensor]] = {
    "linf": lambda move: move.clamp(-1, 1),
    "per-point-l2": _per_point_l2,
    "l2": _global_l2,
    "none": lambda move: move,
}
"""Move (B, N, 3) in units of epsilon -> the closest move inside the budget. linf: every coordinate at most 1;
per-point-l2: every point's length at most 1; l2: the whole cloud's length at most sqrt(3N), an RMSE of 1."""


def random_move(constraint: Constraint, shape: torch.Size, seed: int, like: Tensor) -> Tensor:
    """A seeded random move inside the budget, for restarts; uniform in the box, projected onto the other budgets."""
    generator = torch.Generator().manual_seed(seed)
    move = torch.rand(shape, generator=generator, dtype=like.dtype) * 2 - 1
    return PROJECTIONS[constraint](move.to(like.device))
