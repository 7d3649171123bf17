"""Point clouds as arrays: the unit sphere, resampling, distances between a cloud and its adversarial version."""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points: TypeAlias = NDArray[np.float32]
Method = Literal["random", "farthest", "first"]
SHOWN = 1024
"""Points with which the studio shows and attacks a cloud, as the shipped models are measured."""
Value: TypeAlias = Any
"""A float for one pair of clouds (N, 3), an array (B,) for a batch (B, N, 3)."""


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
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, and is reported as such
        array = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise ValueError(f"point {bad[0] + 1} of {len(array)} is not finite ({array[bad[0]].tolist()})")
    return array


@dataclass(frozen=True, eq=False)
class Cloud:
    """One shape in the frame that models see, the unit sphere, and the way back to the frame of its file.

    An adversarial cloud may leave the sphere by its perturbation; it is never normalised again.

    Parameters
    ----------
    points
        (N, 3) float32, in unit-sphere radii.
    name, label, class_name
        What it is called; the index and the name of its class, where they are known.
    centre, radius
        (3,) and a float in the units of the file: ``points * radius + centre`` are the file's points.

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
    (random), or in order (farthest, first).

    Parameters
    ----------
    method
        ``random`` draws without replacement. ``farthest`` takes point 0, then each time the point farthest from all
        taken (Eldar et al., The farthest point strategy, 1997); ``first`` takes them as stored.
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
        order = np.arange(min(n, size)) if method == "first" else _farthest(points, min(n, size))
    return points.take(np.resize(order, n), axis=0)


def _farthest(points: Points, n: int) -> NDArray[np.intp]:
    coordinates = points.astype(np.float64).T.copy()
    taken = np.zeros(n, dtype=np.intp)
    nearest = np.full(len(points), np.inf)
    for i in range(1, n):
        x, y, z = coordinates - coordinates[:, taken[i - 1], None]
        np.minimum(nearest, x * x + y * y + z * z, out=nearest)
        taken[i] = nearest.argmax()
    return taken


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
    a, b, c = np.asarray(vertices, dtype=np.float64)[triangles].transpose(1, 0, 2)
    reach = np.cumsum(np.linalg.norm(np.cross(b - a, c - a), axis=1))
    if not len(reach) or not reach[-1] > 0:
        raise ValueError("the mesh has no area to sample points from")
    # "right", and below 1: never a triangle without area.
    chosen = np.searchsorted(reach, rng.random(n) * reach[-1], side="right")
    # Square root: uniform over the triangle (Osada et al., Shape distributions, 2002, section 3.1).
    u, v = np.sqrt(rng.random((n, 1))), rng.random((n, 1))
    drawn: NDArray[np.float64] = (1 - u) * a[chosen] + u * (1 - v) * b[chosen] + u * v * c[chosen]
    return drawn.astype(np.float32)


@dataclass(frozen=True)
class Distances:
    """How far an adversarial cloud is from its clean one, in unit-sphere radii; arrays (B,) for a batch."""

    linf: Value
    """Largest change of any coordinate."""
    per_point_l2: Value
    """Largest displacement of any point; never to be called L-infinity."""
    l2: Value
    """Euclidean norm of the whole perturbation."""
    rmse: Value
    """Root of the mean square over the 3N coordinates."""
    chamfer: Value
    """Sum of the two mean distances to the nearest point of the other cloud, not squared (as Open3D defines it)."""
    hausdorff: Value
    """Largest distance of any point to the nearest point of the other cloud, in both directions."""


def distances(clean: ArrayLike, adversarial: ArrayLike) -> Distances:
    """All distances between clouds (N, 3), or batches (B, N, 3), whose points correspond.

    Raises
    ------
    ValueError
        If the shapes are not equal, or not (N, 3) or (B, N, 3).
    """
    nearest = _nearest(clean, adversarial)
    return Distances(
        linf=linf(clean, adversarial),
        per_point_l2=per_point_l2(clean, adversarial),
        l2=l2(clean, adversarial),
        rmse=rmse(clean, adversarial),
        chamfer=_chamfer(*nearest),
        hausdorff=_hausdorff(*nearest),
    )


def linf(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Largest change of any coordinate."""
    return _plain(np.abs(_perturbation(clean, adversarial)).max(axis=(-2, -1)))


def per_point_l2(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Largest displacement of any point."""
    return _plain(np.linalg.norm(_perturbation(clean, adversarial), axis=-1).max(axis=-1))


def l2(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Euclidean norm of the whole perturbation."""
    return _plain(np.sqrt((_perturbation(clean, adversarial) ** 2).sum(axis=(-2, -1))))


def rmse(clean: ArrayLike, adversarial: ArrayLike) -> Value:
    """Root of the mean square over the 3N coordinates."""
    return _plain(np.sqrt((_perturbation(clean, adversarial) ** 2).mean(axis=(-2, -1))))


def chamfer(a: ArrayLike, b: ArrayLike) -> Value:
    """Sum of the two mean distances to the other cloud's nearest point; sizes (N, 3) and (M, 3) may differ."""
    return _chamfer(*_nearest(a, b))


def hausdorff(a: ArrayLike, b: ArrayLike) -> Value:
    """Largest distance to the other cloud's nearest point, in both directions; sizes (N, 3) and (M, 3) may differ."""
    return _hausdorff(*_nearest(a, b))


def _perturbation(clean: ArrayLike, adversarial: ArrayLike) -> NDArray[np.float64]:
    x, y = np.asarray(clean, dtype=np.float64), np.asarray(adversarial, dtype=np.float64)
    if x.shape != y.shape or x.ndim not in (2, 3) or x.shape[-1] != 3 or not x.size:
        raise ValueError(
            f"distances need clouds (N, 3) or batches (B, N, 3) of equal shapes, not {x.shape} and {y.shape}"
        )
    return y - x


def _nearest(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From each point of a cloud, or of each cloud of a batch, to the nearest of the other: (..., N) and (..., M)."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != y.ndim or x.ndim not in (2, 3) or x.shape[:-2] != y.shape[:-2] or {x.shape[-1], y.shape[-1]} != {3}:
        raise ValueError(f"distances need two clouds (., 3) or two batches (B, ., 3), not {x.shape} and {y.shape}")
    if x.ndim == 2:
        # a point at the same place in both clouds is at no distance, and gradients move the critical points alone
        apart = (x != y).any(axis=1) if x.shape == y.shape else None
        return _to_nearest(x, y, apart), _to_nearest(y, x, apart)
    pairs = [_nearest(*pair) for pair in zip(x, y, strict=True)]
    return np.stack([there for there, _ in pairs]), np.stack([back for _, back in pairs])


def _to_nearest(
    points: NDArray[np.float64], others: NDArray[np.float64], apart: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """(N,), from each of the points to the nearest of the others; 0 of those not ``apart``, where that is given."""
    from scipy.spatial import cKDTree  # a sixth of a second to import, which a window's start should not pay

    far = np.zeros(len(points))
    asked = slice(None) if apart is None else apart
    far[asked] = cKDTree(others).query(points[asked])[0]
    return far


def _chamfer(there: NDArray[np.float64], back: NDArray[np.float64]) -> Value:
    return _plain(there.mean(axis=-1) + back.mean(axis=-1))


def _hausdorff(there: NDArray[np.float64], back: NDArray[np.float64]) -> Value:
    return _plain(np.maximum(there.max(axis=-1), back.max(axis=-1)))


def _plain(value: Any) -> Value:
    return float(value) if np.ndim(value) == 0 else value
