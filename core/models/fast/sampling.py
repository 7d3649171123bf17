"""Which points a layer looks at: nearest neighbours, the points in a ball, and evenly spread ones.

No gradient passes through the choice. All are deterministic: farthest points begin with the first point of the cloud,
and ties go to a point of lower index wherever an order is defined.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_GROUPS = 128


@torch.no_grad()
def nearest(points: Tensor, k: int, queries: Tensor | None = None, ordered: bool = False) -> Tensor:
    """The ``min(k, N)`` points nearest to each query.

    Parameters
    ----------
    points : Tensor (B, N, C)
    queries : Tensor (B, M, C); the points themselves, each of which then is one of its own neighbours, if None.
    ordered : whether the nearest comes first, and so on; else they are in no particular order, which is faster.

    Returns
    -------
    Tensor (B, M, min(k, N)) of places in the cloud.
    """
    queries = points if queries is None else queries
    k, length = min(k, points.shape[1]), (points * points).sum(2)
    if points.device.type != "cpu":  # the distances of all clouds at once
        with torch.autocast(points.device.type, enabled=False):  # near points differ in the last digits
            return _smallest(torch.baddbmm(length[:, None], queries, points.mT, alpha=-2), k, ordered)
    found = torch.empty(len(points), queries.shape[1], k, dtype=torch.int64)
    distance = points.new_empty(queries.shape[1], points.shape[1])
    for place in range(len(points)):  # one cloud at a time, so that its distances stay in the cache
        # the square of the query's own length is the same along a row, and left out
        torch.addmm(length[place], queries[place], points[place].t(), alpha=-2, out=distance)
        found[place] = _smallest(distance, k, ordered)
    return found


def _smallest(values: Tensor, k: int, ordered: bool) -> Tensor:
    """The places (..., k) of the smallest values of each row (..., N).

    They lie in the k groups of entries that have the smallest minima, so that the search sees first the minima and then
    the entries of k groups in place of all N.
    """
    n = values.shape[-1]
    size = n // _GROUPS
    if n % _GROUPS or size < 2 or k >= _GROUPS:
        return values.topk(k, -1, largest=False, sorted=ordered).indices
    minima = values.unflatten(-1, (size, _GROUPS)).amin(-2)
    groups = minima.topk(k, -1, largest=False, sorted=False).indices
    offsets = torch.arange(size, device=values.device) * _GROUPS
    candidates = (groups[..., None, :] + offsets[:, None]).flatten(-2)
    return candidates.gather(-1, values.gather(-1, candidates).topk(k, -1, largest=False, sorted=ordered).indices)


def rows_of(index: Tensor, n: int) -> Tensor:
    """Places (B, M, k) in clouds of n points as rows (B * M, k) of the points (B * n, C) of all clouds."""
    clouds = torch.arange(len(index), device=index.device)
    return (index + clouds[:, None, None] * n).flatten(0, 1)


class ReverseNeighbours(NamedTuple):
    """The pairs (i, j) of a point and its neighbour, sorted by the neighbour."""

    order: Tensor
    """(n * k,), where the pair i * k + its place among the k lies."""
    start: Tensor
    """(m,), where the pairs of each of m neighbours begin."""
    degree: Tensor
    """(m,), how many there are."""


def reverse_neighbours(rows: Tensor, m: int) -> ReverseNeighbours:
    """Whose neighbour each of m points is, for the neighbours (n, k) of n points."""
    flat = rows.flatten()
    degree = torch.bincount(flat, minlength=m)
    order = torch.sort(flat.int(), stable=True).indices  # faster than in 64 bits
    return ReverseNeighbours(order, degree.cumsum(0) - degree, degree)


@torch.no_grad()
def farthest(points: Tensor, count: int) -> Tensor:
    """Places (B, count) of points (B, N, 3), each the farthest from those before it; the first is point 0.

    The order is its own for every prefix: of points in this order the first m are the m farthest ones.
    """
    x = points.detach().mT.contiguous()
    clouds, _, n = x.shape
    found = torch.zeros(clouds, count, dtype=torch.int64, device=x.device)
    nearest_chosen = x.new_full((clouds, n), torch.inf)  # squared distance of each point to the chosen ones
    difference, distance = torch.empty_like(x), x.new_empty(clouds, n)
    for place in range(1, count):
        last = found[:, place - 1, None, None].expand(-1, 3, 1)
        torch.sub(x, x.gather(2, last), out=difference)
        torch.sum(difference.mul_(difference), 1, out=distance)
        torch.minimum(nearest_chosen, distance, out=nearest_chosen)
        found[:, place] = nearest_chosen.argmax(1)
    return found


@torch.no_grad()
def farthest_first(points: Tensor, count: int) -> Tensor:
    """All places (B, N) of points (B, N, 3): first the ``count`` farthest ones in that order, then the others."""
    first = farthest(points, count)
    others = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device).scatter_(1, first, False)
    return torch.cat((first, others.nonzero()[:, 1].view(len(points), -1)), 1)


@torch.no_grad()
def in_ball(points: Tensor, queries: Tensor, radius: float, count: int) -> Tensor:
    """The first points, in their order, within a radius of each query; the first again where there are fewer.

    Parameters
    ----------
    points : Tensor (B, N, 3)
    queries : Tensor (B, M, 3), some of the points, so that each has one in its ball.
    radius, count : of a ball, and the points taken of it.

    Returns
    -------
    Tensor (B, M, min(count, N)); a query with none in its ball, as where coordinates are not finite, takes point 0.
    """
    count, squared = min(count, points.shape[1]), (queries * queries).sum(2)[:, :, None]
    with torch.autocast(points.device.type, enabled=False):  # half precision would move points in and out of balls
        distance = torch.baddbmm((points * points).sum(2)[:, None], queries, points.mT, alpha=-2).add_(squared)
    inside = (distance <= radius * radius).flatten(0, 1)
    total = inside.sum(1)
    inside[:, 0] |= total == 0
    total.clamp_min_(1)
    row, place = inside.nonzero(as_tuple=True)
    start = total.cumsum(0) - total
    rank = torch.arange(len(place), device=place.device) - start[row]
    found = place[start][:, None].repeat(1, count)
    kept = rank < count
    found.view(-1)[row[kept] * count + rank[kept]] = place[kept]
    return found.view(*queries.shape[:2], count)


def taken(values: Tensor, index: Tensor) -> Tensor:
    """The rows (B, M, C) of values (B, N, C) at places (B, M)."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))
