"""Pistols, aiming along +x; lengths in metres until the scan normalises them."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import monotone, placed, rounded, spline, superellipse
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


def _trigger(x: float, z: float, length: float, depth: float, thick: float = 0.0045) -> list[Surface]:
    """Guard bow under the frame, from `x` back over `length`, and the trigger within."""
    path = [
        (x, 0, z + 0.004),
        (x + 0.002, 0, z - 0.6 * depth),
        (x - 0.25 * length, 0, z - depth),
        (x - 0.7 * length, 0, z - depth),
        (x - length, 0, z - 0.55 * depth),
    ]
    guard = tube(spline(path, 16), thick, flat=1.6, segments=8)
    lever = tube(
        spline(
            [
                (x - 0.55 * length, 0, z + 0.003),
                (x - 0.5 * length, 0, z - 0.35 * depth),
                (x - 0.4 * length, 0, z - 0.75 * depth),
            ],
            6,
        ),
        0.8 * thick,
        segments=6,
    )
    return [guard, lever]


def _grip(
    x: float, z: float, length: float, depth: float, angle: float, width: float, *, flare: float = 1.1
) -> Surface:
    """Grip hanging down from (x, z), leaning back by `angle` degrees; `length` is measured along x."""
    lean = -np.tan(np.radians(angle))
    t = np.linspace(0, 1, 7)
    chord = length * (1 - 0.12 * np.sin(np.pi * t) + (flare - 1) * t**2)
    return loft(
        [
            placed(
                superellipse(c / 2, width / 2 * (1 + 0.1 * np.sin(np.pi * s)), 3.2, 18),
                "z",
                -s * depth,
                (lean * s * depth, 0),
            )
            for s, c in zip(t, chord, strict=True)
        ]
    ).moved(x, 0, z)


def _semi_automatic(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    long, tall, width = u(0.16, 0.2), u(0.026, 0.034), u(0.024, 0.03)
    depth, angle, length = u(0.085, 0.12), u(8, 24), u(0.044, 0.056)
    back = -long / 2
    slide = extrude(
        rounded(
            [
                (back, 0.0),
                (-back, 0.0),
                (-back, 0.7 * tall),
                (-back - 0.006, tall),
                (back + 0.004, tall),
                (back, 0.6 * tall),
            ],
            0.004,
            3,
        ),
        width,
        axis="y",
        bevel=0.003,
    )
    frame_end = long * u(0.3, 0.5)
    frame = extrude(
        rounded(
            [
                (back - 0.006, 0.003),
                (back + 0.01, -0.016),
                (back + 0.06, -0.024),
                (frame_end - 0.01, -0.016),
                (frame_end, 0.0),
            ],
            0.005,
            3,
        ),
        0.85 * width,
        axis="y",
        bevel=0.002,
    )
    root = back + 0.55 * length + 0.002
    grip = _grip(root, -0.004, length, depth, angle, width * u(1.0, 1.2))
    front = root + length / 2 + u(0.038, 0.05)
    parts = [slide, frame, grip, *_trigger(front, -0.02, front - root - 0.4 * length, u(0.026, 0.034))]
    parts += [
        cylinder(0.0075, 0.02, axis="x", segments=12).moved(-back, 0, 0.55 * tall),
        box(0.006, 0.004, 0.006).moved(-back - 0.01, 0, tall + 0.002),
        box(0.007, 0.016, 0.006).moved(back + 0.012, 0, tall + 0.002),
    ]
    base = (
        box(length * 1.15, width * 1.1, 0.008, radius=0.003)
        .rotated("y", u(-6, 4))
        .moved(root - np.tan(np.radians(angle)) * depth, 0, -depth - 0.006)
    )
    parts.append(base)
    if rng.random() < 0.5:
        parts.append(tube([(back + 0.002, 0, 0.3 * tall), (back - 0.012, 0, 0.8 * tall)], [0.007, 0.004], segments=8))
    if rng.random() < 0.2:  # suppressor
        parts.append(cylinder(u(0.013, 0.018), u(0.1, 0.16), axis="x", segments=16).moved(-back + 0.07, 0, 0.5 * tall))
    if rng.random() < 0.2:  # light under the barrel
        parts.append(box(0.045, 0.022, 0.024, radius=0.006).moved(frame_end - 0.002, 0, -0.014))
    return parts


def _revolver(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    barrel, bore, drum = u(0.05, 0.16), u(0.008, 0.012), u(0.019, 0.024)
    angle = 2 * np.pi * np.arange(36) / 36
    fluted = (drum * (1 - 0.07 * np.clip(np.cos(6 * angle), 0, 1)))[:, None] * np.stack(
        [np.cos(angle), np.sin(angle)], axis=1
    )
    parts = [
        extrude(fluted, 0.042, axis="x").moved(0, 0, -0.002),
        cylinder(bore, barrel, axis="x", segments=16).moved(0.026 + barrel / 2, 0, 0.012),
    ]
    frame = [
        (0.036, 0.024),
        (0.036, -0.014),
        (0.024, -0.028),
        (-0.024, -0.03),
        (-0.05, -0.024),
        (-0.056, 0.002),
        (-0.044, 0.018),
        (-0.03, 0.026),
    ]
    window = [(0.022, 0.018), (0.022, -0.022), (-0.022, -0.022), (-0.022, 0.018)]
    parts.append(extrude(rounded(frame, 0.006, 3), 0.018, axis="y", holes=[np.array(window)]))
    if rng.random() < 0.7:
        parts.append(
            cylinder(0.6 * bore, u(0.5, 1.0) * barrel, axis="x", segments=12).moved(0.026 + 0.4 * barrel, 0, -0.004)
        )
    parts += [
        box(0.012, 0.004, 0.01).moved(0.02 + barrel, 0, 0.014 + bore),
        box(barrel + 0.03, 0.009, 0.006).moved(0.02 + barrel / 2, 0, 0.012 + bore),
    ]
    lean, depth = u(0.03, 0.055), u(0.085, 0.11)
    path = spline(
        [
            (-0.042, 0, -0.002),
            (-0.052, 0, -0.035),
            (-0.055 - 0.5 * lean, 0, -0.6 * depth - 0.012),
            (-0.052 - lean, 0, -depth - 0.015),
        ],
        14,
    )
    parts.append(
        tube(
            path,
            monotone(np.linspace(0, 1, 14), [0, 0.3, 0.7, 1], [0.016, 0.016, 0.019, u(0.02, 0.026)]),
            flat=u(0.62, 0.8),
            segments=12,
        )
    )
    parts += _trigger(0.018, -0.027, u(0.05, 0.058), 0.028, 0.004)
    return [
        *parts,
        tube(
            spline([(-0.044, 0, 0.008), (-0.054, 0, 0.026), (-0.068, 0, 0.034)], 6),
            [0.006, 0.006, 0.005, 0.004, 0.004, 0.005],
            segments=6,
        ),
    ]


def _long_barrel(rng: np.random.Generator) -> list[Surface]:
    """Flintlock and duelling pistols, or a target pistol."""
    u = rng.uniform
    if rng.random() < 0.5:
        barrel, bore, curl = u(0.2, 0.3), u(0.009, 0.013), u(0.05, 0.09)
        parts = [
            revolve(
                [
                    (0, 0),
                    (1.35 * bore, 0),
                    (bore, 0.5 * barrel),
                    (0.95 * bore, barrel),
                    (1.2 * bore, barrel + 0.001),
                    (1.2 * bore, barrel + 0.008),
                    (0, barrel + 0.008),
                ],
                segments=14,
            )
            .rotated("y", 90)
            .moved(-0.02, 0, 0.008)
        ]
        fore = u(0.5, 0.9) * barrel
        stock = [
            (fore, 0, -0.006),
            (0.4 * fore, 0, -0.01),
            (0.0, 0, -0.01),
            (-0.05, 0, -0.016),
            (-0.085, 0, -0.04),
            (-0.1, 0, -0.04 - 0.5 * curl),
            (-0.105 - 0.2 * curl, 0, -0.05 - curl),
        ]
        radius = monotone(
            np.linspace(0, 1, 24), [0, 0.3, 0.5, 0.75, 0.92, 1], [0.008, 0.015, 0.02, 0.016, 0.018, u(0.018, 0.025)]
        )
        parts += [tube(spline(stock, 24), radius, flat=0.75, segments=12), *_trigger(0.0, -0.026, 0.055, 0.026, 0.0035)]
        parts.append(
            extrude(
                rounded([(-0.045, -0.014), (0.03, -0.012), (0.028, 0.006), (-0.03, 0.008)], 0.006), 0.005, axis="y"
            ).moved(0, 0.017, 0)
        )
        parts += [
            tube(spline([(-0.03, 0.02, 0.0), (-0.042, 0.02, 0.024), (-0.022, 0.02, 0.036)], 7), 0.005, segments=6),
            tube([(0.012, 0.019, 0.004), (0.004, 0.019, 0.03)], 0.004, segments=6),
        ]
        return parts + (
            [tube([(0.05, 0, -0.014), (barrel - 0.02, 0, -0.008)], 0.0035, segments=6)] if rng.random() < 0.5 else []
        )
    barrel, tall = u(0.15, 0.24), u(0.028, 0.036)
    parts = [
        box(0.12, 0.026, tall, radius=0.005).moved(-0.02, 0, tall / 2),
        cylinder(u(0.007, 0.011), barrel, axis="x", segments=14).moved(0.03 + barrel / 2, 0, 0.6 * tall),
    ]
    parts += [
        _grip(-0.055, 0.004, 0.044, u(0.095, 0.12), u(12, 28), u(0.03, 0.038), flare=1.25),
        *_trigger(0.022, 0.002, 0.056, 0.03),
    ]
    parts += [
        box(0.03, 0.008, 0.012).moved(0.02 + barrel, 0, tall),
        box(0.02, 0.022, 0.012, radius=0.002).moved(-0.065, 0, tall + 0.005),
    ]
    if rng.random() < 0.5:  # magazine in front of the trigger
        parts.append(box(0.034, 0.02, u(0.03, 0.06), radius=0.003).moved(0.042, 0, -0.012))
    if rng.random() < 0.3:  # telescopic sight
        parts += [
            revolve(
                [
                    (0, -0.06),
                    (0.014, -0.06),
                    (0.014, -0.03),
                    (0.01, -0.02),
                    (0.01, 0.02),
                    (0.016, 0.04),
                    (0.016, 0.07),
                    (0, 0.07),
                ],
                segments=14,
            )
            .rotated("y", 90)
            .moved(0, 0, tall + 0.022),
            box(0.05, 0.008, 0.02).moved(0, 0, tall + 0.008),
        ]
    return parts


def _water_pistol(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    long, tall, width = u(0.13, 0.19), u(0.02, 0.032), u(0.017, 0.026)
    body = hull(
        [
            (-0.085, 0.4 * width, 0.4 * tall, 0.012),
            (-0.07, 0.9 * width, 0.85 * tall, 0.01),
            (-0.02, width, tall, 0.006),
            (0.4 * long, 0.8 * width, 0.75 * tall, 0.008),
            (0.75 * long, 0.5 * width, 0.45 * tall, 0.01),
            (long, 0.35 * width, 0.3 * tall, 0.01),
        ],
        power=u(2.2, 4),
    )
    nozzle = (
        revolve(
            [(0, -0.02), (0.008, -0.02), (0.008, 0.0), (0.013, 0.002), (0.011, 0.02), (0.005, 0.024), (0, 0.024)],
            segments=14,
        )
        .rotated("y", 90)
        .moved(long + 0.004, 0, 0.01)
    )
    parts = [
        body,
        nozzle,
        _grip(-0.052, 0.0, u(0.04, 0.05), u(0.08, 0.105), u(8, 22), u(0.026, 0.036), flare=u(1.0, 1.25)),
        *_trigger(0.022, -0.012, 0.058, u(0.03, 0.04), 0.006),
    ]
    tank = rng.random()
    if tank < 0.5:
        size = u(0.02, 0.032)
        bottle = revolve(
            [(0, -1), (0.7, -0.95), (1, -0.6), (1, 0.5), (0.75, 0.85), (0.3, 0.95), (0.3, 1.2), (0, 1.2)]
            * np.array([size, 2 * size]),
            segments=18,
        ).rotated("y", 90)
        parts += [bottle.moved(-0.015, 0, tall + 0.8 * size), cylinder(0.01, 0.02, segments=10).moved(0.0, 0, tall)]
    elif tank < 0.8:
        parts.append(ellipsoid(0.034, 0.022, 0.026, rings=10, segments=16).moved(u(-0.04, 0.0), 0, tall + 0.012))
    if rng.random() < 0.5:
        parts += [
            torus(0.75 * width, 0.003, segments=16, around=5).rotated("y", 90).moved(long * k, 0, 0.008)
            for k in (0.5, 0.6, 0.7)
        ]
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "pistol": {
        "semi-automatic": _semi_automatic,
        "revolver": _revolver,
        "long barrel": _long_barrel,
        "water pistol": _water_pistol,
    }
}
