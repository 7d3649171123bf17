"""Shades, feet and bodies from which the lamps of shapes16 are put together."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.mesh import Surface
from core.datasets.shapes16.outlines import monotone, placed, rectangle
from core.datasets.shapes16.surfaces import box, cylinder, ellipsoid, loft, post, revolve, tube, turned


def shade(rng: np.random.Generator, radius: float, height: float, bottom: float) -> list[Surface]:
    """Open lampshade and the three spokes which carry it at its top: a cone, a drum, a bell or a pyramid."""
    u = rng.uniform
    kind = rng.choice(["cone", "drum", "bell", "pyramid"], p=[0.4, 0.25, 0.2, 0.15])
    crown, t = radius * (u(0.85, 1.0) if kind == "drum" else u(0.3, 0.75)), np.linspace(0.0, 1.0, 8)
    if kind == "pyramid":
        ends = ((radius, bottom), (crown, bottom + height))
        skin = loft([placed(rectangle(2 * half, 2 * half, 0.1 * half), "z", z) for half, z in ends], caps=False)
    else:
        bend = u(0.4, 0.75) if kind == "bell" else 1.0
        skin = revolve(np.stack([crown + (radius - crown) * (1 - t**bend), bottom + height * t], axis=1), segments=36)
    level = bottom + height - 0.01
    spoke = tube([(0, 0, level), (0.98 * crown, 0, level)], 0.003, segments=5).weighted(3)
    return [skin, *(spoke.rotated("z", 120 * k + 30) for k in range(3))]


def foot(rng: np.random.Generator, reach: float) -> Surface:
    """Round or square foot of a standing lamp."""
    tall = rng.uniform(0.012, 0.04)
    if rng.random() < 0.75:
        return turned([0, 0.6 * tall, tall, tall + 0.03], [reach, 0.97 * reach, 0.6 * reach, 0.02])
    return box(1.8 * reach, 1.8 * reach, tall, radius=0.004).moved(z=tall / 2)


def body(rng: np.random.Generator, height: float) -> list[Surface]:
    """Foot and body of a table lamp up to `height`: a turned shape, a stick, a block or a ball."""
    u = rng.uniform
    kind, wide = rng.integers(6), max(height * u(0.18, 0.4), 0.05)
    reach = wide * u(0.8, 1.2)
    if kind < 3:  # turned: a baluster, a vase or a gourd
        shares, radii = [
            ((0, 0.04, 0.1, u(0.3, 0.5), 0.75, 0.85, 1), (0.9, 0.9, 0.5, u(0.6, 1), 0.3, 0.35, 0.14)),
            ((0, 0.2, u(0.5, 0.7), 0.88, 1), (u(0.5, 0.9), 0.75, 1, 0.45, u(0.25, 0.4))),
            ((0, 0.08, 0.3, 0.55, 0.72, 0.92, 1), (0.6, 0.8, 1, 0.35, 0.6, 0.25, 0.2)),
        ][kind]
        return [turned(height * np.array(shares), wide * np.array(radii), count=28)]
    if kind == 3:  # stick
        slim = u(0.006, 0.02)
        return [turned([0, 0.012, 0.025, 0.04, height], [reach, reach, 0.6 * reach, slim, slim], count=30)]
    if kind == 4:  # block
        size, power = 1.6 * wide * np.array([1, u(0.6, 1)]), rng.choice([2.0, 9.0])
        block = post([(0, 0, 0), (0, 0, 0.92 * height)], size, power=power)
        return [block, cylinder(0.02, 0.1 * height).moved(z=0.95 * height)]
    ball = 0.45 * height * u(0.5, 0.95)
    stick = turned([0, 0.015, 0.05, height], [reach, reach, 0.3 * reach, 0.012])
    return [stick, ellipsoid(ball, ball, ball * u(0.8, 1.0)).moved(z=0.04 + ball)]


def head(rng: np.random.Generator) -> list[Surface]:
    """Head of a work lamp with its joint at the origin, shining down: a cone or bell with its bulb, or a light bar."""
    u = rng.uniform
    kind, r, length = rng.choice(["bar", "cone", "bell"], p=[0.2, 0.4, 0.4]), u(0.06, 0.11), u(0.09, 0.16)
    if kind == "bar":
        bar = box(u(0.2, 0.36), u(0.04, 0.08), u(0.012, 0.025), radius=0.005).moved(x=u(-0.02, 0.1))
        return [bar.rotated("y", u(-12, 20))]
    if kind == "cone":
        profile = np.array([(0, 0.03), (0.024, 0.025), (0.03, -0.2 * length), (r, -length)])
    else:
        nodes = np.array(
            [(0.0, 0.03), (0.028, 0.02), (0.35 * r, -0.2 * length), (0.85 * r, -0.6 * length), (r, -length)]
        )
        profile = monotone(np.linspace(0, 1, 9), [0, 0.12, 0.4, 0.75, 1], nodes)
    bulb = ellipsoid(0.4 * r, 0.4 * r, 0.35 * length, rings=8, segments=12).moved(z=-0.5 * length)
    tilt = u(-45, 20)
    return [part.rotated("y", tilt) for part in (revolve(profile, segments=28), bulb)]


def pendant_shade(rng: np.random.Generator, radius: float) -> list[Surface]:
    """Shade that hangs from the origin: a globe, a drum or an open bell, dome or funnel, with its socket."""
    u = rng.uniform
    kind, tall = rng.integers(6), radius * u(0.5, 1.5)
    if kind == 0:
        squash = u(0.6, 1.1) * radius
        return [ellipsoid(radius, radius, squash, segments=30).moved(z=-squash), cylinder(0.03, 0.05).moved(z=0.005)]
    if kind == 1:
        return [*shade(rng, radius, tall, -tall), cylinder(0.02, 0.06).moved(z=-0.02)]
    radii = [[0.1, 0.7, 0.95, 1.0], [0.08, 0.36, 0.68, 1.0], [0.15, 0.3, 0.45, 1.0], [0.25, 0.85, 0.97, 1.0]][kind - 2]
    t = np.linspace(0, 1, 12)
    profile = np.stack([radius * monotone(t, [0, 0.3, 0.65, 1], radii), -tall * t], axis=1)
    return [revolve([(0, 0), *profile], segments=32), cylinder(0.025, 0.08).moved(z=0.03)]
