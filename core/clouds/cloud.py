"""Point clouds as arrays: one shape in the unit sphere, normalisation, resampling, sampling of surfaces."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points: TypeAlias = NDArray[np.float32]
Method = Literal["random", "first"]
SHOWN = 1024
"""Points of a cloud in the studio; the shipped models are measured with as many."""


def checked(points: ArrayLike) -> Points:
    """The points as a contiguous float32 array (N, 3).

    Raises
    ------
    ValueError
        If they are not (N, 3) numbers with N >= 1, or not all finite.
    """
    array = np.asarray(points)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise ValueError(f"a cloud is (N, 3) numbers with N of 1 or more, not {array.shape}")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"a cloud is (N, 3) real numbers, not {array.dtype}")
    # a number beyond float32 becomes infinite, and is reported as such; bytes that are no number at all are "invalid"
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise ValueError(f"point {bad[0] + 1} of {len(array)} is not finite ({array[bad[0]].tolist()})")
    return array


@dataclass(frozen=True, eq=False)
class Cloud:
    """One shape, normalised to the unit sphere, with the centre and radius that lead back to the frame of its file.

    The perturbation may move an adversarial cloud out of the sphere; it is not normalised again.

    Parameters
    ----------
    points
        (N, 3) float32, in unit-sphere radii.
    name, label, class_name
        Its name, and the index and the name of its class; None if they are not known.
    centre, radius
        (3,) and a float in the units of the file: ``points * radius + centre`` are the file's points.
    fitting
        In words, how so many points were made of those in its file; empty if they are these.

    Raises
    ------
    ValueError
        If the points are not (N, 3) finite numbers.
    """

    points: Points
    name: str = ""
    label: int | None = None
    class_name: str | None = None
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    radius: float = 1.0
    fitting: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", checked(self.points))


def normalise(points: ArrayLike) -> tuple[Points, NDArray[np.float64], float]:
    """Centre a cloud on its centroid and divide it by its largest radius.

    Returns
    -------
    points, centre, radius
        (N, 3) float32 in the unit sphere, and the (3,) centroid and largest radius in the units of the input.

    Raises
    ------
    ValueError
        If the points are not (N, 3) finite numbers, or all in one place.
    """
    original = checked(points).astype(np.float64)
    centre = original.mean(axis=0)
    centred = original - centre
    radius = float(np.sqrt((centred**2).sum(axis=1)).max())
    # Below float32's resolution about the centre, what is left of the shape is rounding.
    if radius <= np.finfo(np.float32).eps * np.abs(centre).max() or radius < np.finfo(np.float32).tiny:
        raise ValueError("all points of the cloud are in one place, so it cannot be scaled into the unit sphere")
    return (centred / radius).astype(np.float32), centre, radius


def resample(points: Points, n: int, method: Method = "random", rng: np.random.Generator | int = 0) -> Points:
    """Exactly ``n`` of a cloud's points.

    Where the cloud (N, 3) has fewer than ``n``, every point is kept and the rest are repeated: drawn with replacement
    (random), or in order (first).

    Parameters
    ----------
    method
        ``random`` draws without replacement; ``first`` takes them as stored.
    rng
        Generator or seed of ``random``.
    """
    if n < 1:
        raise ValueError(f"the number of points must be 1 or more, not {n}")
    size = len(points)
    if method == "random":
        rng = np.random.default_rng(rng)
        order = rng.permutation(size)[:n]
        order = np.concatenate([order, rng.integers(size, size=max(0, n - size))])
    else:
        order = np.arange(min(n, size))
    return points.take(np.resize(order, n), axis=0)


def sample_surface(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer], n: int, rng: np.random.Generator | int = 0
) -> Points:
    """``n`` points (n, 3) spread uniformly by area over the triangles (T, 3) of a mesh with vertices (V, 3).

    Raises
    ------
    ValueError
        If the mesh has no area.
    """
    rng = np.random.default_rng(rng)
    areas = [_twice_areas(vertices, triangles[at : at + _AT_ONCE]) for at in range(0, len(triangles), _AT_ONCE)]
    reach = np.cumsum(np.concatenate([np.empty(0), *areas]))
    if not len(reach) or not reach[-1] > 0:
        raise ValueError("the mesh has no area to sample points from")
    # "right", and below 1: never a triangle without area.
    chosen = np.searchsorted(reach, rng.random(n) * reach[-1], side="right")
    a, b, c = _corners(vertices, triangles[chosen])
    # Square root: uniform over the triangle (Osada et al., Shape distributions, 2002, section 3.1).
    u, v = np.sqrt(rng.random((n, 1))), rng.random((n, 1))
    drawn: NDArray[np.float64] = (1 - u) * a + u * (1 - v) * b + u * v * c
    return drawn.astype(np.float32)


_AT_ONCE = 1 << 18
"""Triangles whose corners are in memory at a time."""


def _corners(vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> NDArray[np.float64]:
    """The first, second and third corners (3, T, 3)."""
    return vertices[triangles].astype(np.float64).transpose(1, 0, 2)


def _twice_areas(vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> NDArray[np.float64]:
    """Twice the areas (T,)."""
    a, b, c = _corners(vertices, triangles)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1)
