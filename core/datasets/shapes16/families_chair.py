"""Chairs of shapes16, in metres: the sitter looks along +x."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.chair_parts import backrest, filling, seat, shell, shell_profile, stretchers, strip
from core.datasets.shapes16.chair_seats import armchair, bench, stool
from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import rounded, spline, superellipse
from core.datasets.shapes16.surfaces import box, cylinder, extrude, plate, post, tube


def _dining(rng: np.random.Generator) -> list[Surface]:
    if rng.random() < 0.3:
        return _moulded(rng)
    u = rng.uniform
    width, depth, height = u(0.4, 0.52), u(0.38, 0.5), u(0.42, 0.49)
    thick, size, power, splay = u(0.02, 0.07), u(0.022, 0.045), rng.choice([2.0, 8.0]), u(0.0, 0.06)
    back = backrest(
        -depth / 2 + 0.6 * size,
        height - thick / 2,
        u(0.32, 0.62),
        u(0.4, 0.48) * width,
        u(0.05, 0.28),
        u(0, 0.05),
        u(0, 0.12),
    )
    x, y, rear = depth / 2 - 0.7 * size, width / 2 - 0.7 * size, float(back(1, 0)[0])
    knees = np.array([(x, -y, 0.0), (rear, -0.9 * y, 0), (rear, 0.9 * y, 0), (x, y, 0)])
    feet = knees + splay * np.sign(knees) * [0.6, 0.5, 0]
    knees[:, 2] = height - 0.6 * thick
    parts = [seat(rng, depth, width, height, thick)]
    paths = [[f, k] for f, k in zip(feet, knees, strict=True)]
    if rng.random() < 0.2:  # upholstered, without posts
        parts.append(strip(back, -1, 1, -0.02, 1, u(0.04, 0.09)))
    else:
        parts += filling(rng, back)
        for k, s in ((1, -1), (2, 1)):
            paths[k] = [feet[k], *back(s, np.array([0.0, 0.4, 1.0]))]
    foot = u(0.6, 1.0)
    parts += [post(path, [foot * size] + [size] * (len(path) - 1), power=power) for path in paths]
    if rng.random() < 0.45:
        parts += stretchers(feet, knees, u(0.25, 0.5), 0.3 * size, ring=rng.random() < 0.5)
    if rng.random() < 0.2:  # arms
        level, front, drop, bar = u(0.35, 0.55), x - u(0.02, 0.25) * depth, u(-0.02, 0.03), u(0.011, 0.018)
        for s in (-1, 1):
            start, stop = back(s, level), np.array([front, s * (y + 0.02), height - thick / 2])
            elbow = np.array([front + 0.03, s * (y + 0.04), start[2] - drop])
            parts.append(tube([*spline([start, elbow], 5), stop], bar, segments=8))
    return parts


def _moulded(rng: np.random.Generator) -> list[Surface]:
    """Shell of plastic or plywood on thin spread legs."""
    u = rng.uniform
    width, depth, height, tall, top = u(0.4, 0.56), u(0.38, 0.46), u(0.42, 0.47), u(0.28, 0.42), u(0.55, 1.0)
    widths = width * np.array([0.75, 0.98, 1.0, 0.95, 0.95, 0.5 + 0.5 * top, 0.85 * top])
    profile = shell_profile(depth, height, tall, u(0.15, 0.4), u(0.01, 0.04))
    size, spread, inset = u(0.014, 0.035), u(0.01, 0.045), u(0.3, 0.6)
    corners = np.array([(1.0, -1.0, 0.0), (-1, -1, 0), (-1, 1, 0), (1, 1, 0)])
    knees = corners * [0.42 * depth * inset, 0.45 * width * inset, 0] + [0, 0, height - 0.02]
    feet = corners * [0.4 * depth + spread, 0.36 * width + spread, 0]
    legs = [post([f, k], [0.7 * size, size], power=2) for f, k in zip(feet, knees, strict=True)]
    frame = stretchers(feet, knees, 1.0, 0.4 * size, ring=True)
    return [shell(profile, widths, u(0.0, 0.09), u(0.008, 0.02)), *legs, *frame]


def _star(rng: np.random.Generator, height: float) -> list[Surface]:
    """Gas spring up to `height` on four or five arms, mostly with castors."""
    u = rng.uniform
    reach, count, wheels = u(0.26, 0.35), 4 if rng.random() < 0.15 else 5, rng.random() < 0.85
    parts = [
        cylinder(u(0.024, 0.034), 0.5 * height).moved(z=0.09 + 0.25 * height),
        cylinder(u(0.014, 0.02), height - 0.15).moved(z=0.075 + 0.5 * height),
    ]
    rise = u(0.1, 0.11)
    for angle in 360 * np.arange(count) / count + u(0, 72):
        end = 0.07 if wheels else 0.015
        arm = [tube([(0, 0, rise), (reach, 0, end)], [0.028, 0.016], segments=8)]
        if wheels:
            castor = cylinder(0.028, 0.045, axis="y", segments=12).rotated("z", u(0, 180))
            arm.append(castor.moved(reach - 0.012, z=0.028))
        parts += [part.rotated("z", angle) for part in arm]
    return parts


def _office(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, depth, height, tall = u(0.44, 0.54), u(0.42, 0.52), u(0.44, 0.56), u(0.4, 0.75)
    thick, lean, sink, curve = u(0.04, 0.1), u(0.05, 0.3), u(0.05, 0.16), u(0.02, 0.07)
    cushion = extrude(superellipse(depth / 2, width / 2, u(3, 5), 28), thick, bevel=0.3 * thick)
    back = backrest(-depth / 2, height + sink, tall - sink, u(0.4, 0.5) * width, lean, curve, u(-0.15, 0.05))
    edge = spline([(0.85, 0.0), (1.0, 0.3), (0.95, 0.8), (u(0.55, 0.85), 1.0)], 9)
    parts = [
        *_star(rng, height - thick),
        box(u(0.14, 0.26), u(0.14, 0.24), 0.05).moved(z=height - thick - 0.015),
        cushion.moved(z=height - thick / 2),
        plate(back(np.linspace(-1, 1, 9)[:, None] * edge[None, :, 0], edge[None, :, 1]), u(0.015, 0.09)),
    ]
    if rng.random() < 0.85:  # bracket
        heel = np.array([(-0.1 * depth, 0, height - thick - 0.01), (-0.5 * depth - curve - 0.03, 0, height - 0.04)])
        spine = np.concatenate([heel, back(0, np.array([0.05, u(0.3, 0.5)])) - [0.01, 0, 0]])
        parts.append(tube(spline(spine, 10), u(0.016, 0.028), flat=u(1, 2), segments=8))
    else:
        parts.append(strip(back, -0.7, 0.7, -1.2 * sink / (tall - sink), 0.1, 0.03))
    if rng.random() < 0.65:
        y, rise, x = width / 2 + u(0.02, 0.05), u(0.17, 0.24), u(-0.06, 0.04)
        pad = box(u(0.22, 0.3), u(0.05, 0.09), u(0.02, 0.035), radius=0.01)
        for s in (-1, 1):
            path = [(x, s * 0.2 * width, height - thick), (x, s * y, height - thick + 0.01), (x, s * y, height + rise)]
            parts += [tube(path, 0.016, segments=8), pad.moved(x, s * y, height + rise)]
    if rng.random() < 0.2:
        top = back(0, 1)
        rest = backrest(top[0] + u(0, 0.04), top[2] + 0.05, u(0.1, 0.16), u(0.1, 0.14), lean, 0.03)
        parts += [strip(rest, -1, 1, 0, 1, 0.03), tube([back(0, 0.85), rest(0, 0.5)], 0.012, segments=6)]
    return parts


def _cantilever(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, depth, height, tall, lean = u(0.42, 0.54), u(0.42, 0.52), u(0.43, 0.48), u(0.32, 0.46), u(0.1, 0.35)
    if rng.random() < 0.25:  # one moulded S
        foot, upper = u(0.85, 1.05) * depth / 2, shell_profile(depth, height, tall, lean, 0.02)[1:]
        stem = [(0.75 * depth, 0.04), (0.62 * depth, 0.5 * height), (0.52 * depth, 0.92 * height)]
        widths = width * np.array([1.0, 0.95, 0.6, 0.55, 0.9, 1, 1, 1, 0.97, 0.95, 0.8])
        return [shell([(-foot, 0.0), (0.3 * foot, 0.0), *stem, *upper], widths, u(0.0, 0.03), u(0.01, 0.02))]
    r, y, x = u(0.01, 0.015), width / 2 + 0.01, depth / 2
    front, rear = x + u(0.0, 0.08), -x + u(-0.04, 0.08)
    corners = [(rear, r), (front, r), (x, height - 0.02), (-x, height - 0.03), (-x - lean * tall, height + tall)]
    half = np.insert(rounded(corners, [0, 0.08, 0.08, 0.1, 0], 5)[4:-4], 1, y, axis=1)
    back, thick = backrest(-x, height, tall, y, lean, u(0, 0.05)), u(0.015, 0.06)
    parts = [
        seat(rng, depth, 2 * y, height + 0.3 * thick, thick),
        strip(back, -1, 1, u(0.1, 0.55), 1.0, u(0.015, 0.04)),
    ]
    if rng.random() < 0.8:  # one bent tube
        parts.append(tube(np.concatenate([half[::-1], half * [1, -1, 1]]), r, segments=8).opened())
    else:
        parts += [tube(half * [1, s, 1], r, segments=8).opened() for s in (-1, 1)]
        parts.append(tube([(front - 0.03, -y, r), (front - 0.03, y, r)], r, segments=8))
    if rng.random() < 0.35:
        for s in (-1, 1):
            start = back(s, 0.5)
            bend = np.array([(x - 0.04, s * (y + 0.01), start[2] - 0.01), (x - 0.02, s * y, height - 0.02)])
            parts.append(tube(np.stack([start, *bend]), r, segments=8))
    return parts


def _folding(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, depth, height, tall = u(0.4, 0.48), u(0.36, 0.42), u(0.42, 0.47), u(0.3, 0.42)
    r, y, front, rear = u(0.009, 0.015), width / 2, u(0.16, 0.26), -u(0.2, 0.3)
    top, flat = np.array([-depth / 2 - u(0.02, 0.12), height + tall]), u(1, 1.8)

    def on(z: float) -> float:  # x of the long legs at the height z
        return float(front + (top[0] - front) * z / top[1])

    hinge = on(height) + 0.82 * depth
    parts = [seat(rng, depth, 2 * y - 0.01, height, u(0.012, 0.035)).moved(x=on(height) + 0.42 * depth)]
    for s in (-1, 1):
        parts += [
            tube([(front, s * y, 0), (top[0], s * y, top[1])], r, flat=flat, segments=8),
            tube([(rear, s * (y - 0.025), 0), (hinge, s * (y - 0.025), height - 0.01)], r, flat=1.2, segments=8),
        ]
    low = u(0.06, 0.16)
    bars = [(on(low), low), (on(top[1] - 0.01), top[1] - 0.01), (rear + 0.2 * (hinge - rear), 0.2 * (height - 0.01))]
    parts += [tube([(x, -y, z), (x, y, z)], 0.9 * r, segments=8) for x, z in bars]
    back = backrest(on(height), height, tall, y, (on(height) - top[0]) / tall, u(0, 0.04))
    if rng.random() < 0.3:
        return parts + [strip(back, -1, 1, t, t + u(0.08, 0.12), 0.012) for t in (0.4, 0.6, 0.85)]
    return [*parts, strip(back, -1, 1, u(0.35, 0.7), 1.0, u(0.01, 0.03))]


STYLES: dict[str, dict[str, Builder]] = {
    "chair": {
        "dining": _dining,
        "office": _office,
        "armchair": armchair,
        "stool": stool,
        "bench": bench,
        "cantilever": _cantilever,
        "folding": _folding,
    }
}
