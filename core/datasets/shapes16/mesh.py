"""A piece of surface, its motions, and the sampling of the common outer surface of several.

Everything is elementwise float64 arithmetic: matrix products (BLAS) may round differently from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.datasets.shapes16.outlines import Array

Faces = NDArray[np.int64]
Solid = Callable[[Array], NDArray[np.bool_]]
Map = Callable[[Array], Array]

_AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True, eq=False)
class Surface:
    """A piece of surface.

    Attributes
    ----------
    vertices : (V, 3) float64
    faces : (F, 3) int64, counter-clockwise seen from outside where the surface is closed
    solid : test (M, 3) -> (M,) bool of points inside, or None for an open shell, which hides nothing
    density : points per area relative to the other surfaces of the shape
    """

    vertices: Array
    faces: Faces
    solid: Solid | None = None
    density: float = 1.0

    def warped(self, forward: Map, inverse: Map | None = None, *, flip: bool = False) -> Surface:
        """Move every vertex by `forward` (V, 3) -> (V, 3). Without `inverse`, the surface no longer hides anything."""
        solid = self.solid
        carried = (lambda p: solid(inverse(p))) if solid is not None and inverse is not None else None
        faces = self.faces[:, ::-1] if flip else self.faces
        return replace(self, vertices=forward(self.vertices), faces=faces, solid=carried)

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Surface:
        shift = np.array([x, y, z])
        return self.warped(lambda p: p + shift, lambda p: p - shift)

    def rotated(self, axis: str, degrees: float) -> Surface:
        """Turn about a coordinate axis through the origin; x -> y -> z -> x is the positive sense."""
        return self.warped(lambda p: turn(p, axis, degrees), lambda p: turn(p, axis, -degrees))

    def scaled(self, x: float, y: float | None = None, z: float | None = None) -> Surface:
        """Stretch per axis, or by `x` along all three."""
        factor = np.array([x, x if y is None else y, x if z is None else z])
        return self.warped(lambda p: p * factor, lambda p: p / factor)

    def mirrored(self, axis: str) -> Surface:
        factor = np.ones(3)
        factor[_AXES[axis]] = -1.0
        return self.warped(lambda p: p * factor, lambda p: p * factor, flip=True)

    def tapered(self, axis: str, low: float, high: float) -> Surface:
        """Scale the cross-section about `axis` by a factor that runs from `low` to `high` over the surface's extent."""
        k = _AXES[axis]
        bottom, top = float(self.vertices[:, k].min()), float(self.vertices[:, k].max())

        def factors(p: Array) -> Array:
            share = np.clip((p[:, k] - bottom) / (top - bottom), 0.0, 1.0)
            result = np.repeat((low + (high - low) * share)[:, None], 3, axis=1)
            result[:, k] = 1.0
            return result

        return self.warped(lambda p: p * factors(p), lambda p: p / factors(p))

    def refined(self) -> Surface:
        """Split every triangle into four, so that a warp can bend wide flat parts."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        ab, bc, ca = 0.5 * (a + b), 0.5 * (b + c), 0.5 * (c + a)
        corners = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], axis=1).reshape(-1, 3)
        return replace(self, vertices=corners, faces=np.arange(len(corners)).reshape(-1, 3))

    def weighted(self, density: float) -> Surface:
        return replace(self, density=self.density * density)

    def opened(self) -> Surface:
        """The same mesh, hiding nothing."""
        return replace(self, solid=None)


Builder = Callable[[np.random.Generator], list[Surface]]  # one style of a family: draws a shape


def turn(points: Array, axis: str, degrees: float) -> Array:
    """Rotate points (M, 3) about a coordinate axis."""
    k = _AXES[axis]
    i, j = (k + 1) % 3, (k + 2) % 3
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    result = points.copy()
    result[:, i] = cosine * points[:, i] - sine * points[:, j]
    result[:, j] = sine * points[:, i] + cosine * points[:, j]
    return result


def cross(a: Array, b: Array) -> Array:
    """Cross product of (..., 3) arrays; np.cross is several times slower."""
    return np.stack(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
        axis=-1,
    )


def unit(a: Array) -> Array:
    length: Array = np.sqrt((a * a).sum(axis=-1, keepdims=True))
    return a / np.maximum(length, 1e-12)


def volume(surface: Surface) -> float:
    """Signed volume enclosed by the mesh; positive where its faces look outwards."""
    a, b, c = (surface.vertices[surface.faces[:, k]] for k in range(3))
    return float((a * cross(b, c)).sum() / 6)


def sample(
    parts: Sequence[Surface], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw points by area (times density) over the outer surface of a shape.

    A point is hidden if, moved a hair along its face's normal, it lies inside another part: so both sides of a contact
    go, a surface flush with another stays, and rounding never decides.

    Returns
    -------
    points : (count, 3) float64
    labels : (count,) int64, index of the part each point belongs to

    Raises
    ------
    ValueError
        If the parts have no area, or nearly all of it is hidden.
    """
    corners = [np.concatenate([part.vertices[part.faces[:, k]] for part in parts]) for k in range(3)]
    owner = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    normal = cross(corners[1] - corners[0], corners[2] - corners[0])
    weight = np.sqrt(normal[:, 0] ** 2 + normal[:, 1] ** 2 + normal[:, 2] ** 2)
    share = np.cumsum(weight * np.array([part.density for part in parts])[owner])
    bounds = [(part.vertices.min(axis=0), part.vertices.max(axis=0)) for part in parts]
    extent = np.max([high for _, high in bounds], axis=0) - np.min([low for low, _ in bounds], axis=0)
    hair = 1e-4 * float(np.sqrt((extent * extent).sum()))
    points, labels, missing = [], [], count
    for _ in range(12):
        draw = rng.random(missing + missing // 2 + 256) * share[-1]
        face = np.minimum(np.searchsorted(share, draw, side="right"), len(share) - 1)
        u, v = rng.random((2, len(face), 1))
        over = u + v > 1
        u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
        a, b, c = (corner[face] for corner in corners)
        point, label = a + u * (b - a) + v * (c - a), owner[face]
        probe = point + normal[face] * (hair / np.maximum(weight[face], 1e-300))[:, None]
        seen = np.flatnonzero(~_inside_other_part(probe, label, parts, bounds))[:missing]
        points.append(point[seen])
        labels.append(label[seen])
        missing -= len(seen)
        if missing == 0:
            return np.concatenate(points), np.concatenate(labels)
    raise ValueError(
        f"the shape's {len(parts)} parts hide each other: {missing} of {count} points found no outer surface"
    )


def _inside_other_part(
    probe: Array, label: NDArray[np.int64], parts: Sequence[Surface], bounds: Sequence[tuple[Array, Array]]
) -> NDArray[np.bool_]:
    """Which probes (M, 3) of the parts `label` lie inside another part; boxes first, for they are cheap."""
    x, y, z = np.ascontiguousarray(probe.T)
    hidden = np.zeros(len(probe), dtype=bool)
    for n, (part, (low, high)) in enumerate(zip(parts, bounds, strict=True)):
        if part.solid is None:
            continue
        boxed = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1]) & (z > low[2]) & (z < high[2])
        near = np.flatnonzero(boxed & ~hidden & (label != n))
        if len(near):
            hidden[near] = part.solid(probe[near])
    return hidden
