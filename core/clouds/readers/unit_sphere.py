"""The note in a file that its cloud is in the unit sphere already, with the frame that it came from."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds import Points

Frame = tuple[NDArray[np.float64], float]
"""Centre (3,) and radius, in the units of the file the cloud came from: ``points * radius + centre`` are its points."""

_NOTE = re.compile(r"pointward unit sphere: centre (\S+) (\S+) (\S+) radius (\S+)")
_NEAREST, _FURTHEST = 0.01, 1 + 2 * 3**0.5
"""Bounds on the largest distance of a cloud's points from the origin; an attack's budget is up to 2 a coordinate."""


def unit_sphere_note(frame: Frame) -> str:
    """A comment for a file of a cloud that is in the unit sphere."""
    (x, y, z), radius = frame[0].tolist(), frame[1]
    return f"pointward unit sphere: centre {x!r} {y!r} {z!r} radius {radius!r}"


def noted_frame(comments: Iterable[str]) -> Frame | None:
    """The frame in the first comment that has one."""
    for comment in comments:
        if match := _NOTE.search(comment):
            return stated_frame(match.groups()[:3], match[4])
    return None


def stated_frame(centre: Any, radius: Any) -> Frame | None:
    """The frame that a file states; None if it is invalid."""
    try:
        frame = np.array(centre, dtype=np.float64).reshape(3), float(radius)
    except (TypeError, ValueError):
        return None
    return frame if np.isfinite(frame[0]).all() and 0 < frame[1] < np.inf else None


def is_in_unit_sphere(points: Points, frame: Frame) -> bool:
    """Check a file's note: whether points (N, 3) can be a cloud in the unit sphere, perturbed or not, and the frame
    leads back to coordinates that float32 can hold.
    """
    exact = points.astype(np.float64)
    furthest = np.sqrt((exact**2).sum(axis=1).max())
    centred = exact - exact.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=1).max())
    centre, radius = frame
    reach = np.abs(centre).max() + _FURTHEST * radius
    limits = np.finfo(np.float32)
    representable = float(limits.tiny) < radius and reach < float(limits.max)
    return bool(spread > _NEAREST and furthest < _FURTHEST and representable)
