"""Laptops of shapes16, in metres: the hinge lies along y, the user sits at +x."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, rectangle
from core.datasets.shapes16.surfaces import box, cylinder, extrude


def _angle(rng: np.random.Generator) -> float:
    """Opening angle in degrees: mostly about 108, in all 60 to 140; rarely nearly or wholly closed."""
    if rng.random() < 0.04:
        return max(0.0, rng.uniform(-10, 15))
    return float(np.clip(rng.normal(108, 15), 60, 140)) if rng.random() < 0.7 else rng.uniform(60, 140)


def _computer(rng: np.random.Generator, base: float, lid: float) -> list[Surface]:
    """Laptop with a base and a lid of the given thickness; the keyboard lies at z = 0."""
    u = rng.uniform
    width = u(0.25, 0.4)
    depth, angle = width / u(1.2, 1.75), _angle(rng)
    corner, wedge = u(0.002, 0.02), u(0.4, 1.0)
    hinge = u(0.01, 0.12) * depth if rng.random() < 0.5 else 0.0

    def slope(p: Array) -> Array:  # the base is thinner in front
        factor = np.ones_like(p)
        factor[:, 2] = wedge + (1 - wedge) * (0.5 - p[:, 0] / depth)
        return factor

    body = extrude(rectangle(depth, width, corner, 3), base, bevel=0.2 * base).moved(z=-base / 2).refined()
    body = body.warped(lambda p: p * slope(p), lambda p: p / slope(p))
    cover, across, bezel = depth - hinge - u(0.0, 0.015), width * u(0.97, 1.0), u(0.006, 0.022)
    gap = 0.0015 + 0.4 * lid
    outline, opening = rectangle(cover, across, corner, 3), rectangle(cover - 2 * bezel, across - 2 * bezel)
    screen = [
        extrude(outline, lid, bevel=0.15 * lid).moved(cover / 2, 0, lid / 2),
        extrude(outline, 0.25 * lid, holes=[opening]).moved(cover / 2, 0, -0.1 * lid),
    ]
    x = hinge - depth / 2
    parts = [body, *(part.rotated("y", -angle).moved(x, 0, gap) for part in screen)]
    if rng.random() < 0.5:  # one long hinge or two short ones
        parts.append(cylinder(max(gap, 0.004), u(0.5, 0.85) * width, axis="y", segments=10).moved(x, 0, 0.5 * gap))
    else:
        knuckle = cylinder(max(gap, 0.004), u(0.06, 0.15) * width, axis="y", segments=10)
        parts += [knuckle.moved(x, s * u(0.3, 0.36) * width, 0.5 * gap) for s in (-1, 1)]
    keys = box(u(0.35, 0.45) * depth, u(0.8, 0.92) * width, 0.003)
    pad = box(u(0.2, 0.28) * depth, u(0.2, 0.35) * width, 0.002)
    return [*parts, keys.moved(u(-0.1, -0.05) * depth + 0.4 * hinge), pad.moved(0.32 * depth, u(-0.05, 0.05) * width)]


def _thin(rng: np.random.Generator) -> list[Surface]:
    return _computer(rng, rng.uniform(0.008, 0.018), rng.uniform(0.004, 0.008))


def _thick(rng: np.random.Generator) -> list[Surface]:
    return _computer(rng, rng.uniform(0.018, 0.045), rng.uniform(0.007, 0.02))


STYLES: dict[str, dict[str, Builder]] = {"laptop": {"thin": _thin, "thick": _thick}}
