"""Knives: most lie along x with the edge down, some stand point up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, monotone, rounded, spline, superellipse
from core.datasets.shapes16.surfaces import (
    box,
    cylinder,
    ellipsoid,
    extrude,
    hull,
    loft,
    revolve,
    torus,
    tube,
)


def _blade(x: Array, spine: Array, edge: Array, thickness: float, *, double: bool = False) -> Surface:
    """Blade lofted along x (K,) between the heights of spine and edge; a wedge, or a lens with two edges."""
    fat = thickness / 2 * np.clip((spine - edge) / (0.5 * np.max(spine - edge)), 0.1, 1)
    middle = 0.5 * (spine + edge)
    left = [(spine, 0.1 * fat), (middle, fat)] if double else [(spine, fat), (middle, 0.8 * fat)]
    half = [*left, (edge, 0.08 * fat)]
    ring = [np.stack([x, y, z], axis=1) for z, y in half] + [np.stack([x, -y, z], axis=1) for z, y in half[::-1]]
    return loft(np.stack(ring, axis=1))


def _handle(length: float, height: float, width: float, *, shape: Sequence[float], drop: float = 0.0) -> Surface:
    """Grip from x = 0 back to -length; `shape` holds shares of the height along it, `drop` lowers its end."""
    x = np.linspace(-length, 0, len(shape))
    centre = -drop * (x / length) ** 2
    share = np.array(shape)[::-1]
    ends = np.concatenate([[x[0] - 0.03 * length], x])
    grow = np.concatenate([[0.4 * share[0]], share])
    rows = np.stack([ends, width / 2 * np.sqrt(grow), height / 2 * grow, np.concatenate([[centre[0]], centre])], axis=1)
    return hull(rows, power=3, stations=16, count=16)


def _rivets(length: float, width: float, count: int, radius: float) -> list[Surface]:
    return [
        cylinder(radius, 1.06 * width, axis="y", segments=10).moved(-length * (k + 0.7) / (count + 0.4))
        for k in range(count)
    ]


def _pose(rng: np.random.Generator, parts: list[Surface], standing: float = 0.25) -> list[Surface]:
    """Most knives lie along x, a few stand on end, as in a rack; some are turned edge up or lie on their side."""
    roll = float(rng.choice([0.0, 180.0, 90.0], p=[0.78, 0.1, 0.12]))
    parts = [part.rotated("x", roll) for part in parts]
    return [part.rotated("y", -90) for part in parts] if rng.random() < standing else parts


def _kitchen(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    long, tall, thick = u(0.5, 0.68), u(0.06, 0.16), u(0.008, 0.014)
    t = np.linspace(0, 1, 16)
    edge = -tall * (1 - t ** u(2.2, 5)) ** u(0.8, 1.0) * (1 - 0.12 * t)
    spine = -0.35 * tall * t ** u(1.8, 4) + 0.0 * t
    edge = np.minimum(edge + spine[-1] * t**6, spine - 0.002)
    grip, width = 1 - long, u(0.035, 0.05)
    height = u(0.05, 0.075)
    parts = [_blade(t * long, spine, edge, thick)]
    parts.append(
        _handle(grip, height, width, shape=[0.9, 0.95, 0.85, 0.9, u(1.0, 1.25)], drop=u(0, 0.03)).moved(
            0.01, 0, -0.5 * height
        )
    )
    if rng.random() < 0.6:
        parts += [part.moved(0, 0, -0.5 * height) for part in _rivets(grip, width, 3, 0.009)]
    if rng.random() < 0.5:
        parts.append(
            box(0.03, width * 0.9, min(1.1 * height, tall), radius=0.006).moved(0.01, 0, -0.5 * min(1.1 * height, tall))
        )
    return _pose(rng, parts)


def _cleaver(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    long, tall, thick = u(0.48, 0.62), u(0.2, 0.32), u(0.012, 0.02)
    nose = u(0.02, 0.08)
    corners = [(0, 0), (0, -tall), (long, -tall * u(0.9, 1.0)), (long * u(0.96, 1.02), u(-0.02, 0.03))]
    outline, hole = rounded(corners, [0.01, nose, nose, nose], 5), superellipse(0.022, 0.022, count=12)
    holes = [hole + np.array([0.88 * long, -0.045])] if rng.random() < 0.6 else []
    blade = extrude(outline, thick, axis="y", holes=holes).warped(
        lambda p: p * np.stack([np.ones(len(p)), 1 + 0.75 * np.clip(p[:, 2] / tall, -1, 0), np.ones(len(p))], axis=1)
    )
    grip, height, width = 1 - long, u(0.05, 0.075), u(0.04, 0.055)
    level = -u(0.04, 0.09)
    handle = _handle(grip, height, width, shape=[0.85, 0.95, 0.95, 0.95, u(1, 1.3)]).moved(0.01, 0, level)
    tang = box(0.06, thick, 0.6 * height).moved(0.0, 0, level)
    return _pose(
        rng, [blade, handle, tang, *(part.moved(0, 0, level) for part in _rivets(grip, width, 3, 0.01))], standing=0.15
    )


def _dagger(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    long, half, thick = u(0.58, 0.74), u(0.025, 0.055), u(0.014, 0.026)
    t = np.linspace(0, 1, 18)
    width = half * monotone(t, [0, u(0.2, 0.35), u(0.6, 0.8), 1], [u(0.8, 1.0), u(0.75, 1.0), u(0.7, 0.95), 0.02])
    grip, round_grip = 1 - long, u(0.026, 0.036)
    handle = revolve(
        [
            (0, -grip),
            (0.8 * round_grip, -grip),
            (1.0 * round_grip, -0.7 * grip),
            (round_grip, -0.4 * grip),
            (0.75 * round_grip, 0),
            (0, 0.01),
        ],
        segments=16,
    ).rotated("y", 90)
    parts = [_blade(t * long, width, -width, thick, double=True), handle]
    reach, bend = u(0.07, 0.14), u(-0.03, 0.05)
    guard = tube(
        spline([(bend, 0, -reach), (0.005, 0, -0.4 * reach), (0, 0, 0), (0.005, 0, 0.4 * reach), (bend, 0, reach)], 13),
        u(0.012, 0.018),
        segments=8,
    )
    parts += [guard, ellipsoid(u(0.025, 0.035), u(0.028, 0.038), u(0.028, 0.045), rings=8, segments=12).moved(-grip)]
    if rng.random() < 0.5:
        parts += [
            torus(1.02 * round_grip, 0.005, segments=16, around=5).rotated("y", 90).moved(-grip * k / 7)
            for k in range(1, 7)
        ]
    return _pose(rng, parts, standing=0.4)


def _folding(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    grip, height, width = 0.52, u(0.075, 0.11), u(0.035, 0.055)
    long, thick = grip * u(0.75, 0.95), u(0.008, 0.013)
    t = np.linspace(0, 1, 14)
    spine = 0.42 * height * (1 - np.clip((t - 0.55) / 0.45, 0, 1) ** 2 * u(0.2, 1.0))
    edge = -0.42 * height * (1 - t ** u(2.5, 4))
    edge = np.minimum(edge + (spine[-1] - 0.003) * t**6, spine - 0.003)
    hand = rounded(
        [
            (-grip, -0.5 * height),
            (-0.5 * grip, -0.42 * height),
            (0.02, -0.5 * height),
            (0.03, 0.45 * height),
            (-0.5 * grip, 0.52 * height),
            (-grip * 0.99, 0.4 * height),
        ],
        0.035,
        5,
    )
    scale = extrude(hand, 0.36 * width, axis="y", bevel=0.004)
    spacer = extrude(
        rounded(
            [
                (-grip + 0.02, 0.1 * height),
                (-0.05, 0.1 * height),
                (-0.05, 0.42 * height),
                (-grip + 0.02, 0.34 * height),
            ],
            0.01,
        ),
        0.3 * width,
        axis="y",
    )
    parts = [
        scale.moved(0, 0.32 * width, 0),
        scale.moved(0, -0.32 * width, 0),
        spacer,
        cylinder(0.022, 1.1 * width, axis="y", segments=14),
    ]
    angle = float(rng.choice([0.0, u(5, 60), u(60, 110)], p=[0.6, 0.2, 0.2]))
    parts.append(_blade(t * long, spine, edge, thick).rotated("y", -angle))
    if rng.random() < 0.4:
        parts.append(box(0.3 * grip, 0.008, 0.022, radius=0.003).moved(-0.75 * grip, 0.54 * width, 0.1 * height))
    return _pose(rng, parts, standing=0.1)


def _machete(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    long, root, thick = u(0.7, 0.8), u(0.06, 0.08), u(0.008, 0.012)
    belly = root * u(1.2, 2.0)
    t = np.linspace(0, 1, 20)
    peak = u(0.65, 0.85)
    edge = -monotone(t, [0, 0.3, peak, 0.95, 1.0], [root, root * 1.05, belly, 0.6 * belly, 0.1 * belly])
    spine = monotone(t, [0, 0.5, 1.0], [0.0, u(-0.01, 0.015), u(-0.03, 0.04)])
    grip, height, width = 1 - long, u(0.055, 0.07), u(0.035, 0.045)
    handle = _handle(grip, height, width, shape=[0.95, 0.85, 0.95, 0.9, u(1.2, 1.6)], drop=u(0.01, 0.04)).moved(
        0.01, 0, -0.5 * root
    )
    return _pose(
        rng,
        [
            _blade(t * long, spine, np.minimum(edge, spine - 0.004), thick),
            handle,
            *(part.moved(0, 0, -0.5 * root) for part in _rivets(grip, width, 2, 0.009)),
        ],
    )


STYLES: dict[str, dict[str, Builder]] = {
    "knife": {"kitchen": _kitchen, "cleaver": _cleaver, "dagger": _dagger, "folding": _folding, "machete": _machete}
}
