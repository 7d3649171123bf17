"""Tables of shapes16, in metres: their long side lies along y, who sits there looks along -x."""

from __future__ import annotations

import numpy as np

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, monotone, rectangle, spline, superellipse
from core.datasets.shapes16.surfaces import box, cylinder, extrude, post, revolve, tube, turned


def _slab(outline: Array, height: float, thickness: float) -> Surface:
    """Board over an outline with its upper side at `height`."""
    return extrude(outline, thickness, bevel=0.15 * thickness).moved(z=height - thickness / 2)


def _leg(foot: Array, knee: Array, size: float, kind: int) -> Surface:
    """Leg from `foot` up to `knee`: straight (0), tapered (1), round (2) or turned (3)."""
    if kind < 3:
        return post([foot, knee], [size * (1.0, 0.5, 0.7)[kind], size], power=2 if kind == 2 else 8)
    t = np.linspace(0, 1, 15)
    widths = monotone(t, [0, 0.06, 0.12, 0.45, 0.66, 0.72, 0.76, 1.0], [0.6, 0.9, 0.5, 0.75, 1.1, 0.6, 1.1, 1.1])
    return post(foot + t[:, None] * (knee - foot), size * widths, power=2.5)


def _corners(depth: float, width: float, z: float = 0.0) -> list[Array]:
    return [np.array([sx * depth / 2, sy * width / 2, z]) for sx in (-1, 1) for sy in (-1, 1)]


def _legs(
    rng: np.random.Generator, depth: float, width: float, height: float, size: float, splay: float
) -> list[Surface]:
    """Four legs whose knees stand at the corners of depth x width."""
    kind = int(rng.integers(4))
    feet, knees = _corners(depth + 2 * splay, width + 2 * splay), _corners(depth, width, height)
    return [_leg(foot, knee, size, kind) for foot, knee in zip(feet, knees, strict=True)]


def _frame(depth: float, width: float, z: float, thick: float, tall: float) -> list[Surface]:
    """Rails along the four sides of depth x width, centred at height `z`."""
    along, across = box(thick, width, tall), box(depth, thick, tall)
    return [along.moved(s * depth / 2, 0, z) for s in (-1, 1)] + [across.moved(0, s * width / 2, z) for s in (-1, 1)]


def _four_leg(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    kind = rng.choice(["dining", "side", "console"], p=[0.55, 0.25, 0.2])
    if kind == "dining":
        width, depth, height, size = u(0.9, 2.1), u(0.65, 0.9), u(0.7, 0.78), u(0.035, 0.085)
    elif kind == "side":
        width, depth, height, size = u(0.34, 0.62), u(0.32, 0.6), u(0.42, 0.68), u(0.025, 0.05)
    else:
        width, depth, height, size = u(0.8, 1.4), u(0.28, 0.42), u(0.74, 0.92), u(0.025, 0.05)
    thick, overhang = u(0.015, 0.05), u(0.0, 0.08) * min(depth, width)
    if rng.random() < 0.2:
        power = u(4, 8)
        outline, corner = superellipse(depth / 2, width / 2, power, 36), 0.5 ** (1 / power)
    else:
        outline, corner = rectangle(depth, width, u(0.0, 0.06)), 1.0
    d, w, low = corner * depth - size - 2 * overhang, corner * width - size - 2 * overhang, height - thick
    splay = u(0.0, 0.08) if rng.random() < 0.3 else 0.0
    parts = [_slab(outline, height, thick), *_legs(rng, d, w, low, size, splay)]
    if rng.random() < 0.65:
        tall = u(0.06, 0.13) if kind == "dining" else u(0.03, 0.08)
        parts += _frame(d, w, low - tall / 2, 0.02, tall)
    share, bar = u(0.12, 0.4), 0.5 * size
    d, w, z = d + 2 * splay * (1 - share), w + 2 * splay * (1 - share), share * low
    if kind != "dining" and rng.random() < 0.35:  # shelf
        parts.append(box(d, w, 0.02).moved(z=z))
    elif rng.random() < 0.25:  # stretchers
        parts += [box(d, bar, bar).moved(0, s * w / 2, z) for s in (-1, 1)]
        parts.append(box(bar, w, bar).moved(z=z))
    return parts


def _column(rng: np.random.Generator, pole: float, reach: float, top: float) -> list[Surface]:
    """Column up to `top` with what it stands on."""
    u = rng.uniform
    kind = rng.integers(4)
    if kind == 0:  # tulip
        radii = [reach, 0.9 * reach, 0.35 * reach, pole, 1.3 * pole, 2.2 * pole]
        return [turned([0, 0.02, 0.06, 0.35 * top, top - 0.03, top], radii, count=24)]
    if kind == 1:  # disc
        foot = u(0.012, 0.04)
        profile = [(0, 0), (reach, 0), (reach, 0.6 * foot), (0.9 * reach, foot), (pole, foot + 0.01), (pole, top)]
        return [revolve([*profile, (0, top)])]
    if kind == 2:  # square plinth
        tall = u(0.03, 0.07)
        return [post([(0, 0, tall), (0, 0, top)], 2.6 * pole), box(1.6 * reach, 1.6 * reach, tall).moved(z=tall / 2)]
    rise, count, phase = u(0.1, 0.2), int(rng.choice([3, 4, 4])), u(0, 90)  # turned, on curved feet
    z = [0.5 * rise, 1.25 * rise, 1.55 * rise, 0.5 * top, 0.75 * top, 0.82 * top, top]
    column = turned(z, pole * np.array([0.9, 1.1, 0.7, u(1.0, 1.6), 0.7, 1.2, 1.2]), count=24)
    path = spline([(0.3 * pole, 0, rise), (0.4 * reach, 0, rise * u(0.7, 1.1)), (reach, 0, 0.02)], 8)
    foot_part = tube(path, u(0.5, 0.8) * pole * np.linspace(1.1, 0.6, 8), flat=u(0.6, 1.0), segments=8)
    return [column, *(foot_part.rotated("z", phase + 360 * k / count) for k in range(count))]


def _pedestal(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    kind = rng.choice(["side", "dining", "bar"], p=[0.35, 0.5, 0.15])
    depth, height = {
        "side": (u(0.34, 0.6), u(0.45, 0.75)),
        "dining": (u(0.6, 1.15), u(0.7, 0.78)),
        "bar": (u(0.5, 0.75), u(0.95, 1.1)),
    }[kind]
    width = depth * (u(1.2, 1.9) if kind == "dining" and rng.random() < 0.35 else 1.0)
    thick, power = u(0.018, 0.05), rng.choice([2.0, 2.0, 3.5, 9.0])
    pole, reach, top = u(0.025, 0.07), u(0.24, 0.4) * depth + 0.03, height - thick
    parts = [_slab(superellipse(depth / 2, width / 2, power, 40), height, thick)]
    column = _column(rng, pole, reach, top)
    if width > 1.5:
        parts += [part.moved(y=s * 0.25 * width) for part in column for s in (-1, 1)]
        parts.append(box(0.04, 0.5 * width, 0.05).moved(z=0.3 * height))
        return parts
    if rng.random() < 0.5:
        parts.append(cylinder(2.2 * pole, 0.02).moved(z=top - 0.01))
    return parts + column


def _end(rng: np.random.Generator, kind: int, reach: float, low: float, size: float) -> list[Surface]:
    """What carries one end of a trestle table, in the plane y = 0: inverted V, X, T or saw-horse."""
    u = rng.uniform
    if kind == 0:
        legs = [post([(s * reach, 0, 0), (s * 0.08, 0, low)], size) for s in (-1, 1)]
        return [*legs, box(1.3 * reach, 0.8 * size, 0.8 * size).moved(z=0.35 * low)]
    if kind == 1:
        return [tube([(s * reach, 0, 0.0), (-s * reach, 0, low)], 0.5 * size, flat=0.8, segments=8) for s in (-1, 1)]
    if kind == 2:
        bars = [box(2 * reach, size, u(0.05, 0.09), radius=0.01).moved(z=z) for z in (0.04, low - 0.03)]
        return [*bars, box(u(0.2, 0.9) * reach, 0.8 * size, low).moved(z=low / 2)]
    legs = [
        post([(k * reach, m * 0.12, 0), (0.8 * k * reach, 0, low - 0.02)], 0.7 * size) for k in (-1, 1) for m in (-1, 1)
    ]
    shelf = box(1.75 * reach, 0.2, 0.015).moved(z=u(0.15, 0.3))
    return [*legs, box(2 * reach, size, 0.07).moved(z=low - 0.035), shelf]


def _trestle(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, depth, height, thick = u(1.1, 2.2), u(0.6, 0.95), u(0.7, 0.78), u(0.025, 0.06)
    low, y, size, kind = height - thick, width * u(0.28, 0.42), u(0.04, 0.08), int(rng.integers(4))
    end = _end(rng, kind, 0.42 * depth, low, size)
    parts = [_slab(rectangle(depth, width, u(0, 0.03)), height, thick)]
    parts += [part.moved(y=s * y) for part in end for s in (-1, 1)]
    if kind != 3 and rng.random() < 0.75:
        z = low * (0.35, 0.5, u(0.2, 0.5))[kind]
        parts.append(box(0.5 * size, 2 * y + size, u(0.04, 0.1)).moved(z=z))
    if rng.random() < 0.2:  # picnic table
        out = u(0.15, 0.25)
        parts += [_slab(rectangle(0.25, width, 0.01), 0.45, 0.035).moved(s * (depth / 2 + out)) for s in (-1, 1)]
        parts += [box(depth + 2 * out + 0.2, 0.04, 0.08).moved(0, s * y, 0.38) for s in (-1, 1)]
    return parts


def _coffee(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, depth, height, thick = u(0.75, 1.4), u(0.42, 0.8), u(0.28, 0.48), u(0.015, 0.06)
    kind, low = rng.choice(["legs", "bent", "steel", "chest"], p=[0.5, 0.2, 0.2, 0.1]), height - thick
    if kind == "legs":
        size, splay, power = u(0.03, 0.07), u(0, 0.07), u(2, 8)
        if rng.random() < 0.4:
            outline, corner = superellipse(depth / 2, width / 2, power, 40), 0.5 ** (1 / power)
        else:
            outline, corner = rectangle(depth, width, u(0, 0.08)), 1.0
        inset, share = size + u(0.02, 0.1), u(0.2, 0.5)
        d, w = corner * depth - inset, corner * width - inset
        parts = [_slab(outline, height, thick), *_legs(rng, d, w, low, size, splay)]
        out = 2 * splay * (1 - share)
        return [*parts, box(d + out, w + out, 0.02).moved(z=share * low)] if rng.random() < 0.5 else parts
    if kind == "bent":  # top and sides from one board
        side = box(depth, thick, low)
        parts = [box(depth, width, thick).moved(z=height - thick / 2)]
        parts += [side.moved(0, s * (width - thick) / 2, low / 2) for s in (-1, 1)]
        shelf = box(0.96 * depth, width - thick, 0.6 * thick).moved(z=u(0.15, 0.5) * height)
        return [*parts, shelf] if rng.random() < 0.5 else parts
    if kind == "steel":
        size = u(0.018, 0.035)
        d, w = depth - size, width - size
        rails = _frame(d, w, size / 2, size, size) + _frame(d, w, low - size / 2, size, size)
        legs = [post([a, b], size) for a, b in zip(_corners(d, w), _corners(d, w, low), strict=True)]
        return [_slab(rectangle(depth, width, 0.02), height, thick), *rails, *legs]
    foot = u(0.06, 0.16)
    body = box(0.92 * depth, 0.92 * width, low - foot).moved(z=(low + foot) / 2)
    legs = _legs(rng, 0.8 * depth, 0.85 * width, foot, u(0.04, 0.08), 0.0)
    return [_slab(rectangle(depth, width, 0.01), height, thick), body, *legs]


def _drawers(rng: np.random.Generator, depth: float, width: float, bottom: float, top: float) -> list[Surface]:
    """Chest of drawers whose fronts look to +x."""
    count = int(rng.integers(1, 5)) if top - bottom > 0.3 else 1
    each, gap, knob = (top - bottom) / count, 0.012, rng.random() < 0.5
    grip = cylinder(0.014, 0.03, axis="x", segments=10) if knob else box(0.025, 0.4 * width, 0.014)
    parts = [box(depth, width, top - bottom).moved(z=(top + bottom) / 2)]
    for z in bottom + each * (np.arange(count) + 0.5):
        parts += [
            box(0.018, width - gap, each - gap).moved(depth / 2 + 0.009, 0, z),
            grip.moved(depth / 2 + 0.028, 0, z),
        ]
    return parts


def _desk(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    width, depth, height, thick = u(1.05, 1.8), u(0.5, 0.8), u(0.71, 0.78), u(0.02, 0.045)
    low, side, inset, leg, clear = height - thick, u(0.3, 0.45), u(0.01, 0.05), u(0.025, 0.05), u(0.0, 0.12)
    y, inner = width / 2 - side / 2 - inset, depth - 0.06
    parts = [_slab(rectangle(depth, width, u(0, 0.02)), height, thick)]
    kind = rng.choice(["two chests", "one chest", "under the top"], p=[0.3, 0.35, 0.35])
    if kind == "under the top":
        parts += _legs(rng, depth - 2 * leg, width - 2 * leg, low, leg + 0.015, 0.0)
        count, deep = int(rng.integers(1, 4)), u(0.09, 0.16)
        each = (width - 4 * leg) / count
        row = each * (np.arange(count) - (count - 1) / 2)
        parts += [part.moved(y=at) for at in row for part in _drawers(rng, inner - leg, each, low - deep, low)]
    else:
        hands = (-1, 1) if kind == "two chests" else (rng.choice([-1, 1]),)
        for hand in hands:
            parts += [part.moved(y=hand * y) for part in _drawers(rng, inner, side, clear, low)]
            if clear > 0.03:
                feet = zip(_corners(0.8 * inner, 0.8 * side), _corners(0.8 * inner, 0.8 * side, clear), strict=True)
                parts += [post([a, b], leg).moved(y=hand * y) for a, b in feet]
        if len(hands) == 1:  # the other end
            panel = box(inner, leg, low).moved(z=low / 2)
            pair = [post([(s * 0.45 * depth, 0, 0), (s * 0.45 * depth, 0, low)], leg) for s in (-1, 1)]
            end = [panel] if rng.random() < 0.5 else pair
            parts += [part.moved(y=-hands[0] * (width / 2 - inset - leg / 2)) for part in end]
    if (kind != "under the top" and clear <= 0.03) or rng.random() < 0.4:  # modesty panel
        tall = u(0.3, 0.6)
        parts.append(box(0.018, width - 2 * inset, tall).moved(-0.42 * depth, 0, low - tall / 2))
    if rng.random() < 0.2:  # raised shelf at the back
        rise, reach = u(0.12, 0.4), u(0.15, 0.28)
        x, wall = (reach - depth) / 2, box(reach, 0.02, rise)
        parts.append(box(reach, 0.98 * width, 0.02).moved(x, 0, height + rise))
        parts += [wall.moved(x, k * 0.48 * width, height + rise / 2) for k in (-1, 0, 1)]
    return parts


def _round(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    kind = rng.choice(["side", "dining", "coffee"], p=[0.45, 0.35, 0.2])
    radius, height, size = {
        "side": (u(0.17, 0.32), u(0.4, 0.68), u(0.02, 0.045)),
        "dining": (u(0.4, 0.7), u(0.68, 0.78), u(0.03, 0.065)),
        "coffee": (u(0.35, 0.6), u(0.35, 0.5), u(0.025, 0.065)),
    }[kind]
    thick, aspect = u(0.015, 0.045), u(1.0, 1.15) if rng.random() < 0.3 else 1.0
    low, inset = height - thick, u(0.5, 0.9)
    spread, count = min(u(1.0, 1.5), 1.1 / inset), int(rng.choice([3, 4, 4]))
    angle = u(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count
    knees = np.stack([inset * radius * np.cos(angle), inset * radius * np.sin(angle), np.full(count, low)], axis=1)
    feet, shape = knees * [spread, spread, 0], int(rng.integers(4))
    parts = [_slab(superellipse(radius, radius * aspect, 2, 40), height, thick)]
    parts += [_leg(foot, knee, size, shape) for foot, knee in zip(feet, knees, strict=True)]
    extra, level = rng.choice(["apron", "cross", "shelf", ""], p=[0.35, 0.25, 0.2, 0.2]), u(0.2, 0.45)
    if extra == "apron":
        r, bottom = inset * radius, low - u(0.04, 0.1)
        parts.append(
            revolve([(r - 0.01, bottom), (r + 0.01, bottom), (r + 0.01, low), (r - 0.01, low), (r - 0.01, bottom)])
        )
    elif extra == "cross":
        hub = (0, 0, level * low)
        parts += [
            tube([foot + level * (knee - foot), hub], 0.3 * size, segments=8)
            for foot, knee in zip(feet, knees, strict=True)
        ]
        parts.append(cylinder(size, 0.8 * size).moved(*hub))
    elif extra == "shelf":
        r = inset * radius * (spread + level * (1 - spread))
        parts.append(extrude(superellipse(r, r, 2, 32), 0.018).moved(z=level * low))
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "table": {
        "four-leg": _four_leg,
        "pedestal": _pedestal,
        "trestle": _trestle,
        "coffee": _coffee,
        "desk with drawers": _desk,
        "round": _round,
    }
}
