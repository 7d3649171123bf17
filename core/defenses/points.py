"""What defences share: a fixed order of points, nearest neighbours, and repeats in place of removed points."""

import torch
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = (number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_ENTRIES = 1 << 22
"""Distances in memory at a time: 16 MiB in float32."""


@torch.no_grad()
def fixed_order(clouds: Tensor) -> Tensor:
    """(B, N), indices that sort the points of clouds (B, N, 3) in an order that depends on coordinates alone.

    Points are sorted by a hash of their coordinates (the mixing of SplitMix64; Steele et al., Fast splittable
    pseudorandom number generators, 2014), so that points at the same position of two clouds are unrelated.
    """
    points = (clouds if clouds.dtype == torch.float64 else clouds.float()) + 0.0  # without a negative zero
    bits = points.contiguous().view(torch.int64 if points.dtype == torch.float64 else torch.int32).long()
    mixed = torch.zeros_like(bits[..., 0])
    for axis in range(3):
        mixed = _mix_bits(mixed + bits[..., axis] + _GOLDEN)
    return mixed.argsort(dim=1, stable=True)


def _mix_bits(number: Tensor) -> Tensor:
    number = (number ^ (number >> 30 & (1 << 34) - 1)) * _FIRST
    number = (number ^ (number >> 27 & (1 << 37) - 1)) * _SECOND
    return number ^ (number >> 31 & (1 << 33) - 1)


def taken(clouds: Tensor, places: Tensor) -> Tensor:
    """The points of clouds (B, N, 3) at indices (B, M): (B, M, 3)."""
    return clouds.gather(1, places[..., None].expand(-1, -1, clouds.shape[2]))


def neighbours(clouds: Tensor, k: int) -> Tensor:
    """(B, N, k, 3), the ``k`` other points nearest to each one of clouds (B, N, 3) in ``fixed_order``, nearest first.

    Repeats of a point count as one point. If there are fewer than ``k`` others, the last is repeated; if there is none,
    the point itself is. Each cloud is searched alone, so that the result does not depend on the batch.
    """
    with torch.no_grad():
        places = torch.stack([_nearest_indices(cloud, k) for cloud in clouds])
    return taken(clouds, places.flatten(1)).unflatten(1, places.shape[1:])


def _nearest_indices(cloud: Tensor, k: int) -> Tensor:
    place = torch.arange(len(cloud), device=cloud.device)
    again = torch.zeros_like(place, dtype=torch.bool)
    again[1:] = (cloud[1:] == cloud[:-1]).all(1)  # the fixed order has repeats side by side
    first = place[~again][(~again).cumsum(0) - 1]
    others = min(k, len(cloud) - 1 - int(again.sum()))
    if others == 0:
        return first[:, None].expand(-1, k)
    size, parts, rows = cloud.square().sum(1), [], max(1, _ENTRIES // len(cloud))
    for part, own in zip(cloud.split(rows), first.split(rows), strict=True):
        far = torch.addmm(size[None], part, cloud.t(), alpha=-2)  # the square of the distance, less |part|²
        far[:, again] = torch.inf
        far[place[: len(part)], own] = torch.inf
        parts.append(far.topk(others, largest=False).indices)
    return torch.cat(parts)[:, place.new_tensor(range(k)).clamp_max(others - 1)]


def mean_where_met(clouds: Tensor, now: Tensor) -> Tensor:
    """Clouds (B, N, 3) in which all points that coincide in ``now`` (B, N, 3) are replaced by their mean."""
    order = fixed_order(now)
    found = taken(now, order)
    other = torch.ones_like(order)
    other[:, 1:] = (found[:, 1:] != found[:, :-1]).any(2)
    group = torch.empty_like(order).scatter_(1, order, other.cumsum(1) - 1)[..., None].expand_as(clouds)
    total, count = (torch.zeros_like(clouds).scatter_add(1, group, each) for each in (clouds, torch.ones_like(clouds)))
    return (total / count.clamp_min(1)).gather(1, group)


def repeated(kept: Tensor) -> Tensor:
    """(B, N), indices that replace removed points by repeats of the points in the mask ``kept`` (B, N).

    A kept point keeps its index. The kept points are repeated in turn in place of the removed ones, so that clouds keep
    their shape (B, N, 3). A maximum over points, such as PointNet's, ignores repeats. If no point would be kept, all
    are, because a model needs a cloud.
    """
    kept = kept | ~kept.any(1, keepdim=True)
    first = (~kept).byte().argsort(dim=1, stable=True)  # the kept ones in front
    turn = ((~kept).cumsum(1) - 1).clamp_min(0) % kept.sum(1, keepdim=True)
    return torch.where(kept, torch.arange(kept.shape[1], device=kept.device), first.gather(1, turn))
