"""A map of rates: rows by columns, the percentage in each cell, darker orange where it is higher."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QWidget

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views.painting import blend, draw_text, ink, translucent
from core.runtime.text import printable

Rates = NDArray[np.float64]

TITLE = 20  # height of the line with the names of the axes, in pixels
MIN_WIDTH, MAX_WIDTH = 44, 160  # of a cell
MIN_HEIGHT, MAX_HEIGHT = 24, 72
MAX_NAME_WIDTH = 150
ARROWS: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}


class HeatMap(QWidget):
    """Cells of rates. Arrow keys move between them, Enter selects, Page Up and Down ask for its other items."""

    picked = Signal(int, int)
    """Row and column of a selected cell that has a rate."""
    moved = Signal(int, int)
    """Row and column of the cell that was reached by a key or a click."""
    paged = Signal(int)
    """1 for the next, -1 for the previous item of the selected cell."""

    def __init__(self, rows: str, columns: str, parent: QWidget | None = None) -> None:
        """``rows`` and ``columns`` are the names of the axes."""
        super().__init__(parent)
        self._axes = rows, columns
        self._rows: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._rates: Rates = np.empty((0, 0))
        self._void: NDArray[np.bool_] = np.empty((0, 0), dtype=np.bool_)
        self._tips: dict[tuple[int, int], str] = {}
        self._opacity = 1.0
        self.current = 0, 0
        """Row and column of the cell under the keyboard cursor or the mouse."""
        self.selected: tuple[int, int] | None = None
        """The cell that was picked last."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        theme.notifier.changed.connect(self.update)

    def set_rates(
        self,
        rows: Sequence[str],
        columns: Sequence[str],
        rates: Rates,
        void: NDArray[np.bool_],
        tips: dict[tuple[int, int], str],
    ) -> None:
        """Show rates.

        Parameters
        ----------
        rows, columns : names.
        rates : (rows, columns), 0 to 1; NaN where there is none yet.
        void : (rows, columns), where there never will be one.
        tips : by row and column, what the tooltip says.
        """
        if (tuple(rows), tuple(columns)) != (self._rows, self._columns):
            self.current, self.selected = (0, 0), None
        self._rows, self._columns = tuple(rows), tuple(columns)
        self._rates, self._void, self._tips = rates, void, tips
        known = [
            f"{rows[row]} → {columns[column]} {percent(rates[row, column])}"
            for row, column in np.argwhere(np.isfinite(rates))
        ]
        self.setAccessibleDescription(printable("; ".join(known)))
        self._lay_out()

    def set_stale(self, stale: bool) -> None:
        """Dim the cells, because the settings have changed since."""
        self._opacity = 0.6 if stale else 1.0
        self.update()

    def cell(self, row: int, column: int) -> QRect:
        """Where a cell is."""
        return QRect(self._corner + QPoint(column * self._size.width(), row * self._size.height()), self._size)

    # --- where it is -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX, semibold=True))
        widest = max((metrics.horizontalAdvance(printable(name)) + 2 for name in self._rows), default=0)  # rounded
        longest = max((metrics.horizontalAdvance(printable(name)) for name in self._columns), default=0)
        left = min(max(widest, metrics.horizontalAdvance(f"{self._axes[0]} ↓")), MAX_NAME_WIDTH) + theme.SPACE_S
        count_x, count_y = max(1, len(self._columns)), max(1, len(self._rows))
        width = max(MIN_WIDTH, min(MAX_WIDTH, (self.width() - left) // count_x))
        upright = min(longest, MAX_NAME_WIDTH) + theme.SPACE_S
        high_enough = self.height() - TITLE - upright >= count_y * MIN_HEIGHT
        self._turned = longest + theme.SPACE_S > width and high_enough  # names of columns that are too long to lie
        self._head = upright if self._turned else TITLE
        height = max(MIN_HEIGHT, min(MAX_HEIGHT, (self.height() - TITLE - self._head) // count_y))
        self._corner, self._size = QPoint(left, TITLE + self._head), QSize(width, height)
        smallest = QSize(left + count_x * MIN_WIDTH, 2 * TITLE + count_y * MIN_HEIGHT)
        if smallest != self.minimumSize():
            self.setMinimumSize(smallest)
        self.update()

    def _cell_at(self, place: QPoint) -> tuple[int, int] | None:
        at = place - self._corner
        row, column = at.y() // self._size.height(), at.x() // self._size.width()
        return (row, column) if 0 <= row < len(self._rows) and 0 <= column < len(self._columns) else None

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    # --- the picture -----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, now = QPainter(self), theme.current()
        painter.fillRect(self.rect(), now.window)
        if not self._rows:
            return
        highlighting = self.hasFocus() or self.underMouse()
        self._paint_names(painter, highlighting)
        painter.setOpacity(self._opacity)
        for row, column in np.ndindex(self._rates.shape):
            self._paint_cell(painter, row, column)
        painter.setOpacity(1.0)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self.selected is not None:
            painter.setPen(QPen(now.accent, 2))
            painter.drawRect(self.cell(*self.selected).adjusted(1, 1, -2, -2))
        if highlighting:
            painter.setPen(QPen(now.text, 2))
            painter.drawRect(self.cell(*self.current).adjusted(1, 1, -2, -2))

    def _paint_names(self, painter: QPainter, highlighting: bool) -> None:
        now = theme.current()
        caption, strong = theme.font(theme.CAPTION_PX), theme.font(theme.CAPTION_PX, semibold=True)
        left, right = self._corner.x() - theme.SPACE_S, Qt.AlignmentFlag.AlignRight
        whole = QRect(self._corner.x(), 0, self.width() - self._corner.x(), TITLE)
        title = f"{self._axes[1]} →"
        draw_text(painter, whole, title, caption, now.muted)
        if highlighting:
            whole.setLeft(whole.left() + QFontMetrics(caption).horizontalAdvance(title) + theme.SPACE_L)
            draw_text(painter, whole, self._tips.get(self.current, ""), caption, now.text)
        corner = QRect(0, self._corner.y() - TITLE, left, TITLE)
        draw_text(painter, corner, f"{self._axes[0]} ↓", caption, now.muted, right)
        for row, name in enumerate(self._rows):
            box, on = self.cell(row, 0), highlighting and row == self.current[0]
            place = QRect(0, box.top(), left, box.height())
            draw_text(painter, place, name, strong if on else caption, now.text if on else now.muted, right)
        for column, name in enumerate(self._columns):
            box, on = self.cell(0, column), highlighting and column == self.current[1]
            font, colour = strong if on else caption, now.text if on else now.muted
            if not self._turned:
                place = QRect(box.left(), TITLE, box.width(), self._head)
                draw_text(painter, place, name, font, colour, Qt.AlignmentFlag.AlignHCenter)
                continue
            painter.save()
            painter.translate(box.left(), box.top() - theme.SPACE_XS)
            painter.rotate(-90)
            draw_text(painter, QRect(0, 0, self._head - theme.SPACE_XS, box.width()), name, font, colour)
            painter.restore()

    def _paint_cell(self, painter: QPainter, row: int, column: int) -> None:
        now, rate = theme.current(), float(self._rates[row, column])
        box = self.cell(row, column).adjusted(0, 0, -1, -1)
        font = theme.tabular(theme.font(theme.BODY_PX))
        centre = Qt.AlignmentFlag.AlignHCenter
        if self._void[row, column]:
            painter.setPen(now.border)
            painter.drawLine(box.bottomLeft(), box.topRight())
            return
        if np.isnan(rate):
            painter.fillRect(box, translucent(now.border, 0.25))
            draw_text(painter, box, "–", font, now.muted, centre)
            return
        fill = blend(now.window, now.adv, 0.08 + 0.92 * rate)
        painter.fillRect(box, fill)
        draw_text(painter, box, percent(rate), font, ink(fill), centre)

    # --- mouse and keys --------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            found = self._cell_at(event.pos())
            show_tooltip(event.globalPos(), self._tips.get(found, "") if found else "", self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = self._cell_at(event.position().toPoint())
        pointing = found is not None and np.isfinite(self._rates[found])
        self.setCursor(Qt.CursorShape.PointingHandCursor if pointing else Qt.CursorShape.ArrowCursor)
        if found is not None:
            self._set_current(found)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        found = self._cell_at(event.position().toPoint())
        if found is not None and event.button() == Qt.MouseButton.LeftButton:
            self._set_current(found)
            self.moved.emit(*found)
            self._pick()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if not self._rows:
            super().keyPressEvent(event)
        elif key in ARROWS:
            wanted = np.add(self.current, ARROWS[key])
            row, column = np.clip(wanted, 0, np.array(self._rates.shape) - 1).tolist()
            self._set_current((row, column))
            self.moved.emit(row, column)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._pick()
        elif key in (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
            self.paged.emit(1 if key == Qt.Key.Key_PageDown else -1)
        else:
            super().keyPressEvent(event)

    def _set_current(self, at: tuple[int, int]) -> None:
        if at != self.current:
            self.current = at
            self.update()

    def _pick(self) -> None:
        if np.isfinite(self._rates[self.current]):
            self.selected = self.current
            self.picked.emit(*self.current)
            self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.update()


def percent(rate: float) -> str:
    """A rate with a thin space before the sign."""
    return f"{100 * rate:.0f}\u2009%"
