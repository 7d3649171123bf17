"""Cars of length 1, driving towards +x."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import monotone
from core.datasets.shapes16.surfaces import (
    box,
    ellipsoid,
    loft,
    revolve,
    tube,
)


def _wheel(radius: float, width: float, rim: float = 0.62) -> Surface:
    """Tyre with a recessed rim, its axle along y."""
    shape = [
        (0, -0.3),
        (0.2, -0.34),
        (rim, -0.22),
        (rim + 0.04, -0.46),
        (0.92, -0.5),
        (1, -0.36),
        (1, 0.36),
        (0.92, 0.5),
        (rim + 0.04, 0.46),
        (rim, 0.22),
        (0.2, 0.34),
        (0, 0.3),
    ]
    return revolve(np.array(shape) * (radius, width), segments=20).rotated("x", 90)


def _car_body(
    width: float,
    top: ArrayLike,
    *,
    clearance: float,
    belt: float,
    tumble: float,
    wheels: tuple[float, float],
    wheel_radius: float,
    bed: tuple[float, float, float] | None = None,
    plan: float = 0.12,
) -> Surface:
    """Car body of length 1 along x, lofted over cross-sections with wheel arches cut in from the side.

    Parameters
    ----------
    top : (K, 2) x (ascending) and height of the roof line along the middle
    belt : height of the widest line, from which the glass leans inwards by `tumble` per height
    wheels : x of the rear and front axle
    bed : rear end, front end and depth of the open bed of a pickup
    plan : share of the width lost at both ends, seen from above
    """
    line = np.asarray(top, dtype=np.float64)
    arch = 1.16 * wheel_radius
    edges = [axle + arch * c for axle in wheels for c in (-1.001, -0.97, -0.85, -0.55, 0.0, 0.55, 0.85, 0.97, 1.001)]
    rims = [at + d for at in bed[:2] for d in (-0.004, 0.004)] if bed else []
    x = np.unique(np.concatenate([np.linspace(-0.5, 0.5, 26), edges, rims]))
    roof = monotone(x, line[:, 0], line[:, 1])
    half = width / 2 * (1 - plan * np.abs(2 * x) ** 4)
    bottom = clearance + 0.09 * np.clip(np.abs(2 * x) - 0.82, 0, None)
    over = np.sqrt(np.clip(arch**2 - np.min([(x - axle) ** 2 for axle in wheels], axis=0), 0, None))
    cut = np.where(over > 0, np.maximum(wheel_radius + over, bottom), bottom)
    shoulder = np.minimum(belt, roof - 0.02)
    low = np.minimum(np.maximum(cut + 0.004, bottom + 0.4 * (shoulder - bottom)), shoulder)
    narrow = half - tumble * (roof - shoulder) - 0.012
    sunk = np.where((x > bed[0]) & (x < bed[1]), bed[2], 0.0) if bed else np.zeros_like(x)
    well, zero = np.where(over > 0, 0.62 * half, 0.9 * half), np.zeros_like(x)
    side = [
        (well, bottom),
        (well, cut),
        (0.97 * half, cut),
        (half, low),
        (0.985 * half, shoulder),
        (narrow, roof - 0.014),
        (0.93 * narrow, roof - 0.002),
        (0.86 * narrow, roof),
        (0.85 * narrow, roof - sunk),
    ]
    right = [(zero, bottom), *side, (zero, roof - sunk + 0.004 * (sunk == 0))]
    ring = [np.stack([x, y, z], axis=1) for y, z in right] + [np.stack([x, -y, z], axis=1) for y, z in side[::-1]]
    return loft(np.stack(ring, axis=1))


def _car(
    rng: np.random.Generator,
    roof: Sequence[tuple[float, float]],
    *,
    height: tuple[float, float],
    width: tuple[float, float] = (0.37, 0.43),
    wheel: tuple[float, float] = (0.068, 0.078),
    clearance: tuple[float, float] = (0.035, 0.055),
    belt: float = 0.64,
    tumble: tuple[float, float] = (0.25, 0.45),
    axles: tuple[tuple[float, float], tuple[float, float]] = ((-0.32, -0.27), (0.28, 0.33)),
    bed: tuple[float, float, float] | None = None,
) -> list[Surface]:
    """A car of length 1 from its roof line: x and share of the overall height, each shaken a little."""
    u = rng.uniform
    h, w, r = u(*height), u(*width), u(*wheel)
    line = np.array(roof)
    line[1:-1, 0] += rng.uniform(-0.012, 0.012, len(line) - 2)
    line[:, 1] *= h * rng.uniform(0.985, 1.015, len(line))
    rear, front = u(*axles[0]), u(*axles[1])
    body = _car_body(
        w,
        line,
        clearance=u(*clearance),
        belt=belt * h,
        tumble=u(*tumble),
        wheels=(rear, front),
        wheel_radius=r,
        bed=bed,
        plan=u(0.08, 0.2),
    )
    tread = u(0.045, 0.06)
    wheels = [
        _wheel(r, tread, u(0.55, 0.7)).weighted(1.5).moved(x, side * (w / 2 - 0.52 * tread), r)
        for x in (rear, front)
        for side in (-1, 1)
    ]
    mirror = ellipsoid(0.014, 0.022, 0.014, rings=6, segments=10)
    above = line[line[:, 1] > (belt + 0.1) * h, 0]
    glass = (above.max() if len(above) else line[line[:, 1].argmax(), 0]) + u(0.03, 0.06)
    return [body, *wheels, *(mirror.moved(glass, side * (w / 2 + 0.01), belt * h + 0.02) for side in (-1, 1))]


def _sedan(rng: np.random.Generator) -> list[Surface]:
    boot = rng.uniform(0.3, 0.4)
    roof = [
        (-0.5, 0.5),
        (-0.49, 0.66),
        (-boot, 0.7),
        (-0.2, 0.95),
        (-0.05, 1),
        (0.06, 0.97),
        (0.22, 0.68),
        (0.4, 0.6),
        (0.49, 0.5),
        (0.5, 0.4),
    ]
    return _car(rng, roof, height=(0.29, 0.34))


def _hatchback(rng: np.random.Generator) -> list[Surface]:
    steep = rng.uniform(0.36, 0.46)
    roof = [
        (-0.5, 0.5),
        (-0.49, 0.64),
        (-steep - 0.01, 0.78),
        (-steep + 0.08, 0.96),
        (-0.15, 1),
        (0.06, 0.97),
        (0.23, 0.69),
        (0.4, 0.61),
        (0.49, 0.5),
        (0.5, 0.38),
    ]
    return _car(rng, roof, height=(0.35, 0.41), wheel=(0.074, 0.086), width=(0.41, 0.46))


def _suv(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    roof = [
        (-0.5, 0.5),
        (-0.49, 0.68),
        (-0.46, 0.9),
        (-0.42, 0.98),
        (-0.1, 1),
        (0.07, 0.97),
        (u(0.16, 0.22), 0.7),
        (0.42, 0.64),
        (0.49, 0.55),
        (0.5, 0.38),
    ]
    parts = _car(
        rng,
        roof,
        height=(0.38, 0.45),
        wheel=(0.084, 0.098),
        clearance=(0.06, 0.09),
        tumble=(0.12, 0.3),
        width=(0.4, 0.46),
    )
    top, half = parts[0].vertices[:, 2].max(), np.abs(parts[0].vertices[:, 1]).max()
    if rng.random() < 0.5:
        rail = tube([(-0.33, 0, -0.02), (-0.3, 0, 0.012), (0.0, 0, 0.014), (0.03, 0, -0.015)], 0.006, segments=6)
        parts += [rail.moved(0, side * 0.68 * half, top) for side in (-1, 1)]
    if rng.random() < 0.35:
        parts.append(_wheel(0.085, 0.05).rotated("z", 90).moved(-0.52, 0, 0.52 * top))
    return parts


def _pickup(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    cab = u(-0.2, -0.06)
    roof = [
        (-0.5, 0.55),
        (-0.49, 0.64),
        (cab - 0.03, 0.65),
        (cab - 0.01, 0.72),
        (cab + 0.03, 0.97),
        (0.02, 1),
        (0.1, 0.97),
        (0.21, 0.7),
        (0.42, 0.65),
        (0.49, 0.55),
        (0.5, 0.38),
    ]
    return _car(
        rng,
        roof,
        height=(0.32, 0.38),
        wheel=(0.072, 0.086),
        clearance=(0.055, 0.085),
        tumble=(0.2, 0.35),
        width=(0.34, 0.4),
        bed=(-0.47, cab - 0.045, u(0.08, 0.11)),
    )


def _van(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    nose = u(0.32, 0.46)
    roof = [
        (-0.5, 0.5),
        (-0.495, 0.88),
        (-0.46, 0.98),
        (-0.1, 1),
        (nose - 0.16, 0.97),
        (nose, 0.6),
        (0.48, u(0.42, 0.52)),
        (0.5, 0.3),
    ]
    return _car(rng, roof, height=(0.41, 0.52), wheel=(0.06, 0.075), tumble=(0.05, 0.2), width=(0.37, 0.44), belt=0.55)


def _sports(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    convertible = rng.random() < 0.25
    roof = [
        (-0.5, 0.5),
        (-0.48, 0.74),
        (-0.36, 0.8),
        (-0.2, 0.93),
        (-0.06, 1),
        (0.04, 0.95),
        (0.2, 0.64),
        (0.38, 0.52),
        (0.48, 0.36),
        (0.5, 0.26),
    ]
    cockpit = None
    if convertible:
        roof = [
            (-0.5, 0.5),
            (-0.48, 0.72),
            (-0.3, 0.77),
            (-0.02, 0.76),
            (0.12, 0.75),
            (0.2, 0.66),
            (0.38, 0.54),
            (0.48, 0.38),
            (0.5, 0.28),
        ]
        cockpit = (-0.2, 0.06, 0.09)
    parts = (
        _car(
            rng,
            roof,
            height=(0.235, 0.29),
            width=(0.41, 0.47),
            wheel=(0.066, 0.078),
            clearance=(0.022, 0.04),
            tumble=(0.4, 0.75),
            belt=0.66,
        )
        if not convertible
        else _car(
            rng,
            roof,
            height=(0.25, 0.3),
            width=(0.41, 0.47),
            wheel=(0.066, 0.078),
            clearance=(0.025, 0.04),
            belt=0.66,
            bed=cockpit,
            tumble=(0.2, 0.3),
        )
    )
    top, half = parts[0].vertices[:, 2].max(), np.abs(parts[0].vertices[:, 1]).max()
    if convertible:
        parts.append(box(0.008, 1.35 * half, 0.1, radius=0.003).rotated("y", -u(30, 42)).moved(0.045, 0, top + 0.03))
        parts += [
            box(0.035, 0.6 * half, 0.12, radius=0.015).rotated("y", -15).moved(-0.13, side * 0.4 * half, top - 0.02)
            for side in (-1, 1)
        ]
    elif rng.random() < 0.35:
        lift = u(0.02, 0.05)
        parts.append(box(u(0.05, 0.08), 1.75 * half, 0.01).moved(-0.47, 0, 0.74 * top + lift))
        parts += [
            box(0.02, 0.01, lift + 0.05).moved(-0.46, side * half, 0.74 * top - 0.02 + lift / 2 - 0.01)
            for side in (-0.6, 0.6)
        ]
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "car": {"sedan": _sedan, "hatchback": _hatchback, "SUV": _suv, "pickup": _pickup, "van": _van, "sports": _sports}
}
