"""Seats, backs and shells from which the chairs of shapes16 are put together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from core.datasets.shapes16.mesh import Surface
from core.datasets.shapes16.outlines import Array, rounded, spline
from core.datasets.shapes16.surfaces import extrude, plate, tube

Back = Callable[[ArrayLike, ArrayLike], Array]


def seat(rng: np.random.Generator, depth: float, width: float, height: float, thickness: float) -> Surface:
    """Seat board or cushion, wider in front, dished, its rim at `height`."""
    rear = width * rng.uniform(0.8, 1.0)
    corners = [(-depth / 2, -rear / 2), (depth / 2, -width / 2), (depth / 2, width / 2), (-depth / 2, rear / 2)]
    outline = rounded(corners, rng.uniform(0.02, 0.12), 4)
    board = extrude(outline, thickness, bevel=thickness * rng.uniform(0.1, 0.35)).refined()
    dish = rng.uniform(0.0, 0.02)

    def sag(p: Array) -> Array:
        return np.insert(np.zeros((len(p), 2)), 2, dish * (4 * p[:, 1] ** 2 / width**2 - 1), axis=1)

    return board.warped(lambda p: p + sag(p), lambda p: p - sag(p)).moved(z=height - thickness / 2)


def backrest(
    x: float, z: float, height: float, half: float, lean: float, curve: float = 0.0, flare: float = 0.0
) -> Back:
    """Map from (across in -1..1, up in 0..1) to the face of a back.

    It rises from (x, z) by `height`, leaning by the slope `lean`, `half` wide to each side and wider by `flare` at the
    top, hollow by `curve`.
    """

    def at(across: ArrayLike, up: ArrayLike) -> Array:
        s, t = np.broadcast_arrays(np.asarray(across, dtype=np.float64), np.asarray(up, dtype=np.float64))
        return np.stack(
            [x - lean * height * t - curve * (1 - s * s), s * half * (1 + flare * t), z + height * t], axis=-1
        )

    return at


def strip(back: Back, left: float, right: float, low: float, high: float, thickness: float) -> Surface:
    """The part of a back between two shares of its width and two of its height, as a bent board."""
    across = np.linspace(left, right, 8 if right - left > 0.8 else 3)
    return plate(back(across[:, None], np.linspace(low, high, 4)[None, :]), thickness)


def filling(rng: np.random.Generator, back: Back) -> list[Surface]:
    """What is between the two posts of a wooden back."""
    u = rng.uniform
    kind, thick = rng.integers(5), u(0.012, 0.024)
    if kind == 0:  # upright slats between two rails
        count, low, high = int(rng.integers(2, 8)), u(0.05, 0.25), u(0.78, 0.9)
        half, lines = u(0.25, 0.6) / count, np.linspace(-0.95, 0.95, count + 2)[1:-1]
        rails = [strip(back, -1, 1, high, u(0.96, 1.03), thick), strip(back, -1, 1, low - 0.04, low + 0.06, thick)]
        return rails + [strip(back, s - half, s + half, low, high, 0.7 * thick) for s in lines]
    if kind == 1:  # ladder
        tall, levels = u(0.05, 0.12), np.linspace(u(0.2, 0.55), 0.93, int(rng.integers(2, 6)))
        return [strip(back, -1, 1, t - tall, t + tall * u(0.5, 1), thick) for t in levels]
    if kind == 2:  # one board
        return [strip(back, -1, 1, u(-0.05, 0.45), u(0.96, 1.02), thick * u(0.8, 2.5))]
    if kind == 3:  # splat under a rail
        half, low = u(0.15, 0.4), u(0.7, 0.86)
        return [strip(back, -half, half, -0.05, low + 0.02, thick), strip(back, -1, 1, low, 1.02, 1.4 * thick)]
    rungs, up = np.linspace(-1, 1, int(rng.integers(6, 10)))[1:-1], np.linspace(-0.05, 0.93, 4)  # spindles under a rail
    spindles = [tube(back(s, up), u(0.006, 0.01), segments=6) for s in rungs]
    return [strip(back, -1, 1, u(0.84, 0.9), 1.02, 1.4 * thick), *spindles]


def stretchers(feet: Array, knees: Array, share: float, radius: float, *, ring: bool) -> list[Surface]:
    """Bars between legs (L, 3) in cyclic order at a share of their height: each to the next, or an H between four."""
    at = feet + share * (knees - feet)
    if ring:
        pairs = list(zip(at, np.roll(at, -1, axis=0), strict=True))
    else:
        pairs = [(at[0], at[1]), (at[2], at[3]), ((at[0] + at[1]) / 2, (at[2] + at[3]) / 2)]
    return [tube(pair, radius, segments=8) for pair in pairs]


def shell(profile: ArrayLike, widths: ArrayLike, cup: float, thickness: float) -> Surface:
    """Seat and back of one piece.

    Swept along a smooth profile (K, 2) of x and z from the front lip to the top of the back, `widths` (K,) wide, its
    sides raised by `cup`.
    """
    nodes = np.arange(len(np.asarray(profile)))
    line = spline(profile, 20)
    width = np.interp(np.linspace(0, nodes[-1], 20), nodes, np.asarray(widths))
    along = np.gradient(line, axis=0)
    along /= np.sqrt((along**2).sum(axis=1, keepdims=True))
    s = np.linspace(-1, 1, 10)[None, :]
    x, z = line[:, :1] + cup * s**2 * along[:, 1:], line[:, 1:] - cup * s**2 * along[:, :1]
    return plate(np.stack([x, width[:, None] / 2 * s, z], axis=-1), thickness)


def shell_profile(depth: float, height: float, tall: float, lean: float, sink: float) -> list[tuple[float, float]]:
    """Profile for `shell`: seven nodes over a seat at `height` that sinks in by `sink`, and up a leaning back."""
    x = -depth / 2
    return [
        (depth / 2, height - 0.02),
        (0.3 * depth, height),
        (-0.1 * depth, height - sink),
        (0.85 * x, height + 0.02),
        (1.05 * x - 0.25 * lean * tall, height + 0.3 * tall),
        (x - 0.62 * lean * tall, height + 0.66 * tall),
        (x - lean * tall, height + tall),
    ]
