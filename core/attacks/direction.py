"""From a gradient (B, N, 3) to a perturbation of unit budget: five variants of the fast gradient sign method (FGSM).

The first paper prints ``x + epsilon * gradient`` (section III.A) under a title that says *sign*; the variants differ by
orders of magnitude in what epsilon bounds, so all are here under their own names.
"""

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from core.attacks.samples import length_of_each

Direction = Literal["sign", "raw", "raw-mean", "per-point", "l2"]

REFERENCE_BATCH = 32
"""Batch size of the reference training code, over which its loss is averaged."""


def _unit(gradient: Tensor, norm: Tensor) -> Tensor:
    """gradient / norm with 0/0 := 0: PointNet has no gradient at all on points that win no channel."""
    return gradient / norm.masked_fill(norm == 0, 1)


def _per_point(gradient: Tensor) -> Tensor:
    return _unit(gradient, gradient.norm(dim=-1, keepdim=True))


def _global_l2(gradient: Tensor) -> Tensor:
    coordinates = math.prod(gradient.shape[1:])
    return math.sqrt(coordinates) * _unit(gradient, length_of_each(gradient))


DIRECTIONS: dict[Direction, Callable[[Tensor], Tensor]] = {
    "sign": lambda gradient: gradient.sign(),
    "raw": lambda gradient: gradient,
    "raw-mean": lambda gradient: gradient / REFERENCE_BATCH,
    "per-point": _per_point,
    "l2": _global_l2,
}
"""sign: every coordinate moves by epsilon (L-infinity). raw: the equation as printed, gradient of the summed loss.
raw-mean: the same with the loss averaged over the reference batch. per-point: every point moves by epsilon (L2).
l2: the whole cloud moves by the global L2 distance epsilon * sqrt(3N), that is, by an RMSE of epsilon."""
