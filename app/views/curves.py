"""Live curves: losses and accuracies while a model trains, the loss of an attack over its steps."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PySide6.QtCore import QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app.shell import theme
from app.views.paint import plot_pen
from app.views.plot import Key, Plot

Style = Literal["solid", "dash", "dot", "dashdot"]
STYLES: tuple[Style, ...] = get_args(Style)
_PENS = dict(
    zip(
        STYLES,
        (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine),
        strict=True,
    )
)
FRAME_MS = 100  # points that arrive within one frame are drawn together
_MOVES = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
"""Key -> points along the line, and lines further."""
_PICKS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
REACH = 10  # pixels from a point within which a click means it
FEW = 40  # up to so many points each is also marked by a dot


@dataclass
class _Series:
    colour_role: str
    style: Style
    line: pg.PlotDataItem
    x: "array[float]" = field(default_factory=lambda: array("d"))
    y: "array[float]" = field(default_factory=lambda: array("d"))

    def near(self, x: float | None) -> tuple[float, float] | None:
        """The sample nearest to `x`, the last one for None."""
        if not self.x:
            return None
        at = -1 if x is None else int(np.argmin(np.abs(np.array(self.x) - x)))
        return self.x[at], self.y[at]

    def pen(self) -> QPen:
        return plot_pen(getattr(theme.current(), self.colour_role), 1.5, _PENS[self.style])


class CurveView(QWidget):
    """Named lines over one axis, a key that also reads out numbers, a switch for a logarithmic axis.

    Drag and wheel move and zoom along x, a double click shows everything again. In a view with the focus, left and
    right choose a point, up and down another line, and Return picks it as a click does.

    Parameters
    ----------
    x_label, y_label
        Names of the axes, such as "epoch" and "loss".
    y_unit
        Unit of y, such as "nats".
    counted
        x is whole numbers, such as epochs: nothing between them is marked.
    y_range
        Fixed limits of y; without them the axis follows what is visible.
    empty
        Sentence shown while there are no points.
    """

    hovered = Signal(object)
    """x under the mouse, None when it has left."""
    picked = Signal(str, float)
    """Name of the line and x of the point that a person clicked on, or chose by keys."""

    def __init__(
        self,
        x_label: str,
        y_label: str,
        *,
        y_unit: str = "",
        counted: bool = False,
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
        """Line and x of the point that keys move."""
        self._plot = Plot(empty, counted=counted)
        self._key = Key(self._readings, "0.00e-00" if y_range is None else "00.00")
        self._log = QToolButton(text="log", checkable=True, toolTip=f"Logarithmic axis for the {y_label}")
        theme.role(self._log, "flat")
        self._later = QTimer(self, singleShot=True, interval=FRAME_MS)
        if y_range is not None:
            self._plot.box.setYRange(*y_range, padding=0.06)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        head = QHBoxLayout()
        head.addWidget(self._key, 1)
        head.addWidget(self._log)
        layout.addLayout(head)
        layout.addWidget(self._plot)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(f"{y_label} over {x_label}")
        self._plot.hovered.connect(self.hovered)
        self._plot.clicked.connect(self._pick)
        self.set_stale = self._plot.set_stale
        self.hovered.connect(self._read)
        self._log.toggled.connect(self._redraw)
        self._later.timeout.connect(self._redraw)
        theme.notifier.changed.connect(self._dress)
        self._dress()

    def set_series(
        self, name: str, x: ArrayLike = (), y: ArrayLike = (), colour_role: str = "accent", style: Style = "solid"
    ) -> None:
        """Add the line `name`, or replace it.

        Parameters
        ----------
        x, y
            (n,) numbers; a y that is not finite makes a gap.
        colour_role
            Name of a colour of the theme: "clean" or "adv" where that is what the line is about.

        Raises
        ------
        ValueError
            If x and y differ in length, or there is no such colour or style.
        """
        xs, ys = np.asarray(x, float), np.asarray(y, float)
        if xs.ndim != 1 or xs.shape != ys.shape:
            raise ValueError(
                f'the line "{name}" has x of shape {xs.shape} and y of {ys.shape}; two equal lists are needed'
            )
        known = isinstance(getattr(theme.current(), colour_role, None), QColor)
        if not known or style not in STYLES:
            raise ValueError(f'the line "{name}" asks for {colour_role} and {style}, which the theme does not have')
        old = self._series.get(name)
        line = old.line if old else self._plot.add_line()
        self._series[name] = _Series(colour_role, style, line, array("d", xs), array("d", ys))
        self._redraw()

    def append(self, name: str, x: float, y: float) -> None:
        """Add one point to a line; a frame later it is on screen.

        Raises
        ------
        ValueError
            If there is no such line.
        """
        if name not in self._series:
            raise ValueError(f'there is no line "{name}"; the lines are {", ".join(self._series) or "none"}')
        self._series[name].x.append(x)
        self._series[name].y.append(y)
        if not self._later.isActive():
            self._later.start()

    def clear(self) -> None:
        """Take all lines away."""
        for series in self._series.values():
            self._plot.box.removeItem(series.line)
        self._series.clear()
        self._redraw()

    def link_x(self, other: "CurveView") -> None:
        """Let `other` show the stretch of x that the lines of this view take up; both move and read out together."""
        other._plot.box.setXLink(self._plot.box)
        self.hovered.connect(other._read)
        other.hovered.connect(self._read)

    def sizeHint(self) -> QSize:
        return QSize(420, 200)

    # --- drawing ------------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        unit = f" ({self._y_unit})" if self._y_unit else ""
        self._plot.dress(self._x_label, self._y_label + unit)
        self._redraw()

    def _redraw(self) -> None:
        logarithmic = self._log.isChecked()
        self._plot.left.setLogMode(x=False, y=logarithmic)
        for series in self._series.values():
            y = np.array(series.y)
            if logarithmic:
                y = np.log10(y, out=np.full_like(y, np.nan), where=y > 0)  # what has no logarithm is left out
            dots = len(y) <= FEW
            pen = series.pen()
            series.line.setData(
                np.array(series.x), y, pen=pen, symbol="o" if dots else None, symbolBrush=pen.color(), symbolPen=None
            )
        filled = any(series.x for series in self._series.values())
        self._plot.set_empty(not filled)
        self._log.setVisible(self._loggable and filled)
        self._mark()
        self._key.update()
        self.setAccessibleDescription(self._spoken())

    def _mark(self) -> None:
        """Ring the chosen point while keys would move it."""
        name, x = self._chosen
        if not self.hasFocus() or name not in self._series or not self._series[name].x:
            self._plot.set_mark(None)
            return
        at, y = self._series[name].near(x) or (x, float("nan"))
        self._plot.set_mark((at, y if not self._log.isChecked() else float(np.log10(y)) if y > 0 else float("nan")))

    def _pick(self, at: QPointF) -> None:
        near = []
        for name, series in self._series.items():
            x, y = series.line.getOriginalDataset()  # as drawn, whatever the axis
            if x is None:
                continue
            away = self._plot.away(np.column_stack([x, y]), at)
            away[~np.isfinite(away)] = np.inf
            near.append((away.min(), name, float(x[away.argmin()])))
        if near and min(near)[0] <= REACH:
            self.picked.emit(*min(near)[1:])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        lines = [name for name, series in self._series.items() if series.x]
        if not lines or event.key() not in (*_MOVES, *_PICKS):
            super().keyPressEvent(event)
            return
        name, x = self._chosen
        fresh = name not in lines
        name = lines[0] if fresh else name
        if event.key() in _PICKS:
            if not fresh:
                self.picked.emit(name, x)
            return
        along, across = _MOVES[event.key()]
        xs = sorted(self._series[name].x)
        if fresh:
            x = xs[0]
        elif across:
            name = lines[(lines.index(name) + across) % len(lines)]
            x = (self._series[name].near(x) or (x,))[0]
        else:
            x = xs[min(max(int(np.searchsorted(xs, x)) + along, 0), len(xs) - 1)]
        self._chosen = name, x
        self._mark()
        self.hovered.emit(x)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._mark()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._mark()
        self.hovered.emit(None)

    def _read(self, x: float | None) -> None:
        self._cursor = x
        self._plot.set_cursor(x)
        self._key.update()

    def _readings(self) -> Iterator[tuple[str, QPen, str]]:
        """Name, pen and number of each line where the cursor is, and where that is."""
        for name, series in self._series.items():
            near = series.near(self._cursor)
            yield name, series.pen(), "" if near is None else _short(near[1])
        samples = [near for series in self._series.values() if (near := series.near(self._cursor))]
        if samples:
            yield self._x_label, QPen(Qt.PenStyle.NoPen), f"{max(x for x, _ in samples):.6g}"

    def _spoken(self) -> str:
        """The last number of each line, for a screen reader."""
        near = {name: series.near(None) for name, series in self._series.items()}
        return "\n".join(
            f"{name} {_short(at[1])} {self._y_unit}".rstrip() + f" at {self._x_label} {at[0]:.6g}"
            for name, at in near.items()
            if at is not None
        )


def _short(value: float) -> str:
    """At most eight characters: four significant digits, three beside a power of ten."""
    return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"
