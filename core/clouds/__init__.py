"""Point clouds: one shape in the unit sphere, distances, and files in and out."""

from core.clouds.cloud import SHOWN, Cloud, Points, checked, normalise, resample, sample_surface
from core.clouds.distances import Distances, distances, l2, linf, per_point_l2, rmse

__all__ = [
    "SHOWN",
    "Cloud",
    "Distances",
    "Points",
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
