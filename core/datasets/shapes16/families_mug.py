"""Mugs of shapes16, in metres: the handle points to +y, to the right of who looks at their front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, monotone, spline
from core.datasets.shapes16.surfaces import box, ellipsoid, revolve, torus, tube


@dataclass(frozen=True)
class _Vessel:
    """Open round vessel with the outer radii (K,) at shares `nodes` (K,) of its height."""

    height: float
    nodes: list[float]
    radii: list[float]
    wall: float

    def radius(self, z: ArrayLike) -> Array:
        return monotone(np.atleast_1d(z), np.array(self.nodes) * self.height, self.radii)

    def surface(self, floor: float, *, segments: int = 36) -> Surface:
        """Outside, lip and inside in one closed skin; the inside reaches down to the height `floor`."""
        up, down = np.linspace(0, self.height, 12), np.linspace(self.height, floor, 10)
        outside = np.stack([self.radius(up), up], axis=1)
        inside = np.stack([self.radius(down) - self.wall, down], axis=1)
        inside[-1, 0] *= 0.85
        recess, rim = 0.03 * self.height, self.radii[0]
        foot = [(0.0, recess), (0.82 * rim, recess), (0.86 * rim, 0.0)]
        return revolve([*foot, *outside, *inside, (0.0, floor)], segments=segments)

    def handle(self, rng: np.random.Generator, thickness: float) -> Surface:
        """C, D, ear or angular handle, rooted in the wall at two heights."""
        u = rng.uniform
        top, low = self.height * u(0.72, 0.92), self.height * u(0.1, 0.36)
        span = top - low
        start, stop = self.radius([top, low]) - 0.6 * self.wall
        out = float(self.radius(np.linspace(low, top, 9)).max()) + span * u(0.3, 0.65) + 0.005
        nodes = [  # share of the way out, share of the way up
            [(0.55, 1.06), (1.0, u(0.5, 0.62)), (0.55, -0.02)],
            [(0.8, 1.0), (1.0, 0.78), (1.0, 0.22), (0.8, 0.0)],
            [(0.5, 1.1), (1.0, 0.75), (0.75, 0.4), (0.3, 0.1)],
            [(0.95, 1.02), (1.0, 0.92), (0.75, 0.1), (0.5, 0.0)],
        ][rng.integers(4)]
        root = [start + (stop - start) * (1 - t) for _, t in nodes]
        loop = [(r + s * (out - r), low + t * span) for r, (s, t) in zip(root, nodes, strict=True)]
        path = spline([(start, top), *loop, (stop, low)], 20)
        thick = thickness * (1 + u(0, 0.4) * np.linspace(-1, 1, 20) ** 2)
        return tube(np.insert(path, 0, u(-0.001, 0.001), axis=1), thick, flat=u(0.8, 2.0), segments=8)


def _straight(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, height = u(0.036, 0.05), u(0.075, 0.12)
    vessel = _Vessel(height, [0, u(0.03, 0.12), 1], [r * u(0.8, 0.97), r, r * u(0.98, 1.03)], u(0.003, 0.005))
    return [vessel.surface(u(0.004, 0.009)), vessel.handle(rng, u(0.0035, 0.006))]


def _tapered(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, height, low = u(0.038, 0.05), u(0.08, 0.15), u(0.58, 0.88)
    if rng.random() < 0.25:  # wide foot, narrow mouth
        r, low = 0.85 * r, u(1.12, 1.5)
    radii = [0.94 * r * low, r * low, r * (0.1 * low + 0.9), r * u(1.0, 1.06)]
    vessel = _Vessel(height, [0, 0.04, 0.9, 1], radii, u(0.0025, 0.0045))
    return [vessel.surface(u(0.004, 0.01)), vessel.handle(rng, u(0.0035, 0.006))]


def _round(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, height = u(0.042, 0.06), u(0.065, 0.1)
    foot, mouth = r * u(0.45, 0.75), r * u(0.75, 1.05)
    belly = u(0.35, 0.6) if mouth < 0.97 * r else u(0.6, 0.8)
    vessel = _Vessel(height, [0, 0.06, 0.2, belly, 1], [foot, foot, 0.5 * (foot + r), r, mouth], u(0.003, 0.005))
    return [vessel.surface(u(0.006, 0.012)), vessel.handle(rng, u(0.0035, 0.006))]


def _stein(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, height, low, base = u(0.04, 0.055), u(0.13, 0.2), u(0.95, 1.25), u(1.0, 1.15)
    radii = [base * low * r, base * low * r, low * r, r, r * u(1.0, 1.05)]
    vessel = _Vessel(height, [0, 0.05, 0.12, 0.9, 1], radii, u(0.004, 0.008))
    skin = vessel.surface(u(0.01, 0.025), segments=int(rng.choice([10, 12, 36])))
    bands = u(0.1, 0.9, rng.integers(0, 4)) * height
    rings = [torus(float(vessel.radius(z)[0]), 0.0022, around=6).moved(z=z) for z in bands]
    parts = [skin, vessel.handle(rng, u(0.006, 0.009)), *rings]
    if rng.random() < 0.35:  # lid with a rim, a knob and a thumb piece, shut or tipped about its hinge
        rim, dome = 1.03 * radii[-1], u(0.01, 0.035)
        knob = ellipsoid(0.006, 0.006, 0.01, rings=6, segments=10).moved(z=dome + 0.005)
        lid = [ellipsoid(rim, rim, dome, low=0, rings=6, segments=32), torus(rim, 0.002, around=6), knob]
        tip = u(20, 100) if rng.random() < 0.35 else 0.0
        parts += [part.moved(0, -rim, 0).rotated("x", -tip).moved(0, rim, height + 0.001) for part in lid]
        parts.append(box(0.012, 0.012, 0.025, radius=0.003).moved(0, rim + 0.004, height + 0.003))
    return parts


def _espresso(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, height = u(0.03, 0.042), u(0.045, 0.07)
    foot = r * u(0.5, 0.75)
    vessel = _Vessel(height, [0, 0.08, 0.35, 1], [foot, foot, r * u(0.8, 0.93), r], u(0.002, 0.0035))
    cup = [vessel.surface(u(0.004, 0.007)), vessel.handle(rng, u(0.003, 0.0045)).weighted(1.3)]
    edge, rise = r * u(1.45, 1.95), u(0.006, 0.016)
    under = [(0, 0), (0.55 * edge, 0), (0.65 * edge, 0.002 + 0.3 * rise), (edge, 0.002 + rise)]
    upper = [(edge, 0.004 + rise), (0.6 * edge, 0.004 + 0.3 * rise), (foot * u(1.1, 1.3), 0.004), (0, 0.004)]
    x, y = u(-0.06, 0.06, 2) * r
    return [revolve([*under, *upper], segments=36), *(part.moved(x, y, 0.0035) for part in cup)]


STYLES: dict[str, dict[str, Builder]] = {
    "mug": {"straight": _straight, "tapered": _tapered, "round": _round, "beer stein": _stein, "espresso": _espresso}
}
