"""Constructors of the surfaces from which the shapes of shapes16 are assembled, each about the origin.

`mesh.Surface` has the motions (`moved`, `rotated`, `scaled`, `mirrored`, `tapered`, `warped`), `mesh.sample` draws the
points, and `outlines` has the curves and flat outlines from which many constructors start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.datasets.shapes16.mesh import Faces, Solid, Surface, cross, unit, volume
from core.datasets.shapes16.outlines import Array, fill, inside_outline, monotone, placed, superellipse


def _outward(surface: Surface) -> Surface:
    return surface if volume(surface) >= 0 else replace(surface, faces=surface.faces[:, ::-1])


def _quads(rows: int, columns: int, *, close_rows: bool = False, close_columns: bool = False) -> Faces:
    """Triangles of a grid of rows x columns vertices, wrapped round where it is closed."""
    i = np.arange(rows if close_rows else rows - 1)[:, None]
    j = np.arange(columns if close_columns else columns - 1)[None, :]
    below, right = (i + 1) % rows, (j + 1) % columns
    a, b, c, d = i * columns + j, below * columns + j, below * columns + right, i * columns + right
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


_BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)
_ROUND_LINES = np.tan(np.radians([0.0, 22.5, 45.0]))


def box(x: float, y: float, z: float, *, radius: float = 0.0) -> Surface:
    """Box of the given edge lengths about the origin, its edges rounded by `radius`."""
    half = np.array([x, y, z]) / 2
    if radius <= 0:
        return Surface(_BOX_CORNERS * half, _BOX_FACES, lambda p: np.all(np.abs(p) < half, axis=1))
    radius = min(radius, 0.98 * float(half.min()))
    inner = half - radius
    sides, start = [], 0
    faces = []
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        lines = [
            np.concatenate([-(inner[n] + radius * _ROUND_LINES[::-1]), inner[n] + radius * _ROUND_LINES])
            for n in (i, j)
        ]
        u, v = np.meshgrid(*lines, indexing="ij")
        for sign in (1.0, -1.0):
            side = np.empty((u.size, 3))
            side[:, i], side[:, j], side[:, k] = u.ravel(), v.ravel(), sign * half[k]
            quads = _quads(6, 6) + start
            sides.append(side)
            faces.append(quads if sign > 0 else quads[:, ::-1])
            start += len(side)
    cube = np.concatenate(sides)
    core = np.clip(cube, -inner, inner)
    vertices = core + radius * unit(cube - core)

    def solid(p: Array) -> NDArray[np.bool_]:
        beyond = np.maximum(np.abs(p) - inner, 0.0)
        near: NDArray[np.bool_] = (beyond * beyond).sum(axis=1) < radius * radius
        return near

    return Surface(vertices, np.concatenate(faces), solid)


def revolve(profile: ArrayLike, *, segments: int = 32, start: float = 0.0, sweep: float = 360.0) -> Surface:
    """Turn a profile (K, 2) of radius and height around z, from angle `start` over `sweep` degrees.

    A profile that begins and ends on the axis, or where it began (a ring), encloses a volume when the turn is full.
    """
    line = np.asarray(profile, dtype=np.float64)
    whole = sweep >= 360.0
    angle = np.radians(start + sweep * np.arange(segments + (not whole)) / segments)
    radius, height = line[:, 0], line[:, 1]
    around = np.stack(
        [
            np.cos(angle)[:, None] * radius,
            np.sin(angle)[:, None] * radius,
            np.broadcast_to(height, (len(angle), len(line))),
        ],
        axis=-1,
    )
    surface = Surface(around.reshape(-1, 3), _quads(len(angle), len(line), close_rows=whole))
    on_axis = radius[0] < 1e-9 and radius[-1] < 1e-9
    if not whole or not (on_axis or np.allclose(line[0], line[-1])):
        return surface
    return _outward(
        replace(
            surface,
            solid=lambda p: inside_outline(np.stack([np.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2), p[:, 2]], axis=1), [line]),
        )
    )


def cylinder(radius: float, height: float, *, axis: str = "z", segments: int = 24) -> Surface:
    """Closed cylinder about the origin, lying along `axis`."""
    h = height / 2
    upright = revolve([(0, -h), (radius, -h), (radius, h), (0, h)], segments=segments)
    return {"x": lambda: upright.rotated("y", 90), "y": lambda: upright.rotated("x", 90), "z": lambda: upright}[axis]()


def torus(ring: float, thickness: float, *, segments: int = 28, around: int = 10) -> Surface:
    """Ring of radius `ring` about z, made of a tube of radius `thickness`."""
    angle = np.linspace(0.0, 2 * np.pi, around + 1)
    return revolve(np.stack([ring + thickness * np.cos(angle), thickness * np.sin(angle)], axis=1), segments=segments)


def ellipsoid(
    x: float,
    y: float | None = None,
    z: float | None = None,
    *,
    low: float = -90.0,
    high: float = 90.0,
    rings: int = 12,
    segments: int = 24,
) -> Surface:
    """Ellipsoid of the given radii (a sphere if one), or its open zone between two latitudes in degrees."""
    latitude = np.radians(np.linspace(low, high, rings + 1))
    profile = np.stack([np.cos(latitude), np.sin(latitude)], axis=1)
    profile[np.abs(profile) < 1e-9] = 0.0
    return revolve(profile, segments=segments).scaled(x, y, z)


def extrude(
    outline: ArrayLike, depth: float, *, axis: str = "z", bevel: float = 0.0, holes: Sequence[Array] = ()
) -> Surface:
    """Closed prism over an outline (K, 2), through which `holes` (K, 2) go.

    The outline lies as in `outlines.placed`, the prism reaches `depth` / 2 to both sides of the origin along `axis`.
    `bevel` cuts the edges of both ends by that length.
    """
    rings = [np.asarray(outline, dtype=np.float64), *holes]
    outlines = [ring if (_area(ring) > 0) == (n == 0) else ring[::-1] for n, ring in enumerate(rings)]
    shrunk = [_inset(o, bevel) for o in outlines] if bevel > 0 else outlines
    h = depth / 2
    cap, cap_faces = fill(shrunk)
    count = len(cap)
    vertices = [_lift(cap, h), _lift(cap, -h)]
    faces = [cap_faces, cap_faces[:, ::-1] + count]
    start = 2 * count
    for o, s in zip(outlines, shrunk, strict=True):
        layers = (
            [_lift(s, -h), _lift(o, bevel - h), _lift(o, h - bevel), _lift(s, h)]
            if bevel > 0
            else [_lift(o, -h), _lift(o, h)]
        )
        faces.append(_quads(len(layers), len(o), close_columns=True)[:, ::-1] + start)
        vertices += layers
        start += len(layers) * len(o)
    upright = Surface(
        np.concatenate(vertices),
        np.concatenate(faces),
        lambda p: (np.abs(p[:, 2]) < h) & inside_outline(p[:, :2], outlines),
    )
    if axis == "z":
        return upright
    if axis == "x":
        return upright.warped(lambda p: p[:, [2, 0, 1]], lambda p: p[:, [1, 2, 0]])
    return upright.warped(lambda p: p[:, [0, 2, 1]], lambda p: p[:, [0, 2, 1]], flip=True)


def _area(outline: Array) -> float:
    after = np.roll(outline, -1, axis=0)
    return float((outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0]).sum() / 2)


def _lift(outline: Array, height: float) -> Array:
    return np.insert(outline, 2, height, axis=1)


def _inset(outline: Array, by: float) -> Array:
    along = unit(np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0))
    return outline + by * np.stack([-along[:, 1], along[:, 0]], axis=1)


def tube(
    path: ArrayLike,
    radius: float | ArrayLike,
    *,
    flat: float = 1.0,
    segments: int = 10,
    caps: bool = True,
    closed: bool = False,
) -> Surface:
    """Sweep a circle along a path (N, 3).

    Parameters
    ----------
    radius : one number, or one per node
    flat : second half-axis of the swept ellipse relative to the first, which starts out as near to +z as it can
        (to +x where the path starts along z)
    caps : close both ends, so that the tube hides what is inside it
    closed : join the last node to the first
    """
    nodes = np.asarray(path, dtype=np.float64)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(nodes))
    tangents = (
        unit(np.roll(nodes, -1, axis=0) - np.roll(nodes, 1, axis=0)) if closed else unit(np.gradient(nodes, axis=0))
    )
    normals = np.empty_like(nodes)
    normal = np.array([1.0, 0.0, 0.0]) if abs(tangents[0, 2]) > 0.9 else np.array([0.0, 0.0, 1.0])
    for n, tangent in enumerate(tangents):  # parallel transport: remove what turned into the tangent
        normal = normal - tangent * (normal * tangent).sum()
        normal = normal / max(float(np.sqrt((normal * normal).sum())), 1e-12)
        normals[n] = normal
    others = cross(tangents, normals)
    angle = 2 * np.pi * np.arange(segments) / segments
    ring = np.cos(angle)[None, :, None] * normals[:, None] + flat * np.sin(angle)[None, :, None] * others[:, None]
    sections = nodes[:, None] + radii[:, None, None] * ring

    def solid(p: Array) -> NDArray[np.bool_]:
        start, stop, first, last = nodes, np.roll(nodes, -1, axis=0), radii, np.roll(radii, -1)
        if not closed:
            start, stop, first, last = start[:-1], stop[:-1], first[:-1], last[:-1]
        step = stop - start
        reach = p[:, None] - start
        share = (reach * step).sum(axis=-1) / np.maximum((step * step).sum(axis=-1), 1e-24)
        ends = (share >= 0) & (share <= 1) | closed
        share = np.clip(share, 0.0, 1.0)
        if not closed:  # only the two outer ends are flat; the joints between are round
            ends[:, 1:] |= share[:, 1:] <= 0
            ends[:, :-1] |= share[:, :-1] >= 1
        off = reach - share[..., None] * step
        across = (off * others[: len(start)]).sum(axis=-1) if flat != 1.0 else 0.0
        squared = (off * off).sum(axis=-1) + across * across * (1 / flat**2 - 1)
        within: NDArray[np.bool_] = (ends & (squared < (first + share * (last - first)) ** 2)).any(axis=1)
        return within

    return _stack(sections, caps=caps and not closed, closed=closed, solid=solid if caps or closed else None)


def loft(sections: ArrayLike, *, caps: bool = True) -> Surface:
    """Skin over closed sections (S, K, 3), which must have equal counts and follow one another along x, y or z.

    With caps, the first and last section are closed by a fan about their centre and the skin encloses a volume.
    """
    stack = np.asarray(sections, dtype=np.float64)
    centres = stack.mean(axis=1)
    k = int(np.argmax(np.abs(centres[-1] - centres[0])))
    if centres[-1, k] < centres[0, k]:
        stack, centres = stack[::-1], centres[::-1]
    stations = centres[:, k]
    if not caps or (np.diff(stations) <= 0).any():
        return _stack(stack, caps=caps, closed=False, solid=None)
    flat = np.delete(stack, k, axis=2)

    def solid(p: Array) -> NDArray[np.bool_]:
        span = np.clip(np.searchsorted(stations, p[:, k], side="right") - 1, 0, len(stations) - 2)
        share = (p[:, k] - stations[span]) / (stations[span + 1] - stations[span])
        own = flat[span] + share[:, None, None] * (flat[span + 1] - flat[span])
        within: NDArray[np.bool_] = (share >= 0) & (share <= 1)
        return within & inside_outline(np.delete(p, k, axis=1), [own])

    return _stack(stack, caps=True, closed=False, solid=solid)


def hull(rows: ArrayLike, *, power: float = 2.0, stations: int = 18, count: int = 20) -> Surface:
    """Smooth closed body along x, such as a fuselage or a tank.

    `rows` (R, 4) hold x (ascending), half-width, half-height and height of the centre; the section is a superellipse.
    """
    table = np.asarray(rows, dtype=np.float64)
    x = np.interp(np.linspace(0, len(table) - 1, stations), np.arange(len(table)), table[:, 0])
    smooth = monotone(x, table[:, 0], table[:, 1:])
    section = placed(superellipse(1.0, 1.0, power, count), "x", 0.0)
    scale = np.stack([np.zeros(stations), smooth[:, 0], smooth[:, 1]], axis=1)
    shift = np.stack([x, np.zeros(stations), smooth[:, 2]], axis=1)
    return loft(section * scale[:, None] + shift[:, None])


def _stack(sections: Array, *, caps: bool, closed: bool, solid: Solid | None) -> Surface:
    """Mesh over rings (S, K, 3)."""
    rows, columns = sections.shape[:2]
    vertices, faces = sections.reshape(-1, 3), _quads(rows, columns, close_rows=closed, close_columns=True)
    if caps:
        j = np.arange(columns)
        after, centre = (j + 1) % columns, np.full(columns, rows * columns)
        top = (rows - 1) * columns
        fans = [np.stack([j, after, centre], axis=1), np.stack([top + after, top + j, centre + 1], axis=1)]
        vertices = np.concatenate([vertices, sections[[0, -1]].mean(axis=1)])
        faces = np.concatenate([faces, *fans])
    surface = Surface(vertices, faces, solid)
    return _outward(surface) if caps or closed else surface


def plate(grid: ArrayLike, thickness: float = 0.0) -> Surface:
    """Bent plate through a grid of points (A, B, 3), such as `sheet` makes, thickened to both sides.

    Its face looks to the side of (d grid / d rows) x (d grid / d columns). It is thin and hides nothing.
    """
    points = np.asarray(grid, dtype=np.float64)
    rows, columns = points.shape[:2]
    faces = _quads(rows, columns)
    if thickness <= 0:
        return Surface(points.reshape(-1, 3), faces)
    normal = unit(cross(np.gradient(points, axis=0), np.gradient(points, axis=1)))
    both = np.concatenate([(points + sign * thickness / 2 * normal).reshape(-1, 3) for sign in (1, -1)])
    index = np.arange(rows * columns).reshape(rows, columns)
    rim = np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])
    after, low = np.roll(rim, -1), rows * columns
    edge = np.concatenate(
        [np.stack([rim, rim + low, after], axis=1), np.stack([after, rim + low, after + low], axis=1)]
    )
    return Surface(both, np.concatenate([faces, faces[:, ::-1] + low, edge]))


def sheet(x: ArrayLike, y: ArrayLike, height: Callable[[Array, Array], ArrayLike]) -> Array:
    """Grid (A, B, 3) over the lines x (A,) and y (B,) with z = height(X, Y)."""
    across, along = np.meshgrid(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), indexing="ij")
    return np.stack([across, along, np.broadcast_to(height(across, along), across.shape)], axis=-1)


def post(path: ArrayLike, size: float | ArrayLike, *, power: float = 8.0) -> Surface:
    """Upright bar through the nodes of a path (N, 3) that rises in z.

    Its level sections are superellipses of width `size`, one number or one per node: square at power 8, round at 2.
    """
    nodes = np.asarray(path, dtype=np.float64)
    widths = np.broadcast_to(np.asarray(size, dtype=np.float64), len(nodes))
    return loft(nodes[:, None] + widths[:, None, None] * placed(superellipse(0.5, 0.5, power, 8), "z", 0.0))


def turned(heights: ArrayLike, radii: ArrayLike, *, count: int = 16, segments: int = 24) -> Surface:
    """Solid as from a lathe: a smooth profile through `radii` at ascending `heights` (K,), closed flat at both ends."""
    nodes = np.asarray(heights, dtype=np.float64)
    z = np.linspace(nodes[0], nodes[-1], count)
    profile = np.stack([monotone(z, nodes, radii), z], axis=1)
    return revolve([(0.0, z[0]), *profile, (0.0, z[-1])], segments=segments)
