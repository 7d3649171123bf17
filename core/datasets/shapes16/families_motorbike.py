"""Motorbikes, driving towards +x; lengths in metres until the scan normalises them."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.motorbike_parts import (
    engine,
    exhaust,
    fender,
    fork,
    frame,
    headlight,
    pair,
    pipe,
    road_wheel,
)
from core.datasets.shapes16.outlines import rounded
from core.datasets.shapes16.surfaces import box, ellipsoid, extrude, hull, plate, tube


def _sport(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    wheel, tyre, base = u(0.29, 0.32), u(0.058, 0.075), u(0.68, 0.74)
    front, rear = (base, 0, wheel), (-base, 0, wheel)
    parts = road_wheel(rng, wheel, tyre * 0.85, base, spokes=int(rng.integers(3, 7))) + road_wheel(
        rng, wheel, tyre, -base, spokes=int(rng.integers(3, 7))
    )
    steering, head = fork(
        rng,
        front,
        u(22, 26),
        u(0.58, 0.64),
        bars=[(-0.04, 0.06, -0.02), (-0.07, 0.2, -0.03), (-0.12, 0.32, -0.05)],
        thick=0.026,
    )
    tail = (-base - u(0.02, 0.12), 0, u(0.86, 0.98))
    parts += (
        steering + frame(head, (-0.2, 0, 0.42), (-0.45, 0, 0.8), rear) + engine(rng, 0.08, 0.42, cylinders=[u(10, 30)])
    )
    w = u(0.13, 0.17)
    top = head[2] + u(0.0, 0.05)
    parts.append(
        hull(
            [
                (-0.32, 0.06, 0.05, 0.8),
                (-0.15, 0.8 * w, 0.1, 0.84),
                (0.1, w, 0.15, top - 0.14),
                (0.28, 0.8 * w, 0.12, top - 0.12),
                (0.36, 0.4 * w, 0.05, top - 0.12),
            ],
            power=2.6,
        )
    )
    parts.append(
        hull(
            [
                (tail[0], 0.03, 0.02, tail[2]),
                (-0.6, 0.09, 0.06, 0.9),
                (-0.42, 0.12, 0.05, 0.83),
                (-0.25, 0.1, 0.04, 0.8),
            ],
            power=2.6,
        )
    )
    full = rng.random() < 0.7
    nose = u(0.66, 0.76)
    outline = [
        (nose, 0.86),
        (0.56, 0.98),
        (0.42, top + 0.14),
        (0.38, top),
        (0.3, 0.74),
        (0.12, 0.62),
        (-0.12, 0.42),
        (-0.16, 0.22),
        (0.3, 0.2),
        (0.42, 0.4),
        (0.5, 0.62),
        (0.62, 0.74),
    ]
    if not full:
        outline = [(nose, 0.86), (0.56, 0.98), (0.42, top + 0.14), (0.36, top), (0.34, 0.76), (0.5, 0.68), (0.62, 0.74)]
    spread = u(0.16, 0.2)
    cowl = extrude(rounded(outline, 0.06, 3), 0.016, axis="y").refined()
    side = cowl.warped(
        lambda p: (
            p
            + np.stack(
                [
                    0 * p[:, 0],
                    spread * np.sqrt(np.clip((nose + 0.03 - p[:, 0]) / 0.5, 0, 1))
                    - 0.12 * np.clip(p[:, 2] - 0.8, 0, 1),
                    0 * p[:, 0],
                ],
                axis=1,
            )
        )
    )
    parts += pair(side)
    parts.append(fender(wheel, tyre, base, 40, u(70, 110), gap=0.02))
    end = (-base - u(0, 0.1), 0.2, u(0.42, 0.62))
    parts += exhaust(
        rng,
        [(0.2, 0.08, 0.45), (0.25, 0.08, 0.25), (0.0, 0.1, 0.16), (-0.25, 0.16, 0.24)],
        ((-0.25, 0.16, 0.24), end),
        0.055,
    )
    return parts


def _cruiser(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    wheel, tyre, base = u(0.3, 0.33), u(0.06, 0.08), u(0.8, 0.95)
    front, rear = (base, 0, wheel), (-0.68, 0, wheel)
    parts = road_wheel(rng, wheel + u(0, 0.04), 0.75 * tyre, base, spokes=int(rng.integers(8, 13))) + road_wheel(
        rng, wheel, tyre, -0.68, spokes=int(rng.choice([0, 8, 10]))
    )
    rise, pull = u(0.08, 0.35), u(0.1, 0.28)
    steering, head = fork(
        rng,
        front,
        u(30, 42),
        u(0.74, 0.85),
        bars=[(0, 0.08, 0.02), (-0.02, 0.2, rise), (-0.1, 0.34, rise + 0.02), (-0.1 - pull, 0.42, rise - 0.03)],
    )
    parts += (
        steering
        + frame(head, (-0.2, 0, 0.36), (-0.5, 0, 0.62), rear)
        + engine(rng, 0.02, 0.38, cylinders=[-22, 24], size=u(1.0, 1.15))
    )
    tank = u(0.1, 0.14)
    parts.append(
        hull(
            [
                (-0.14, 0.3 * tank, 0.04, 0.76),
                (0.05, 0.9 * tank, 0.1, 0.79),
                (0.22, tank, 0.115, 0.83),
                (0.34, 0.75 * tank, 0.08, 0.87),
                (0.4, 0.2 * tank, 0.03, 0.88),
            ]
        )
    )
    parts.append(
        hull(
            [(-0.58, 0.13, 0.06, 0.72), (-0.42, 0.17, 0.06, 0.66), (-0.25, 0.15, 0.05, 0.65), (-0.1, 0.08, 0.05, 0.7)],
            power=2.8,
        )
    )
    if rng.random() < 0.6:
        parts.append(hull([(-0.92, 0.1, 0.04, 0.76), (-0.72, 0.13, 0.05, 0.75), (-0.55, 0.1, 0.04, 0.7)], power=2.8))
    parts += [
        fender(wheel, tyre, -0.68, 30, u(120, 150)),
        fender(wheel + 0.02, tyre, base, 45, u(80, 130)),
        headlight(head[0] + 0.14, head[2] - 0.1, u(0.075, 0.1)),
    ]
    for low in (0.2, 0.3)[: int(rng.integers(1, 3))]:
        parts += exhaust(
            rng,
            [(0.15, 0.1, 0.5), (0.2, 0.16, low + 0.1), (0.0, 0.18, low), (-0.3, 0.18, low)],
            ((-0.3, 0.18, low), (-0.95, 0.19, low + u(0, 0.05))),
            0.045,
        )
    if rng.random() < 0.3:
        parts += pair(box(0.42, 0.14, 0.26, radius=0.06).moved(-0.72, 0.24, 0.5))
    return parts


def _off_road(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    wheel, tyre, base = u(0.33, 0.36), u(0.045, 0.06), u(0.7, 0.76)
    front, rear = (base, 0, wheel), (-base, 0, 0.93 * wheel)
    parts = road_wheel(rng, wheel, tyre, base, spokes=int(rng.integers(9, 14))) + road_wheel(
        rng, 0.93 * wheel, 1.15 * tyre, -base, spokes=int(rng.integers(9, 14))
    )
    rise = u(0.06, 0.12)
    steering, head = fork(
        rng,
        front,
        u(25, 29),
        u(0.74, 0.82),
        bars=[(0, 0.08, 0.02), (0, 0.18, rise), (-0.03, 0.28, rise + 0.01), (-0.1, 0.41, rise + 0.01)],
    )
    parts += (
        steering
        + frame(head, (-0.18, 0, 0.46), (-0.5, 0, 0.88), rear)
        + engine(rng, 0.06, 0.46, cylinders=[u(4, 15)], size=0.9)
    )
    parts.append(
        hull(
            [(-0.12, 0.06, 0.04, 0.9), (0.06, 0.11, 0.09, 0.92), (0.24, 0.13, 0.12, 0.93), (0.34, 0.06, 0.06, 0.98)],
            power=2.4,
        )
    )
    parts.append(
        hull(
            [
                (-0.74, 0.08, 0.03, u(0.96, 1.02)),
                (-0.45, 0.09, 0.04, 0.95),
                (-0.15, 0.08, 0.045, 0.93),
                (0.12, 0.05, 0.03, 1.0),
            ],
            power=3,
        )
    )
    shroud = extrude([(0.05, 0.92), (0.36, 0.98), (0.42, 0.86), (0.2, 0.66), (0.1, 0.78)], 0.012, axis="y")
    parts += pair(shroud.moved(0, 0.15, 0))
    high = wheel * 2 + u(0.06, 0.12)
    t = np.linspace(0, 1, 9)[:, None]
    s = np.linspace(-1, 1, 5)[None, :]
    beak = np.stack(
        np.broadcast_arrays(
            base + 0.3 - 0.5 * t, s * (0.04 + 0.05 * np.sin(np.pi * t)), high - 0.12 * (1 - t) ** 2 - 0.02 * s**2 + 0.04
        ),
        axis=-1,
    )
    back = np.stack(
        np.broadcast_arrays(-0.55 - 0.5 * t, s * (0.09 - 0.03 * t), 0.9 + u(0.0, 0.12) * t - 0.02 * s**2), axis=-1
    )
    parts += [plate(beak, 0.008), plate(back, 0.008)]
    if rng.random() < 0.6:
        parts.append(
            extrude(
                rounded([(-0.1, -0.12), (0.1, -0.12), (0.12, 0.12), (-0.12, 0.12)], 0.04), 0.02, axis="x", bevel=0.005
            )
            .rotated("y", -25)
            .moved(head[0] + 0.07, 0, head[2] - 0.02)
        )
    return parts + exhaust(
        rng,
        [(0.2, 0.03, 0.58), (0.26, 0.08, 0.4), (0.1, 0.14, 0.42), (-0.2, 0.14, 0.66)],
        ((-0.2, 0.14, 0.66), (-0.72, 0.16, u(0.74, 0.84))),
        0.05,
    )


def _scooter(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    wheel, tyre, base = u(0.2, 0.24), u(0.045, 0.06), u(0.6, 0.66)
    parts = road_wheel(rng, wheel, tyre, base, spokes=int(rng.choice([0, 5]))) + road_wheel(
        rng, wheel, tyre, -base, spokes=0
    )
    tilt, top = u(0.22, 0.3), u(0.98, 1.08)
    shield = u(0.17, 0.22)
    floor = u(0.27, 0.33)
    t, s = np.linspace(0, 1, 12)[:, None], np.linspace(-1, 1, 9)[None, :]
    x = base - 0.16 - tilt * t
    width = shield * (0.85 + 0.25 * np.sin(np.pi * t)) * (1 - 0.45 * t**4)
    apron = np.stack(np.broadcast_arrays(x - 0.16 * s**2, s * width, floor + (top - 0.18 - floor) * t), axis=-1)
    parts += [plate(apron, 0.02), tube([(base, 0, wheel), (base - tilt - 0.14, 0, top)], 0.035, segments=8)]
    parts.append(box(0.5, 1.6 * shield, 0.05, radius=0.02).moved(base - 0.42, 0, floor))
    seat = u(0.74, 0.82)
    bulge = u(0.15, 0.2)
    parts.append(
        hull(
            [
                (-0.92, 0.05, 0.04, seat - 0.1),
                (-0.78, 0.7 * bulge, 0.1, seat - 0.15),
                (-0.5, bulge, 0.16, seat - 0.2),
                (-0.2, bulge, 0.2, seat - 0.26),
                (-0.04, 0.8 * bulge, 0.18, 0.44),
                (0.0, 0.5 * bulge, 0.13, 0.42),
            ],
            power=2.6,
        )
    )
    parts.append(
        hull(
            [
                (-0.8, 0.09, 0.03, seat + 0.02),
                (-0.55, 0.15, 0.06, seat),
                (-0.25, 0.15, 0.06, seat - 0.02),
                (0.0, 0.09, 0.05, seat - 0.06),
            ],
            power=2.8,
        )
    )
    head = (base - tilt - 0.14, 0.0, top)
    parts.append(
        pipe(
            [
                (head[0] - 0.1, -0.34, top),
                (head[0] - 0.01, -0.18, top),
                (head[0], 0, top - 0.02),
                (head[0] - 0.01, 0.18, top),
                (head[0] - 0.1, 0.34, top),
            ],
            0.017,
            15,
            8,
        )
    )
    parts += [
        hull(
            [
                (head[0] - 0.1, 0.08, 0.05, top),
                (head[0] + 0.02, 0.1, 0.08, top - 0.01),
                (head[0] + 0.1, 0.06, 0.055, top),
            ]
        ),
        fender(wheel, tyre, base, 20, u(130, 160), gap=0.02),
    ]
    stalk = tube([(head[0] - 0.02, 0.2, top), (head[0], 0.24, top + 0.14)], 0.008, segments=5)
    mirror = ellipsoid(0.012, 0.05, 0.04, rings=6, segments=10).moved(head[0], 0.25, top + 0.16)
    parts += pair(stalk.weighted(2)) + pair(mirror)
    if rng.random() < 0.4:
        parts.append(box(0.3, 0.34, 0.28, radius=0.06).moved(-0.84, 0, seat + 0.13))
    muffler = tube([(-0.35, 0.15, wheel), (-0.8, 0.16, wheel + 0.08)], [0.03, 0.05], segments=10)
    return [*parts, muffler, box(0.44, 0.14, 0.2, radius=0.05).moved(-0.42, 0.03, wheel + 0.06)]


STYLES: dict[str, dict[str, Builder]] = {
    "motorbike": {"sport": _sport, "cruiser": _cruiser, "scooter": _scooter, "off-road": _off_road}
}
