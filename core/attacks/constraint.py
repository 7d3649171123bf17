"""The budgets around the clean cloud, in units of epsilon: projections onto them and random points inside them."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from core.attacks.samples import axes_of_each, for_each, length_of_each

ConstraintName = Literal["linf", "per-point-l2", "rmse", "l2", "tangent", "tangent-l2", "none"]

NO_BUDGET = 1e-9
"""An epsilon not above this is none: what is not in its units, divided by it, would overflow."""

RMSE_TOLERANCE = 1e-5
"""Share of an RMSE by which a perturbation that was cut at it may be off: sums of single precision are that exact."""

TANGENT: frozenset[ConstraintName] = frozenset({"tangent", "tangent-l2"})
"""Those under which points move in the tangent planes of the clean cloud alone."""

PER_POINT: frozenset[ConstraintName] = TANGENT | {"per-point-l2"}
"""Those that bound each point by itself, so that only clouds have them."""


def _shrink(unit_delta: Tensor, norm: Tensor, radius: float) -> Tensor:
    return unit_delta * (radius / norm.clamp_min(radius))


def _per_point_l2(unit_delta: Tensor) -> Tensor:
    return _shrink(unit_delta, unit_delta.norm(dim=-1, keepdim=True), 1.0)


def _per_point_linf(unit_delta: Tensor) -> Tensor:
    return _shrink(unit_delta, unit_delta.abs().amax(dim=-1, keepdim=True), 1.0)


def _l2(unit_delta: Tensor, radius: float = 1.0) -> Tensor:
    return _shrink(unit_delta, length_of_each(unit_delta), radius)


def _rmse(unit_delta: Tensor) -> Tensor:
    return _l2(unit_delta, math.sqrt(math.prod(unit_delta.shape[1:])))


PROJECTIONS: dict[ConstraintName, Callable[[Tensor], Tensor]] = {
    "linf": lambda unit_delta: unit_delta.clamp(-1, 1),
    "per-point-l2": _per_point_l2,
    "rmse": _rmse,
    "l2": _l2,
    "tangent": _per_point_linf,
    "tangent-l2": _per_point_l2,
    "none": lambda unit_delta: unit_delta,
}
"""Perturbation (B, N, 3) in units of epsilon -> the closest one inside the budget. linf: every coordinate at most 1;
per-point-l2: every point's length at most 1; rmse: the root mean square over the 3N coordinates at most 1; l2: the
length of all of them together at most 1, which is an RMSE of 1 / sqrt(3N). tangent and tangent-l2: as linf and
per-point-l2, of moves in tangent planes, which are shortened point by point so that they stay in them."""

NORMS: dict[ConstraintName, Callable[[Tensor], Tensor]] = {
    "linf": lambda delta: delta.abs().amax(axes_of_each(delta)),
    "per-point-l2": lambda delta: delta.norm(dim=-1).amax(-1),
    "rmse": lambda delta: delta.square().mean(axes_of_each(delta)).sqrt(),
    "l2": lambda delta: length_of_each(delta).flatten(),
}
"""Perturbation (B, N, 3) -> its size (B,) in the norm that a constraint of this name bounds."""
NORMS |= {"tangent": NORMS["linf"], "tangent-l2": NORMS["per-point-l2"]}


def rmse(delta: Tensor) -> Tensor:
    """(B,), the root mean square of a perturbation (B, N, 3) over its coordinates."""
    return NORMS["rmse"](delta)


def cut_at_rmse(before: Tensor, after: Tensor, most: float) -> Tensor:
    """``after`` (B, N, 3); where its RMSE is over ``most``, the place at which the line from ``before`` reaches that.

    If that of ``before`` is over ``most`` already, it is ``before``.
    """
    move, axes = after - before, axes_of_each(before)
    a, b, c = ((one * other).mean(axes) for one, other in ((move, move), (before, move), (before, before)))
    root = (b.square() - a * (c - most**2)).clamp_min(0).sqrt()  # of a t^2 + 2 b t + c = most^2
    share = ((root - b) / a.masked_fill(a == 0, 1)).clamp(0, 1).masked_fill(c > most**2, 0)
    cut = for_each(rmse(after) > most, after)
    return torch.where(cut, before + for_each(share, move) * move, after)


def random_unit_delta(constraint: ConstraintName, shape: torch.Size, seed: int, like: Tensor) -> Tensor:
    """A seeded random perturbation (B, ...) inside the budget, in units of epsilon: uniform, then projected."""
    generator = torch.Generator().manual_seed(seed)
    unit_delta = torch.rand(shape, generator=generator, dtype=like.dtype) * 2 - 1
    return PROJECTIONS[constraint](unit_delta.to(like.device))


def random_unit_deltas(constraint: ConstraintName, clean: Tensor, seed: Tensor) -> Tensor:
    """Random perturbations (B, N, 3) of clean clouds inside the budget, with a seed for each cloud (B,)."""
    drawn = [
        random_unit_delta(constraint, cloud.shape, int(own), cloud)
        for cloud, own in zip(clean.split(1), seed, strict=True)
    ]
    return torch.cat(drawn)


def inside_unit_ball(clean: Tensor, delta: Tensor) -> Tensor:
    """``delta`` (B, N, 3), each point's move shortened to end where it leaves the unit ball.

    Shortened, not projected, so that it stays in every budget. A point outside the ball to begin with does not move out
    further.
    """
    square = delta.square().sum(-1)
    along = (clean * delta).sum(-1)
    beyond = clean.square().sum(-1) - 1
    root = (along.square() - square * beyond).clamp_min(0).sqrt()
    share = torch.where(square > 0, (root - along) / square.masked_fill(square == 0, 1), 1.0)
    return delta * share.clamp(0, 1)[..., None]


def inside_range(clean: Tensor, delta: Tensor, value_range: tuple[float, float]) -> Tensor:
    """``delta`` (B, ...), each value cut off where that of the sample would leave the range (low, high)."""
    low, high = value_range
    return delta.clamp(low - clean, high - clean)
