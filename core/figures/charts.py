"""Figures of numbers: confidences and curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from core.figures.style import ADVERSARIAL, CLEAN, FAINT, MARKERS, PAGE, PETROFF, styled

DASHES = ("-", "--", "-.", ":")
OTHERS = [PETROFF[index] for index in (4, 8, 2, 5, 9)]  # purple, slate, red, brown, cyan


@styled
def confidence_bars(
    confidences: ArrayLike,
    models: Sequence[str],
    classes: Sequence[str],
    truth: int,
    top: int = 6,
    width: float = PAGE,
) -> Figure:
    """Confidences of every model for one cloud, clean above adversarial, as Figs 6 and 7 of Defense-PointNet.

    Parameters
    ----------
    confidences : (models, 2, classes)
        Softmax outputs, clean then adversarial.
    models, classes : sequence of str
    truth : int
        The true class, which is always shown, in bold.
    top : int
        Classes shown: those any model is most confident of.
    width : float
        Inches.
    """
    values = np.asarray(confidences, dtype=np.float64)
    if values.shape != (len(models), 2, len(classes)):
        raise ValueError(
            f"Confidences must be of shape {(len(models), 2, len(classes))}: models, clean and adversarial, classes; "
            f"not {values.shape}."
        )
    order = np.argsort(-values.max(axis=(0, 1)), kind="stable")
    shown = [truth, *order[order != truth][: top - 1]]
    shown.sort(key=list(order).index)
    places = np.arange(len(shown))
    figure = Figure(figsize=(width, 0.85 + 0.27 * len(shown)), layout="constrained")
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, model, pair in zip(panels, models, values, strict=True):
        for offset, colour, row in zip((-0.2, 0.2), (CLEAN, ADVERSARIAL), pair[:, shown], strict=True):
            axes.barh(places + offset, row, height=0.38, color=colour)
            for place, value in zip(places + offset, row, strict=True):
                if value >= 0.005:
                    axes.text(value + 0.02, place, f"{value:.2f}", va="center", size=7)
        axes.set(title=model, xlabel="Confidence", xlim=(0, 1.2), xticks=[0, 0.5, 1], ylim=(len(shown) - 0.5, -0.5))
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(places, [f"{classes[index]}{' (true)' if index == truth else ''}" for index in shown])
    panels[0].get_yticklabels()[shown.index(truth)].set_weight("bold")
    handles = [Patch(color=CLEAN, label="clean"), Patch(color=ADVERSARIAL, label="adversarial")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


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
    figure = Figure(figsize=(width, width / len(panels) * 0.66 + 0.3), layout="constrained")
    names = dict.fromkeys(name for lines in panels.values() for name in lines)
    looks = {name: _look(name, index, len(x)) for index, name in enumerate(names)}
    for axes, (label, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, values in lines.items():
            axes.plot(x, values, **looks[name])
        axes.set(xlabel=xlabel, ylabel=label)
        if np.issubdtype(x.dtype, np.integer):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _look(name: str, index: int, points: int) -> dict[str, Any]:
    """Colour, dash and, where there are few points, marker of a curve; blue and orange are kept for the two sides."""
    sides = {"clean": CLEAN, "adversarial": ADVERSARIAL}
    return {
        "color": sides.get(name.split()[0].lower(), OTHERS[index % len(OTHERS)]),
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 1.2,
        "marker": MARKERS[index % len(MARKERS)] if points <= 12 else None,
        "markersize": 3,
    }
