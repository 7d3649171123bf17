"""The budgets around the clean cloud, in units of epsilon: projections onto them and random points inside them."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Constraint = Literal["linf", "per-point-l2", "l2", "none"]


def _shrink(unit_delta: Tensor, norm: Tensor, radius: float) -> Tensor:
    return unit_delta * (radius / norm.clamp_min(radius))


def _per_point_l2(unit_delta: Tensor) -> Tensor:
    return _shrink(unit_delta, unit_delta.norm(dim=-1, keepdim=True), 1.0)


def _global_l2(unit_delta: Tensor) -> Tensor:
    radius = math.sqrt(unit_delta.shape[-2] * unit_delta.shape[-1])
    return _shrink(unit_delta, unit_delta.norm(dim=(-2, -1), keepdim=True), radius)


PROJECTIONS: dict[Constraint, Callable[[Tensor], Tensor]] = {
    "linf": lambda unit_delta: unit_delta.clamp(-1, 1),
    "per-point-l2": _per_point_l2,
    "l2": _global_l2,
    "none": lambda unit_delta: unit_delta,
}
"""Perturbation (B, N, 3) in units of epsilon -> the closest one inside the budget. linf: every coordinate at most 1;
per-point-l2: every point's length at most 1; l2: the whole cloud's length at most sqrt(3N), an RMSE of 1."""


def random_unit_delta(constraint: Constraint, shape: torch.Size, seed: int, like: Tensor) -> Tensor:
    """A seeded random perturbation inside the budget, in units of epsilon: uniform in the box, then projected."""
    generator = torch.Generator().manual_seed(seed)
    unit_delta = torch.rand(shape, generator=generator, dtype=like.dtype) * 2 - 1
    return PROJECTIONS[constraint](unit_delta.to(like.device))
