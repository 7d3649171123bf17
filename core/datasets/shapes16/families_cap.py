"""Caps and hats of shapes16, in metres: the brim points to +x."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array, monotone
from core.datasets.shapes16.surfaces import ellipsoid, plate, revolve, tube


def _head(rng: np.random.Generator) -> tuple[float, float]:
    """Half-length and half-width of the head opening."""
    half = rng.uniform(0.09, 0.104)
    return half, half * rng.uniform(0.78, 0.92)


def _crown(a: float, b: float, height: float, power: float, hem: ArrayLike, lean: float) -> Surface:
    """Dome of six panels over the ellipse (a, b).

    It begins at the heights `hem`, one number or (41,) for the angles from -180 to 180 degrees, and ends at `height`;
    `lean` moves its top along x.
    """
    angle = np.linspace(-np.pi, np.pi, 41)[:, None]
    low = np.broadcast_to(np.asarray(hem) / height, 41)[:, None]
    t = low + (1 - low) * np.sin(np.linspace(0, np.pi / 2, 12))[None, :]
    radius = (1 - np.clip(t, 0, 1) ** power) ** (1 / power) * (1 + 0.012 * np.abs(np.sin(3 * angle)) * t)
    x, y = a * radius * np.cos(angle) + lean * t**2, b * radius * np.sin(angle)
    return plate(np.stack([x, y, height * t], axis=-1))


def _brim(rng: np.random.Generator, a: float, b: float, length: float) -> Surface:
    """Peak of a cap: an arched plate before the front of the ellipse (a, b)."""
    u = rng.uniform
    wide, drop, curve = np.radians(u(60, 88)), u(0.0, 0.35) * length, u(0.0, 0.035)
    angle, s = np.linspace(-wide, wide, 21)[:, None], np.linspace(-0.08, 1, 7)[None, :]
    reach = np.clip(np.cos(np.pi / 2 * angle / wide), 0, 1) ** u(0.45, 0.8)
    x, y = a * np.cos(angle) + length * s * reach, b * np.sin(angle) * (1 + 0.04 * s)
    z = -drop * s * reach - curve * (y / b) ** 2 * np.clip(2.5 * s, 0, 1) * reach**0.3
    return plate(np.stack([x, y, z], axis=-1), 0.003)


def _baseball(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    a, b = _head(rng)
    height, lean, hem = u(0.085, 0.14), u(-0.012, 0.008), np.zeros(41)
    parts = [_brim(rng, a, b, u(0.05, 0.09))]
    if rng.random() < 0.6:  # half-round opening at the back, above a strap
        across = np.linspace(-np.pi, np.pi, 41)
        hem = u(0.03, 0.05) * np.sqrt(np.clip(1 - ((np.pi - np.abs(across)) * b / 0.038) ** 2, 0, 1))
        side = np.pi + np.linspace(-0.5, 0.5, 7)
        strap = np.broadcast_arrays(1.01 * a * np.cos(side)[:, None], 1.01 * b * np.sin(side)[:, None], [[0, 0.014]])
        parts.append(plate(np.stack(strap, axis=-1), 0.002))
    if rng.random() < 0.7:
        parts.append(ellipsoid(0.007, 0.007, 0.004, rings=6, segments=10).moved(lean, 0, height))
    return [_crown(a, b, height, u(1.9, 2.9), hem, lean), *parts]


def _beanie(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    a, b = _head(rng)
    b, height, lean = 0.5 * (a + b), u(0.13, 0.21), u(-0.05, 0.01)
    parts = [_crown(a, b, height, u(1.7, 2.8), 0.0, lean)]
    if rng.random() < 0.7:  # turned-up cuff
        tall, puff = u(0.035, 0.08), 1 + u(0.03, 0.1)
        cuff = [(1, 0.0), (puff, 0.002), (puff, tall - 0.003), (1.0, tall)]
        parts.append(revolve(cuff, segments=40).scaled(a, b, 1))
    if rng.random() < 0.35:
        ball = u(0.018, 0.032)
        parts.append(ellipsoid(ball, ball, ball * u(0.8, 1), segments=16).moved(lean, 0, height + 0.75 * ball))
    return parts


def _bucket(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    a, b = _head(rng)
    height, top, soft = u(0.075, 0.13), u(0.7, 0.98), u(0.04, 0.25)
    length, fall, roll = u(0.03, 0.1), np.radians(u(-5, 60)), u(0.0, 0.3)
    out, t = np.linspace(1, 0.25, 4), np.linspace(0, 1, 8)
    brim = np.stack([1 + out * length / a * np.cos(fall), length * (roll * out**3 - out * np.sin(fall))], axis=1)
    wall = np.stack([monotone(t, [0, 1 - soft, 1], [1, top + 0.03, top * (1 - 0.5 * soft)]), height * t], axis=1)
    crease = height - u(-0.004, 0.016)
    hat = revolve([*brim, *wall, (0.5 * top, crease), (0, crease)], segments=40).scaled(a, b, 1)
    if rng.random() < 0.35:  # sides turned up
        curl = u(0.1, 0.6)

        def turned_up(p: Array) -> Array:
            return p + np.insert(np.zeros((len(p), 2)), 2, curl * np.clip(np.abs(p[:, 1]) - b, 0, None), axis=1)

        hat = hat.warped(turned_up)
    if rng.random() < 0.35:
        return [hat, revolve([(1.015, 0.002), (1.015, 0.028)], segments=40).scaled(a, b, 1)]
    return [hat]


def _visor(rng: np.random.Generator) -> list[Surface]:
    u = rng.uniform
    a, b = _head(rng)
    gap = np.radians(u(0, 45))
    angle, t = np.linspace(-np.pi + gap, np.pi - gap, 37)[:, None], np.linspace(0, 1, 4)[None, :]
    high, shrink = u(0.022, 0.055) * (0.55 + 0.45 * np.cos(angle / 2) ** 2), 1 - u(0, 0.15) * t
    band = np.stack([a * shrink * np.cos(angle), b * shrink * np.sin(angle), high * t], axis=-1)
    parts = [plate(band, 0.002), _brim(rng, a, b, u(0.055, 0.1))]
    if gap > 0.1:
        side = np.linspace(np.pi - gap, np.pi + gap, 8)
        parts.append(tube(np.stack([a * np.cos(side), b * np.sin(side), np.full(8, 0.008)], axis=1), 0.004, segments=6))
    return parts


STYLES: dict[str, dict[str, Builder]] = {
    "cap": {"baseball": _baseball, "beanie": _beanie, "bucket": _bucket, "visor": _visor}
}
