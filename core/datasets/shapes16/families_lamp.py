"""Lamps of shapes16, in metres; arms and arcs reach towards +x."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.lamp_parts import body, foot, head, pendant_shade, shade
from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import arc, spline
from core.datasets.shapes16.surfaces import box, cylinder, ellipsoid, plate, post, revolve, tube, turned


def _table(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    kind = rng.random()
    if kind < 0.22:
        return _mushroom(rng) if kind < 0.12 else _banker(rng)
    stem, radius, height = u(0.16, 0.42), u(0.1, 0.24), u(0.12, 0.28)
    bottom = stem - u(-0.02, 0.35) * height
    top = bottom + height
    parts = [*body(rng, stem), *shade(rng, radius, height, bottom)]
    parts.append(tube([(0, 0, 0.9 * stem), (0, 0, top - 0.005)], 0.006, segments=6))
    if rng.random() < 0.6:  # finial
        parts.append(ellipsoid(0.009, 0.009, 0.014, rings=6, segments=8).moved(z=top + 0.008))
    if rng.random() < 0.25:  # bulb
        parts.append(ellipsoid(0.03, 0.03, 0.045, rings=8, segments=12).moved(z=bottom + 0.4 * height))
    return parts


def _mushroom(rng: np.random.Generator) -> list[Surface]:
    """Dome on a swelling stem."""
    u = rng.uniform
    height, r = u(0.2, 0.4), u(0.12, 0.24)
    wide, neck = u(0.35, 0.75) * r, u(0.1, 0.4) * r
    stem = turned([0, 0.03, 0.5 * height, height], [wide, u(0.7, 1) * wide, neck, neck * u(1.0, 1.6)], count=18)
    rise = u(0.35, 1.0) * r
    dome = ellipsoid(r, r, rise, low=u(-12, 0), rings=9, segments=32).moved(z=height)
    if rng.random() < 0.4:  # closed from below
        return [stem, dome, cylinder(0.98 * r, 0.004, segments=32).moved(z=height)]
    return [stem, dome, tube([(0, 0, 0.95 * height), (0, 0, height + rise)], 0.015, segments=8)]


def _banker(rng: np.random.Generator) -> list[Surface]:
    """Half-cylindrical shade along y on a bent stem."""
    u = rng.uniform
    height, half, r = u(0.3, 0.4), u(0.11, 0.16), u(0.05, 0.075)
    base = turned([0, 0.015, 0.03, 0.05], [0.09, 0.09, 0.05, 0.015]).scaled(u(0.8, 1), u(1, 1.4), 1)
    path = spline([(0, 0, 0.03), (-0.02, 0, 0.5 * height), (-0.01, 0, 0.85 * height), (0.03, 0, height)], 10)
    bracket = tube([(0.03, 0, height - 0.002), (0.03, 0, height + 0.25 * r)], 0.008, segments=8)
    section, y = arc(r, 0, 180, 13), np.linspace(-half, half, 9)[None, :]
    swell, low = 1 - u(0, 0.25) * (y / half) ** 4, height - 0.75 * r
    x, z = 0.04 + section[:, :1] * swell, low + section[:, 1:] * swell
    parts = [base, tube(path, 0.008, segments=8), bracket, plate(np.stack(np.broadcast_arrays(x, y, z), axis=-1))]
    if rng.random() < 0.6:  # closed ends
        end = revolve([(0, 0), (float(swell[0, 0]) * r, 0)], segments=12, sweep=180).rotated("x", 90)
        parts += [end.moved(0.04, s * half, low) for s in (-1, 1)]
    return parts


def _floor(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    height, pole, radius, tall = u(1.2, 1.75), u(0.009, 0.018), u(0.15, 0.28), u(0.18, 0.34)
    kind = rng.choice(["straight", "tripod", "arc"], p=[0.5, 0.25, 0.25])
    if kind == "arc":
        reach, low = u(0.5, 1.1), 0.82 * height
        nodes = [(0, 0, 0.02), (-0.03, 0, 0.55 * height), (0.18 * reach, 0, 0.95 * height)]
        path = spline([*nodes, (0.65 * reach, 0, height), (reach, 0, low)], 18)
        flat = u(0.6, 1)
        dome = ellipsoid(radius, radius, flat * radius, low=0, rings=8, segments=30)
        socket = cylinder(0.03, 0.08, segments=12).moved(reach, 0, low - 0.02)
        lamp = dome.moved(reach, 0, low - 0.95 * flat * radius)
        return [foot(rng, u(0.15, 0.22)), tube(path, pole, segments=8).opened(), lamp, socket]
    parts = shade(rng, radius, tall, height - tall)
    if kind == "tripod":
        joint = (height - tall) * u(0.8, 0.97)
        leg = post([(u(0.22, 0.36), 0, 0), (0.015, 0, joint)], [0.022, 0.035], power=rng.choice([2.0, 8.0]))
        parts += [leg.rotated("z", 120 * k + 60) for k in range(3)]
        return [
            *parts,
            cylinder(0.03, 0.05).moved(z=joint),
            tube([(0, 0, joint), (0, 0, height - 0.005)], 0.01, segments=6),
        ]
    parts += [foot(rng, u(0.11, 0.18)), tube([(0, 0, 0.01), (0, 0, height - 0.005)], pole, segments=8)]
    if rng.random() < 0.2:  # a little table round the pole
        parts.append(cylinder(u(0.15, 0.25), 0.02, segments=28).moved(z=u(0.5, 0.65)))
    return parts


def _desk(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    first, second = np.radians([u(65, 130), u(-30, 50)])
    start = np.array([u(-0.02, 0.02), 0, 0.05])
    elbow = start + u(0.22, 0.42) * np.array([np.cos(first), 0, np.sin(first)])
    wrist = elbow + u(0.2, 0.4) * np.array([np.cos(second), 0, np.sin(second)])
    parts = [part.moved(*wrist) for part in head(rng)]
    parts += [foot(rng, u(0.07, 0.11)), cylinder(0.016, 0.05, segments=12).moved(start[0], 0, 0.035)]
    if rng.random() < 0.25:  # gooseneck
        bend = 0.5 * (elbow + wrist) + [0, 0, u(0.05, 0.12)]
        path = spline([start, start + 0.6 * (elbow - start), elbow, bend, wrist], 20)
        return [*parts, tube(path, u(0.007, 0.011), segments=8).opened()]
    rod, apart = u(0.004, 0.008), u(0.012, 0.022)
    for a, b in ((start, elbow), (elbow, wrist)):
        if rng.random() < 0.5:  # two rods side by side
            parts += [tube([a, b], rod, segments=6).moved(y=y) for y in (-apart, apart)]
        else:
            parts.append(tube([a, b], 1.5 * rod, segments=8))
    joint = cylinder(u(0.012, 0.02), 2 * apart + 0.015, axis="y", segments=12)
    parts += [joint.moved(*at) for at in (start, elbow, wrist)]
    if rng.random() < 0.3:  # counterweight
        tail = elbow - u(0.15, 0.4) * (wrist - elbow)
        parts += [tube([elbow, tail], 1.5 * rod, segments=6), cylinder(0.022, 0.04, axis="y", segments=14).moved(*tail)]
    return parts


def _pendant(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    kind = rng.choice(["one", "row", "chandelier"], p=[0.65, 0.15, 0.2])
    if kind == "chandelier":
        return _chandelier(rng)
    r, cord = u(0.11, 0.28), u(0.03, 0.8)
    line = tube([(0, 0, -0.01), (0, 0, cord + 0.02)], u(0.003, 0.006), segments=6).weighted(1.5)
    if kind == "one":
        rose = turned([0, 0.012, 0.03], [0.02, u(0.04, 0.07), u(0.05, 0.08)]).moved(z=cord)
        return [rose, line, *pendant_shade(rng, r)]
    count, gap = int(rng.integers(2, 5)), 0.6 * r * u(2.3, 3.2)
    lamp = [*pendant_shade(rng, 0.6 * r), line]
    row = gap * (np.arange(count) - (count - 1) / 2)
    parts = [part.moved(y=y, z=-drop) for y, drop in zip(row, u(0, 0.02, count), strict=True) for part in lamp]
    return [box(0.06, (count - 1) * gap + 0.12, 0.04).moved(z=cord + 0.02), *parts]


def _chandelier(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    count, reach, cup, drop = int(rng.integers(4, 9)), u(0.2, 0.4), u(0.035, 0.06), u(0.08, 0.2)
    tip, up = (reach, 0, u(0.03, 0.13) - drop), rng.choice([-1, 1])
    path = spline([(0, 0, -drop), (0.4 * reach, 0, -drop - 0.06), (0.85 * reach, 0, -drop), tip], 10)
    glass = revolve([(0.4 * cup, 0), (0.8 * cup, up * 0.04), (cup, up * 0.1)], segments=14)
    arm = [tube(path, 0.007, segments=6), glass.moved(*tip), cylinder(0.5 * cup, 0.02, segments=10).moved(*tip)]
    heights = [-drop - 0.08, -drop - 0.04, -drop + 0.02, -drop + 0.1, 0.1, 0.3]
    stem = turned(heights, [0.01, 0.04, 0.02, 0.03, 0.008, 0.008], count=24, segments=14)
    rose = turned([0.28, 0.3, 0.32], [0.02, 0.06, 0.07])
    return [stem, rose, *(part.rotated("z", 360 * k / count) for k in range(count) for part in arm)]


def _torchiere(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    height, r, t = u(1.15, 1.75), u(0.12, 0.26), np.linspace(0, 1, 9)
    profile = np.stack([0.03 + (r - 0.03) * t ** u(0.35, 1.0), height + r * u(0.35, 1.1) * t], axis=1)
    pole, bowl = tube([(0, 0, 0.01), (0, 0, height)], u(0.009, 0.02), segments=8), revolve(profile, segments=32)
    parts = [foot(rng, u(0.11, 0.17)), pole, bowl, cylinder(0.035, 0.03).moved(z=height)]
    if rng.random() < 0.3:  # reading arm
        low, reach = u(0.6, 0.8) * height, u(0.12, 0.25)
        path = spline([(0, 0, low), (0.6 * reach, 0, low + 0.08), (reach, 0, low + 0.04)], 8)
        lamp = revolve([(0, 0.02), (0.025, 0), (0.055, -0.09)], segments=16)
        parts += [tube(path, 0.008, segments=6), lamp.rotated("y", -25).moved(reach, 0, low + 0.03)]
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "lamp": {"table": _table, "floor": _floor, "desk": _desk, "pendant": _pendant, "torchiere": _torchiere}
}
