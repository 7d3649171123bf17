"""Point clouds: one shape in the unit sphere, distances, and files in and out."""

from core.clouds.cloud import SHOWN, Cloud, Points, checked, normalise, resample, sample_surface
from core.clouds.distances import Distances, chamfer_and_hausdorff, distances, l2, linf, per_point_l2, rmse

__all__ = [
    "SHOWN",
    "Cloud",
    "Distances",
    "Points",
    "chamfer_and_hausdorff",
    "checked",
    "distances",
    "l2",
    "linf",
    "normalise",
    "per_point_l2",
    "resample",
    "rmse",
    "sample_surface",
]
