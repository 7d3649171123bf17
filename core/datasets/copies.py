"""Test shapes that are copies of training shapes: a model has seen them, so they flatter its accuracy.

Two clouds count as copies if the order statistics of their projections on seven directions, and those of their
distances from the centre, agree within ``TOLERANCE`` (the largest of sliced Wasserstein distances of infinite order).
These do not depend on the order of the points nor, since clouds are normalised first, on position and size. So clouds
count that are equal but for rounding, and those that differ in a detail of few points. Of a mesh that is there twice,
each sampled by itself, the clouds differ by more, and such copies are not found.

Images are copies where all their values are the same.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.clouds import normalise

TOLERANCE = 1e-3
"""Unit-sphere radii by which the statistics of copies may differ; coordinates rounded to float16 are well within it."""
EXACT = 1e-6
"""Unit-sphere radii by which those of exact copies may differ: rounding of float32."""
RANKS = 32

_DIRECTIONS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]], np.float64)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


def order_statistics(points: ArrayLike) -> NDArray[np.float32]:
    """What copies have in common: (8 x RANKS,) numbers of a cloud (N, 3), in radii of its unit sphere.

    If every point of a cloud moves by at most t, none of them changes by more than t.

    Raises
    ------
    ValueError
        If the points are not (N, 3) finite numbers, or all in one place.
    """
    normalised = normalise(points)[0].astype(np.float64)
    lengths = np.vstack([_DIRECTIONS @ normalised.T, np.linalg.norm(normalised, axis=1)])
    lengths.sort(axis=1)
    ranks = np.linspace(0, len(normalised) - 1, RANKS).round().astype(np.int64)
    return lengths[:, ranks].astype(np.float32).ravel()


def image_statistics(image: NDArray[np.number]) -> NDArray[np.float32]:
    """The same of an image: (32,) numbers, its SHA-256, of which one at least differs by 1 from that of another."""
    return np.frombuffer(hashlib.sha256(image.tobytes()).digest(), np.uint8).astype(np.float32)


def nearest_copies(statistics: NDArray[np.float32], splits: Mapping[str, int]) -> dict[int, float]:
    """The rows of the test split that are copies of a training shape, and by how much the nearest one differs.

    Parameters
    ----------
    statistics : (n, D), the ``order_statistics``, or ``image_statistics``, of all shapes, split after split.
    splits : sizes of the splits, in that order.

    Returns
    -------
    dict
        Row in the test split -> largest difference of a statistic, in unit-sphere radii, at most ``TOLERANCE``.
    """
    from scipy.spatial import KDTree  # takes a while to import, and most openings find a cache

    ends = np.cumsum(list(splits.values()))
    parts = dict(zip(splits, np.split(statistics, ends[:-1]), strict=True))
    if not len(parts["train"]) or not len(parts["test"]):
        return {}
    distance, _ = KDTree(parts["train"]).query(parts["test"], p=np.inf, distance_upper_bound=TOLERANCE)
    return {int(row): float(distance[row]) for row in np.flatnonzero(np.isfinite(distance))}
