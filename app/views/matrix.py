"""Two confusion matrices: predictions on clean clouds in blue, on adversarial ones in orange.

They are side by side where names and counts of both can be read, otherwise one behind the other.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
from PySide6.QtWidgets import QScrollArea, QWidget

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views.painting import blend, draw_text, ink, translucent
from core.runtime.text import printable

SIDES = ("clean", "adversarial")
CORRECT = "correct"
"""Above the numbers of clouds whose class is predicted."""
TITLE, GAP = 20, theme.SPACE_L  # in pixels: height of the title above a matrix, space between the two
MIN_CELL, MAX_CELL = 11, 34  # side of a cell in pixels
LEGIBLE_CELL = 15  # side in pixels from which a name is beside its row without touching the next
MIN_NAME_WIDTH, MAX_NAME_WIDTH = 40, 96  # of a class, in pixels
ARROWS: dict[int, tuple[int, int, int]] = {
    Qt.Key.Key_Up: (0, -1, 0),
    Qt.Key.Key_Down: (0, 1, 0),
    Qt.Key.Key_Left: (0, 0, -1),
    Qt.Key.Key_Right: (0, 0, 1),
}


class MatrixView(QScrollArea):
    """Two matrices over the same classes. Arrow keys move between cells, also across matrices; Enter selects."""

    picked = Signal(int, int, int)
    """Side (0 clean, 1 adversarial), true class and predicted class of a selected cell that is not empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, widgetResizable=True)
        self._cells = _Cells()
        self._cells.picked.connect(self.picked)
        self._cells.cellReached.connect(lambda box: self.ensureVisible(box.center().x(), box.center().y()))
        self.setWidget(self._cells)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("Confusion matrices")

    def set_matrices(self, classes: Sequence[str], clean: ArrayLike, adversarial: ArrayLike) -> None:
        """Show the numbers of clouds (K, K) by true class (row) and predicted class (column)."""
        self._cells.set_counts(classes, np.stack([clean, adversarial]))
        self.setAccessibleDescription(self._cells.accessibleDescription())

    @property
    def cells(self) -> "_Cells":
        """The widget with the cells."""
        return self._cells

    def set_stale(self, stale: bool) -> None:
        """Dim the matrices, because the settings have changed since."""
        self._cells.opacity = 0.6 if stale else 1.0
        self._cells.update()


class _Cells(QWidget):
    """The painted part."""

    picked = Signal(int, int, int)
    cellReached = Signal(QRect)

    def __init__(self) -> None:
        super().__init__()
        self._classes: list[str] = []
        self._counts: NDArray[np.int64] = np.empty((2, 0, 0), np.int64)
        self._current = (0, 0, 0)  # side, row and column of the cell under the keyboard cursor or the mouse
        self.opacity = 1.0
        self.single = False
        """Whether there is space for one matrix only."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Cells of the confusion matrices")
        theme.notifier.changed.connect(self.update)

    def set_counts(self, classes: Sequence[str], counts: NDArray[np.int64]) -> None:
        if list(classes) != self._classes:
            self._current = (0, 0, 0)
        self._classes, self._counts = list(classes), counts
        right = counts.trace(axis1=1, axis2=2)
        self.setAccessibleDescription(
            "; ".join(f"{side}: {right[k]} of {counts[k].sum()} clouds right" for k, side in enumerate(SIDES))
        )
        self._lay_out()

    # --- where it is -----------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX))
        widest = max((metrics.horizontalAdvance(printable(name)) for name in self._classes), default=0)
        corner = metrics.horizontalAdvance("predicted →")
        self._names = min(max(widest, corner), MAX_NAME_WIDTH) + theme.SPACE_M
        count = max(1, len(self._classes))
        wide, high = (self.width() - self._names - GAP) // (2 * count), (self.height() - TITLE) // count
        self._below = min(self._names, self.height() - TITLE - count * MIN_CELL)  # length of the columns' names
        under = (self.height() - TITLE - self._below) // count
        self.single = wide < LEGIBLE_CELL
        if self.single:
            totals = max(metrics.horizontalAdvance(text) for text in (*self._totals(0), CORRECT))
            wide = (self.width() - self._names - totals - 2 * theme.SPACE_M) // count
        self._columns_named = self._below >= MIN_NAME_WIDTH  # otherwise the title names the current cell
        self._cell = max(MIN_CELL, min(MAX_CELL, wide, under if self._columns_named else high))
        smallest = QSize(self._names + count * MIN_CELL, TITLE + count * MIN_CELL)
        if smallest != self.minimumSize():
            self.setMinimumSize(smallest)
        self.update()

    def _matrix(self, side: int) -> QRect:
        size = self._cell * len(self._classes)
        return QRect(self._names + (0 if self.single else side * (size + GAP)), TITLE, size, size)

    @property
    def shown_sides(self) -> tuple[int, ...]:
        """0 for clean, 1 for adversarial; where there is space for one, that of the current cell."""
        return (self._current[0],) if self.single else (0, 1)

    def title(self, side: int) -> QRect:
        """Where the name of a matrix is; a click there shows it."""
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX, semibold=True))
        widths = [metrics.horizontalAdvance(self._title_text(each)) + theme.SPACE_M for each in (0, 1)]
        left = self._matrix(side).left() + (widths[0] if self.single and side else 0)
        return QRect(left, 0, widths[side], TITLE)

    def _title_text(self, side: int) -> str:
        return SIDES[side].capitalize() if side in self.shown_sides else f"Show {SIDES[side]}"

    def cell(self, side: int, row: int, column: int) -> QRect:
        corner = self._matrix(side).topLeft() + QPoint(column, row) * self._cell
        return QRect(corner, QSize(self._cell, self._cell))

    def _cell_at(self, place: QPoint) -> tuple[int, int, int] | None:
        for side in self.shown_sides:
            area = self._matrix(side)
            if area.contains(place):
                at = place - area.topLeft()
                return side, at.y() // self._cell, at.x() // self._cell
        return None

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    # --- the picture -----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, now = QPainter(self), theme.current()
        painter.fillRect(self.rect(), now.canvas)
        if not self._classes:
            return
        painter.setOpacity(self.opacity)
        caption, strong = theme.font(theme.CAPTION_PX), theme.font(theme.CAPTION_PX, semibold=True)
        left = QRect(0, TITLE, self._names - theme.SPACE_S, self._cell)
        left.adjust(0, -2, 0, 2)  # or a low row cuts off what is below the line
        highlighting = self.hasFocus() or self.underMouse()
        for row, name in enumerate(self._classes):
            highlighted = highlighting and row == self._current[1]
            draw_text(
                painter,
                left.translated(0, row * self._cell),
                name,
                strong if highlighted else caption,
                now.text if highlighted else now.muted,
                Qt.AlignmentFlag.AlignRight,
            )
        corner = QRect(0, 0, self._names - theme.SPACE_S, TITLE)
        draw_text(painter, corner, "true ↓", caption, now.muted, Qt.AlignmentFlag.AlignRight)
        if self._columns_named:
            corner.moveTop(self._matrix(0).bottom())
            draw_text(painter, corner, "predicted →", caption, now.muted, Qt.AlignmentFlag.AlignRight)
        colours = (now.clean, now.adv)
        for side, colour in enumerate(colours):
            draw_text(painter, self.title(side), self._title_text(side), strong, colour)
            if side in self.shown_sides:
                self._paint_cells(painter, side)
                if self._columns_named:
                    self._paint_columns(painter, side, highlighting)
        if self.single:
            self._paint_totals(painter, self._current[0])
        if highlighting:  # the text of the current cell is beside the title of its matrix
            side = self._current[0]
            start = self.title(1 if self.single else side).right()
            end = self.title(1).left() if side == 0 and not self.single else self.width()
            beside = QRect(start, 0, end - start, TITLE)
            draw_text(painter, beside, self._cell_text(*self._current), caption, colours[side])
        if highlighting:
            painter.setPen(QPen(now.text, 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.cell(*self._current).adjusted(0, 0, -1, -1))

    def _paint_cells(self, painter: QPainter, side: int) -> None:
        now, counts = theme.current(), self._counts[side]
        colour = now.clean if side == 0 else now.adv
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # a class without clouds has an empty row
        font = theme.tabular(theme.font(theme.CAPTION_PX))
        legible = self._cell >= QFontMetrics(font).horizontalAdvance(str(counts.max(initial=0))) + 4
        ground = blend(now.canvas, now.border, 0.25)
        painter.fillRect(self._matrix(side), ground)
        for row, column in np.argwhere(counts):
            box, share = self.cell(side, row, column), shares[row, column]
            strength = 0.2 + 0.8 * share
            painter.fillRect(box.adjusted(0, 0, -1, -1), translucent(colour, strength))
            if legible and self._cell >= 15:
                text_colour = ink(blend(ground, colour, strength))
                draw_text(painter, box, str(counts[row, column]), font, text_colour, Qt.AlignmentFlag.AlignHCenter)

    def _paint_columns(self, painter: QPainter, side: int, highlighting: bool) -> None:
        now, area = theme.current(), self._matrix(side)
        for column, name in enumerate(self._classes):
            highlighted = highlighting and (side, column) == (self._current[0], self._current[2])
            painter.save()
            painter.translate(area.left() + column * self._cell, area.bottom() + theme.SPACE_XS)
            painter.rotate(90)
            box = QRect(0, -self._cell, self._below - theme.SPACE_S, self._cell)
            font = theme.font(theme.CAPTION_PX, semibold=highlighted)
            draw_text(painter, box, name, font, now.text if highlighted else now.muted)
            painter.restore()

    def _paint_totals(self, painter: QPainter, side: int) -> None:
        """How many clouds of each class are right, and how many there are, beside a matrix that is alone."""
        area, font, totals = self._matrix(side), theme.tabular(theme.font(theme.CAPTION_PX)), self._totals(side)
        box = QRect(area.right() + theme.SPACE_M, 0, self.width() - area.right() - theme.SPACE_M, TITLE)
        widest = max(QFontMetrics(font).horizontalAdvance(text) for text in (*totals, CORRECT))
        if widest > box.width():
            return
        box.setWidth(widest)
        draw_text(painter, box, CORRECT, font, theme.current().muted, Qt.AlignmentFlag.AlignRight)
        box.setHeight(self._cell)
        for row, text in enumerate(totals):
            place = box.translated(0, TITLE + row * self._cell)
            draw_text(painter, place, text, font, theme.current().muted, Qt.AlignmentFlag.AlignRight)

    def _totals(self, side: int) -> list[str]:
        counts = self._counts[side]
        return [f"{counts[row, row]} / {total}" for row, total in enumerate(counts.sum(axis=1).tolist())]

    def _cell_text(self, side: int, row: int, column: int) -> str:
        count, total = self._counts[side, row, column], self._counts[side, row].sum()
        share = f" ({100 * count / total:.1f} %)" if total else ""
        names = printable(f"{self._classes[row]} → {self._classes[column]}")
        return f"{names}: {count} of {total} clouds{share}"

    # --- mouse and keys --------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            found = self._cell_at(event.pos())
            show_tooltip(event.globalPos(), self._cell_text(*found) if found else "", self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = self._cell_at(event.position().toPoint())
        hidden = [side for side in (0, 1) if side not in self.shown_sides]
        on_title = any(self.title(side).contains(event.position().toPoint()) for side in hidden)
        clickable = on_title or (found is not None and self._counts[found] > 0)
        self.setCursor(Qt.CursorShape.PointingHandCursor if clickable else Qt.CursorShape.ArrowCursor)
        if found is not None and found != self._current:
            self._set_current(found)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        place = event.position().toPoint()
        found = self._cell_at(place)
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if found is not None:
            self._set_current(found)
            self._pick()
        for side in (0, 1):
            if self.title(side).contains(place):
                self._set_current((side, *self._current[1:]))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, count = event.key(), len(self._classes)
        if key in ARROWS and count:
            side, row, column = np.add(self._current, ARROWS[key]).tolist()
            if 0 <= side + column // count <= 1:  # beyond the edge of one matrix into the other
                self._set_current((side + column // count, min(max(row, 0), count - 1), column % count))
                self.cellReached.emit(self.cell(*self._current))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and count:
            self._pick()
        else:
            super().keyPressEvent(event)

    def _set_current(self, at: tuple[int, int, int]) -> None:
        self._current = at
        self.update()

    def _pick(self) -> None:
        if self._counts[self._current]:
            self.picked.emit(*self._current)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.update()
