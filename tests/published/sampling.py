"""How published classifiers choose points, in plain PyTorch: what the published definitions share."""

import torch
from torch import Tensor


def squared_distances(queries: Tensor, points: Tensor) -> Tensor:
    """(B, M, C), (B, N, C) -> (B, M, N)."""
    return -2 * queries @ points.mT + (queries**2).sum(-1)[:, :, None] + (points**2).sum(-1)[:, None]


def farthest_points(x: Tensor, count: int) -> Tensor:
    """Places (B, min(count, N)) of points (B, N, 3): the first is point 0, each next the farthest from those before."""
    (batch, n, _), count = x.shape, min(count, x.shape[1])
    places = torch.zeros(batch, count, dtype=torch.int64)
    distance, last = torch.full((batch, n), 1e10, dtype=x.dtype), torch.zeros(batch, dtype=torch.int64)
    for step in range(count):
        places[:, step] = last
        chosen = x[torch.arange(batch), last][:, None]
        distance = torch.minimum(distance, ((x - chosen) ** 2).sum(-1))
        last = distance.max(-1)[1]
    return places


def at(x: Tensor, places: Tensor) -> Tensor:
    """Rows of x (B, N, C) at places (B, ...) -> (B, ..., C)."""
    batch = torch.arange(len(x)).view(-1, *[1] * (places.dim() - 1)).expand_as(places)
    return x[batch, places]


def nearest_points(k: int, x: Tensor, queries: Tensor) -> Tensor:
    """Places (B, M, k) of the points of x (B, N, 3) nearest to each query (B, M, 3); all of fewer than k points."""
    return squared_distances(queries, x).topk(min(k, x.shape[1]), dim=-1, largest=False, sorted=False)[1]
