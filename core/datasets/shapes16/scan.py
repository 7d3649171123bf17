"""From an assembly of surfaces to the cloud a scanner would give of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.datasets.shapes16.mesh import Surface, sample, turn

# Coordinates are cut to this many steps per unit. sin and friends differ in the last bit between machines; cut, they
# almost never do, so the data set has one fingerprint everywhere. Cutting towards zero also keeps radii at most 1.
_STEPS = 2.0**16


def scan(parts: Sequence[Surface], rng: np.random.Generator, points: int = 2048) -> NDArray[np.float32]:
    """Scan a shape: a few degrees off upright, one side seen less well, measured with a little noise.

    Returns
    -------
    (points, 3) float32, centred on the centroid and divided by the largest radius.
    """
    cloud, _ = sample(parts, points + points // 3, rng)
    for axis, spread in (("z", 5.0), ("y", 2.0), ("x", 2.0)):
        cloud = turn(cloud, axis, spread * rng.standard_normal())
    cloud = cloud - cloud.mean(axis=0)
    radius = np.sqrt((cloud**2).sum(axis=1)).max()

    view = rng.standard_normal(3)
    view = view / np.sqrt((view**2).sum())
    facing = (cloud[:, 0] * view[0] + cloud[:, 1] * view[1] + cloud[:, 2] * view[2]) / radius
    visibility = 1 - rng.uniform(0.0, 0.85) * np.clip(0.5 - 1.2 * facing, 0.0, 1.0)
    lifetime = rng.standard_exponential(len(cloud)) / visibility  # smallest first: weighted choice without replacement
    kept = np.sort(np.argsort(lifetime, kind="stable")[:points])

    cloud = cloud[kept] + rng.uniform(0.002, 0.006) * radius * rng.standard_normal((points, 3))
    cloud = cloud - cloud.mean(axis=0)
    cloud = cloud / np.sqrt((cloud**2).sum(axis=1)).max()
    cut: NDArray[np.float64] = np.trunc(cloud * _STEPS) / _STEPS
    return (cut + 0.0).astype(np.float32)  # no negative zeros
