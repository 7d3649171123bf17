"""Figure of what robustness costs: clean accuracy against accuracy under attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from core.figures.charts import OTHERS, ground
from core.figures.maps import BOX
from core.figures.style import MUTED, PAGE, styled

Array = NDArray[np.float64]

# where a name may stand beside its point: which way, and how far, in points of 1/72 inch
TURNS = np.linspace(0, 2 * np.pi, 16, endpoint=False)
WAYS, GAPS = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1), (5, 9, 14, 20, 27, 35, 44)


@dataclass(frozen=True)
class ParetoPoint:
    """A model's accuracies without and with attack, 0 to 1, and the (low, high) intervals they are known to lie in."""

    name: str
    clean: float
    robust: float
    clean_interval: tuple[float, float]
    robust_interval: tuple[float, float]


def front(points: Sequence[ParetoPoint]) -> list[ParetoPoint]:
    """The Pareto-optimal points, by clean accuracy: no other is as good in both accuracies and better in one."""
    optimal = [
        point
        for point in points
        if not any(
            other.clean >= point.clean
            and other.robust >= point.robust
            and (other.clean, other.robust) != (point.clean, point.robust)
            for other in points
        )
    ]
    return sorted(optimal, key=lambda point: point.clean)


@styled
def pareto(points: Sequence[ParetoPoint], width: float = PAGE) -> Figure:
    """Clean accuracy against PGD accuracy, a point for every model, the Pareto-optimal ones joined by steps.

    Parameters
    ----------
    points : sequence of ParetoPoint
    width : float
        Inches.
    """
    figure = Figure(figsize=(width, 0.55 * width + 0.3), layout="constrained")
    axes = figure.subplots()
    optimal = front(points)
    centres = 100 * np.array([(point.clean, point.robust) for point in points])
    limits = 100 * np.array([(point.clean_interval, point.robust_interval) for point in points])
    corners = np.array([(100 * point.clean, 100 * point.robust) for point in optimal])
    axes.plot(*corners.T, drawstyle="steps-pre", color=MUTED, linestyle="--", linewidth=0.8)
    look: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 5, "color": OTHERS[0]}
    for point, (x, y), interval in zip(points, centres, limits, strict=True):
        reach = np.abs(interval - [[x], [y]])[:, :, None]
        fill = OTHERS[0] if point in optimal else "white"
        axes.errorbar(x, y, xerr=reach[0], yerr=reach[1], mfc=fill, elinewidth=0.7, capsize=2, **look)
    axes.set(xlabel="Clean accuracy (%)", ylabel="PGD accuracy (%)")
    axes.margins(0.12)
    ground(axes)
    kinds = [Line2D([], [], label="Pareto-optimal", **look), Line2D([], [], label="dominated", mfc="white", **look)]
    figure.legend(handles=kinds[: 1 + (len(optimal) < len(points))], loc="outside lower center", ncols=2)
    figure.draw_without_rendering()  # lays the panel out, so that names can be placed on it
    bars = np.repeat(centres[:, None, None], 2, axis=1).repeat(2, axis=2)  # from end to end
    bars[:, 0, :, 0], bars[:, 1, :, 1] = limits[:, 0], limits[:, 1]
    turns = np.stack([corners[:-1, 0], corners[1:, 1]], axis=1)
    steps = [np.stack([corners[:-1], turns], axis=1), np.stack([turns, corners[1:]], axis=1)]
    lines = np.concatenate([bars.reshape(-1, 2, 2), *steps])
    name_points(figure, axes, [point.name for point in points], centres, lines)
    return figure


def name_points(figure: Figure, axes: Axes, names: Sequence[str], centres: Array, lines: Array) -> None:
    """Name each point (n, 2) where, around it, its name hides least of other names, points and lines (m, 2, 2).

    The figure must be laid out, and is not to be laid out anew.
    """
    scale = 72 / figure.dpi
    low, high = np.array(axes.bbox.extents).reshape(2, 2) * scale  # here and below, a unit is a point of 1/72 inch
    spots = axes.transData.transform(centres) * scale
    drawn = np.sort(axes.transData.transform(lines.reshape(-1, 2)).reshape(-1, 2, 2) * scale, axis=1)
    drawn = np.concatenate([drawn, np.stack([spots - 3, spots + 3], axis=1)])
    taken = np.empty((0, 2, 2))
    for text, spot in zip(names, spots, strict=True):
        name = axes.text(0, 0, text, ha="center", va="center", size=7, zorder=4, bbox=BOX)
        extent = name.get_window_extent()
        half = np.array([extent.width, extent.height]) * scale / 2 + 1
        middles = spot + np.concatenate([np.clip(1.5 * WAYS, -1, 1) * half + WAYS * gap for gap in GAPS])
        boxes = np.stack([middles - half, middles + half], axis=1)
        edges = np.clip(spot, boxes[:, 0], boxes[:, 1])
        outside = np.any((boxes[:, 0] < low) | (boxes[:, 1] > high), axis=1)
        leader = spot + np.linspace(0, 1, 8)[:, None, None] * (edges - spot)
        crossed = sum(_overlaps(np.stack([places, places], axis=1), taken) for places in leader)
        clashes = _overlaps(boxes, taken) + outside
        cost = 1e4 * clashes + 100 * crossed + 20 * _overlaps(boxes, drawn) + np.repeat(GAPS, len(WAYS))
        best = cost.argmin()
        taken = np.concatenate([taken, boxes[best : best + 1]])
        ends = axes.transData.inverted().transform(np.stack([middles[best], spot, edges[best]]) / scale)
        name.set_position(ends[0])
        if np.hypot(*(edges[best] - spot)) > 10:
            axes.plot(*ends[1:].T, color=MUTED, linewidth=0.5, zorder=3)
            drawn = np.concatenate([drawn, np.sort(np.stack([spot, edges[best]]), axis=0)[None]])


def _overlaps(boxes: Array, others: Array) -> NDArray[np.int64]:
    """How many of ``others`` (m, 2, 2) each of ``boxes`` (n, 2, 2) overlaps; a box is its low and its high corner."""
    over = (boxes[:, None, 0] < others[:, 1]) & (others[:, 0] < boxes[:, None, 1])
    return np.all(over, axis=2).sum(axis=1)
