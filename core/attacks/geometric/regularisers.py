"""Penalties for the change of a cloud's shape, in square unit-sphere radii, subtracted from an attack's objective.

Their weights among one another are those of the papers' code; the weight of the whole is the attack's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from core.attacks.geometric.neighbours import nearest, neighbours, normals, points_at
from core.options import OneOf

Geometry = Mapping[str, Tensor]

KNN, KNN_SPREAD = 5, 1.05
"""Tsai et al. 2020: neighbours, and the standard deviations above the mean from which their distance counts."""
CURVATURE_NEIGHBOURS = 16
"""Wen et al. 2020."""


@dataclass(frozen=True)
class Regulariser:
    """A regulariser and a description of it."""

    description: str
    value: Callable[[Tensor, Tensor, Geometry], Tensor]
    """Clouds (B, M, 3) with their graph, clean clouds (B, N, 3), what ``of_clean_cloud`` found -> (B,)."""
    of_clean_cloud: Callable[[Tensor], dict[str, Tensor]] = lambda clean: {}
    """Geometry of clean clouds (B, N, 3) that ``value`` uses, computed once."""


def to_nearest(points: Tensor, others: Tensor) -> Tensor:
    """(B, M), square distances of points (B, M, 3) to the nearest of others (B, N, 3), through which gradients pass."""
    return (points - points_at(others, nearest(points, others, 1)[..., 0])).square().sum(-1)


def chamfer(clouds: Tensor, clean: Tensor) -> Tensor:
    """(B,), the mean square distances to the nearest point of the other cloud, in both directions."""
    return to_nearest(clouds, clean).mean(1) + to_nearest(clean, clouds).mean(1)


def hausdorff(clouds: Tensor, clean: Tensor) -> Tensor:
    """(B,), the largest square distance of any point of ``clouds`` to the nearest clean one."""
    return to_nearest(clouds, clean).amax(1)


def far_neighbours(clouds: Tensor) -> Tensor:
    """(B,), mean over the points of the square distance to their neighbours, where it is larger than for most.

    Tsai et al. 2020: what a point that left its surface adds. 0 of a single point.
    """
    around = neighbours(clouds, KNN)
    apart = (points_at(clouds, around) - clouds[:, :, None]).square().sum(-1).sum(2) / max(1, around.shape[2])
    limit = apart.mean(1, keepdim=True) + KNN_SPREAD * apart.std(1, correction=0, keepdim=True)
    return (apart * (apart > limit.detach())).mean(1)


def curvature(clouds: Tensor, unit_normals: Tensor) -> Tensor:
    """(B, N), the mean of |cosine| between a point's normal and the directions to its neighbours: 0 in a plane.

    Wen et al. 2020, equation 6. Neighbours on the point itself, which have no direction, count as 0.
    """
    around = neighbours(clouds, CURVATURE_NEIGHBOURS)
    towards = points_at(clouds, around) - clouds[:, :, None]
    square = towards.square().sum(-1)
    length = torch.where(square > 0, square, 1).sqrt()
    return ((towards * unit_normals[:, :, None]).sum(-1).abs() / length).sum(2) / max(1, around.shape[2])


def _curvature_of_clean(clean: Tensor) -> dict[str, Tensor]:
    of_points = normals(clean)
    return {"normals": of_points, "curvature": curvature(clean, of_points)}


def _geometry_aware(clouds: Tensor, clean: Tensor, known: Geometry) -> Tensor:
    place = nearest(clouds, clean, 1)[..., 0]
    there = (clouds - points_at(clean, place)).square().sum(-1)
    bent = curvature(clouds, points_at(known["normals"], place))
    change = (bent - known["curvature"].gather(1, place)).square().mean(1)
    return there.mean(1) + to_nearest(clean, clouds).mean(1) + 0.1 * there.amax(1) + change


REGULARISERS: dict[str, Regulariser] = {
    "chamfer": Regulariser("Chamfer distance", lambda clouds, clean, _: chamfer(clouds, clean)),
    "hausdorff": Regulariser("Hausdorff distance", lambda clouds, clean, _: hausdorff(clouds, clean)),
    "knn": Regulariser(
        "distance to the clean cloud (5), and that of points to their neighbours (3; Tsai et al. 2020)",
        lambda clouds, clean, _: 5 * to_nearest(clouds, clean).mean(1) + 3 * far_neighbours(clouds),
    ),
    "geoa3": Regulariser(
        "Chamfer (1) and Hausdorff distance (0.1), and the change of local curvature (1; Wen et al. 2020)",
        _geometry_aware,
        _curvature_of_clean,
    ),
}

RegulariserName = Annotated[str | None, OneOf(REGULARISERS)]
