"""Figures of one cloud and its adversarial counterpart, with the models' predictions."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike

from core.figures.charts import SIDES, draw_bars, name_classes, top_classes
from core.figures.clouds import Up, draw_cloud, view_pair
from core.figures.style import MUTED, PAGE, styled

Verdict = tuple[str, float, bool]


@styled
def sample_bars(
    clouds: Sequence[ArrayLike],
    confidences: ArrayLike,
    models: Sequence[str],
    classes: Sequence[str],
    truth: int | None,
    up: Up,
    width: float = PAGE,
) -> Figure:
    """A cloud above its adversarial counterpart, each beside all models' confidences; Figs 6, 7 of Defense-PointNet.

    Parameters
    ----------
    clouds : (2, N, 3)
        Clean, adversarial.
    confidences : (models, 2, classes)
        Softmax outputs, clean then adversarial; the six classes any model is most confident of are shown.
    models, classes : sequence of str
    truth : int or None
        The true class, which is always shown, in bold; None where it is not known.
    up : {"y", "z"}
        Axis that points up; shapes that face x (z up) or z (y up) are seen from the front.
    width : float
        Inches.

    Raises
    ------
    ValueError
        If confidences are of another shape.
    """
    values, shown = top_classes(confidences, models, classes, truth, 6)
    share, row = 0.2, 0.3 + 0.17 * len(shown)  # of the width, for the clouds; inches
    panel = (width * (1 - share) - 0.8) / len(models) - 0.15  # inches
    titles = [textwrap.fill(model, max(int(panel / 0.055), 1), break_long_words=False) for model in models]
    head = 0.07 + 0.13 * max(title.count("\n") + 1 for title in titles)
    height = 2 * row + 0.1 + head
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(rect=(share, 0, 1 - share, 1)))
    panels = figure.subplots(2, len(models), sharex=True, sharey="row", squeeze=False)
    views, frame = view_pair(clouds, up)
    for side, (title, colour) in enumerate(SIDES):
        places = name_classes(panels[side, 0], shown, classes, truth)
        bottom = 1 - (head + (side + 1) * row) / height
        box = (0, bottom, share, (row - 0.2) / height)
        draw_cloud(figure, box, views[side], frame, colour)
        figure.text(share / 2, bottom + row / height, title, weight="bold", color=colour, ha="center", va="top")
        for axes, pair in zip(panels[side], values, strict=True):
            draw_bars(axes, places, pair[side][shown], 0.7, colour)
            axes.set(xlim=(0, panel / (panel - 0.25)), xticks=[0, 0.5, 1])  # with room for a number
    for title, top, below in zip(titles, *panels, strict=True):
        top.set_title(title)
        below.set_xlabel("Confidence")
    return figure


@styled
def verdicts(
    clouds: Sequence[ArrayLike], verdicts: Sequence[tuple[str, Verdict, Verdict]], up: Up, width: float = PAGE
) -> Figure:
    """A cloud above its adversarial counterpart, each beside the models' predictions; Fig. 1 of Defense-PointNet.

    Parameters
    ----------
    clouds : (2, N, 3)
        Clean, adversarial.
    verdicts : sequence
        For each model its name and its clean and adversarial verdicts: class, confidence from 0 to 1, if it is right.
    up : {"y", "z"}
        Axis that points up; shapes that face x (z up) or z (y up) are seen from the front.
    width : float
        Inches.
    """
    size = min(max(1.4 * width, 7), 10)
    line, letter = 0.025 * size, 0.0082 * size  # inches
    labels = [verdict[0] for _, *pair in verdicts for verdict in pair]
    right = 1 - 0.1 / width
    middle = right - letter * (1.1 * max(map(len, labels)) + 10) / width
    left = middle - letter * (max(len(model) for model, _, _ in verdicts) + 1) / width
    row = max(0.27 * width, line * len(verdicts)) + line
    height = 2 * row + 0.1
    figure = Figure(figsize=(width, height))
    views, frame = view_pair(clouds, up)
    for side, (title, colour) in enumerate(SIDES):
        top = 1 - (side * row + 0.05) / height
        box = (0, top - row / height, left, (row - line) / height)
        draw_cloud(figure, box, views[side], frame, colour)
        figure.text(left / 2, top, title, size=size, weight="bold", color=colour, ha="center", va="top")
        first = box[1] + box[3] / 2 + line * (len(verdicts) - 1) / 2 / height
        for place, (model, *pair) in enumerate(verdicts):
            label, confidence, is_right = pair[side]
            look: dict[str, Any] = {"y": first - place * line / height, "va": "center", "size": size}
            figure.text(left, s=model, color=MUTED, **look)
            look["weight"] = "normal" if is_right else "bold"
            figure.text(middle, s=f"{'✓' if is_right else '✗'} {label}", **look)
            figure.text(right, s=f"{100 * confidence:.1f} %", ha="right", **look)
    return figure
