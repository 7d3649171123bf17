"""Curves and closed 2-D outlines from which the surfaces of shapes16 are made.

A closed outline is an array (K, 2) whose last point is joined to its first; it is not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def spline(points: ArrayLike, count: int, *, closed: bool = False) -> Array:
    """Smooth curve (count, D) through `points` (K, D): a Catmull-Rom spline at equal parameter steps."""
    nodes = np.asarray(points, dtype=np.float64)
    if closed:
        padded, spans = np.concatenate([nodes[-1:], nodes, nodes[:2]]), len(nodes)
    else:
        first, last = 2 * nodes[:1] - nodes[1:2], 2 * nodes[-1:] - nodes[-2:-1]
        padded, spans = np.concatenate([first, nodes, last]), len(nodes) - 1
    parameter = np.linspace(0.0, spans, count, endpoint=not closed)
    span = np.minimum(parameter.astype(np.int64), spans - 1)
    t = (parameter - span)[:, None]
    a, b, c, d = (padded[span + k] for k in range(4))
    curve: Array = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return curve


def monotone(at: ArrayLike, nodes: ArrayLike, values: ArrayLike) -> Array:
    """Smooth curve through `values` (K,) or (K, D) at ascending `nodes` (K,): a cubic that never overshoots.

    Slopes are harmonic means of their neighbours (Fritsch and Butland, 1984)."""
    x, y = np.asarray(nodes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    x, flat = (x if y.ndim == 1 else x[:, None]), np.asarray(at, dtype=np.float64)
    step = np.diff(x, axis=0)
    slope = np.diff(y, axis=0) / step
    left, right = slope[:-1], slope[1:]
    total = np.where(left * right > 0, left + right, 1.0)
    inner = np.where(left * right > 0, 2 * left * right / total, 0.0)  # harmonic mean, zero at a turning point
    tangent = np.concatenate([slope[:1], inner, slope[-1:]])
    k = np.clip(np.searchsorted(np.asarray(nodes), flat, side="right") - 1, 0, len(step) - 1)
    h = step[k]
    t = ((flat if y.ndim == 1 else flat[:, None]) - x[k]) / h
    a, b, c, d = y[k], tangent[k] * h, y[k + 1], tangent[k + 1] * h
    return a + t * (b + t * (3 * (c - a) - 2 * b - d + t * (2 * (a - c) + b + d)))


def arc(radius: float, start: float, stop: float, count: int, centre: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Points (count, 2) of a circular arc from angle `start` to `stop` in degrees."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)


def superellipse(a: float, b: float, power: float = 2.0, count: int = 32) -> Array:
    """Closed outline |x/a|^power + |y/b|^power = 1, (count, 2); power 2 is an ellipse, above 4 nearly a box."""
    angle = np.arange(count) * (2 * np.pi / count)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack(
        [a * np.sign(cosine) * np.abs(cosine) ** (2 / power), b * np.sign(sine) * np.abs(sine) ** (2 / power)], axis=1
    )


def rounded(corners: ArrayLike, radius: float | Sequence[float], steps: int = 4) -> Array:
    """Closed polygon `corners` (K, 2) with each corner replaced by a smooth curve of about `radius`, (K * steps, 2).

    `radius` may differ per corner; it is cut to 45 % of the shorter neighbouring side.
    """
    nodes = np.asarray(corners, dtype=np.float64)
    before, after = np.roll(nodes, 1, axis=0) - nodes, np.roll(nodes, -1, axis=0) - nodes
    length_before, length_after = (np.sqrt((side**2).sum(axis=1, keepdims=True)) for side in (before, after))
    wanted = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(nodes))[:, None]
    cut = np.minimum(wanted, 0.45 * np.minimum(length_before, length_after))
    start, stop = nodes + before / length_before * cut, nodes + after / length_after * cut
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    curve: Array = (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * nodes[:, None] + t**2 * stop[:, None]
    return curve.reshape(-1, 2)


def rectangle(width: float, height: float, radius: float = 0.0, steps: int = 4) -> Array:
    """Closed rectangle about the origin, counter-clockwise, with corners of `radius`."""
    a, b = width / 2, height / 2
    corners = np.array([[-a, -b], [a, -b], [a, b], [-a, b]])
    return rounded(corners, radius, steps) if radius > 0 else corners


def aerofoil(chord: float, thickness: float = 0.12, camber: float = 0.02, count: int = 24) -> Array:
    """Closed wing section (count, 2), its leading edge at the origin and its trailing edge at x = `chord`.

    `thickness` and `camber` are fractions of the chord; thickness is distributed as in the NACA four-digit series.
    """
    half = count // 2
    x = 0.5 * (1 - np.cos(np.pi * np.arange(half + 1) / half))
    y = 5 * thickness * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    line = 4 * camber * x * (1 - x)
    upper, lower = np.stack([x, line + y], axis=1), np.stack([x, line - y], axis=1)
    return chord * np.concatenate([upper[::-1], lower[1:-1]])


def placed(outline: ArrayLike, axis: str, position: float, shift: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Put a 2-D outline (u, v) into space, (K, 3), in the plane at `position` of `axis`.

    "x" gives (position, u, v), "y" gives (u, position, v), "z" gives (u, v, position). `shift` is added to (u, v).
    """
    flat = np.asarray(outline, dtype=np.float64) + np.asarray(shift)
    return np.insert(flat, "xyz".index(axis), position, axis=1)


def inside_outline(points: Array, outlines: Sequence[Array]) -> NDArray[np.bool_]:
    """Even-odd test of points (M, 2) against closed outlines: each (K, 2), or (M, K, 2), one per point."""
    u, v = points[:, 0, None], points[:, 1, None]
    odd = np.zeros(len(points), dtype=bool)
    for outline in outlines:
        a, b = outline, np.roll(outline, -1, axis=-2)
        rise = b[..., 1] - a[..., 1]
        crosses = (a[..., 1] > v) != (b[..., 1] > v)
        at = a[..., 0] + (v - a[..., 1]) * (b[..., 0] - a[..., 0]) / np.where(rise == 0, 1.0, rise)
        odd ^= (np.count_nonzero(crosses & (u < at), axis=1) % 2).astype(bool)
    return odd


def fill(outlines: Sequence[Array]) -> tuple[Array, NDArray[np.int64]]:
    """Cut the region inside closed outlines (even-odd, so inner ones are holes) into triangles.

    Horizontal slabs between the sorted vertex heights hold only trapezia; each gives two triangles, counter-clockwise.
    Robust for any concave outline and free of loops; the mesh has T-joints, which sampling does not mind.
    """
    a = np.concatenate(outlines)
    b = np.concatenate([np.roll(outline, -1, axis=0) for outline in outlines])
    levels = np.unique(a[:, 1])
    low, high = levels[:-1, None], levels[1:, None]
    middle = 0.5 * (low + high)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    slope = (b[:, 0] - a[:, 0]) / rise
    crosses = (a[:, 1] > middle) != (b[:, 1] > middle)
    order = np.argsort(np.where(crosses, a[:, 0] + (middle - a[:, 1]) * slope, np.inf), axis=1, kind="stable")
    slab, rank = np.nonzero(np.arange(0, len(a) - 1, 2)[None, :] + 1 < np.count_nonzero(crosses, axis=1)[:, None])
    left, right = order[slab, 2 * rank], order[slab, 2 * rank + 1]
    corners = [
        np.stack([a[edge, 0] + (level[slab, 0] - a[edge, 1]) * slope[edge], level[slab, 0]], axis=1)
        for edge, level in ((left, low), (right, low), (right, high), (left, high))
    ]
    vertices = np.stack(corners, axis=1).reshape(-1, 2)
    base = 4 * np.arange(len(slab))[:, None, None]
    faces = (base + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    return vertices, faces
