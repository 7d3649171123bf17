"""Nearest neighbours and normals of batches of clouds: exact, in the same order each time, on any device."""

import torch
from torch import Tensor

NORMAL_NEIGHBOURS = 10
"""Neighbours of a point, beside itself, whose plane is its tangent plane."""
_PAIRS = 2**25
"""Distances that are held at a time."""


@torch.no_grad()
def nearest(points: Tensor, others: Tensor, count: int, among: Tensor | None = None) -> Tensor:
    """Which of other points are nearest to each point, the nearest first.

    Parameters
    ----------
    points : Tensor (B, M, 3)
    others : Tensor (B, N, 3)
    count : how many; all N where there are fewer.
    among : Tensor (B, N) of bool, which of the others count; all without it.

    Returns
    -------
    Tensor (B, M, count) of places in ``others``.
    """
    count = min(count, others.shape[1])
    found = []
    for part in points.split(max(1, _PAIRS // max(1, others[..., 0].numel())), dim=1):
        apart = torch.cdist(part, others, compute_mode="donot_use_mm_for_euclid_dist")
        if among is not None:
            apart.masked_fill_(~among[:, None], torch.inf)
        found.append(apart.argmin(2, keepdim=True) if count == 1 else apart.topk(count, largest=False).indices)
    return torch.cat(found, dim=1)


def points_at(points: Tensor, places: Tensor) -> Tensor:
    """The points (B, N, D) at places (B, ...): (B, ..., D), through which gradients pass."""
    rows = places.flatten(1)[..., None].expand(-1, -1, points.shape[2])
    return points.gather(1, rows).view(*places.shape, points.shape[2])


def neighbours(clouds: Tensor, count: int) -> Tensor:
    """(B, N, count), the nearest other points of each point of clouds (B, N, 3); all N - 1 where there are fewer."""
    return nearest(clouds, clouds, count + 1)[..., 1:]


@torch.no_grad()
def normals(clouds: Tensor) -> Tensor:
    """Unit normals (B, N, 3) of clouds (B, N, 3): the direction in which a point's neighbourhood is thinnest.

    The neighbourhood is fitted by a plane (principal components). The sign is any, and so is the normal where there is
    no plane, as in a line or where all points are one; it is a unit vector there, too.
    """
    around = points_at(clouds, nearest(clouds, clouds, NORMAL_NEIGHBOURS + 1)).cpu().double()
    centred = around - around.mean(2, keepdim=True)
    return torch.linalg.eigh(centred.mT @ centred).eigenvectors[..., 0].to(clouds)


def tangential(moves: Tensor, normals: Tensor) -> Tensor:
    """The part of moves (B, N, 3) that is orthogonal to unit normals (B, N, 3)."""
    return moves - (moves * normals).sum(-1, keepdim=True) * normals


def ranked(scores: Tensor, clouds: Tensor) -> Tensor:
    """Places (B, N) of the points of clouds (B, N, 3) from the highest score (B, N) to the lowest.

    Equal scores, as the zeros of the points that win no channel of a PointNet, are ordered by coordinates, so that it
    does not matter in which order the points come.
    """
    order = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    for key in (*clouds.unbind(2), -scores):
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order
