"""Distances between a cloud and its adversarial version, in unit-sphere radii, or between images, in their values."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Value: TypeAlias = Any
"""A float for one pair of clouds (N, 3), an array (B,) for a batch (B, N, 3), or one of images (B, C, H, W)."""

_IMAGES = 4
"""Axes of a batch of images."""


@dataclass(frozen=True)
class Distances:
    """How far an adversarial cloud is from its clean one, in unit-sphere radii; arrays (B,) for a batch.

    Of images per_point_l2, chamfer and hausdorff are NaN, and the others are in the unit of their values.
    """

    linf: Value
    """Largest change of any coordinate."""
    per_point_l2: Value
    """Largest displacement of any point; this is not L-infinity."""
    l2: Value
    """Euclidean norm of the whole perturbation."""
    rmse: Value
    """Root of the mean square over the 3N coordinates."""
    chamfer: Value
    """Sum of the two mean distances to the nearest point of the other cloud, not squared (as Open3D defines it)."""
    hausdorff: Value
    """Largest distance of any point to the nearest point of the other cloud, in both directions."""


def distances(clean: ArrayLike, adversarial: ArrayLike) -> Distances:
    """All distances between clouds (N, 3), or batches (B, N, 3), whose points correspond; or between images.

    Raises
    ------
    ValueError
        If the shapes are not equal, or not (N, 3), (B, N, 3) or (B, C, H, W).
    """
    largest = linf(clean, adversarial)  # first, because it checks the shapes
    chamfer, hausdorff = chamfer_and_hausdorff(clean, adversarial)
    return Distances(
        linf=largest,
        per_point_l2=per_point_l2(clean, adversarial),
        l2=l2(clean, adversarial),
        rmse=rmse(clean, adversarial),
        chamfer=chamfer,
        hausdorff=hausdorff,
    )


def chamfer_and_hausdorff(clean: ArrayLike, adversarial: ArrayLike) -> tuple[Value, Value]:
    """The two distances of ``Distances`` that need no corresponding points.

    Parameters
    ----------
    clean : array (N, 3) or (B, N, 3)
    adversarial : array (M, 3) or (B, M, 3); M may differ from N.

    Images (B, C, H, W) have no points: both are NaN, (B,).
    """
    if np.ndim(clean) == _IMAGES:
        return _absent(clean), _absent(clean)
    there, back = _nearest_distances(clean, adversarial)
    return (
        _as_value(there.mean(axis=-1) + back.mean(axis=-1)),
        _as_value(np.maximum(there.max(axis=-1), back.max(axis=-1))),
    )


def linf(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Largest change of any coordinate, or value of an image."""
    return _as_value(np.abs(delta := _perturbation(clean, adversarial)).max(axis=_axes(delta)))


def per_point_l2(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Largest displacement of any point; NaN of images, which have none."""
    if np.ndim(clean) == _IMAGES:
        return _absent(clean)
    return _as_value(np.linalg.norm(_perturbation(clean, adversarial), axis=-1).max(axis=-1))


def l2(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Euclidean norm of the whole perturbation."""
    return _as_value(np.sqrt(((delta := _perturbation(clean, adversarial)) ** 2).sum(axis=_axes(delta))))


def rmse(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Root of the mean square over the 3N coordinates."""
    return _as_value(np.sqrt(((delta := _perturbation(clean, adversarial)) ** 2).mean(axis=_axes(delta))))


def _perturbation(clean: ArrayLike, adversarial: ArrayLike) -> NDArray[np.float64]:
    x, y = np.asarray(clean, dtype=np.float64), np.asarray(adversarial, dtype=np.float64)
    clouds = x.ndim in (2, 3) and x.shape[-1] == 3
    if x.shape != y.shape or not (clouds or x.ndim == _IMAGES) or not x.size:
        raise ValueError(
            "distances need clouds (N, 3), or batches (B, N, 3) or (B, C, H, W), of equal shapes, not "
            f"{x.shape} and {y.shape}"
        )
    return y - x


def _axes(perturbation: NDArray[np.float64]) -> tuple[int, ...]:
    """The axes of one sample: the last two of clouds, the last three of images."""
    return (-3, -2, -1) if perturbation.ndim == _IMAGES else (-2, -1)


def _absent(images: ArrayLike) -> NDArray[np.float64]:
    """(B,), NaN."""
    return np.full(len(np.asarray(images)), np.nan)


def _nearest_distances(clean: ArrayLike, adversarial: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances (..., N) of clean points to the nearest adversarial one, and (..., M) of adversarial to clean ones."""
    x, y = np.asarray(clean, dtype=np.float64), np.asarray(adversarial, dtype=np.float64)
    if x.ndim == 2:
        # most points stay, because gradients move only critical points; their distance is 0 and needs no search
        common = min(len(x), len(y))
        moved = np.ones(max(len(x), len(y)), dtype=bool)
        moved[:common] = (x[:common] != y[:common]).any(axis=1)
        return _nearest_distance_of_each(x, y, moved[: len(x)]), _nearest_distance_of_each(y, x, moved[: len(y)])
    pairs = [_nearest_distances(*pair) for pair in zip(x, y, strict=True)]
    return np.stack([there for there, _ in pairs]), np.stack([back for _, back in pairs])


def _nearest_distance_of_each(
    points: NDArray[np.float64], others: NDArray[np.float64], moved: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N,), distance of each moved point to the nearest of ``others``; 0 for points that did not move."""
    from scipy.spatial import cKDTree  # a sixth of a second to import, which a window's start should not pay

    far = np.zeros(len(points))
    far[moved] = cKDTree(others).query(points[moved])[0]
    return far


def _as_value(value: Any) -> Value:
    return float(value) if np.ndim(value) == 0 else value
