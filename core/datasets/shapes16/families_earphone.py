"""Headphones and earphones of shapes16, in metres: the wearer looks along +x, the ears are at +y and -y."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, arc, spline
from core.datasets.shapes16.surfaces import ellipsoid, revolve, torus, tube, turned

_DOWN = np.array([0.0, 0.0, -1.0])


def _pair(parts: list[Surface]) -> list[Surface]:
    """Parts and their mirror images on the other side."""
    return [*parts, *(part.mirrored("y") for part in parts)]


def _band(rng: np.random.Generator, half: float, rise: float) -> Array:
    """Path (24, 3) over the head, from (0, -half, 0) up to `rise` and down to (0, half, 0)."""
    angle, power = np.linspace(np.pi, 0, 24), 2 / rng.uniform(1.9, 2.6)
    y = half * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    return np.stack([np.zeros(24), y, rise * np.abs(np.sin(angle)) ** power], axis=1)


def _cup(rng: np.random.Generator, radius: float, thick: float, cushion: float) -> list[Surface]:
    """Ear cup about the origin for the ear at +y: shell outside, padded ring inside."""
    oval, dome = rng.uniform(1.0, 1.3), rng.uniform(0.4, 0.76) * radius
    shell = turned([0, 0.3 * thick, 0.75 * thick, thick], [radius, radius, 0.92 * radius, dome], count=10, segments=26)
    pad = torus(radius - 0.8 * cushion, cushion, segments=26, around=8).moved(z=-0.3 * cushion)
    return [part.rotated("x", -90).scaled(1, 1, oval) for part in (shell, pad)]


def _cable(rng: np.random.Generator, start: Array, length: float, radius: float) -> list[Surface]:
    """Wire that falls from `start`, wandering, and ends in a jack."""
    drift = rng.normal(0.0, 0.16, (5, 3)) * [length, length, 0.3 * length]
    fall = np.linspace(0, 1, 6)[1:, None] * np.array([0, -start[1], -length])
    path = spline([start, *(start + fall + drift)], 26)
    tip = path[-1]
    jack = tube(
        tip - np.array([-0.01, 0.015, 0.016, 0.03])[:, None] * [0, 0, 1], [0.004, 0.004, 0.002, 0.002], segments=8
    )
    return [tube(path, radius, segments=5).opened().weighted(2), jack.weighted(2)]


def _fork(rng: np.random.Generator, ends: list[Array], drop: float, tail: float, radius: float) -> list[Surface]:
    """Wires that meet below their two ends and go on as one."""
    meet = 0.5 * (ends[0] + ends[1]) + [rng.normal(0, 0.02), rng.normal(0, 0.02), -drop]
    parts = [tube([meet - 0.008 * _DOWN, meet + 0.012 * _DOWN], 0.0035, segments=8).weighted(2)]
    for end in ends:
        middle = 0.5 * (end + meet) + rng.normal(0, 0.2, 3) * [drop, drop, 0.3 * drop]
        path = spline([end, end + 0.2 * drop * _DOWN, middle, meet - 0.1 * drop * _DOWN, meet], 18)
        parts.append(tube(path, radius, segments=5).opened().weighted(2))
    return parts + _cable(rng, meet + 0.01 * _DOWN, tail, radius)


def _over_ear(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    half, radius, thick, low = u(0.07, 0.088), u(0.034, 0.05), u(0.018, 0.038), u(0.005, 0.022)
    wide, slab, path = u(0.01, 0.02), u(0.003, 0.009), _band(rng, half, u(0.1, 0.135))
    parts = [tube(path, wide, flat=slab / wide, segments=10).opened()]
    if rng.random() < 0.4:  # padding under the top of the band
        parts.append(tube(path[8:16] * [1, 0.97, 0.96], 0.9 * wide, flat=0.55, segments=8))
    toe, twist, reach, y = u(-10, 10), u(-8, 25), radius * u(0.95, 1.1), half + 0.05 * thick
    cup = _cup(rng, radius, thick, u(0.008, 0.013))
    hung = [part.rotated("x", toe).rotated("z", -twist).moved(0, half - 0.55 * thick, -low) for part in cup]
    narrow = np.array([(0.012, 0.3 * reach), (0.0, 0.9 * reach), (-0.012, 0.3 * reach)])
    fork = np.insert(arc(reach, 20, 160, 9) if rng.random() < 0.5 else narrow, 1, y, axis=1) - [0, 0, low]
    top = float(fork[:, 2].max())
    slider = tube([(0, y, top), (0, 0.985 * half, top + 0.03)], 0.005, flat=1.5, segments=6)
    parts += _pair([*hung, tube(fork, u(0.003, 0.005), segments=6), slider])
    if rng.random() < 0.4:
        parts += _cable(rng, np.array([0, half, -0.9 * radius - low]), u(0.08, 0.25), 0.0022)
    if rng.random() < 0.2:  # microphone
        nodes = [(0, half, -low - 0.01), (0.06, half + 0.005, -0.05), (0.11, half - 0.02, -0.075)]
        boom = spline([*nodes, (0.125, half - 0.045, -0.08)], 10)
        parts += [tube(boom, 0.003, segments=6), ellipsoid(0.01, 0.012, 0.008, rings=8, segments=10).moved(*boom[-1])]
    return parts


def _on_ear(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    half, radius, thick, wide = u(0.065, 0.08), u(0.022, 0.034), u(0.012, 0.022), u(0.003, 0.01)
    low, twist, y = -u(0.0, 0.02), u(-10, 15), 0.97 * half
    path = _band(rng, half, u(0.085, 0.12))
    cup = _cup(rng, radius, thick, u(0.006, 0.009))
    hung = [part.rotated("z", -twist).moved(0, y - 0.6 * thick, low - 0.35 * radius) for part in cup]
    slider = tube([(0, y, 0.02), (0, y, low - 0.4 * radius)], 1.2 * wide + 0.002, flat=0.6, segments=6)
    parts = [tube(path, wide, flat=u(0.3, 1.0), segments=8).opened(), *_pair([*hung, slider])]
    if rng.random() < 0.5:
        foot = np.array([0, y, low - 1.2 * radius])
        if rng.random() < 0.5:
            return parts + _cable(rng, foot, u(0.08, 0.25), 0.0018)
        return parts + _fork(rng, [foot, foot * [1, -1, 1]], u(0.06, 0.14), u(0.05, 0.15), 0.0018)
    return parts


def _bud(rng: np.random.Generator, stem: float, size: float) -> list[Surface]:
    """Bud for the ear at +y: its tip looks to -y, its stem ends at (0, 0.25 size, -stem)."""
    u = rng.uniform
    shell = ellipsoid(size, size * u(0.6, 0.95), size, rings=9, segments=16)
    neck = tube([(0, 0.2 * size, -0.3 * size), (0, 0.25 * size, -stem)], [0.4 * size, 0.3 * size], segments=8)
    parts = [shell, neck]
    if rng.random() < 0.6:  # rubber tip
        profile = np.array([(0, 1.5), (0.45, 1.45), (0.8, 0.7), (0.35, 0.5), (0, 0.5)])
        parts.append(revolve(size * profile, segments=14).rotated("x", u(70, 100)))
    return [part.weighted(1.5) for part in parts]


def _earbuds(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    size, stem, half, hooked = u(0.007, 0.011), u(0.01, 0.028), u(0.02, 0.08), rng.random() < 0.3
    parts, ends = [], []
    for side in (-1, 1):
        bud = [part.rotated("z", u(-30, 30)) for part in _bud(rng, stem, size)]
        if hooked:  # over the ear
            ring = np.insert(arc(0.022, -30, 200, 14, (-0.02, 0.004)), 1, 0.004, axis=1)
            bud.append(tube(ring, 0.0022, segments=6).weighted(1.5))
        at = np.array([u(-0.01, 0.01), side * half * u(0.9, 1.1), u(-0.015, 0.015)])
        parts += [(part if side > 0 else part.mirrored("y")).moved(*at) for part in bud]
        ends.append(at + np.array([0, side * 0.25 * size, -stem]))
    return parts + _fork(rng, ends, u(0.07, 0.16), u(0.05, 0.18), u(0.0012, 0.0019))


def _neckband(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    a, b, cups = u(0.07, 0.1), u(0.06, 0.078), rng.random() < 0.4
    angle = np.radians(np.linspace(u(65, 90) if cups else u(15, 50), 180, 14))
    arm = np.stack([a * np.cos(angle), b * np.sin(angle), 0.02 * np.cos(angle)], axis=1)
    path = np.concatenate([arm, arm[-2::-1] * [1, -1, 1]])
    if cups:  # it runs behind the head from ear to ear
        radius, tip = u(0.018, 0.03), arm[0] - [0, 0.004, 0]
        cup = [part.moved(*tip).moved(z=-0.3 * radius) for part in _cup(rng, radius, u(0.01, 0.018), 0.006)]
        bow = tube(path, u(0.002, 0.005), flat=u(1, 2), segments=8).opened()
        tilt = u(-20, 5)
        return [part.rotated("y", tilt) for part in (bow, *_pair(cup))]
    ends = np.clip(3 * np.abs(np.linspace(-1, 1, len(path))) - 1.6, 0, 1)
    collar = tube(path, u(0.002, 0.004) + u(0.002, 0.006) * ends, flat=u(0.8, 1.6), segments=8)
    parts, hanging = [collar.opened()], rng.random() < 0.35
    for side in (-1, 1):
        at = np.array([u(0.0, 0.05), side * u(0.06, 0.085), u(0.05, 0.14) * (-1 if hanging else 1)])
        parts += [(part if side > 0 else part.mirrored("y")).moved(*at) for part in _bud(rng, 0.012, u(0.007, 0.01))]
        start, stop = arm[0] * [1, side, 1], at + 0.012 * _DOWN
        loose = 0.5 * (start + stop) + [u(0.01, 0.05), side * u(0.0, 0.04), u(-0.03, 0.03)]
        parts.append(tube(spline([start, loose, stop], 14), 0.0013, segments=5).opened().weighted(2))
    tilt = u(-5, 35)
    return [part.rotated("y", tilt) for part in parts]


STYLES: dict[str, dict[str, Builder]] = {
    "earphone": {"over-ear": _over_ear, "on-ear": _on_ear, "neckband": _neckband, "earbuds": _earbuds}
}
