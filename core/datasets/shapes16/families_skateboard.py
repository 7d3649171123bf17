"""Skateboards of length 1, rolling towards +x."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from core.datasets.shapes16.mesh import Builder, Surface
from core.datasets.shapes16.outlines import Array
from core.datasets.shapes16.surfaces import (
    box,
    cylinder,
    plate,
    revolve,
    sheet,
    tube,
)


def _deck(length: float, half_width: ArrayLike, height: ArrayLike, concave: float, thickness: float) -> Surface:
    """Board along x; `half_width` and `height` are given at 41 stations from tail to nose."""
    x, t = np.linspace(-length / 2, length / 2, 41), np.linspace(-1, 1, 9)
    grid = sheet(x, t, lambda _, across: concave * across**2)
    grid[..., 1] *= np.asarray(half_width)[:, None]
    grid[..., 2] += np.asarray(height)[:, None]
    return plate(grid, thickness)


def _ends(x: Array, nose: float, tail: float) -> Array:
    """Share of the full width at stations x in [-0.5, 0.5], rounded over the last `nose` and `tail` lengths."""
    t = np.maximum((x - 0.5 + nose) / nose, (-x - 0.5 + tail) / tail)
    share: Array = np.sqrt(1 - np.clip(t, 0, 0.99) ** 2)
    return share


def _truck(width: float, height: float, wheel: float, wheel_width: float) -> list[Surface]:
    """Truck under a deck at z = 0: base plate, hanger and two wheels whose lowest point is `height` + `wheel` below."""
    half = width / 2
    hanger = tube(
        [(0, -0.62 * half, 0), (0, -0.3 * half, 0.006), (0, 0.3 * half, 0.006), (0, 0.62 * half, 0)],
        [0.01, 0.018, 0.018, 0.01],
        segments=8,
    )
    base = box(0.085, 0.06, 0.014, radius=0.004).moved(z=-0.007)
    king = tube([(-0.008, 0, 0), (0.006, 0, -0.55 * height), (0.004, 0, -height)], [0.026, 0.016, 0.014], segments=8)
    roller = revolve(
        np.array([(0, -0.4), (0.4, -0.36), (0.8, -0.5), (1, -0.3), (1, 0.3), (0.8, 0.5), (0.4, 0.36), (0, 0.4)])
        * (wheel, wheel_width),
        segments=16,
    ).rotated("x", 90)
    rollers = [roller.moved(0, side * (half - wheel_width / 2), -height) for side in (-1, 1)]
    return [
        base,
        king,
        hanger.moved(z=-height),
        cylinder(0.006, width, axis="y", segments=8).moved(z=-height),
        *rollers,
    ]


def _board(
    rng: np.random.Generator,
    share: Array,
    kicks: tuple[float, float],
    *,
    width: float,
    wheel: float,
    trucks: tuple[float, float],
    camber: float = 0.0,
    riser: float = 0.045,
) -> list[Surface]:
    """A skateboard of length 1 from the share of its width along x and its upturned ends' heights (tail, nose)."""
    u = rng.uniform
    x = np.linspace(-0.5, 0.5, 41)
    bend = np.where(x < 0, kicks[0], kicks[1]) * np.clip((np.abs(x) - u(0.32, 0.35)) / 0.17, 0, None) ** u(
        1.1, 1.5
    ) + camber * (1 - 4 * x**2)
    deck = _deck(1.0, share * width / 2, bend, u(0.004, 0.014), u(0.01, 0.016))
    if rng.random() < 0.1:  # bare, as it is sold
        return [deck]
    parts = [deck]
    for at, sign in ((trucks[0], -1), (trucks[1], 1)):
        unit = _truck(width * u(0.92, 1.02), riser, wheel, u(0.8, 1.3) * wheel)
        lean = u(-6, 6)
        turned = [part.rotated("z", 180) if sign < 0 else part for part in unit]
        parts += [part.rotated("z", lean).moved(at, 0, float(np.interp(at, x, bend)) - 0.004) for part in turned]
    if rng.random() < 0.12:
        parts = [part.rotated("x", 180) for part in parts]
    return parts


def _street(rng: np.random.Generator) -> list[Surface]:
    u, x = rng.uniform, np.linspace(-0.5, 0.5, 41)
    end, base = u(0.11, 0.15), u(0.22, 0.26)
    return _board(
        rng,
        _ends(x, end, end),
        (u(0.035, 0.075), u(0.04, 0.08)),
        width=u(0.23, 0.275),
        wheel=u(0.029, 0.037),
        trucks=(-base, base + u(-0.01, 0.01)),
    )


def _longboard(rng: np.random.Generator) -> list[Surface]:
    u, x = rng.uniform, np.linspace(-0.5, 0.5, 41)
    pintail = rng.random() < 0.6
    share = (
        _ends(x, u(0.15, 0.3), u(0.3, 0.6))
        if pintail
        else _ends(x, 0.12, 0.12) * (1 - u(0.2, 0.4) * np.exp(-(((np.abs(x) - 0.36) / 0.05) ** 2)))
    )
    base = u(0.28, 0.36)
    return _board(
        rng,
        share,
        (u(0, 0.012), u(0, 0.012)),
        width=u(0.2, 0.26),
        wheel=u(0.033, 0.042),
        trucks=(-base, base),
        camber=u(-0.025, 0.03),
        riser=u(0.05, 0.06),
    )


def _cruiser(rng: np.random.Generator) -> list[Surface]:
    u, x = rng.uniform, np.linspace(-0.5, 0.5, 41)
    share = _ends(x, u(0.2, 0.45), u(0.06, 0.12)) * (1 - u(0.05, 0.25) * np.clip(-x, 0, None))
    return _board(
        rng,
        share,
        (u(0.06, 0.1), u(0, 0.02)),
        width=u(0.27, 0.34),
        wheel=u(0.038, 0.047),
        trucks=(-u(0.2, 0.25), u(0.26, 0.32)),
        riser=u(0.05, 0.065),
    )


def _penny(rng: np.random.Generator) -> list[Surface]:
    u, x = rng.uniform, np.linspace(-0.5, 0.5, 41)
    share = _ends(x, u(0.16, 0.3), u(0.05, 0.09)) * (0.9 + 0.1 * np.cos(2 * np.pi * x))
    return _board(
        rng,
        share,
        (u(0.07, 0.12), u(0, 0.015)),
        width=u(0.24, 0.29),
        wheel=u(0.048, 0.058),
        trucks=(-u(0.19, 0.23), u(0.27, 0.31)),
        riser=u(0.06, 0.075),
    )


STYLES: dict[str, dict[str, Builder]] = {
    "skateboard": {"street": _street, "longboard": _longboard, "cruiser": _cruiser, "penny": _penny}
}
