"""Guitars: most stand upright and face +x, some lie on their back with the neck along x. The body's length is 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, placed, rounded, spline, superellipse
from core.datasets.shapes16.surfaces import box, cylinder, ellipsoid, extrude, loft


def _bouts(rng: np.random.Generator, lower: float, waist: float, upper: float, *, cutaway: float = 0.0) -> Array:
    """Hourglass outline (y, z) from the half-widths of its three parts; a cutaway takes the treble shoulder."""
    at = rng.uniform(0.57, 0.63)
    half = [
        (0.0, 0.0),
        (0.55 * lower, 0.015),
        (0.92 * lower, 0.12),
        (lower, 0.27),
        (0.91 * lower, 0.43),
        (waist, at),
        (0.97 * upper, 0.74),
        (upper, 0.84),
        (0.84 * upper, 0.94),
        (0.42 * upper, 0.995),
    ]
    right = [(-y, z) for y, z in half[1:]]
    if cutaway > 0:
        right[-3:] = [
            (-0.98 * upper, 0.86),
            (-0.72 * upper, 0.86 - 0.3 * cutaway),
            (-0.2 * upper, 0.93 - 0.5 * cutaway),
        ]
    return spline(
        [*half, (0.0, 1.0), *right[::-1]] if cutaway <= 0 else [*half, (0.1 * upper, 1.0), *right[::-1]],
        56,
        closed=True,
    )


def _neck(body: float, nut: float, widths: tuple[float, float], depth: float, face: float) -> list[Surface]:
    """Neck from inside the body (height `body`) up to the nut, its fingerboard lying in front of x = `face`."""
    angle = np.linspace(-90, 90, 9)
    section = np.stack([-np.cos(np.radians(angle)), np.sin(np.radians(angle))], axis=1)
    rows = [(body - 0.04, widths[1], depth * 1.6), (body + 0.06, widths[1], depth), (nut, widths[0], depth * 0.8)]
    shaft = loft([placed(section * (d, w / 2), "z", z, (face, 0)) for z, w, d in rows])
    low = body - 0.3
    board = loft(
        [
            placed(np.array([(0, -w), (0.02, -0.97 * w), (0.02, 0.97 * w), (0, w)]), "z", z, (face, 0))
            for z, w in ((low, 0.53 * widths[1]), (nut, 0.51 * widths[0]))
        ]
    )
    return [shaft, board]


def _head(
    rng: np.random.Generator,
    outline: Sequence[tuple[float, float]],
    nut: float,
    face: float,
    *,
    pegs: Sequence[tuple[float, float, int]],
    tilt: float,
    peg: float = 0.03,
) -> list[Surface]:
    """Headstock above the nut; pegs as (y, z, side) with side -1 or 1, leaning back by `tilt` degrees."""
    plate = extrude(rounded(outline, 0.02, 3), 0.035, axis="x", bevel=0.004).moved(-0.01)
    parts = [plate]
    for y, z, side in pegs:
        parts += [
            cylinder(0.4 * peg, 0.05, axis="x", segments=8).moved(0.015, y, z),
            cylinder(0.3 * peg, 1.6 * peg, axis="y", segments=6).moved(-0.015, y + side * 1.2 * peg, z),
        ]
        parts.append(
            ellipsoid(0.35 * peg, 0.7 * peg, 0.6 * peg, rings=6, segments=8).moved(-0.015, y + side * 2.3 * peg, z)
        )
    return [part.rotated("y", -tilt).moved(face, 0, nut) for part in parts]


def _pose(rng: np.random.Generator, parts: list[Surface]) -> list[Surface]:
    """Upright and leaning back a little, or lying with the neck towards +x, on its back or its face."""
    if rng.random() < 0.2:
        if rng.random() < 0.3:
            return [part.rotated("y", 90) for part in parts]
        return [part.rotated("y", -90).rotated("z", 180) for part in parts]
    lean = rng.uniform(-3, 10)
    return [part.rotated("y", -lean) for part in parts]


def _acoustic(
    rng: np.random.Generator, outline: Array, depth: float, nut: float, widths: tuple[float, float], *, slotted: bool
) -> list[Surface]:
    """Hollow guitar: a body whose soundboard has a hole, bridge, neck and a head with three pegs a side."""
    u = rng.uniform
    board = 0.04
    hole = superellipse(u(0.085, 0.11), u(0.085, 0.11), count=20) + np.array([0.0, u(0.6, 0.68)])
    face = depth / 2
    box_body = extrude(outline, depth - board, axis="x", bevel=0.012).moved(-board / 2)
    top = extrude(outline, board, axis="x", holes=[hole]).moved(face - board / 2)
    parts = [box_body, top, box(0.03, u(0.26, 0.36), 0.045, radius=0.008).moved(face + 0.008, 0, u(0.22, 0.3))]
    parts += _neck(1.0, nut, widths, 0.07, face)
    w, tall = widths[0] * 0.5, u(0.3, 0.36)
    shape = [
        (-w, 0.0),
        (w, 0.0),
        (w * u(1.4, 1.7), 0.06),
        (w * u(1.4, 1.9), tall),
        (0.0, tall + u(-0.02, 0.04)),
        (-w * u(1.4, 1.9), tall),
        (-w * u(1.4, 1.7), 0.06),
    ]
    pegs = [(s * 1.3 * w, 0.09 + k * 0.29 * tall, s) for k in range(3) for s in (-1, 1)]
    head = _head(rng, shape, nut, face - 0.015, pegs=pegs, tilt=u(8, 16), peg=0.034)
    if slotted:
        holes = [
            rounded(
                [(s * 0.35 * w, 0.08), (s * 1.0 * w, 0.08), (s * 1.0 * w, tall - 0.05), (s * 0.35 * w, tall - 0.05)],
                0.01,
                2,
            )
            for s in (-1, 1)
        ]
        head[0] = (
            extrude(rounded(shape, 0.02, 3), 0.035, axis="x", holes=holes)
            .moved(-0.01)
            .rotated("y", -u(8, 16))
            .moved(face - 0.015, 0, nut)
        )
    return parts + head


def _dreadnought(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    cut = u(0.4, 0.7) if rng.random() < 0.3 else 0.0
    outline = _bouts(rng, u(0.375, 0.42), u(0.26, 0.31), u(0.28, 0.31), cutaway=cut)
    return _pose(rng, _acoustic(rng, outline, u(0.19, 0.25), 1 + u(0.68, 0.78), (0.085, 0.11), slotted=False))


def _classical(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    outline = _bouts(rng, u(0.355, 0.39), u(0.22, 0.26), u(0.27, 0.3))
    return _pose(rng, _acoustic(rng, outline, u(0.18, 0.22), 1 + u(0.62, 0.72), (0.105, 0.13), slotted=True))


_STRATOCASTER = [
    (0.0, 0.0),
    (0.22, 0.015),
    (0.36, 0.1),
    (0.4, 0.25),
    (0.34, 0.42),
    (0.27, 0.57),
    (0.3, 0.72),
    (0.36, 0.88),
    (0.35, 1.0),
    (0.27, 1.02),
    (0.18, 0.88),
    (0.09, 0.79),
    (-0.09, 0.76),
    (-0.15, 0.79),
    (-0.23, 0.9),
    (-0.31, 0.89),
    (-0.33, 0.76),
    (-0.28, 0.6),
    (-0.3, 0.46),
    (-0.39, 0.28),
    (-0.37, 0.12),
    (-0.23, 0.02),
]
_FLYING_V = [
    (-0.08, 0.98),
    (0.08, 0.98),
    (0.17, 0.84),
    (0.52, 0.08),
    (0.43, -0.02),
    (0.28, 0.0),
    (0.0, 0.44),
    (-0.28, 0.0),
    (-0.43, -0.02),
    (-0.52, 0.08),
    (-0.17, 0.84),
]


def _inline_head(
    rng: np.random.Generator, nut: float, width: float, face: float, count: int, size: float
) -> list[Surface]:
    """Headstock with all pegs on the bass side."""
    u = rng.uniform
    w = width / 2
    tall = size * u(0.92, 1.08)
    shape = [
        (-w, 0.0),
        (w, 0.0),
        (1.6 * w, 0.09),
        (2.2 * w, 0.8 * tall),
        (1.7 * w, tall),
        (-1.0 * w, 1.02 * tall),
        (-2.2 * w, 0.9 * tall),
        (-1.2 * w, 0.72 * tall),
        (-1.4 * w, 0.12),
    ]
    pegs = [(1.4 * w + 0.5 * w * k / count, 0.1 + k * (tall - 0.16) / (count - 1), 1) for k in range(count)]
    return _head(rng, shape, nut, face - 0.01, pegs=pegs, tilt=u(0, 5), peg=0.028 if count > 4 else 0.04)


def _electric_top(rng: np.random.Generator, face: float, pickups: Sequence[float], width: float) -> list[Surface]:
    """Pickups, bridge, knobs and, on some, a vibrato arm, lying on the body's face."""
    u = rng.uniform
    slant = u(-12, 12)
    parts = [
        box(0.02, width, u(0.045, 0.08), radius=0.008).rotated("x", slant * (k == 0)).moved(face + 0.006, 0, z)
        for k, z in enumerate(pickups)
    ]
    parts.append(box(0.035, 1.15 * width, 0.09, radius=0.008).moved(face + 0.01, 0, u(0.2, 0.26)))
    parts += [
        cylinder(0.025, 0.04, axis="x", segments=10).moved(face + 0.015, -0.19 - 0.035 * k, 0.3 - 0.1 * k)
        for k in range(int(rng.integers(1, 4)))
    ]
    return parts


def _solid_body(
    rng: np.random.Generator,
    outline: Array,
    *,
    depth: float,
    heel: float,
    nut: float,
    widths: tuple[float, float],
    pegs: int,
    head: float,
) -> list[Surface]:
    face = depth / 2
    body = extrude(outline, depth, axis="x", bevel=rng.uniform(0.008, 0.02))
    pickups = [0.37, 0.5, 0.63][: int(rng.integers(1, 4))]
    return [
        body,
        *_electric_top(rng, face, pickups, 0.2),
        *_neck(heel, nut, widths, 0.055, face),
        *_inline_head(rng, nut, widths[0], face, pegs, head),
    ]


def _vary_outline(rng: np.random.Generator, outline: Sequence[tuple[float, float]], horn: float) -> Array:
    """The outline with its width, waist and horns drawn anew."""
    points = np.array(outline)
    points[:, 0] *= rng.uniform(0.92, 1.1) if rng.random() < 0.9 else rng.uniform(0.4, 0.6)  # a few total_step guitars
    high = np.clip(points[:, 1] - 0.72, 0, None)
    points[:, 1] += high * horn * (points[:, 0] > 0.15) + 0.5 * high * horn * (points[:, 0] < -0.15)
    points += rng.uniform(-0.01, 0.01, points.shape)
    return points


def _stratocaster(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    if rng.random() < 0.35:  # single cutaway
        outline = _bouts(rng, u(0.37, 0.42), u(0.25, 0.29), u(0.29, 0.33), cutaway=u(0.5, 0.7))
        outline[:, 1] *= u(0.88, 0.96)
    else:
        outline = spline(_vary_outline(rng, _STRATOCASTER, u(-0.2, 0.35)), 60, closed=True)
    return _pose(
        rng,
        _solid_body(
            rng,
            outline,
            depth=u(0.1, 0.14),
            heel=0.82,
            nut=0.82 + u(0.95, 1.1),
            widths=(0.1, 0.135),
            pegs=6,
            head=u(0.38, 0.46),
        ),
    )


def _flying_v(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    outline = np.array(_FLYING_V)
    outline[:, 0] *= u(0.85, 1.1)
    outline[6, 1] += u(-0.08, 0.06)
    body = rounded(outline, [0.03, 0.03, 0.1, 0.08, 0.08, 0.08, u(0.05, 0.2), 0.08, 0.08, 0.08, 0.1], 4)
    return _pose(
        rng,
        _solid_body(
            rng,
            body,
            depth=u(0.09, 0.13),
            heel=0.92,
            nut=0.92 + u(0.8, 0.95),
            widths=(0.1, 0.13),
            pegs=6,
            head=u(0.36, 0.46),
        ),
    )


def _bass(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    outline = spline(_vary_outline(rng, _STRATOCASTER, u(0.2, 0.7)), 60, closed=True)
    return _pose(
        rng,
        _solid_body(
            rng,
            outline,
            depth=u(0.09, 0.12),
            heel=0.82,
            nut=0.82 + u(1.3, 1.5),
            widths=(0.095, 0.14),
            pegs=4,
            head=u(0.42, 0.5),
        ),
    )


STYLES: dict[str, dict[str, Builder]] = {
    "guitar": {
        "dreadnought": _dreadnought,
        "classical": _classical,
        "stratocaster": _stratocaster,
        "flying V": _flying_v,
        "bass": _bass,
    }
}
