"""Figures of t-SNE maps."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from core.evaluation.tsne import Map
from core.figures.style import COLUMN, MUTED, PAGE, class_style, styled
from core.runtime.text import printable

Array = NDArray[Any]

BOX: dict[str, Any] = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "boxstyle": "square,pad=0.1"}

# candidate positions of a name, as offsets from the medoid in points: on it, then on ever larger ellipses
_TURNS = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_RING = np.stack([1.7 * np.cos(_TURNS), np.sin(_TURNS)], axis=1)
PLACES = np.concatenate([np.zeros((1, 2)), *(distance * _RING for distance in (9, 12, 16, 21, 27, 34))])


@styled
def tsne_pair(
    map: Map,
    labels: ArrayLike,
    adversarial: ArrayLike,
    classes: Sequence[str],
    titles: tuple[str, str] = ("Clean", "Adversarial"),
    width: float = PAGE,
    caption: str = "",
) -> Figure:
    """Clean (left) and adversarial (right) points of one joint map, as Figs 8 and 9 of the Defense-PointNet paper.

    Both panels have the same limits; the second stands under the first where the figure is one column wide. Each class
    present is named at its medoid, the member nearest to all others, or beside it where the name would hide the class.

    Parameters
    ----------
    map : Map
        Fitted jointly on clean and adversarial latents.
    labels : (n,) int
        True class of each point.
    adversarial : (n,) bool
        Which points are adversarial.
    classes : sequence of str
        Names, by label.
    titles : (str, str)
    width : float
        Inches.
    caption : str
        Drawn under the panels.

    Raises
    ------
    ValueError
        If there is not one label and one flag for each point of the map, or a label has no name.
    """
    labels, flags = np.asarray(labels), np.asarray(adversarial, dtype=bool)
    if not len(map.xy) == len(labels) == len(flags):
        raise ValueError(f"The map has {len(map.xy)} points, but there are {len(labels)} labels, {len(flags)} flags.")
    if labels.max() >= len(classes):
        raise ValueError(f"Label {labels.max()} has no name: there are {len(classes)} classes.")
    stacked = width <= COLUMN
    panel = width if stacked else width / 2
    low, high = map.xy.min(axis=0), map.xy.max(axis=0)
    centre, half = (low + high) / 2, np.maximum(high - low, 0.65 * (high - low).max()) * 0.54
    (left, bottom), (right, top) = centre - half, centre + half
    columns = max(1, int(width * 14 / (max(len(name) for name in classes) + 5)))
    lines = textwrap.wrap(caption, int(width * 19), break_on_hyphens=False)
    legend = 0.15 * -(-len(classes) // columns) + 0.1 + 0.14 * len(lines)
    height = panel * float(half[1] / half[0]) + 0.3
    figure = Figure(figsize=(width, (2 if stacked else 1) * height + legend), layout="constrained")
    panels = figure.subplots(2, 1) if stacked else figure.subplots(1, 2)
    classes = [printable(name) for name in classes]
    styles = [class_style(index) for index in range(len(classes))]
    for axes, title, chosen in zip(panels, titles, (~flags, flags), strict=True):
        axes.set_title("\n".join(textwrap.wrap(title, int(panel * 15))))
        axes.set(xticks=[], yticks=[], aspect="equal", xlim=(left, right), ylim=(bottom, top))
        for index, (colour, marker) in enumerate(styles):
            members = map.xy[chosen & (labels == index)]
            area = np.clip(9000 / len(map.xy), 3, 16)
            axes.scatter(members[:, 0], members[:, 1], s=area, color=colour, marker=marker, linewidths=0, alpha=0.85)
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=4.5, label=name)
        for name, (colour, marker) in zip(classes, styles, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, handletextpad=0.1, columnspacing=1.2,
        title="\n".join(lines) or None, title_fontsize=7,
    )  # fmt: skip
    figure.draw_without_rendering()  # lays the panels out, so that names can be placed on them
    for axes, chosen in zip(panels, (~flags, flags), strict=True):
        _name_classes(figure, axes, map.xy[chosen], labels[chosen], classes)
    return figure


def _name_classes(figure: Figure, axes: Axes, xy: Array, labels: Array, classes: Sequence[str]) -> None:
    """Name each class at the place, at or around its medoid, where its name hides least; the smallest class first.

    A name hides part of its own class, points of others, and names; going away from the medoid costs as well.
    """
    scale = 72 / figure.dpi
    points = axes.transData.transform(xy) * scale  # here and below, a unit is a point of 1/72 inch
    low, high = np.array(axes.bbox.extents).reshape(2, 2) * scale
    present, counts = np.unique(labels, return_counts=True)
    taken = np.empty((0, 2, 2))
    for index in present[np.argsort(counts, kind="stable")]:
        own = labels == index
        medoid = np.flatnonzero(own)[_medoid(points[own])]
        name = axes.text(0, 0, classes[index], ha="center", va="center", size=7, zorder=4, bbox=BOX)
        extent = name.get_window_extent()
        half = np.array([extent.width, extent.height]) * scale / 2 + 1
        centres = points[medoid] + PLACES
        boxes = np.stack([centres - half, centres + half], axis=1)
        hidden = np.all((boxes[:, :1] < points) & (points < boxes[:, 1:]), axis=2)
        over = np.all((boxes[:, None, 0] < taken[:, 1]) & (taken[:, 0] < boxes[:, None, 1]), axis=2)
        clash = np.any(over, axis=1) | np.any((boxes[:, 0] < low) | (boxes[:, 1] > high), axis=1)
        cost = 30 * hidden[:, own].mean(axis=1) + hidden[:, ~own].sum(axis=1) + 0.3 * np.hypot(*PLACES.T) + 1e4 * clash
        best = cost.argmin()
        taken = np.concatenate([taken, boxes[best : best + 1]])
        ends = np.array([centres[best], np.clip(points[medoid], *boxes[best])])
        place, edge = axes.transData.inverted().transform(ends / scale)
        name.set_position(place)
        if best:
            axes.plot(*np.transpose([xy[medoid], edge]), color=MUTED, linewidth=0.5, zorder=3)


def _medoid(members: Array) -> int:
    # its distances are summed to about 500 members: all pairs of a class of thousands would take gigabytes
    return int(cdist(members, members[:: 1 + len(members) // 500]).sum(axis=1).argmin())
