"""Figures of an evaluation: accuracy and confidence of models on clean and adversarial clouds."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from core.figures.charts import SIDES, ground, legend, look, name_columns
from core.figures.style import CLEAN, COLUMN, INK, MUTED, PAGE, styled

Bins = tuple[ArrayLike, ArrayLike, ArrayLike]


@styled
def top_k(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], clouds: int, width: float = PAGE) -> Figure:
    """Top-k accuracies of every model, clean beside adversarial, as Fig. 4 of Defense-PointNet.

    Parameters
    ----------
    curves : mapping
        From a model's name to its accuracies for k = 1..K, clean (K,) and adversarial (K,), 0 to 1.
    clouds : int
        How many were measured.
    width : float
        Inches.
    """
    percents = {name: 100 * np.asarray(pair, dtype=np.float64) for name, pair in curves.items()}
    last = max(percent.shape[1] for percent in percents.values())
    figure = Figure(figsize=(width, max(0.33 * width, 1.6)), layout="constrained")
    panels = _pair(figure)
    for side, axes in enumerate(panels):
        for index, percent in enumerate(percents.values()):
            axes.plot(np.arange(1, percent.shape[1] + 1), percent[side], **look(index, last))
        axes.set(xlabel="k", xticks=range(1, last + 1, -(-last // 10)))
        ground(axes)
    panels[0].set_ylabel("Top-k accuracy (%)")
    legend(figure, {name: look(index, last) for index, name in enumerate(percents)}, f"n = {clouds:,} clouds")
    return figure


@styled
def robustness_curves(
    epsilons: ArrayLike,
    curves: Mapping[str, ArrayLike],
    clouds: int,
    unit: str = "unit-sphere radii",
    width: float = COLUMN,
) -> Figure:
    """Accuracy of every model over the budget of an attack.

    Parameters
    ----------
    epsilons : (E,)
        Rising.
    curves : mapping
        From a model's name to its accuracies (E,), 0 to 1.
    clouds : int
        How many were measured.
    unit : str
        What epsilon is measured in.
    width : float
        Inches.
    """
    budgets = np.asarray(epsilons, dtype=np.float64)
    figure = Figure(figsize=(width, 0.75 * width), layout="constrained")
    axes = figure.subplots()
    looks = {name: look(index, len(budgets)) for index, name in enumerate(curves)}
    for name, values in curves.items():
        axes.plot(budgets, 100 * np.asarray(values, dtype=np.float64), **looks[name])
    axes.set(xlabel=f"Epsilon ({unit})", ylabel="Accuracy (%)", ylim=(0, 101))
    ground(axes)
    legend(figure, looks, f"n = {clouds:,} clouds")
    return figure


@styled
def confidence_boxes(
    clean: Mapping[str, ArrayLike], adversarial: Mapping[str, ArrayLike], ylabel: str, width: float = PAGE
) -> Figure:
    """Box plots of every model's confidences, clean beside adversarial, as Fig. 5 of Defense-PointNet.

    Parameters
    ----------
    clean, adversarial : mapping
        From a model's name to confidences (n,), probabilities or margins; no box is drawn for an empty array.
    ylabel : str
        Which confidence it is.
    width : float
        Inches.

    Raises
    ------
    ValueError
        If the two sides are of other models, or a confidence is not finite.
    """
    _check_models(clean, adversarial)
    figure = Figure(figsize=(width, max(0.33 * width, 2) + 0.7), layout="constrained")
    panels = _pair(figure)
    for axes, side, (title, colour) in zip(panels, (clean, adversarial), SIDES, strict=True):
        values = {name: np.asarray(confidences, dtype=np.float64) for name, confidences in side.items()}
        for name, array in values.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{title} confidences of {name} hold a value that is not a finite number.")
        axes.boxplot(
            list(values.values()),
            positions=range(len(values)),
            whis=1.5,
            widths=0.5,
            patch_artist=True,
            boxprops={"facecolor": (*colour, 0.3), "edgecolor": colour},
            medianprops={"color": INK, "linewidth": 1.2},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            flierprops={"marker": "o", "markersize": 2, "markeredgewidth": 0, "markerfacecolor": colour, "alpha": 0.3},
        )
        names = [f"{name}\nn = {len(array):,}" for name, array in values.items()]
        name_columns(axes, names, 3, width / 2 - 0.4)
        ground(axes, "y")
    low, high = panels[0].get_ylim()
    if low > -0.1 and high < 1.1:  # probabilities
        panels[0].set_ylim(-0.03, 1.03)
    panels[0].set_ylabel(ylabel)
    rule = "Box: quartiles and median. Whiskers: to the last value within 1.5 IQR of the box. Dots: outliers."
    figure.supxlabel(textwrap.fill(rule, int(17 * width)), size=7, color=MUTED)
    return figure


@styled
def reliability(clean: Mapping[str, Bins], adversarial: Mapping[str, Bins], width: float = PAGE) -> Figure:
    """Reliability diagrams of every model, clean beside adversarial: accuracy against confidence.

    Parameters
    ----------
    clean, adversarial : mapping
        From a model's name to its bins' mean confidence (b,) and accuracy (b,), 0 to 1, and number of clouds (b,).
        A bin without clouds is left out, whatever its confidence and accuracy.
    width : float
        Inches.

    Raises
    ------
    ValueError
        If the two sides are of other models.
    """
    _check_models(clean, adversarial)
    figure = Figure(figsize=(width, width / 2 + 0.45), layout="constrained")
    panels = _pair(figure)
    for axes, side in zip(panels, (clean, adversarial), strict=True):
        axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.8, linestyle=":")
        for index, bins in enumerate(side.values()):
            confidence, accuracy, count = (np.asarray(column, dtype=np.float64) for column in bins)
            held, style = count > 0, look(index, 0)
            x, y, area = confidence[held], accuracy[held], 150 * count[held] / count.sum()
            axes.plot(x, y, **style | {"marker": ""})
            axes.scatter(x, y, s=area, color=style["color"], marker=style["marker"], linewidths=0, clip_on=False)
        axes.set(xlabel="Confidence", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ground(axes)
    panels[0].set_ylabel("Accuracy")
    looks = {name: look(index, 0) for index, name in enumerate(clean)}
    legend(figure, looks, title="Area of a marker: share of the model's clouds")
    return figure


@styled
def class_counts(counts: Mapping[str, int], title: str, ylabel: str = "Clouds", width: float = PAGE) -> Figure:
    """Number of clouds of every class, as Fig. 3 of Defense-PointNet.

    Parameters
    ----------
    counts : mapping
        From a class's name to its number, in the order of the bars.
    title, ylabel : str
    width : float
        Inches.
    """
    figure = Figure(figsize=(width, 0.33 * width), layout="constrained")
    axes = figure.subplots()
    bars = axes.bar(range(len(counts)), list(counts.values()), width=0.7, color=CLEAN)
    upright = (width - 0.6) / len(counts) < 0.065 * len(f"{max(counts.values()):,}")
    axes.bar_label(bars, fmt="{:,.0f}", size=7, padding=2, rotation=90 if upright else 0)
    name_columns(axes, list(counts), 8, width - 0.6)
    axes.set(title=title, ylabel=ylabel)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.margins(y=0.2 if upright else 0.1)
    ground(axes, "y")
    return figure


@styled
def confusion_pair(clean: ArrayLike, adversarial: ArrayLike, classes: Sequence[str], width: float = PAGE) -> Figure:
    """Confusion matrices, clean and adversarial: each row's shares in colour and, where there is room, counts.

    With more than 12 classes the second stands under the first, so that names and counts are legible.

    Parameters
    ----------
    clean, adversarial : (K, K) int
        Counts: true classes in rows, predicted classes in columns.
    classes : sequence of str
        K names.
    width : float
        Inches.

    Raises
    ------
    ValueError
        If a matrix is of another shape.
    """
    number = len(classes)
    matrices = [np.asarray(matrix) for matrix in (clean, adversarial)]
    if any(matrix.shape != (number, number) for matrix in matrices):
        shapes = " and ".join(str(matrix.shape) for matrix in matrices)
        raise ValueError(f"{number} classes need confusion matrices of shape {(number, number)}, not {shapes}.")
    stacked = number > 12
    names = 0.062 * max(map(len, classes)) + 0.3
    side = min(width - names - 0.7, 4.1) if stacked else (width - names - 0.8) / 2
    side = min(side, 0.75 * number)
    size = (width, 2 * side + 0.7 * names + 0.7) if stacked else (width, side + 0.7 * names + 0.4)
    figure = Figure(figsize=size, layout="compressed")
    panels = figure.subplots(2, 1, sharex=True) if stacked else figure.subplots(1, 2, sharey=True)
    room = 72 * side / number  # for a count, in points
    legible = number <= 20 and room >= 4.5 * len(str(max(matrix.max() for matrix in matrices)))
    for axes, matrix, (title, colour) in zip(panels, matrices, SIDES, strict=True):
        totals = matrix.sum(axis=1, keepdims=True)
        shares = 100 * matrix / np.maximum(totals, 1)  # a class without clouds has an empty row
        image = axes.imshow(shares, cmap="Purples", vmin=0, vmax=100)
        axes.set_title(f"{title}, n = {matrix.sum():,}", weight="bold", color=colour)
        axes.set_xticks(range(number), classes, rotation=90)
        axes.set_yticks(range(number), classes)
        axes.tick_params(length=0)
        for row, column in np.argwhere(matrix) if legible else ():
            ink = "white" if shares[row, column] > 55 else INK
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", size=7, color=ink)
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel("True class")
    for axes in panels[1:] if stacked else panels:
        axes.set_xlabel("Predicted class")
    figure.colorbar(image, ax=panels, label="Share of the true class (%)", aspect=60 if stacked else 30, pad=0.02)
    return figure


def _pair(figure: Figure) -> NDArray[Any]:
    """Two panels, clean left and adversarial right, of one vertical axis."""
    panels: NDArray[Any] = figure.subplots(1, 2, sharey=True)
    for axes, (title, colour) in zip(panels, SIDES, strict=True):
        axes.set_title(title, weight="bold", color=colour)
    return panels


def _check_models(clean: Mapping[str, Any], adversarial: Mapping[str, Any]) -> None:
    if list(clean) != list(adversarial):
        raise ValueError(
            f"Both sides are of the same models, but here are {', '.join(clean)}; {', '.join(adversarial)}."
        )
