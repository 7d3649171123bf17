"""Airplanes, flying towards +x."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import aerofoil, placed
from core.datasets.shapes16.surfaces import box, cylinder, ellipsoid, hull, loft, revolve, tube


def _wing(
    span: float,
    chords: Sequence[float],
    *,
    sweep: float = 0.0,
    dihedral: float = 0.0,
    thickness: float = 0.12,
    camber: float = 0.02,
    kink: float = 0.4,
) -> Surface:
    """Left half of a wing from y = 0 to `span`, its leading edge starting at the origin; angles in degrees.

    Two chords make a plain taper, three put the second one at the share `kink` of the span.
    """
    stations = [0.0, 1.0] if len(chords) == 2 else [0.0, kink, 1.0]
    back, up = np.tan(np.radians([sweep, dihedral]))
    section = aerofoil(1.0, thickness, camber, 18) * np.array([-1.0, 1.0])
    return loft(
        [
            placed(c * section, "y", s * span, (-s * span * back, s * span * up))
            for c, s in zip(chords, stations, strict=True)
        ]
    )


def _pair(half: Surface) -> list[Surface]:
    """A part and its mirror image on the other side."""
    return [half, half.mirrored("y")]


def _nacelle(length: float, radius: float) -> Surface:
    """Jet engine pod along x about the origin, open in front, with the exhaust cone at the back."""
    profile = [
        (0, -0.72),
        (0.3, -0.5),
        (0.55, -0.5),
        (0.8, -0.25),
        (1, 0.1),
        (0.98, 0.4),
        (0.88, 0.5),
        (0.8, 0.42),
        (0.78, 0.25),
        (0.25, 0.25),
        (0, 0.42),
    ]
    return revolve(np.array(profile) * (radius, length), segments=18).rotated("y", 90)


def _propeller(rng: np.random.Generator, radius: float, spinner: float) -> list[Surface]:
    """Propeller facing +x at the origin."""
    count, phase = int(rng.integers(2, 5)), rng.uniform(0, 360)
    blade = (
        ellipsoid(0.018 * radius, 0.11 * radius, radius / 2, rings=8, segments=10).moved(z=radius / 2).rotated("z", 25)
    )
    cone = revolve(
        [
            (0, -0.5 * spinner),
            (spinner, -0.5 * spinner),
            (0.85 * spinner, 0.5 * spinner),
            (0.4 * spinner, 1.3 * spinner),
            (0, 1.6 * spinner),
        ],
        segments=16,
    )
    return [cone.rotated("y", 90), *(blade.weighted(2).rotated("x", phase + 360 * k / count) for k in range(count))]


def _tail(rng: np.random.Generator, x: float, z: float, size: float, *, high: bool, sweep: float) -> list[Surface]:
    """Fin and tailplane whose fin root starts at (x, z); `size` is the fin's height."""
    u = rng.uniform
    chord = size * u(0.85, 1.15)
    fin = (
        _wing(size, (chord, chord * u(0.35, 0.6)), sweep=sweep, thickness=0.1, camber=0.0)
        .rotated("x", 90)
        .moved(x, 0, z)
    )
    half = _wing(
        size * u(1.0, 1.35),
        (chord * 0.75, chord * u(0.3, 0.5)),
        sweep=sweep * 0.8,
        dihedral=0 if high else u(0, 7),
        thickness=0.1,
        camber=0.0,
    )
    at = (
        (x - size * np.tan(np.radians(sweep)) * 0.95, 0, z + 0.95 * size)
        if high
        else (x - 0.1 * chord, 0, z - u(0, 0.02))
    )
    return [fin, *_pair(half.moved(*at))]


def _airliner(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r = u(0.045, 0.068)
    drop = u(0.1, 0.3)
    body = hull(
        [
            (-0.5, 0.1 * r, 0.15 * r, 0.55 * r),
            (-0.4, 0.4 * r, 0.45 * r, 0.4 * r),
            (-0.24, 0.85 * r, 0.85 * r, 0.12 * r),
            (-0.1, r, r, 0),
            (0.3, r, r, 0),
            (0.4, 0.95 * r, 0.95 * r, -0.02 * r),
            (0.46, 0.72 * r, 0.7 * r, -drop / 2 * r),
            (0.49, 0.38 * r, 0.36 * r, -drop * r),
            (0.5, 0.04 * r, 0.04 * r, -1.1 * drop * r),
        ]
    )
    sweep, dihedral, span, root = u(20, 36), u(2, 7), u(0.4, 0.56), u(0.17, 0.24)
    x, z = u(0.08, 0.17), -0.55 * r
    wing = _wing(
        span, (root, root * u(0.52, 0.66), root * u(0.18, 0.32)), sweep=sweep, dihedral=dihedral, kink=u(0.3, 0.42)
    ).moved(x, 0, z)
    parts = [body, *_pair(wing)]
    layout = int(rng.choice([0, 2, 2, 2, 4, 4, -2]))
    high = layout == -2 or rng.random() < 0.1
    size, radius = u(0.13, 0.18), r * u(0.42, 0.6)
    if layout < 0:  # at the rear of the fuselage
        parts += [
            *_pair(_nacelle(size, radius).moved(-0.3, r + radius * 0.85, 0.4 * r)),
            box(0.08, 2 * r + radius, 0.012).moved(-0.3, 0, 0.4 * r),
        ]
    for share in {2: (0.33,), 4: (0.3, 0.58)}.get(layout, ()):
        y = share * span
        at = (x - y * np.tan(np.radians(sweep)) + 0.25 * size, y, z + y * np.tan(np.radians(dihedral)) - 1.15 * radius)
        pylon = box(0.7 * size, 0.008, 0.9 * radius).moved(-0.25 * size, 0, 0.8 * radius)
        parts += [half for part in (_nacelle(size, radius), pylon) for half in _pair(part.moved(*at))]
    return parts + _tail(rng, u(-0.36, -0.33), 0.6 * r, u(0.12, 0.17), high=high, sweep=u(30, 42))


def _fighter(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    r = u(0.04, 0.06)
    flat = u(0.75, 1.0)
    body = hull(
        [
            (-0.48, 0.75 * r, 0.7 * r, 0),
            (-0.3, 1.15 * r, flat * r, 0),
            (0, 1.2 * r, flat * r, 0),
            (0.2, 0.85 * r, 0.85 * r, 0),
            (0.38, 0.5 * r, 0.5 * r, -0.05 * r),
            (0.5, 0.03 * r, 0.03 * r, -0.1 * r),
        ],
        power=u(2, 3.2),
    )
    canopy = hull(
        [
            (0.06, 0.1 * r, 0.1 * r, 0.7 * r),
            (0.14, 0.45 * r, 0.55 * r, 0.8 * r),
            (0.24, 0.42 * r, 0.5 * r, 0.7 * r),
            (0.32, 0.08 * r, 0.1 * r, 0.45 * r),
        ]
    )
    span, root, sweep = u(0.12, 0.36), u(0.36, 0.55), u(42, 60)
    tip = max(root - span * np.tan(np.radians(sweep)), u(0.03, 0.08))
    wing = _wing(span, (root, tip), sweep=sweep, dihedral=u(-3, 2), thickness=0.045, camber=0.0).moved(
        u(0.08, 0.16), 0, u(-0.3, 0.4) * r
    )
    nozzle = (
        revolve(
            [(0, -0.03), (0.55, -0.03), (0.62, -0.07), (0.7, -0.07), (0.8, 0.05), (0, 0.05)] * np.array([r, 1]),
            segments=18,
        )
        .rotated("y", 90)
        .moved(-0.47)
    )
    parts = [body, canopy, nozzle, *_pair(wing)]
    height, chord, lean = u(0.1, 0.17), u(0.14, 0.2), u(35, 55)
    fin = _wing(height, (chord, chord * u(0.25, 0.45)), sweep=lean, thickness=0.05, camber=0.0).rotated("x", 90)
    if rng.random() < 0.45:
        parts += _pair(fin.rotated("x", -u(0, 25)).moved(-0.28, 0.8 * r, 0.4 * r))
    else:
        parts.append(fin.moved(u(-0.32, -0.25), 0, 0.5 * r))
    small = _wing(u(0.1, 0.18), (0.13, u(0.03, 0.06)), sweep=u(35, 50), thickness=0.05, camber=0.0)
    where = rng.random()
    if where < 0.6:
        parts += _pair(small.moved(-0.36, 0, 0))
    elif where < 0.8:  # canards
        parts += _pair(small.scaled(0.7).moved(0.27, 0, 0.3 * r))
    if rng.random() < 0.5:
        intake = box(0.3, 0.8 * r, 1.2 * r, radius=0.3 * r).moved(0.0, 1.25 * r, -0.2 * r)
        parts += _pair(intake)
    if rng.random() < 0.4:
        dart = tube([(-0.12, 0, 0), (0.08, 0, 0), (0.12, 0, 0)], [0.008, 0.008, 0.001], segments=8)
        parts += _pair(dart.moved(wing.vertices[:, 0].min() + tip / 2, span, 0))
    return [part.rotated("y", -90) for part in parts] if rng.random() < 0.05 else parts  # a few stand for take-off


def _wheels(rng: np.random.Generator, x: float, track: float, z: float, drop: float) -> list[Surface]:
    """Two fixed main wheels on legs from the height `z`, `drop` below it."""
    radius = drop * rng.uniform(0.25, 0.34)
    wheel = cylinder(radius, 0.5 * radius, axis="y", segments=16).moved(x, track, z - drop)
    return _pair(wheel) + _pair(
        tube([(x - 0.01, 0.25 * track, z), (x, track, z - drop)], 0.12 * radius + 0.004, segments=6)
    )


def _propeller_plane(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    w, h = u(0.055, 0.075), u(0.065, 0.09)
    twin = rng.random() < 0.25
    cabin = u(0.2, 0.5)
    body = hull(
        [
            (-0.5, 0.1 * w, 0.2 * h, 0.25 * h),
            (-0.2, 0.55 * w, 0.55 * h, 0.1 * h),
            (0, w, (1 + cabin / 2) * h, cabin / 2 * h),
            (0.14, w, (1 + cabin / 2) * h, cabin / 2 * h),
            (0.25, 0.9 * w, 0.78 * h, -0.1 * h),
            (0.38, 0.72 * w, 0.65 * h, -0.12 * h),
            (0.42, 0.3 * w, 0.3 * h, -0.12 * h),
        ],
        power=u(2, 3.5),
    )
    high = rng.random() < 0.5
    span, root = u(0.52, 0.7), u(0.15, 0.19)
    z = h * (0.75 + cabin) if high else -0.7 * h
    parts = [
        body,
        *_pair(
            _wing(
                span,
                (root, root * u(0.95, 1), root * u(0.5, 0.95)),
                sweep=u(0, 4),
                dihedral=u(0, 3) if high else u(3, 7),
                kink=0.45,
            ).moved(u(0.14, 0.19), 0, z)
        ),
    ]
    if twin:
        y = u(0.26, 0.34) * span
        pod = hull([(-0.12, 0.004, 0.004, 0), (0, 0.034, 0.036, 0), (0.12, 0.036, 0.036, 0), (0.17, 0.02, 0.02, 0)])
        parts += [
            half
            for part in (pod, *(p.moved(0.175) for p in _propeller(rng, u(0.1, 0.13), 0.018)))
            for half in _pair(part.moved(0.1, y, z))
        ]
    else:
        parts += [p.moved(0.425, 0, -0.12 * h) for p in _propeller(rng, u(0.13, 0.18), 0.28 * w + 0.005)]
    if high and not twin:
        parts += _pair(tube([(0.08, 0.8 * w, -0.5 * h), (0.08, 0.5 * span, z + 0.01)], 0.006, segments=6))
    if rng.random() < 0.7:
        parts += _wheels(rng, u(0.08, 0.14), u(0.1, 0.14), -0.75 * h, u(0.09, 0.12))
        nose = rng.random() < 0.6
        parts += [
            cylinder(0.024, 0.014, axis="y", segments=14).moved(
                0.33 if nose else -0.44, 0, -0.85 * h - 0.07 if nose else -0.03
            ),
            tube(
                [(0.31, 0, -0.6 * h), (0.33, 0, -0.85 * h - 0.07)] if nose else [(-0.42, 0, 0.01), (-0.44, 0, -0.03)],
                0.006,
                segments=6,
            ),
        ]
    return parts + _tail(rng, -0.36, 0.3 * h, u(0.12, 0.17), high=rng.random() < 0.15, sweep=u(8, 35))


def _glider(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    w = u(0.04, 0.055)
    h = w * u(1.1, 1.4)
    boom = u(0.22, 0.35)
    body = hull(
        [
            (-0.5, 0.18 * w, 0.22 * h, 0.35 * h),
            (-0.2, boom * w, boom * h, 0.3 * h),
            (0, 0.55 * w, 0.6 * h, 0.15 * h),
            (0.2, w, h, 0),
            (0.38, 0.85 * w, 0.8 * h, -0.1 * h),
            (0.47, 0.4 * w, 0.4 * h, -0.2 * h),
            (0.5, 0.03 * w, 0.03 * h, -0.25 * h),
        ]
    )
    span, root = u(0.75, 1.1), u(0.075, 0.11)
    wing = _wing(
        span,
        (root, root * u(0.75, 0.9), root * u(0.3, 0.5)),
        sweep=u(-1, 3),
        dihedral=u(2, 6),
        thickness=0.14,
        camber=0.03,
        kink=u(0.5, 0.65),
    ).moved(u(0.12, 0.17), 0, 0.5 * h)
    return [
        body,
        *_pair(wing),
        *_tail(rng, -0.42, 0.35 * h, u(0.11, 0.15), high=rng.random() < 0.8, sweep=u(5, 25)),
    ]


def _biplane(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    w, h = u(0.05, 0.065), u(0.06, 0.075)
    body = hull(
        [
            (-0.45, 0.1 * w, 0.25 * h, 0.2 * h),
            (-0.2, 0.6 * w, 0.6 * h, 0.05 * h),
            (0.05, w, h, 0),
            (0.25, w, h, -0.05 * h),
            (0.33, 0.85 * w, 0.85 * h, -0.05 * h),
        ],
        power=u(2, 4),
    )
    cowl = cylinder(u(1.0, 1.25) * h, 0.08, axis="x").moved(0.34, 0, -0.05 * h)
    gap, span, root, stagger = u(0.2, 0.27), u(0.46, 0.6), u(0.13, 0.17), u(-0.02, 0.08)
    low, top = -0.8 * h, gap - 0.8 * h
    wing = _wing(span, (root, root * u(0.8, 1)), dihedral=u(0, 4), sweep=u(0, 6), thickness=0.09, camber=0.03)
    x = u(0.14, 0.2)
    parts = [
        body,
        cowl,
        *_pair(wing.scaled(1, u(0.85, 1), 1).moved(x, 0, low)),
        *_pair(wing.moved(x + stagger, 0, top)),
    ]
    for dx in (-0.2 * root, -0.75 * root):
        y, rise = 0.72 * span, 0.72 * span * 0.03
        parts += _pair(tube([(x + dx, y, low + rise), (x + dx + stagger, y, top + rise)], 0.006, segments=6))
        parts += _pair(tube([(x + dx, 0.7 * w, 0.4 * h), (x + dx + stagger, 0.12 * span, top)], 0.006, segments=6))
    parts += [p.moved(0.385, 0, -0.05 * h) for p in _propeller(rng, u(0.14, 0.18), 0.022)]
    parts += _wheels(rng, u(0.18, 0.24), u(0.09, 0.12), -0.8 * h, u(0.11, 0.14))
    return parts + _tail(rng, -0.32, 0.2 * h, u(0.1, 0.14), high=False, sweep=u(10, 35))


STYLES: dict[str, dict[str, Builder]] = {
    "airplane": {
        "airliner": _airliner,
        "fighter": _fighter,
        "propeller": _propeller_plane,
        "glider": _glider,
        "biplane": _biplane,
    }
}
