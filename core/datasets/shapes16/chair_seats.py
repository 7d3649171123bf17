"""Armchairs, stools and benches of shapes16, in metres: the sitter looks along +x."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from core.datasets.shapes16.chair_parts import backrest, stretchers, strip
from core.datasets.shapes16.mesh import Surface
from core.datasets.shapes16.outlines import superellipse
from core.datasets.shapes16.surfaces import box, cylinder, extrude, plate, post, revolve, torus, tube


def _feet(rng: np.random.Generator, depth: float, width: float, height: float) -> list[Surface]:
    size, power, splay = rng.uniform(0.025, 0.06), rng.choice([2.0, 8.0]), rng.uniform(0.9, 1.05)
    corners = [(sx * 0.44 * depth, sy * 0.44 * width) for sx in (-1, 1) for sy in (-1, 1)]
    return [post([(splay * x, splay * y, 0), (x, y, height)], [0.7 * size, size], power=power) for x, y in corners]


def _block(rng: np.random.Generator) -> list[Surface]:
    """Upholstered body with broad arms or none; sometimes a settee."""
    u = rng.uniform
    width = u(1.1, 1.7) if rng.random() < 0.15 else u(0.62, 0.95)
    depth, height, leg, thick = u(0.65, 0.9), u(0.36, 0.46), u(0.03, 0.18), u(0.1, 0.18)
    tall, back, lean, soft = u(0.32, 0.62), u(0.12, 0.24), u(2, 16), u(0.02, 0.06)
    side = u(0.07, 0.2) if rng.random() < 0.8 else 0.0
    inner, base, top = width - 2 * side, height - thick - leg + soft, height + u(0.14, 0.26)
    rest = box(back, inner, tall + 0.1, radius=soft).moved(z=(tall - 0.1) / 2).rotated("y", -lean)
    parts = [
        box(depth, inner + 0.02, base, radius=0.01).moved(z=leg + base / 2),
        box(0.96 * depth, inner + 0.02, thick, radius=soft).moved(x=0.01, z=height - thick / 2),
        rest.moved(x=-depth / 2 + 0.6 * back, z=height),
        *_feet(rng, depth, width, leg + 0.02),
    ]
    rolled = rng.random() < 0.35
    for y in (-(width - side) / 2, (width - side) / 2) if side > 0 else ():
        arm = box(depth * u(0.92, 1), side, top - leg, radius=min(soft, 0.4 * side))
        parts.append(arm.moved(y=y, z=(top + leg) / 2))
        if rolled:
            roll = cylinder(0.62 * side, 0.98 * depth, axis="x", segments=16)
            parts.append(roll.moved(y=y + np.sign(y) * 0.1 * side, z=top - 0.2 * side))
    return parts


def _tub(rng: np.random.Generator) -> list[Surface]:
    """Barrel chair: one curved wall is arms and back."""
    u = rng.uniform
    width, height, leg, thick = u(0.6, 0.85), u(0.36, 0.46), u(0.03, 0.18), u(0.1, 0.18)
    depth, tall, arm = width * u(0.9, 1.0), u(0.3, 0.5), u(0.12, 0.26)
    reach, flare, low = u(105, 150), u(0.0, 0.15), leg + u(0.0, 0.04)
    angle, t = np.radians(np.linspace(180 - reach, 180 + reach, 25))[:, None], np.linspace(0, 1, 6)[None, :]
    share = np.clip((1 + np.cos(angle)) / (1 - np.cos(np.radians(reach))), 0, 1) ** u(0.8, 1.6)
    rise = height + tall + (arm - tall) * share - low
    radius = 0.5 * (1 - flare * (1 - t))
    wall = np.stack([depth * radius * np.cos(angle), width * radius * np.sin(angle), low + rise * t], axis=-1)
    disc, under = superellipse(0.48 * depth, 0.48 * width, 2.3, 32), height - leg - 0.6 * thick
    parts = [
        plate(wall, u(0.05, 0.1)),
        extrude(disc, under, bevel=0.01).moved(z=leg + under / 2),
        extrude(disc, thick, bevel=0.3 * thick).moved(x=0.02, z=height - thick / 2),
    ]
    if rng.random() < 0.3:
        top = leg + 0.08
        return [*parts, revolve([(0, 0), (0.26, 0), (0.26, 0.015), (0.03, 0.03), (0.025, top), (0, top)])]
    return [*parts, *_feet(rng, 0.75 * depth, 0.75 * width, leg + 0.03)]


def _lounge(rng: np.random.Generator) -> list[Surface]:
    """Wooden or steel frame with loose cushions."""
    u = rng.uniform
    width, depth, height, thick, tall = u(0.6, 0.8), u(0.62, 0.85), u(0.36, 0.44), u(0.08, 0.16), u(0.35, 0.6)
    lean, size, tilt, soft, rake = u(8, 24), u(0.025, 0.05), u(0, 8), u(0.02, 0.05), u(0, 0.12)
    y, x, top, inner = width / 2 - size / 2, depth / 2 - size, height + u(0.14, 0.24), width - 2 * size
    rest = box(u(0.08, 0.16), inner, tall + 0.08, radius=soft).moved(z=(tall - 0.08) / 2).rotated("y", -lean)
    parts = [
        box(depth, inner, thick, radius=soft).rotated("y", -tilt).moved(x=0.02, z=height - thick / 2),
        rest.moved(x=-depth / 2 + 0.08, z=height),
        *(box(0.03, 2 * y, 0.05).moved(s * 0.35 * depth, 0, height - 0.85 * thick) for s in (-1, 1)),
    ]
    board, over = u(0.04, 0.09), u(0, 0.06)
    for s in (-1, 1):
        parts += [
            post([(x + 0.3 * rake, s * y, 0), (x, s * y, top)], size),
            post([(-x - rake, s * y, 0), (-x + 0.5 * rake, s * y, top)], size),
            box(depth + over, board, 0.025, radius=0.008).moved(y=s * y, z=top),
            box(depth - 1.5 * size, 0.6 * size, 0.055).moved(y=s * (y - 0.2 * size), z=height - 0.8 * thick),
        ]
    return parts


def armchair(rng: np.random.Generator) -> list[Surface]:
    """Upholstered block, barrel, or frame with cushions."""
    return [_block, _tub, _lounge][rng.choice(3, p=[0.5, 0.25, 0.25])](rng)


def stool(rng: np.random.Generator) -> list[Surface]:
    """Low to bar-high stool on three or four legs, or on one pole and then sometimes with a low back."""
    u = rng.uniform
    height, thick = u(0.4, 0.8), u(0.02, 0.09)
    a, power = u(0.14, 0.24), rng.choice([2.0, 2.0, 5.0])
    b = a if rng.random() < 0.5 else u(0.14, 0.24)
    parts = [extrude(superellipse(a, b, power, 28), thick, bevel=thick * u(0.05, 0.35)).moved(z=height - thick / 2)]
    low = height - thick / 2
    if rng.random() < 0.3:  # bar stool on one pole
        reach, pole = u(0.15, 0.24), u(0.018, 0.035)
        profile = [(0, 0), (reach, 0), (reach, u(0.008, 0.02)), (2 * pole, u(0.025, 0.06)), (pole, 0.1), (pole, low)]
        parts.append(revolve([*profile, (0, low)]))
        if rng.random() < 0.6:
            level, ring = u(0.2, 0.4) * height, u(0.1, 0.15)
            parts += [torus(ring, 0.009).moved(z=level), tube([(-ring, 0, level), (ring, 0, level)], 0.008, segments=6)]
        if rng.random() < 0.25:
            back = backrest(-0.9 * a, height - 0.02, u(0.12, 0.3), 0.8 * b, u(0, 0.2), u(0.02, 0.06))
            parts.append(strip(back, -1, 1, 0, 1, u(0.015, 0.04)))
        return parts
    count = 3 if power == 2 and rng.random() < 0.35 else 4
    angle = 2 * np.pi * (np.arange(count) + 0.5) / count
    inset, spread, size = u(0.55, 0.92) * (1.25 if power > 2 else 1.0), u(1.0, 1.5), u(0.018, 0.045)
    knees = np.stack([inset * a * np.cos(angle), inset * b * np.sin(angle), np.full(count, low)], axis=1)
    feet = knees * [spread, spread, 0]
    foot, square = size * u(0.65, 1), rng.choice([2.0, 8.0])
    parts += [post([f, k], [foot, size], power=square) for f, k in zip(feet, knees, strict=True)]
    if rng.random() < 0.7:
        parts += stretchers(feet, knees, u(0.25, 0.55), 0.3 * size, ring=True)
    return parts


def bench(rng: np.random.Generator) -> list[Surface]:
    """Indoor or park bench, half of them with a back and some of these with arms."""
    u = rng.uniform
    length, depth, height, thick = u(0.9, 1.7), u(0.28, 0.48), u(0.4, 0.48), u(0.025, 0.07)
    boards = int(rng.choice([1, 1, 3, 4]))
    pitch = depth / boards
    wide = pitch * (u(0.8, 0.92) if boards > 1 else 1.0)
    at = pitch * (np.arange(boards) - (boards - 1) / 2)
    parts = [box(wide, length, thick, radius=0.006).moved(x=x, z=height - thick / 2) for x in at]
    y, low, size = length / 2 - u(0.06, 0.25), height - thick, u(0.035, 0.07)
    if rng.random() < 0.33:  # side panels and a stretcher
        panel = box(depth * u(0.75, 0.98), size, low)
        parts += [panel.moved(y=s * y, z=low / 2) for s in (-1, 1)]
        parts.append(box(size * 0.6, 2 * y, u(0.05, 0.12)).moved(z=u(0.5, 0.8) * low))
    else:
        x, splay = 0.42 * depth, rng.choice([1.0, u(1.0, 1.25)])
        corners = [(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]
        parts += [post([(splay * cx, splay**0.3 * cy, 0), (cx, cy, low)], size) for cx, cy in corners]
        parts += [box(2 * x, 0.7 * size, 0.06).moved(y=s * y, z=low - 0.03) for s in (-1, 1)]
        if rng.random() < 0.5:
            parts.append(box(0.6 * size, 2 * y, 0.05).moved(z=low - 0.03))
    if rng.random() < 0.55:
        tall, s = u(0.3, 0.48), 2 * y / length
        back = backrest(-depth / 2, height, tall, length / 2, u(0.1, 0.32))
        parts += [tube([back(k, -thick / tall), back(k, 0.98)], 0.4 * size, segments=8) for k in (-s, s)]
        edges, gap = np.linspace(0.25, 1.0, int(rng.integers(2, 6))), u(0.01, 0.05)
        parts += [strip(back, -1, 1, a + gap, b - gap, 0.02) for a, b in pairwise(edges)]
        if rng.random() < 0.5:
            for k in (-s, s):
                _, side, level = start = back(k, 0.5)
                front = np.array([(0.42 * depth, side, level), (0.42 * depth, side, low)])
                parts.append(tube(np.stack([start, *front]), 0.35 * size, segments=8))
    return parts
