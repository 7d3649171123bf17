"""Line plots that grow: losses and accuracies of a training, accuracy over epsilon."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Literal, get_args

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PySide6.QtCore import QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import number, tool_button
from app.views.painting import blend, plot_pen
from app.views.plot import MARKERS, Plot
from app.views.value_legend import LegendRow, ValueLegend

Style = Literal["solid", "dash", "dot", "dashdot"]
STYLES: tuple[Style, ...] = get_args(Style)
_PENS = dict(
    zip(
        STYLES,
        (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine),
        strict=True,
    )
)
SHADES = (0.0, 0.5, -0.3)
"""Shades of a colour that stay that colour and are told apart, see ``CurveView.set_series``."""
FRAME_MS = 100  # points that arrive within one frame are drawn together
_ARROWS: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
"""Arrow key -> step to another point of the line, and to another line."""
_SELECT_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
CLICK_RADIUS = 10  # in pixels: the largest distance of a click from the point that it selects
MAX_MARKERS = 20  # a line of more points has markers on every second point, every fourth ...


def line_look(index: int) -> tuple[Style, str, float]:
    """Line style, marker and shade of line ``index`` among lines of one colour; no two of the first 84 are the same."""
    return STYLES[index % len(STYLES)], [*MARKERS][index % len(MARKERS)], SHADES[index % len(SHADES)]


@dataclass
class _Series:
    colour_role: str
    style: Style
    marker: str
    shade: float
    line: pg.PlotDataItem
    markers: pg.ScatterPlotItem
    x: "array[float]" = field(default_factory=lambda: array("d"))
    y: "array[float]" = field(default_factory=lambda: array("d"))

    def near(self, x: float | None) -> tuple[float, float] | None:
        """The point nearest to `x`, the last one for None; None without points."""
        if not self.x:
            return None
        at = -1 if x is None else int(np.argmin(np.abs(np.array(self.x) - x)))
        return self.x[at], self.y[at]

    def longest(self) -> str:
        """The longest of its values in three digits, which is that of one of its extremes."""
        y = np.array(self.y)
        y = y[np.isfinite(y) & (y != 0)]
        extremes = [value for part in (y[y < 0], y[y > 0]) if len(part) for value in (part.min(), part.max())]
        return max((_short(float(value)) for value in extremes), key=len, default="")

    def pen(self) -> QPen:
        now = theme.current()
        colour = blend(getattr(now, self.colour_role), now.text if self.shade > 0 else now.canvas, abs(self.shade))
        return plot_pen(colour, 1.5, _PENS[self.style])


class CurveView(QWidget):
    """Named lines over one axis, a legend with the values at the cursor, and a switch for a logarithmic axis.

    Drag and wheel move and zoom along x, a double click shows everything. With the keyboard focus, left and right
    choose a point, up and down another line, and Return selects it as a click does.

    Parameters
    ----------
    x_label, y_label
        Names of the axes, such as "epoch" and "loss".
    y_unit
        Unit of y, such as "nats".
    integer_x
        x is an integer, such as an epoch: the axis has no ticks between integers.
    y_range
        Fixed limits of y; without them the axis follows what is visible.
    empty
        Text shown while there are no points.
    """

    hovered = Signal(object)
    """x under the mouse, None when it has left."""
    picked = Signal(str, float)
    """Name of the line and x of the point that was selected by a click or by Return."""

    def __init__(
        self,
        x_label: str,
        y_label: str,
        *,
        y_unit: str = "",
        integer_x: bool = False,
        y_range: tuple[float, float] | None = None,
        empty: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._x_label, self._y_label, self._y_unit = x_label, y_label, y_unit
        self._loggable = y_range is None
        self._cursor: float | None = None
        self._series: dict[str, _Series] = {}
        self._chosen: tuple[str, float] = ("", float("nan"))
        """Line and x of the point chosen by arrow keys."""
        self._plot = Plot(empty, integer_x=integer_x)
        self._legend = ValueLegend(self._heading, self._legend_rows, "0.000" if y_range is None else "00.0\u2009%")
        self._log = tool_button("log", role="flat", tip=f"Logarithmic axis for the {y_label}", checkable=True)
        self._redraw_timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        if y_range is not None:
            self._plot.box.setYRange(*y_range, padding=0.06)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        head = QHBoxLayout()
        head.addWidget(self._legend, 1)
        head.addWidget(self._log)
        layout.addLayout(head)
        layout.addWidget(self._plot)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(f"{y_label} over {x_label}")
        self._plot.hovered.connect(self.hovered)
        self._plot.clicked.connect(self._pick)
        self.set_stale = self._plot.set_stale
        self.hovered.connect(self._set_cursor)
        self._log.toggled.connect(self._redraw)
        self._redraw_timer.timeout.connect(self._redraw)
        theme.notifier.changed.connect(self._apply_theme)
        self._apply_theme()

    def set_series(
        self,
        name: str,
        x: ArrayLike = (),
        y: ArrayLike = (),
        colour_role: str = "accent",
        style: Style = "solid",
        marker: str = "o",
        shade: float = 0.0,
    ) -> None:
        """Add the line `name`, or replace it.

        Parameters
        ----------
        x, y
            (n,) numbers; a y that is not finite leaves a gap.
        colour_role
            Name of a colour of the theme, such as "clean" or "adv".
        marker
            One of ``MARKERS``.
        shade
            From 0 to 1 how much of the colour of text is mixed in, from 0 to -1 how much of the ground's.

        Raises
        ------
        ValueError
            If x and y differ in length, or there is no such colour, style or marker.
        """
        xs, ys = np.asarray(x, float), np.asarray(y, float)
        if xs.ndim != 1 or xs.shape != ys.shape:
            raise ValueError(
                f'the line "{name}" has x of shape {xs.shape} and y of {ys.shape}; two equal lists are needed'
            )
        colour_exists = isinstance(getattr(theme.current(), colour_role, None), QColor)
        if not colour_exists or style not in STYLES or marker not in MARKERS:
            raise ValueError(f'the line "{name}" asks for {colour_role}, {style} and {marker}; one of them is unknown')
        old = self._series.get(name)
        line, markers = (old.line, old.markers) if old else self._plot.add_line()
        self._series[name] = _Series(colour_role, style, marker, shade, line, markers, array("d", xs), array("d", ys))
        self._redraw()

    def append(self, name: str, x: float, y: float) -> None:
        """Add one point to a line; it is drawn with the next frame.

        Raises
        ------
        ValueError
            If there is no such line.
        """
        if name not in self._series:
            raise ValueError(f'there is no line "{name}"; the lines are {", ".join(self._series) or "none"}')
        self._series[name].x.append(x)
        self._series[name].y.append(y)
        if not self._redraw_timer.isActive():
            self._redraw_timer.start()

    def clear(self) -> None:
        """Remove all lines."""
        self._removed = [item for series in self._series.values() for item in (series.line, series.markers)]
        for item in self._removed:  # they are kept because a repaint that is due may still use them
            self._plot.box.removeItem(item)
        self._series.clear()
        self._redraw()

    def link_x(self, other: "CurveView") -> None:
        """Let `other` show the same range of x as this view; both share the cursor."""
        other._plot.box.setXLink(self._plot.box)
        self.hovered.connect(other._set_cursor)
        other.hovered.connect(self._set_cursor)

    def sizeHint(self) -> QSize:
        return QSize(420, 200)

    def set_x_label(self, label: str) -> None:
        """Say what x is now."""
        self._x_label = label
        self._apply_theme()

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _apply_theme(self) -> None:
        unit = f" ({self._y_unit})" if self._y_unit else ""
        self._plot.apply_theme(self._x_label, self._y_label + unit)
        self._redraw()

    def _redraw(self) -> None:
        logarithmic = self._log.isChecked()
        self._plot.left.setLogMode(x=False, y=logarithmic)
        for place, series in enumerate(self._series.values()):
            x, y = np.array(series.x), np.array(series.y)
            if logarithmic:
                y = np.log10(y, out=np.full_like(y, np.nan), where=y > 0)  # values without a logarithm are left out
            pen = series.pen()
            series.line.setData(x, y, pen=pen)
            step = 1 if len(y) <= MAX_MARKERS else 2 ** ceil(log2(len(y) / MAX_MARKERS))
            marked = slice(place * step // len(self._series), None, step)  # lines that coincide have them side by side
            finite = np.isfinite(y[marked])
            series.markers.setSymbol(series.marker)
            series.markers.setSize(MARKERS[series.marker])
            series.markers.setData(x[marked][finite], y[marked][finite], brush=pen.color())
        filled = any(series.x for series in self._series.values())
        self._plot.set_empty(not filled)
        self._log.setVisible(self._loggable and filled)
        self._update_marker()
        self._legend.fit()
        self._legend.update()
        self.setAccessibleDescription(self._accessible_text())

    def _update_marker(self) -> None:
        """Draw a ring around the chosen point while the view has the focus."""
        name, x = self._chosen
        if not self.hasFocus() or name not in self._series or not self._series[name].x:
            self._plot.set_marker(None)
            return
        at, y = self._series[name].near(x) or (x, float("nan"))
        self._plot.set_marker((at, y if not self._log.isChecked() else float(np.log10(y)) if y > 0 else float("nan")))

    def _pick(self, at: QPointF) -> None:
        near = []
        for name, series in self._series.items():
            x, y = series.line.getOriginalDataset()  # as drawn, whatever the axis
            if x is None:
                continue
            away = self._plot.pixel_distances(np.column_stack([x, y]), at)
            away[~np.isfinite(away)] = np.inf
            near.append((away.min(), name, float(x[away.argmin()])))
        if near and min(near)[0] <= CLICK_RADIUS:
            self.picked.emit(*min(near)[1:])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        lines = [name for name, series in self._series.items() if series.x]
        if not lines or event.key() not in (*_ARROWS, *_SELECT_KEYS):
            super().keyPressEvent(event)
            return
        name, x = self._chosen
        none_chosen = name not in lines
        name = lines[0] if none_chosen else name
        if event.key() in _SELECT_KEYS:
            if not none_chosen:
                self.picked.emit(name, x)
            return
        along, across = _ARROWS[event.key()]
        xs = sorted(self._series[name].x)
        if none_chosen:
            x = xs[0]
        elif across:
            name = lines[(lines.index(name) + across) % len(lines)]
            x = (self._series[name].near(x) or (x,))[0]
        else:
            x = xs[min(max(int(np.searchsorted(xs, x)) + along, 0), len(xs) - 1)]
        self._chosen = name, x
        self._update_marker()
        self.hovered.emit(x)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._show_focus()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._show_focus()
        self.hovered.emit(None)

    def _show_focus(self) -> None:
        self._update_marker()
        self._plot.viewport().update()  # its frame

    def _set_cursor(self, x: float | None) -> None:
        self._cursor = x
        self._plot.set_cursor(x)
        self._legend.update()

    def _heading(self) -> str:
        """The x at which the legend has the values; none without values."""
        samples = [near for series in self._series.values() if (near := series.near(self._cursor))]
        return f"at {self._x_label.lower()} = {max(x for x, _ in samples):.6g}:" if samples else ""

    def _legend_rows(self) -> Iterator[LegendRow]:
        """Each line with its value at the cursor."""
        unit = "\u2009%" if self._y_unit == "%" else ""
        for name, series in self._series.items():
            near = series.near(self._cursor)
            value = "" if near is None else _short(near[1]) + unit
            yield LegendRow(name, value, series.longest() + unit, series.pen(), series.marker)

    def _accessible_text(self) -> str:
        """The last value of each line, for a screen reader."""
        near = {name: series.near(None) for name, series in self._series.items()}
        return "\n".join(
            f"{name} {_short(at[1])} {self._y_unit}".rstrip() + f" at {self._x_label} {at[0]:.6g}"
            for name, at in near.items()
            if at is not None
        )


def _short(value: float) -> str:
    """Three significant digits, or an integer above 1,000, in at most eight characters."""
    return number(value) if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"
