"""Rockets: they stand with the nose up; missiles may lie along x."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, monotone, spline
from core.datasets.shapes16.surfaces import box, cylinder, extrude, revolve, torus, tube


def _nose(rng: np.random.Generator, radius: float, length: float, base: float) -> Array:
    """Profile (K, 2) of a nose from its shoulder at height `base` to the tip: a cone, an ogive or an ellipse."""
    t = np.linspace(0, 1, 9)
    shape = [1 - t, 1 - t**1.8, np.sqrt(1 - t**2)][int(rng.choice(3, p=[0.3, 0.5, 0.2]))]
    return np.stack([radius * shape, base + length * t], axis=1)


def _bell(radius: float, length: float) -> Surface:
    """Hollow rocket nozzle, its throat at z = 0, opening downwards."""
    outer = monotone(np.linspace(0, 1, 6), [0, 0.4, 1], [0.42, 0.8, 1.0])
    z = -length * np.linspace(0, 1, 6)
    outside, inside = np.stack([outer * radius, z], axis=1), np.stack([outer * radius * 0.88, z], axis=1)
    return revolve([(0, 0), *outside, *inside[::-1], (0, -0.1 * length)], segments=16)


def _fins(count: int, outline: Sequence[tuple[float, float]], thickness: float, phase: float) -> list[Surface]:
    """Equal fins about z; `outline` holds radius and height."""
    fin = extrude(np.array(outline), thickness, axis="y", bevel=0.0)
    return [fin.rotated("z", phase + 360 * k / count) for k in range(count)]


def _trapezium(rng: np.random.Generator, r: float, span: float, chord: float, z: float) -> list[tuple[float, float]]:
    """Swept fin: root chord upwards from `z` at the radius `r`, sunk a little into the body."""
    tip, drop = chord * rng.uniform(0.25, 0.65), chord * rng.uniform(-0.1, 0.3)
    return [(0.8 * r, z), (0.8 * r, z + chord), (r + span, z + tip - drop), (r + span, z - drop)]


def _slender(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, nose = u(0.035, 0.075), u(0.12, 0.28)
    boat = u(0.8, 1.0)
    body = revolve([(0, 0), (boat * r, 0), (r, 0.1), (r, 0.5), *_nose(rng, r, nose, 1 - nose)])
    count = int(rng.choice([3, 4, 4]))
    parts = [
        body,
        _bell(0.7 * r, u(0.03, 0.07)),
    ]
    if rng.random() < 0.88:
        outline = _trapezium(rng, r, u(0.6, 2.2) * r, u(0.1, 0.22), 0.01)
        parts += _fins(count, outline, 0.1 * r + 0.003, u(0, 90))
    if rng.random() < 0.4:
        parts += [torus(r, 0.12 * r, segments=20, around=6).moved(z=z) for z in (u(0.3, 0.45), u(0.5, 0.7))]
    return parts


def _multi_stage(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r0 = u(0.06, 0.09)
    r1 = r0 * u(0.6, 1.0)
    r2 = r1 * u(0.45, 0.8)
    z1, z2, z3 = u(0.36, 0.5), u(0.62, 0.72), u(0.78, 0.84)
    fairing = r2 * u(1.0, 1.45)
    shoulder = z3 + u(0.02, 0.04)
    body = revolve(
        [
            (0, 0),
            (r0, 0),
            (r0, z1),
            (r1, z1 + 0.05),
            (r1, z2),
            (r2, z2 + 0.04),
            (r2, z3),
            (fairing, shoulder),
            *_nose(rng, fairing, 1 - shoulder - 0.06, shoulder + 0.06),
        ]
    )
    parts = [body]
    engines = int(rng.choice([1, 4, 5]))
    bell = _bell(r0 * (0.75 if engines == 1 else 0.36), u(0.05, 0.08))
    parts += [bell] if engines != 4 else []
    parts += [bell.moved(0.62 * r0).rotated("z", 45 + 90 * k) for k in range(4)] if engines > 1 else []
    if rng.random() < 0.6:
        parts += _fins(4, _trapezium(rng, r0, u(0.3, 1.0) * r0, u(0.08, 0.15), 0.0), 0.008, 0)
    if rng.random() < 0.3:  # escape tower
        parts += [tube([(0, 0, 0.97), (0, 0, 1.1), (0, 0, 1.12)], [0.01, 0.008, 0.001], segments=8)]
    return parts


def _boosters(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, nose = u(0.055, 0.085), u(0.15, 0.25)
    parts = [
        revolve([(0, 0), (r, 0), (r, 0.5), (r * u(0.8, 1.1), 0.55), *_nose(rng, r, nose, 1 - nose)]),
        _bell(0.7 * r, 0.06),
    ]
    count = int(rng.choice([2, 2, 3, 4, 6]))
    rb, top, lift = r * (u(0.5, 0.85) if count < 6 else 0.5), u(0.45, 0.75), u(-0.03, 0.05)
    slope = u(0.12, 0.2)
    booster = revolve([(0, 0), (rb, 0), (rb, top - slope), *_nose(rng, rb, slope, top - slope)], segments=20)
    side = [
        booster,
        _bell(0.7 * rb, 0.05),
        box(1.2 * (r + rb), 0.02, 0.03).moved(-0.5 * (r + rb), 0, 0.8 * (top - slope)),
        box(1.2 * (r + rb), 0.02, 0.03).moved(-0.5 * (r + rb), 0, 0.1),
    ]
    for k in range(count):
        parts += [part.moved(r + 1.02 * rb, 0, lift).rotated("z", 90 + 360 * k / count) for part in side]
    if rng.random() < 0.3:
        parts += _fins(2, _trapezium(rng, r, 1.2 * r, 0.15, 0.02), 0.01, 0)
    return parts


def _toy(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    belly, waist, middle = u(0.12, 0.19), u(0.4, 0.65), u(0.35, 0.5)
    z = np.linspace(0.1, 1.0, 20)
    r = monotone(z, [0.1, middle, 0.75, 0.93, 1.0], [belly * waist, belly, 0.7 * belly, 0.28 * belly, 0.0])
    parts = [revolve([(0, 0.1), *np.stack([r, z], axis=1)]), _bell(belly * waist * 0.8, 0.06).moved(z=0.1)]
    reach, top = belly * u(1.4, 2.1), u(0.32, 0.45)
    upper = spline(
        [(0.55 * belly, top), (belly + 0.3 * (reach - belly), top - 0.09), (reach, 0.1), (reach * u(1.0, 1.08), 0.0)],
        10,
    )
    lower = spline([(reach * 0.96, 0.0), (belly * 1.05, 0.11), (0.5 * belly * waist, 0.14)], 7)
    fins = _fins(int(rng.choice([3, 3, 4])), [*upper, *lower], u(0.012, 0.03), u(0, 120))
    parts += fins
    for k in range(int(rng.integers(0, 3))):
        height = 0.68 - 0.16 * k
        at = float(monotone([height], z, r)[0])
        parts.append(
            torus(0.25 * belly, 0.05 * belly, segments=18, around=6).rotated("y", 80).moved(0.98 * at, 0, height)
        )
    return parts


def _missile(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r, nose = u(0.028, 0.05), u(0.08, 0.2)
    parts = [
        revolve([(0, 0), (0.85 * r, 0), (r, 0.03), (r, 0.5), *_nose(rng, r, nose, 1 - nose)], segments=24),
        cylinder(0.6 * r, 0.02, segments=16).moved(z=-0.01),
    ]
    phase, thickness = u(0, 90), 0.1 * r + 0.002
    parts += _fins(4, _trapezium(rng, r, u(1, 2.4) * r, u(0.07, 0.14), 0.01), thickness, phase)
    if rng.random() < 0.8:
        wide = rng.random() < 0.35  # two cruise wings, or four fins in the middle
        middle = _trapezium(rng, r, (u(4, 6.5) if wide else u(0.8, 2.0)) * r, u(0.08, 0.18), u(0.4, 0.6))
        parts += _fins(2 if wide else 4, middle, thickness, 90 if wide else phase)
    if rng.random() < 0.4:
        parts = [part.rotated("y", 90).rotated("x", rng.uniform(-8, 8)) for part in parts]
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "rocket": {
        "slender": _slender,
        "multi-stage": _multi_stage,
        "boosters": _boosters,
        "toy": _toy,
        "missile": _missile,
    }
}
