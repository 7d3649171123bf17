"""A budget in other words: the largest value that each distance can take within it."""

import math

from core.attacks.constraint import ConstraintName


def largest_distances(constraint: ConstraintName, points: int) -> dict[str, float] | None:
    """The largest value that each distance can take within a budget, in units of epsilon.

    A perturbation of N points has 3N coordinates. Within a box a point goes furthest along its diagonal, sqrt(3)
    epsilon; a budget of the whole cloud can be spent on a single coordinate. Each value is reached by some
    perturbation; where points move in tangent planes alone, of a cloud whose planes contain that direction.

    Parameters
    ----------
    points
        N, of the cloud.

    Returns
    -------
    dict or None
        By the names of ``core.clouds.Distances``: linf, per_point_l2, l2 and rmse. None if the constraint bounds
        nothing.
    """
    per_cloud = math.sqrt(3 * points)
    match constraint:
        case "linf" | "tangent":
            return {"linf": 1.0, "per_point_l2": math.sqrt(3), "l2": per_cloud, "rmse": 1.0}
        case "per-point-l2" | "tangent-l2":
            return {"linf": 1.0, "per_point_l2": 1.0, "l2": math.sqrt(points), "rmse": 1 / math.sqrt(3)}
        case "l2":
            return {"linf": 1.0, "per_point_l2": 1.0, "l2": 1.0, "rmse": 1 / per_cloud}
        case "rmse":
            return {"linf": per_cloud, "per_point_l2": per_cloud, "l2": per_cloud, "rmse": 1.0}
        case "none":
            return None
