"""Figures of point clouds: shaded, in three-quarter view, drawn with NumPy and a scatter plot."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from core.figures.rows import Box, rows_of_boxes
from core.figures.style import ADVERSARIAL, CLEAN, PAGE, styled

Up = Literal["y", "z"]
Array = NDArray[np.float64]
View = tuple[Array, Array, Array]  # positions, nearness and normals: see _view
LIGHT = np.array([-0.45, 0.65, 0.61])  # to the right, up, towards us


@styled
def contact_sheet(
    clouds: Sequence[ArrayLike], names: Sequence[str], columns: int, up: Up = "z", width: float = PAGE
) -> Figure:
    """A sheet of shaded clouds, each (N, 3) filling its cell, in three-quarter view, with its name beneath.

    Parameters
    ----------
    clouds : sequence of (N, 3)
    names : sequence of str
    columns : int
        Clouds in a row.
    up : {"y", "z"}
        Axis that points up; shapes that face x (z up) or z (y up) are seen from the front.
    width : float
        Inches.
    """
    cell = width / columns
    row = cell + 0.18  # with the name
    height = row * -(-len(clouds) // columns)
    figure = Figure(figsize=(width, height))
    axes = _plain_axes(figure, (0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(-height, 0))  # inches
    for index, (cloud, name) in enumerate(zip(clouds, names, strict=True)):
        xy, nearness, normals = _view(cloud, up)
        low, high = xy.min(axis=0), xy.max(axis=0)
        scale = 0.9 * cell / float((high - low).max())
        centre = np.array([(index % columns + 0.5) * cell, -(index // columns) * row - cell / 2])
        _draw(axes, (xy - (low + high) / 2) * scale + centre, nearness, normals, CLEAN, scale)
        axes.text(centre[0], centre[1] - cell / 2 - 0.03, name, ha="center", va="center", size=8)
    return figure


@styled
def cloud_rows(clouds: Sequence[ArrayLike], names: Sequence[str], up: Up = "z", width: float = PAGE) -> Figure:
    """Shaded clouds (N, 3) in rows at one scale, the first clean and the others adversarial, names beneath.

    Parameters
    ----------
    clouds : sequence of (N, 3)
    names : sequence of str
        Of one or several lines.
    up : {"y", "z"}
        Axis that points up; shapes that face x (z up) or z (y up) are seen from the front.
    width : float
        Inches.
    """
    views, frame = view_pair(clouds, up)
    across, along = np.ptp(frame, axis=0)
    figure, boxes = rows_of_boxes(names, min(float(along / across), 1.5), width)
    for index, (view, box) in enumerate(zip(views, boxes, strict=True)):
        draw_cloud(figure, box, view, frame, ADVERSARIAL if index else CLEAN)
    return figure


def _plain_axes(figure: Figure, box: Box) -> Axes:
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes


def view_pair(clouds: Sequence[ArrayLike], up: Up) -> tuple[list[View], Array]:
    """Views of clouds (N, 3), and the corners (2, 2) of the frame that all of them fit in, with a margin."""
    views = [_view(cloud, up) for cloud in clouds]
    seen = np.concatenate([xy for xy, _, _ in views])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.06 * (high - low).max()
    return views, np.stack([low - margin, high + margin])


def draw_cloud(figure: Figure, box: Box, view: View, frame: Array, colour: Any) -> None:
    """Draw a view in ``box`` (left, bottom, width, height, in shares of ``figure``), as large as ``frame`` fits."""
    axes = _plain_axes(figure, box)
    axes.set(xlim=frame[:, 0], ylim=frame[:, 1], aspect="equal")
    scale = float((figure.get_size_inches() * box[2:] / np.ptp(frame, axis=0)).min())
    _draw(axes, *view, colour, scale)


def _view(cloud: ArrayLike, up: Up) -> View:
    """Three-quarter view of a cloud (N, 3): positions (N, 2), nearness (N,) from 0 to 1, normals (N, 3) towards us."""
    points = np.asarray(cloud, dtype=np.float64)
    if up == "z":
        points = points[:, [1, 2, 0]]
    turn, tilt = np.radians([35, 22])
    right = np.array([np.cos(turn), 0, -np.sin(turn)])
    front = np.array([np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)])
    seen = points @ np.stack([right, np.cross(front, right), front], axis=1)
    around = seen[KDTree(seen).query(seen, k=min(12, len(seen)))[1].reshape(len(seen), -1)]
    around -= around.mean(axis=1, keepdims=True)
    normals = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around))[1][:, :, 0]
    normals *= np.where(normals[:, 2:] < 0, -1, 1)
    depth = seen[:, 2]
    return seen[:, :2], (depth - depth.min()) / max(np.ptp(depth), 1e-9), normals


def _draw(axes: Axes, xy: Any, nearness: Any, normals: Any, colour: tuple[float, float, float], scale: float) -> None:
    """Draw points far to near, lit from the upper left, far ones paler; ``scale`` is inches for one of their units."""
    lit = np.clip(normals @ LIGHT, 0, 1)[:, None]
    rgb = np.array(colour) * (0.5 + 0.5 * lit)
    rgb += (1 - rgb) * (0.15 * lit + 0.6 * (1 - nearness[:, None]))
    order = np.argsort(nearness)
    diameter = 72 * scale * 1.7 / np.sqrt(len(xy))
    axes.scatter(xy[order, 0], xy[order, 1], s=diameter**2, c=rgb[order], linewidths=0)
