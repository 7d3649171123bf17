"""Figures of numbers: confidences and curves."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from core.figures.style import ADVERSARIAL, CLEAN, FAINT, INK, PAGE, PETROFF, styled

SIDES = (("Clean", CLEAN), ("Adversarial", ADVERSARIAL))
DASHES = ("-", "--", "-.", ":")
LINE_MARKERS = {"o": 3, "s": 3, "^": 3.3, "D": 2.8, "v": 3.3, "P": 4, "*": 5}
"""Circle, square, triangle, diamond, triangle on its tip, plus and star -> points, so that all look equally large."""
OTHERS = [*(PETROFF[index] for index in (4, 8, 2, 5, 9, 7)), INK]  # purple, slate, red, brown, cyan, khaki, ink


@styled
def curves(
    x: ArrayLike, panels: Mapping[str, Mapping[str, ArrayLike]], xlabel: str = "Epoch", width: float = PAGE
) -> Figure:
    """Curves over a common ``x``, a panel for each quantity; a curve of one name looks the same in all panels.

    Parameters
    ----------
    x : (n,)
    panels : mapping
        From a panel's vertical label to its curves (n,) by name; NaN leaves a gap.
    xlabel : str
    width : float
        Inches.
    """
    x = np.asarray(x)
    figure = Figure(figsize=(width, width / len(panels) * 0.66 + 0.15), layout="constrained")
    names = dict.fromkeys(name for lines in panels.values() for name in lines)
    sides = {"clean": {"color": CLEAN}, "adversarial": {"color": ADVERSARIAL}}
    looks = {
        name: look(index, len(x)) | sides.get(name.split()[0].lower(), {})  # blue and orange are kept for the sides
        for index, name in enumerate(names)
    }
    for axes, (label, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, values in lines.items():
            axes.plot(x, values, **looks[name])
        axes.set(xlabel=xlabel, ylabel=label)
        if np.issubdtype(x.dtype, np.integer):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        ground(axes)
    legend(figure, looks)
    return figure


def top_classes(
    confidences: ArrayLike, models: Sequence[str], classes: Sequence[str], truth: int | None, top: int
) -> tuple[NDArray[np.float64], list[int]]:
    """``confidences`` (models, 2, classes) and, by confidence, the ``top`` classes any model is most sure of, or true.

    ``truth`` is None where it is not known.

    Raises
    ------
    ValueError
        If confidences are of another shape.
    """
    values = np.asarray(confidences, dtype=np.float64)
    if values.shape != (len(models), 2, len(classes)):
        raise ValueError(
            f"Confidences must be of shape {(len(models), 2, len(classes))}: models, clean and adversarial, classes; "
            f"not {values.shape}."
        )
    order = np.argsort(-values.max(axis=(0, 1)), kind="stable")
    known = [] if truth is None else [truth]
    shown = [*known, *order[order != truth][: top - len(known)]]
    return values, sorted(shown, key=list(order).index)


def name_classes(axes: Axes, shown: Sequence[int], classes: Sequence[str], truth: int | None) -> NDArray[Any]:
    """Name the rows of a bar chart, first on top and the true class in bold; returns where they are."""
    places = np.arange(len(shown))
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks(places, [f"{classes[index]}{' (true)' if index == truth else ''}" for index in shown])
    if truth is not None:
        axes.get_yticklabels()[shown.index(truth)].set_fontweight("bold")
    return places


def draw_bars(axes: Axes, places: NDArray[Any], values: NDArray[Any], height: float, colour: Any) -> None:
    """Draw a bar for each confidence, with the number at its end."""
    axes.barh(places, values, height=height, color=colour)
    for place, value in zip(places, values, strict=True):
        if value >= 0.005:
            axes.text(value + 0.02, place, f"{value:.2f}", va="center", size=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def look(index: int, points: int) -> dict[str, Any]:
    """Colour, dash and marker of curve ``index``; no two of the first 28 are the same.

    Of more than 12 points some are marked, of each curve others, so that curves that coincide show both markers.
    """
    step = max(1, -(-points // 12))
    marker, size = [*LINE_MARKERS.items()][index % len(LINE_MARKERS)]
    return {
        "color": OTHERS[index % len(OTHERS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.2,
        "marker": marker,
        "markersize": size,
        "markevery": (3 * index % step, step),
    }


def ground(axes: Axes, which: Literal["x", "y", "both"] = "both") -> None:
    """Put a faint grid behind a chart, and take away the frame's top and right."""
    axes.grid(axis=which, color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(figure: Figure, looks: Mapping[str, dict[str, Any]], title: str | None = None) -> None:
    """Put a legend of lines below ``figure``, which grows by its rows."""
    columns = min(4, max(1, int(figure.get_figwidth() * 14 / (max(map(len, looks)) + 8))))
    figure.set_figheight(figure.get_figheight() + 0.15 * (-(-len(looks) // columns) + (title is not None)))
    handles = [Line2D([], [], label=name, **style) for name, style in looks.items()]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, handlelength=3, title=title, title_fontsize=7
    )


def name_columns(axes: Axes, names: Sequence[str], slots: int, room: float) -> None:
    """Name columns 0, 1, ..; wrapped into lines or, if a word is too long, slanted.

    There are ``slots`` or more in ``room`` inches, so that a few columns are not too broad.
    """
    slots = max(len(names), slots)
    width = int(room / slots / 0.056)  # of a line, in characters
    folded = [
        "\n".join(textwrap.fill(line, max(width, 1), break_long_words=False) for line in name.split("\n"))
        for name in names
    ]
    fits = max(len(line) for name in folded for line in name.split("\n")) <= width
    axes.set_xticks(range(len(names)), folded if fits else names)
    axes.set_xlim((len(names) - slots) / 2 - 0.6, (len(names) + slots) / 2 - 0.4)
    axes.tick_params(axis="x", length=0)
    if not fits:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
