"""Box plots of a value on clean and on adversarial clouds, for each of a few models."""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetrics, QKeyEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label
from app.views.painting import folded, plot_pen, translucent
from app.views.plot import AXIS_HEIGHT, Plot
from core.runtime.text import printable

SIDES = ("clean", "adversarial")
OFFSET, HALF_WIDTH = 0.2, 0.16  # of a box from the middle of its group, and half its width; groups are 1 apart
MIN_GROUPS = 3  # the x axis is as wide as for so many groups, so that few boxes are not too wide
CLICK_RADIUS = 8  # in pixels: the largest distance of the mouse from an outlier that it selects
WHISKERS = 1.5  # times the interquartile range (Tukey)
RULE = "Box: quartiles, median · whiskers: to the last value within 1.5 interquartile ranges · dots: outliers"


class Box:
    """Statistics of n >= 1 finite values, and the position ``x`` of their box.

    Attributes
    ----------
    ends : lower whisker, quartile, median, quartile, upper whisker.
    outliers : indices of the values beyond the whiskers.
    """

    def __init__(self, x: float, values: NDArray[np.floating]) -> None:
        self.x, self.values = x, values
        low, middle, high = np.percentile(values, (25, 50, 75))
        reach = WHISKERS * (high - low)
        far = (values < low - reach) | (values > high + reach)
        inliers = values[~far]
        self.ends = (min(inliers.min(), low), low, middle, high, max(inliers.max(), high))
        self.outliers = np.flatnonzero(far)

    def inside(self) -> NDArray[np.int64]:
        """Indices of the values between the quartiles, the nearest to the median first."""
        _, low, middle, high, _ = self.ends
        inliers = np.flatnonzero((self.values >= low) & (self.values <= high))
        return inliers[np.argsort(abs(self.values[inliers] - middle), kind="stable")]


class BoxPlotView(QWidget):
    """A pair of boxes, clean and adversarial, for each model. Arrow keys choose a box, Enter selects it."""

    picked = Signal(int, int, object)
    """Group, side (0 clean, 1 adversarial), and indices (m,) of the selected values: those between the quartiles of the
    clicked box, the nearest to the median first, or the outliers under the mouse."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._label = ""
        self._boxes: dict[tuple[int, int], Box] = {}  # by group and side; missing where there are no values
        self._current_box = 0  # chosen by arrow keys
        self._plot = Plot("Nothing was measured.", tip=self._tooltip)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot.box.setMouseEnabled(x=False, y=False)
        self._bars = [pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[]) for _ in SIDES]
        self._whiskers = [pg.PlotCurveItem(connect="pairs") for _ in SIDES]
        self._medians = pg.PlotCurveItem(connect="pairs")
        self._dots = [pg.ScatterPlotItem(size=5, pen=None) for _ in SIDES]
        self._focus = pg.PlotCurveItem()
        for item in (*self._bars, *self._whiskers, self._medians, *self._dots, self._focus):
            self._plot.box.addItem(item)
        rule = Label(RULE, "caption", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        layout.addWidget(self._plot, 1)
        layout.addWidget(rule)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Box plots")
        self.set_stale = self._plot.set_stale
        self._plot.clicked.connect(self._click)
        self._plot.box.sigResized.connect(self._name_groups)
        theme.notifier.changed.connect(self._draw)
        self._draw()

    def set_boxes(
        self, names: Sequence[str], clean: Sequence[ArrayLike], adversarial: Sequence[ArrayLike], label: str
    ) -> None:
        """Show the values (n,) of each model, which are finite, with ``label`` beside the vertical axis."""
        self._names, self._label = list(names), label
        self._boxes = {}
        for group, pair in enumerate(zip(clean, adversarial, strict=True)):
            for side, values in enumerate(np.asarray(values, float) for values in pair):
                if len(values):
                    self._boxes[group, side] = Box(group + (2 * side - 1) * OFFSET, values)
        self._current_box = 0
        self._draw()

    def sizeHint(self) -> QSize:
        return QSize(420, 240)

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        now, boxes = theme.current(), list(self._boxes.items())
        self._plot.apply_theme("", self._label)
        self._plot.set_empty(not boxes)
        for side, (bars, colour) in enumerate(zip(self._bars, (now.clean, now.adv), strict=True)):
            of_side = [box for (_, its), box in boxes if its == side]
            bars.setOpts(
                x0=[box.x - HALF_WIDTH for box in of_side],
                x1=[box.x + HALF_WIDTH for box in of_side],
                y0=[box.ends[1] for box in of_side],
                y1=[box.ends[3] for box in of_side],
                brush=translucent(colour, 0.3),
                pen=plot_pen(colour, 1.2),
            )
        focused = [boxes[self._current_box][1]] if self.hasFocus() and boxes else []
        self._focus.setData(*np.concatenate([np.empty((0, 2)), *map(_outline, focused)]).T, pen=plot_pen(now.text, 2.5))
        for side, (line, colour) in enumerate(zip(self._whiskers, (now.clean, now.adv), strict=True)):
            ends = [_whiskers(box) for (_, its), box in boxes if its == side]
            line.setData(*np.concatenate([np.empty((0, 2)), *ends]).T, pen=plot_pen(colour, 1.2))
        medians = [_median(box) for _, box in boxes]
        self._medians.setData(*np.concatenate([np.empty((0, 2)), *medians]).T, pen=plot_pen(now.text, 2))
        for side, (dots, colour) in enumerate(zip(self._dots, (now.clean, now.adv), strict=True)):
            of_side = [box for (_, its), box in boxes if its == side]
            places = np.concatenate([np.empty((0, 2)), *(_outliers(box) for box in of_side)])
            dots.setData(*places.T, brush=translucent(colour, 0.6))
        self._name_groups()
        spare = (max(len(self._names), MIN_GROUPS) - len(self._names)) / 2
        self._plot.box.setXRange(-0.5 - spare, len(self._names) - 0.5 + spare, padding=0)
        everything = np.concatenate([[0.0, 1.0], *(box.values for _, box in boxes)])
        self._plot.box.setYRange(everything.min(), everything.max(), padding=0.04)
        self.setAccessibleDescription("; ".join(self._box_text(*key).replace("\n", ", ") for key in self._boxes))

    def _name_groups(self) -> None:
        """Write names and counts under the groups: each name in the width of its group, in two lines if need be."""
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX))
        width = int(self._plot.box.width() / max(len(self._names), MIN_GROUPS)) - theme.SPACE_XS
        names = [folded(printable(name), metrics, width) for name in self._names]
        tallest = max((name.count("\n") for name in names), default=0)
        self._plot.bottom.setHeight(AXIS_HEIGHT + tallest * metrics.height())
        self._plot.bottom.setTicks([[(group, f"{name}\n{self._counts(group)}") for group, name in enumerate(names)]])

    def _counts(self, group: int) -> str:
        counts = dict.fromkeys(
            str(len(self._boxes[group, side].values)) if (group, side) in self._boxes else "0" for side in (0, 1)
        )
        return f"n = {', '.join(counts)}"

    def _box_text(self, group: int, side: int) -> str:
        box = self._boxes[group, side]
        _, low, middle, high, _ = (f"{end:.3g}" for end in box.ends)
        return (
            f"{printable(self._names[group])}, {SIDES[side]}\nmedian {middle}, quartiles {low} to {high}\n"
            f"n = {len(box.values)}, {len(box.outliers)} outliers"
        )

    # --- mouse and keys --------------------------------------------------------------------------------------------

    def _values_at(self, at: QPointF) -> tuple[tuple[int, int], NDArray[np.int64]] | None:
        """Group, side and indices of the values at a position: outliers first, else the box."""
        for key, box in self._boxes.items():
            distances = self._plot.pixel_distances(_outliers(box), at)
            near = np.flatnonzero(distances <= CLICK_RADIUS)
            if near.size:
                return key, box.outliers[near[np.argsort(distances[near])]]
        for key, box in self._boxes.items():
            pixel = self._plot.box.viewPixelSize()[1]
            if abs(at.x() - box.x) <= HALF_WIDTH and box.ends[1] - 3 * pixel <= at.y() <= box.ends[3] + 3 * pixel:
                return key, box.inside()  # a box may be as thin as a line
        return None

    def _click(self, at: QPointF) -> None:
        found = self._values_at(at)
        if found is not None:
            self.picked.emit(*found[0], found[1])

    def _tooltip(self, at: QPointF) -> str:
        for key, box in self._boxes.items():
            if abs(at.x() - box.x) <= HALF_WIDTH:
                return self._box_text(*key)
        return ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        move = moves.get(event.key())
        if move is not None and self._boxes:
            self._current_box = (self._current_box + move) % len(self._boxes)
            self._draw()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._boxes:
            key, box = list(self._boxes.items())[self._current_box]
            self.picked.emit(*key, box.inside())
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._draw()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._draw()


def _median(box: Box) -> NDArray[np.floating]:
    return np.array([(box.x - HALF_WIDTH, box.ends[2]), (box.x + HALF_WIDTH, box.ends[2])])


def _outline(box: Box) -> NDArray[np.floating]:
    corners = ((-1, 1), (1, 1), (1, 3), (-1, 3), (-1, 1))
    return np.array([(box.x + side * HALF_WIDTH, box.ends[end]) for side, end in corners])


def _whiskers(box: Box) -> NDArray[np.floating]:
    """Ends of four lines: both whiskers and their caps."""
    low, first, _, third, high = box.ends
    caps = [(box.x + side * HALF_WIDTH / 2, end) for end in (low, high) for side in (-1, 1)]
    return np.array([(box.x, low), (box.x, first), (box.x, third), (box.x, high), *caps])


def _outliers(box: Box) -> NDArray[np.floating]:
    return np.column_stack([np.full(len(box.outliers), box.x), box.values[box.outliers]])
