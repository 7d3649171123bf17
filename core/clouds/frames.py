"""Which axis of a cloud points up, and the rotations from one such frame into another.

All rotations are proper (determinant +1), and exact where the angles are right ones: their entries are then 0 and ±1.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from core.clouds.cloud import Cloud, Points

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
AXES: tuple[Axis, ...] = get_args(Axis)
STANDARD_UP: Axis = "z"
"""Axis that points up in the built-in data, and for the models that come with the program."""

Rotation: TypeAlias = NDArray[np.float64]
"""(3, 3), orthogonal, determinant +1; a column vector v becomes R v."""


@dataclass(frozen=True)
class Orientation:
    """Which axis points up in the files of clouds, and how the clouds are turned about it.

    Parameters
    ----------
    up
        Axis of the file that points up. None: the axis that the model expects up.
    turn
        Degrees about the up axis by which they are turned after that, counter-clockwise seen from above.
    """

    up: Axis | None = None
    turn: float = 0.0

    @property
    def given(self) -> bool:
        """Whether an axis or a turn was given."""
        return self.up is not None or self.turn != 0

    def rotation(self, expected: Axis) -> Rotation:
        """The rotation from the frame of the file into a frame in which the axis ``expected`` points up.

        The up axis goes the shortest way: y to z is a quarter turn about x, (x, y, z) becoming (x, -z, y). Between
        opposite axes it is half a turn about the axis that follows in the order x, y, z.

        Raises
        ------
        ValueError
            If the turn is not a finite number.
        """
        if not np.isfinite(self.turn):
            raise ValueError(f"the turn must be a number of degrees, not {self.turn}")
        here, there = _unit_vector(self.up or expected), _unit_vector(expected)
        if (here == there).all():
            upright = np.eye(3)
        elif (here == -there).all():
            upright = _rotation_about(np.roll(np.abs(there), 1), 180)
        else:
            upright = _rotation_about(np.cross(here, there), 90)
        return _rotation_about(there, self.turn) @ upright

    def words(self) -> str:
        """As the options of a command: ``--up y --turn 90``."""
        parts = [f"--up {self.up}"] if self.up is not None else []
        return " ".join([*parts, f"--turn {self.turn:g}"] if self.turn else parts)


AS_IT_IS = Orientation()


def right_angled(expected: Axis) -> tuple[Orientation, ...]:
    """The 24 orientations that differ by right angles; first the one that needs no rotation, then its quarter turns."""
    axes = sorted(AXES, key=lambda axis: axis != expected)
    return tuple(Orientation(axis, float(turn)) for axis, turn in itertools.product(axes, (0, 90, 180, 270)))


def rotated(points: NDArray[np.floating[Any]], rotation: Rotation) -> Points:
    """Clouds (..., N, 3) rotated about the origin."""
    return np.asarray(points.astype(np.float64) @ rotation.T, dtype=np.float32)


def turned(cloud: Cloud, rotation: Rotation) -> Cloud:
    """A cloud rotated about its centre; the centre in the frame of its file is rotated too."""
    return replace(cloud, points=rotated(cloud.points, rotation), centre=rotation @ cloud.centre)


def axis_named(name: str | None) -> Axis | None:
    """The axis with this name; None for any other text, such as "unknown" on a card."""
    return next((axis for axis in AXES if axis == name), None)


def frame_record(
    expected: str, what: str, orientation: Orientation = AS_IT_IS, *, known: str | None = None, found: bool = False
) -> dict[str, Any]:
    """Which axis a model expects up and which one the clouds had, for the record of a result.

    Parameters
    ----------
    expected
        The up axis on the model's card.
    what
        "file", or the name of a dataset.
    orientation
        The orientation that was given or found; the clouds have been rotated accordingly.
    known
        The up axis on the card of a dataset; used if no orientation was given.
    found
        Whether the orientation was found by trying, not given by a person.

    Returns
    -------
    dict
        ``frame``, a sentence; ``expected_up`` and ``given_up``, axes, None if they are not known; ``turn``, degrees.
    """
    wanted, stored = axis_named(expected), axis_named(known)
    given = (orientation.up or wanted) if orientation.given else stored
    model = f"model expects {wanted} up" if wanted else "model does not say which axis it expects up"
    if not orientation.given:
        clouds = f"{what} is {stored} up" if stored else f"{what} taken as it is"
        clouds += ", not turned: --up says so and turns it" if stored and wanted and stored != wanted else ""
    else:
        clouds = f"{what} {'found to be' if found else 'given as'} {given} up"
        clouds += ", turned" if given != wanted else ""
        clouds += f", then by {orientation.turn:g}° about it" if orientation.turn else ""
        clouds += f" ({orientation.words()})" if found else ""
    return {"frame": f"{model}; {clouds}", "expected_up": wanted, "given_up": given, "turn": orientation.turn}


def _unit_vector(axis: Axis) -> NDArray[np.float64]:
    vector = np.zeros(3)
    vector["xyz".index(axis[-1])] = -1.0 if axis.startswith("-") else 1.0
    return vector


def _rotation_about(axis: NDArray[np.float64], degrees: float) -> Rotation:
    """Rodrigues' formula for the rotation about a unit vector (3,)."""
    quarters, rest = divmod(degrees, 90)
    if rest:
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    else:  # exactly
        cosine, sine = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarters) % 4]
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(cosine * np.eye(3) + sine * cross + (1 - cosine) * np.outer(axis, axis))
