"""Bags of shapes16, in metres: their broad front looks to +x."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, monotone, placed, rectangle, rounded, spline, superellipse
from core.datasets.shapes16.surfaces import box, cylinder, extrude, hull, loft, plate, tube


def _sack(rows: ArrayLike, power: float, *, caps: bool = True, rings: int = 12) -> Surface:
    """Smooth upright body; `rows` (K, 3) hold height (ascending), depth and width of superelliptic level sections."""
    table = np.asarray(rows, dtype=np.float64)
    z = np.linspace(table[0, 0], table[-1, 0], rings)
    size = monotone(z, table[:, 0], table[:, 1:])
    section = superellipse(0.5, 0.5, power, 28)
    return loft([placed(section * s, "z", h) for h, s in zip(z, size, strict=True)], caps=caps)


def _arch(x: float, half: float, low: float, top: float, *, lean: float = 0.0, power: float = 2.0) -> Array:
    """Path (20, 3) of a handle: from (x, -half, low) up to `top`, leaning by `lean` along x, and down to y = half."""
    angle = np.linspace(np.pi, 0, 20)
    y, rise = np.abs(np.cos(angle)) ** (2 / power), np.abs(np.sin(angle)) ** (2 / power)
    return np.stack([x + lean * rise, half * np.sign(np.cos(angle)) * y, low + (top - low) * rise], axis=1)


def _strap(path: Array, width: float, thickness: float = 0.005) -> Surface:
    """Flat band; its broad side faces x where it starts upright."""
    return tube(path, thickness / 2, flat=width / thickness, segments=8).opened()


def _tote(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    height = u(0.26, 0.42)
    if rng.random() < 0.3:  # bucket bag
        width, power, flare, mouth = height * u(0.6, 1.0), u(2.0, 2.6), u(0.9, 1.2), u(0.85, 1.1)
        depth = width * u(0.55, 1.0)
    else:
        width, power, flare, mouth = height * u(0.85, 1.4), u(3.0, 7.0), u(0.95, 1.25), u(0.1, 0.95)
        depth = u(0.07, 0.2)
    middle = depth * u(0.9, 1.15) * (0.5 + 0.5 * mouth)
    rows = [
        (0, 0.92 * depth, 0.97 * width),
        (0.08 * height, depth, width),
        (0.5 * height, middle, width * (1 + flare) / 2),
        (height, mouth * depth, flare * width),
    ]
    slump = np.array([0, 0, u(0.0, 0.04)])

    def sag(p: Array) -> Array:
        return p - slump * ((p[:, 2:] / height) ** 4 * (1 - (2 * p[:, 1:2] / (flare * width)) ** 2))

    floor = extrude(superellipse(0.46 * depth, 0.485 * width, power, 28), 0.004).moved(z=0.002)
    half, rise, lean, low = (
        flare * width * u(0.14, 0.27),
        u(0.07, 0.26),
        u(-0.03, 0.06),
        height - slump[2] - u(0.0, 0.06),
    )
    edge = mouth * depth / 2 * (1 - (2 * half / (flare * width)) ** power) ** (1 / power)
    wide, band, shape = u(0.014, 0.03), rng.random() < 0.7, u(2.0, 3.0)
    parts = [_sack(rows, power, caps=False).warped(sag), floor]
    for s in (-1, 1):
        path = _arch(edge, half, low, height + rise * u(0.9, 1.1), lean=lean + u(-0.01, 0.01), power=shape) * [s, 1, 1]
        parts.append(_strap(path, wide) if band else tube(path, 0.4 * wide, segments=8).opened())
    return parts


def _flap(depth: float, width: float, height: float, reach: float) -> Surface:
    """Cover over the top of a bag that hangs down its front by `reach`."""
    nodes = [(-0.35 * depth, height), (0.2 * depth, height + 0.008), (0.56 * depth, 0.93 * height)]
    line = spline([*nodes, (0.58 * depth, height - reach)], 10)
    y, t = np.linspace(-1, 1, 9)[None, :], np.linspace(0, 1, 10)[:, None]
    z = line[:, 1:] + 0.12 * reach * t**3 * y**2
    return plate(np.stack(np.broadcast_arrays(line[:, :1], 0.505 * width * y, z), axis=-1), 0.006)


def _handbag(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, height, depth = u(0.22, 0.38), u(0.16, 0.28), u(0.07, 0.16)
    kind = rng.choice(["frame", "satchel", "bowling", "hobo"])
    if kind == "hobo":
        return _hobo(rng, width, height, depth)
    if kind == "frame":  # narrower towards the clasp
        top, taper = 0.15 * depth, width * u(0.6, 0.95)
        rows = [
            (0, 0.85 * depth, 0.93 * width),
            (0.15 * height, depth, width),
            (0.55 * height, 0.8 * depth, 0.95 * width),
        ]
        clasp = cylinder(0.008, 0.025, axis="x", segments=10).moved(0.02, 0.008, height + 0.012)
        bar = box(0.016, taper, 0.02, radius=0.006).moved(z=height)
        parts = [_sack([*rows, (height, top, taper)], u(2.6, 5)), bar, clasp, clasp.mirrored("y")]
    elif kind == "satchel":
        top = 0.5 * depth
        rows = [(0, 0.9 * depth, 0.96 * width), (0.1 * height, depth, width), (0.8 * height, 0.9 * depth, width)]
        lock = box(0.012, 0.03, 0.03, radius=0.004).moved(0.58 * depth, 0, 0.5 * height)
        parts = [
            _sack([*rows, (height, top, 0.97 * width)], u(4, 8)),
            _flap(depth, width, height, height * u(0.52, 0.8)),
            lock,
        ]
    else:  # round along y
        top, a, b, h = 0.5 * depth, width / 2, depth / 2, height / 2
        end, near = (0.6 * b, 0.64 * h, 0.84 * h), (0.94 * b, 0.9 * h, 0.94 * h)
        stations = [(-a, *end), (-0.93 * a, *near), (0.0, b, h, h), (0.93 * a, *near), (a, *end)]
        parts = [hull(stations, power=u(2.2, 4), count=28).rotated("z", 90)]
    rise, half, bar_radius, shape = u(0.06, 0.15), width * u(0.15, 0.32), u(0.004, 0.008), u(1.8, 2.8)
    for s in (-1, 1) if rng.random() < 0.6 else (0,):
        path = _arch(
            0.4 * s * top, half, height - 0.02, height + rise * u(0.95, 1.05), lean=s * u(0, 0.03), power=shape
        )
        parts.append(tube(path, bar_radius, segments=8).opened())
    if rng.random() < 0.2:  # shoulder strap
        path = _arch(0.0, 0.47 * width, 0.85 * height, height + u(0.15, 0.4), lean=u(-0.1, 0.1), power=1.8)
        parts.append(_strap(path, 0.018))
    return parts


def _hobo(rng: np.random.Generator, width: float, height: float, depth: float) -> list[Surface]:
    """Sagging crescent on one broad strap."""
    u = rng.uniform
    t = np.linspace(-1, 1, 9)
    top, bottom = height * (1 - u(0.15, 0.5) * (1 - t**2)), 0.62 * height * t**4
    thick = depth / 2 * np.sqrt(1 - t**2) + 0.008
    rows = np.stack([t * width / 2, thick, (top - bottom) / 2 + 0.01, (top + bottom) / 2], axis=1)
    path = _arch(0.0, 0.47 * width, 0.8 * height, height + u(0.05, 0.3), lean=u(-0.03, 0.03), power=u(1.7, 2.2))
    return [hull(rows, power=u(2, 2.6), count=24).rotated("z", 90), _strap(path, u(0.015, 0.035))]


def _backpack(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    height, width, depth = u(0.4, 0.54), u(0.27, 0.35), u(0.13, 0.22)
    rows = np.array([
        [0, 0.05, 0.3, 0.7, 0.9, 0.97, 1],
        [0.8, 0.95, 1, u(0.75, 0.95), 0.6, 0.4, 0.15],
        [0.88, 0.97, 1, u(0.9, 1), u(0.72, 0.9), 0.6, 0.3],
    ]).T  # fmt: skip
    pocket = np.array([(0, 0.8, 0.9), (0.1, 1, 1), (0.6, 0.95, 1), (0.9, 0.7, 0.9), (1.0, 0.3, 0.7)])
    back, power = -depth / 2, u(2.6, 4.0)
    size = [height, depth, width]
    straight = _sack(rows * size, power, rings=16)

    def forward(p: Array) -> Array:  # the back stays flat where the sections get thinner
        return np.insert(
            np.zeros((len(p), 2)), 0, back * (1 - np.interp(p[:, 2], *(rows * size)[:, :2].T) / depth), axis=1
        )

    front = _sack(pocket * [height * u(0.35, 0.55), depth * u(0.3, 0.6), width * u(0.65, 0.85)], 3.0)
    parts = [straight.warped(lambda p: p + forward(p), lambda p: p - forward(p)), front.moved(x=depth / 2, z=0.03)]
    if rng.random() < 0.4:
        side = _sack(pocket * [0.3 * height, 0.6 * depth, 0.06], 3.0).moved(y=width / 2 - 0.005, z=0.02)
        parts += [side, side.mirrored("y")]
    bulge, wide, inner, outer = u(0.03, 0.09), u(0.035, 0.06), u(0.045, 0.07), u(0.1, 0.13)
    for s in (-1, 1):
        path = [
            (back + 0.03, s * inner, 0.9 * height),
            (back - 0.5 * bulge, s * inner * 1.1, 0.92 * height),
            (back - bulge * u(0.8, 1.2), s * (inner + outer) / 2, 0.65 * height),
            (back - 0.6 * bulge, s * outer, 0.3 * height),
            (back + 0.01, s * 0.9 * outer, 0.08 * height),
        ]
        parts.append(_strap(spline(path, 16), wide, 0.01))
    loop = _arch(back + 0.035, 0.035, 0.92 * height, height + u(0.02, 0.05), power=2.5)
    return [*parts, tube(loop, 0.006, segments=6).opened()]


def _briefcase(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, height, depth = u(0.36, 0.48), u(0.25, 0.36), u(0.05, 0.15)
    if rng.random() < 0.4:  # leather case with a flap
        rows = [(0, 0.95 * depth, 0.98 * width), (0.08 * height, depth, width), (0.75 * height, 0.8 * depth, width)]
        buckle = box(0.012, 0.025, 0.05).moved(0.49 * depth, 0.25 * width, 0.5 * height)
        parts = [_sack([*rows, (height, 0.45 * depth, 0.98 * width)], 8.0), buckle, buckle.mirrored("y")]
        parts.append(_flap(0.85 * depth, width, height, height * u(0.35, 0.7)))
    else:  # hard shell with a rim and two locks
        shell = extrude(rectangle(width, height, u(0.01, 0.04)), depth, axis="x", bevel=u(0.003, 0.012))
        rim = extrude(rectangle(width + 0.008, height + 0.008, 0.02), 0.012, axis="x")
        lock = box(0.008, 0.04, 0.022).moved(depth / 2, u(0.28, 0.34) * width, height - 0.025)
        parts = [shell.moved(z=height / 2), rim.moved(z=height / 2), lock, lock.mirrored("y")]
    half, top, low = u(0.05, 0.08), height + u(0.035, 0.07), height - 0.01
    path = rounded([(-half, low), (-half, top), (half, top), (half, low)], [0, 0.02, 0.02, 0], 5)[4:16]
    parts.append(tube(np.insert(path, 0, u(-0.01, 0.01), axis=1), u(0.006, 0.011), flat=1.3, segments=8).weighted(1.5))
    if rng.random() < 0.2:
        strap = _arch(0.0, 0.49 * width, 0.9 * height, height + u(0.12, 0.35), lean=u(-0.08, 0.08), power=1.8)
        return [*parts, _strap(strap, 0.03)]
    if rng.random() < 0.12:  # lying on its back
        return [part.rotated("y", -90) for part in parts]
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "bag": {"tote": _tote, "handbag": _handbag, "backpack": _backpack, "briefcase": _briefcase}
}
