"""Figures of transfer attacks: success rates and RMSE over attacks, of pairs of models, and against each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from core.figures.charts import OTHERS, ground, legend, name_columns
from core.figures.style import INK, MARKERS, MUTED, PAGE, styled
from core.figures.tradeoff import name_points
from core.runtime.text import shortened

Array = NDArray[np.float64]
Bars = Mapping[str, tuple[ArrayLike, ArrayLike]]

LONGEST_NAME = 32
"""Most characters of a name that is written at an axis."""


@styled
def transfer_bars(
    groups: Sequence[Sequence[str]],
    bars: Bars,
    starred: Bars | None = None,
    star: str = "",
    unit: str = "unit-sphere radii",
    width: float = PAGE,
) -> Figure:
    """Success rates (lines, above) and RMSE (bars, below) over attacks, one colour a surrogate.

    As figures 1 and 2 of the second paper, but that the bars have a panel of their own.

    Parameters
    ----------
    groups : the A attacks; lines end between groups.
    bars : from a surrogate's name to success rates (A, 3), value, low and high, 0 to 1, and RMSE (A,); NaN where there
        is none.
    starred : the same of a second experiment: dotted lines, and dark bars from the first RMSE to the second.
    star : what the second experiment is.
    unit : of the RMSE.
    width : inches.
    """
    names = [shortened(name, LONGEST_NAME) for group in groups for name in group]
    figure = Figure(figsize=(width, 0.62 * width), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    cuts = np.cumsum([len(group) for group in groups])[:-1]
    step = 0.8 / max(len(bars), 1)
    looks: dict[str, dict[str, Any]] = {}
    for index, (surrogate, (rates, rmse)) in enumerate(bars.items()):
        colour, marker = OTHERS[index % len(OTHERS)], MARKERS[index % len(MARKERS)]
        places = np.arange(len(names)) + (index - (len(bars) - 1) / 2) * step
        style = {"color": colour, "marker": marker, "markersize": 3.5, "linewidth": 1}
        looks[shortened(surrogate, LONGEST_NAME)] = style
        aside = 0 if starred is None else 0.15 * step
        _draw_rates(above, places - aside, rates, cuts, style)
        below.bar(places, rmse, width=0.9 * step, color=colour, alpha=0.45, linewidth=0)
        if starred is not None and surrogate in starred:
            second, larger = starred[surrogate]
            _draw_rates(above, places + aside, second, cuts, style | {"linestyle": ":", "markerfacecolor": "white"})
            below.bar(places, np.subtract(larger, rmse), bottom=rmse, width=0.9 * step, color=colour, linewidth=0)
    if starred is not None:
        looks[star] = {"color": INK, "linestyle": ":", "marker": "o", "markersize": 3.5, "markerfacecolor": "white"}
    for axes, label in ((above, "Success rate (%)"), (below, f"RMSE ({unit})")):
        axes.set_ylabel(label)
        axes.vlines(cuts - 0.5, 0, 1, color=MUTED, linewidth=0.6, transform=axes.get_xaxis_transform())
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.set_ylim(0, None)
        ground(axes, "y")
    name_columns(below, names, 7, width - 0.6)
    above.tick_params(axis="x", length=0)
    legend(figure, looks)
    return figure


def _draw_rates(axes: Axes, places: NDArray[Any], rates: ArrayLike, cuts: NDArray[Any], style: dict[str, Any]) -> None:
    """A line with intervals through success rates (A, 3), broken before each of ``cuts``."""
    percent = np.insert(100 * np.asarray(rates, dtype=np.float64), cuts, np.nan, axis=0)
    reach = np.abs(percent[:, 1:] - percent[:, :1]).T
    axes.errorbar(np.insert(places, cuts, np.nan), percent[:, 0], yerr=reach, elinewidth=0.6, capsize=1.2, **style)


@styled
def pair_map(
    values: ArrayLike,
    surrogates: Sequence[str],
    victims: Sequence[str],
    label: str,
    limits: tuple[float, float] = (0, 100),
    digits: int = 0,
    width: float = PAGE,
) -> Figure:
    """A map of surrogates x victims, the number and its interval in each cell; wider than ``width`` for many victims.

    Parameters
    ----------
    values : (surrogates, victims, 3), value, low and high; NaN where there is none.
    label : what the numbers are, with their unit.
    limits : values of the palest and of the darkest cell.
    digits : decimals.
    width : inches, at least.
    """
    table = np.asarray(values, dtype=np.float64)
    rows, columns = ([shortened(name, LONGEST_NAME) for name in names] for names in (surrogates, victims))
    texts = [[_cell(cell, digits) for cell in row] for row in table]
    letters = max(len(line) for row in texts for text in row for line in text.split("\n"))
    sides = 0.056 * max(map(len, rows)) + 1
    cell = max((width - sides) / len(columns), 0.048 * letters + 0.1)
    broad = max(width, sides + len(columns) * cell)
    turned = max(map(len, columns)) * 0.058 + 0.04 > cell
    names = 0.055 * max(map(len, columns)) if turned else 0.12
    high = max(0.36 * len(rows), 0.075 * len(label))
    figure = Figure(figsize=(broad, high + names + 0.45), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table[:, :, 0], cmap="Purples", vmin=limits[0], vmax=limits[1], aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=90 if turned else 0)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.set(xlabel="Victim", ylabel="Surrogate")
    dark = limits[0] + 0.55 * (limits[1] - limits[0])
    for row, column in np.ndindex(table.shape[:2]):
        ink = "white" if table[row, column, 0] > dark else INK
        axes.text(column, row, texts[row][column], ha="center", va="center", size=7, color=ink, linespacing=1.1)
    figure.colorbar(image, ax=axes, label=label, aspect=12, pad=0.01)
    return figure


def _cell(cell: Array, digits: int) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in cell)
    return f"{value}\n[{low}, {high}]" if np.isfinite(cell).all() else "–"


@styled
def rates_against(
    panels: Mapping[str, Mapping[str, ArrayLike]],
    kinds: Mapping[str, Sequence[str]],
    xlabel: str,
    width: float = PAGE,
) -> Figure:
    """Success rate against another quantity, a panel for each surrogate and a named point for each attack.

    Parameters
    ----------
    panels : from a panel's title to its points by name, each (2, 3): the quantity and the success rate, 0 to 1, each
        with value, low and high; those with NaN are left out.
    kinds : names by kind; a kind has a colour and a marker of its own.
    xlabel : the quantity and its unit.
    width : inches.
    """
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(width, 2.5 * rows + 0.1), layout="constrained")
    grid = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    looks: dict[str, dict[str, Any]] = {
        kind: {"color": OTHERS[index], "marker": MARKERS[index], "linestyle": "", "markersize": 4}
        for index, kind in enumerate(kinds)
    }
    look_of = {name: looks[kind] for kind, names in kinds.items() for name in names}
    drawn = {}
    for axes, (title, points) in zip(grid.flat, panels.items(), strict=False):
        table = {name: np.asarray(point, dtype=np.float64) * [[1], [100]] for name, point in points.items()}
        known = {name: point for name, point in table.items() if np.isfinite(point).all()}
        for name, point in known.items():
            reach = np.abs(point[:, 1:] - point[:, :1])[:, :, None]
            axes.errorbar(*point[:, 0], xerr=reach[0], yerr=reach[1], elinewidth=0.6, capsize=1.2, **look_of[name])
        axes.set_title(shortened(title, 50))
        axes.margins(0.12)
        ground(axes)
        drawn[axes] = known
    for axes in grid[:, 0]:
        axes.set_ylabel("Success rate (%)")
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    legend(figure, looks)
    figure.draw_without_rendering()  # lays the panels out, so that names can be placed on them
    for axes, known in drawn.items():
        if known:
            corners = np.stack(list(known.values()))  # (attacks, 2, 3)
            centres = corners[:, :, 0]
            bars = np.repeat(centres[:, None, None], 2, axis=1).repeat(2, axis=2)  # from end to end
            bars[:, 0, :, 0], bars[:, 1, :, 1] = corners[:, 0, 1:], corners[:, 1, 1:]
            names = [shortened(name, LONGEST_NAME) for name in known]
            name_points(figure, axes, names, centres, bars.reshape(-1, 2, 2))
    return figure
