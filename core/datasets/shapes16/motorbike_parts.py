"""Parts that motorbikes share; lengths in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.datasets.shapes16.mesh import Surface
from core.datasets.shapes16.outlines import spline
from core.datasets.shapes16.surfaces import box, cylinder, revolve, torus, tube

Point = tuple[float, float, float]


def pair(part: Surface) -> list[Surface]:
    return [part, part.mirrored("y")]


def pipe(points: Sequence[Point], radius: float | Sequence[float], count: int = 14, segments: int = 8) -> Surface:
    """Bent pipe through the points; radii are spread along it."""
    radii = np.atleast_1d(np.asarray(radius, dtype=np.float64))
    along = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(radii)), radii) if len(radii) > 1 else radii[0]
    return tube(spline(points, count), along, segments=segments)


def road_wheel(rng: np.random.Generator, radius: float, tyre: float, x: float, *, spokes: int) -> list[Surface]:
    """Wheel standing on z = 0 with its axle at `x`: tyre, hub, and spokes or (0) a disc."""
    parts = [
        torus(radius - tyre, tyre, segments=26, around=9),
        torus(radius - 2 * tyre, 0.25 * tyre, segments=22, around=5),
        cylinder(0.14 * radius, 2.2 * tyre, segments=12),
    ]
    if spokes:
        phase = rng.uniform(0, 360)
        spoke = tube(
            [(0, 0, 0), (radius - 1.7 * tyre, 0, 0)], 0.03 * radius if spokes > 6 else 0.06 * radius, segments=5
        )
        parts += [spoke.rotated("z", phase + 360 * k / spokes) for k in range(spokes)]
    else:
        parts.append(cylinder(radius - 1.6 * tyre, 0.5 * tyre, segments=20))
    parts.append(cylinder(0.38 * radius, 0.006, segments=20).moved(z=1.2 * tyre))  # brake disc
    return [part.rotated("x", 90).moved(x, 0, radius) for part in parts]


def fender(wheel: float, tyre: float, x: float, start: float, sweep: float, gap: float = 0.03) -> Surface:
    """Mudguard over the wheel at `x`, from angle `start` (0 is forwards, 90 up) over `sweep` degrees."""
    shell = revolve(
        [
            (wheel + gap - 0.6 * tyre, -1.3 * tyre),
            (wheel + gap, -0.9 * tyre),
            (wheel + gap + 0.01, 0),
            (wheel + gap, 0.9 * tyre),
            (wheel + gap - 0.6 * tyre, 1.3 * tyre),
        ],
        segments=12,
        start=-start - sweep,
        sweep=sweep,
    )
    return shell.rotated("x", -90).moved(x, 0, wheel)


def fork(
    rng: np.random.Generator, axle: Point, rake: float, length: float, *, bars: Sequence[Point], thick: float = 0.022
) -> tuple[list[Surface], Point]:
    """Fork from the axle to the steering head at `length`, and the handlebar, of which `bars` is the left half."""
    back, up = np.sin(np.radians(rake)), np.cos(np.radians(rake))
    head = (axle[0] - back * length, 0.0, axle[2] + up * length)
    legs = pair(
        tube(
            [
                (axle[0], 0.085, axle[2]),
                (axle[0] - back * length * 0.55, 0.085, axle[2] + up * length * 0.55),
                (head[0], 0.085, head[2]),
            ],
            [1.25 * thick, 1.25 * thick, thick],
            segments=8,
        )
    )
    clamps = [
        box(0.07, 0.22, 0.03, radius=0.01).rotated("y", -rake).moved(head[0] + back * d, 0, head[2] - up * d)
        for d in (0.0, 0.16)
    ]
    half = [(head[0] + x, y, head[2] + z) for x, y, z in bars]
    whole = [(x, -y, z) for x, y, z in half[::-1]] + half
    grip = tube([half[-2], half[-1]], 0.02, segments=8)
    return [*legs, *clamps, pipe(whole, 0.013, 18, 6).weighted(1.5), *pair(grip)], head


def engine(
    rng: np.random.Generator, x: float, z: float, *, cylinders: Sequence[float], size: float = 1.0
) -> list[Surface]:
    """Crankcase with one finned cylinder per lean angle in degrees (0 upright, positive forwards)."""
    u = rng.uniform
    parts = [box(0.36 * size, 0.26 * size, 0.24 * size, radius=0.07 * size).moved(x, 0, z)]
    parts += pair(cylinder(0.1 * size, 0.04, axis="y", segments=18).moved(x - 0.06 * size, 0.14 * size, z))
    for lean in cylinders:
        fins = [
            box(0.17 * size, 0.2 * size, 0.014, radius=0.006).moved(z=0.12 * size + 0.035 * k * size) for k in range(4)
        ]
        barrel = [
            box(0.12 * size, 0.15 * size, 0.3 * size, radius=0.02).moved(z=0.12 * size),
            box(0.16 * size, 0.2 * size, 0.07 * size, radius=0.02).moved(z=0.28 * size),
        ]
        parts += [part.rotated("y", lean).moved(x + u(0, 0.02), 0, z) for part in barrel + fins]
    return parts


def exhaust(
    rng: np.random.Generator, path: Sequence[Point], muffler: tuple[Point, Point], radius: float
) -> list[Surface]:
    return [pipe(path, 0.022), tube([muffler[0], muffler[1]], [0.8 * radius, radius], segments=12)]


def headlight(x: float, z: float, radius: float) -> Surface:
    bowl = revolve(
        [(0, -1), (0.55, -0.75), (0.95, -0.1), (1, 0.3), (0.9, 0.42), (0, 0.5)] * np.array([radius, 1.1 * radius]),
        segments=18,
    )
    return bowl.rotated("y", 90).moved(x, 0, z)


def frame(head: Point, pivot: Point, tail: Point, axle: Point) -> list[Surface]:
    """Backbone, cradle and swinging arm."""
    hx, _, hz = head
    return [
        pipe([(hx, 0, hz - 0.06), (hx - 0.2, 0, hz - 0.12), (tail[0] + 0.25, 0, tail[2] - 0.04), tail], 0.028),
        *pair(
            pipe(
                [
                    (hx, 0.02, hz - 0.14),
                    (hx - 0.06, 0.12, 0.5 * (hz + pivot[2])),
                    (hx - 0.2, 0.13, pivot[2] - 0.13),
                    (pivot[0], 0.13, pivot[2] - 0.12),
                    (pivot[0] - 0.03, 0.12, pivot[2] + 0.15),
                    (tail[0] + 0.22, 0.1, tail[2] - 0.05),
                ],
                0.02,
                18,
            )
        ),
        *pair(tube([(pivot[0], 0.1, pivot[2]), (axle[0], 0.12, axle[2])], 0.027, segments=6)),
        *pair(
            tube([(axle[0] + 0.06, 0.14, axle[2] + 0.02), (tail[0] + 0.15, 0.13, tail[2] - 0.05)], 0.026, segments=8)
        ),
    ]
