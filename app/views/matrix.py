"""Confusion matrices side by side: where the verdicts on each class's clouds go, clean blue and adversarial orange."""

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
from PySide6.QtWidgets import QScrollArea, QToolTip, QWidget

from app.shell import theme
from app.views.paint import faint, write

SIDES = ("clean", "adversarial")
TITLE, GAP = 20, theme.SPACE_L  # height of the line over a matrix, room between the two
SMALLEST, LARGEST = 11, 34  # side of a cell in pixels
LONGEST = 96  # room for the name of a class, in pixels
ARROWS = {
    Qt.Key.Key_Up: (0, -1, 0),
    Qt.Key.Key_Down: (0, 1, 0),
    Qt.Key.Key_Left: (0, 0, -1),
    Qt.Key.Key_Right: (0, 0, 1),
}


class MatrixView(QScrollArea):
    """Two matrices of one row of classes. Arrows go from cell to cell and from matrix to matrix, Enter picks one."""

    picked = Signal(int, int, int)
    """Side (0 clean, 1 adversarial), true class, predicted class of a cell that holds a cloud."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, widgetResizable=True)
        self._cells = _Cells()
        self._cells.picked.connect(self.picked)
        self._cells.reached.connect(lambda box: self.ensureVisible(box.center().x(), box.center().y()))
        self.setWidget(self._cells)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName("Confusion matrices")

    def set_matrices(self, classes: Sequence[str], clean: ArrayLike, adversarial: ArrayLike) -> None:
        """Show clouds (K, K) by true class (row) and predicted class (column)."""
        self._cells.put(classes, np.stack([clean, adversarial]))
        self.setAccessibleDescription(self._cells.accessibleDescription())

    def set_stale(self, stale: bool) -> None:
        """Dim the matrices: they do not belong to the settings any more."""
        self._cells.opacity = 0.6 if stale else 1.0
        self._cells.update()


class _Cells(QWidget):
    """The painted part."""

    picked = Signal(int, int, int)
    reached = Signal(QRect)

    def __init__(self) -> None:
        super().__init__()
        self._classes: list[str] = []
        self._counts: NDArray[np.int64] = np.empty((2, 0, 0), np.int64)
        self._at = (0, 0, 0)  # side, row and column that the keyboard or the mouse is on
        self.opacity = 1.0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Cells of the confusion matrices")
        theme.notifier.changed.connect(self.update)

    def put(self, classes: Sequence[str], counts: NDArray[np.int64]) -> None:
        if list(classes) != self._classes:
            self._at = (0, 0, 0)
        self._classes, self._counts = list(classes), counts
        right = counts.trace(axis1=1, axis2=2)
        self.setAccessibleDescription(
            "; ".join(f"{side}: {right[k]} of {counts[k].sum()} clouds right" for k, side in enumerate(SIDES))
        )
        self._lay_out()

    # --- where it is --------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX))
        widest = max((metrics.horizontalAdvance(name) for name in self._classes), default=0)
        corner = metrics.horizontalAdvance("predicted →")
        self._names = min(max(widest, corner), LONGEST) + theme.SPACE_S
        count = max(1, len(self._classes))
        wide, high = (self.width() - self._names - GAP) // (2 * count), (self.height() - TITLE) // count
        under = (self.height() - TITLE - self._names) // count
        self._columns_named = under >= SMALLEST  # where it is too low for that, the title names the cell
        self._cell = max(SMALLEST, min(LARGEST, wide, under if self._columns_named else high))
        smallest = QSize(self._names + GAP + 2 * count * SMALLEST, TITLE + count * SMALLEST)
        if smallest != self.minimumSize():
            self.setMinimumSize(smallest)
        self.update()

    def _matrix(self, side: int) -> QRect:
        size = self._cell * len(self._classes)
        return QRect(self._names + side * (size + GAP), TITLE, size, size)

    def cell(self, side: int, row: int, column: int) -> QRect:
        corner = self._matrix(side).topLeft() + QPoint(column, row) * self._cell
        return QRect(corner, QSize(self._cell, self._cell))

    def _found(self, place: QPoint) -> tuple[int, int, int] | None:
        for side in (0, 1):
            area = self._matrix(side)
            if area.contains(place):
                at = place - area.topLeft()
                return side, at.y() // self._cell, at.x() // self._cell
        return None

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    # --- the picture --------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, now = QPainter(self), theme.current()
        painter.fillRect(self.rect(), now.canvas)
        if not self._classes:
            return
        painter.setOpacity(self.opacity)
        caption, strong = theme.font(theme.CAPTION_PX), theme.font(theme.CAPTION_PX, semibold=True)
        left = QRect(0, TITLE, self._names - theme.SPACE_S, self._cell)
        pointed = self.hasFocus() or self.underMouse()
        for row, name in enumerate(self._classes):
            marked = pointed and row == self._at[1]
            write(
                painter,
                left.translated(0, row * self._cell),
                name,
                strong if marked else caption,
                now.text if marked else now.muted,
                Qt.AlignmentFlag.AlignRight,
            )
        corner = QRect(0, 0, self._names - theme.SPACE_S, TITLE)
        write(painter, corner, "true ↓", caption, now.muted, Qt.AlignmentFlag.AlignRight)
        if self._columns_named:
            corner.moveTop(self._matrix(0).bottom())
            write(painter, corner, "predicted →", caption, now.muted, Qt.AlignmentFlag.AlignRight)
        for side, colour in enumerate((now.clean, now.adv)):
            area = self._matrix(side)
            title = QRect(area.left(), 0, area.width(), TITLE)
            write(painter, title, SIDES[side].capitalize(), strong, colour)
            if pointed and side == 1:  # of both sides here, where there is most room
                title.setLeft(title.left() + QFontMetrics(strong).horizontalAdvance("Adversarial") + theme.SPACE_M)
                title.setRight(self.width())
                write(painter, title, self._words(*self._at), caption, (now.clean, now.adv)[self._at[0]])
            self._paint_cells(painter, side)
            if self._columns_named:
                self._paint_columns(painter, side, pointed)
        if pointed:
            painter.setPen(QPen(now.text, 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.cell(*self._at).adjusted(0, 0, -1, -1))

    def _paint_cells(self, painter: QPainter, side: int) -> None:
        now, counts = theme.current(), self._counts[side]
        colour = now.clean if side == 0 else now.adv
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # a class without clouds has an empty row
        font = theme.tabular(theme.font(theme.CAPTION_PX))
        legible = self._cell >= QFontMetrics(font).horizontalAdvance(str(counts.max(initial=0))) + 4
        painter.fillRect(self._matrix(side), faint(now.border, 0.25))
        for row, column in np.argwhere(counts):
            box, share = self.cell(side, row, column), shares[row, column]
            painter.fillRect(box.adjusted(0, 0, -1, -1), faint(colour, 0.2 + 0.8 * share))
            if legible and self._cell >= 15:
                ink = now.on_accent if share > 0.45 else now.text
                write(painter, box, str(counts[row, column]), font, ink, Qt.AlignmentFlag.AlignHCenter)

    def _paint_columns(self, painter: QPainter, side: int, pointed: bool) -> None:
        now, area = theme.current(), self._matrix(side)
        for column, name in enumerate(self._classes):
            marked = pointed and (side, column) == (self._at[0], self._at[2])
            painter.save()
            painter.translate(area.left() + column * self._cell, area.bottom() + theme.SPACE_XS)
            painter.rotate(90)
            box = QRect(0, -self._cell, self._names - theme.SPACE_S, self._cell)
            font = theme.font(theme.CAPTION_PX, semibold=marked)
            write(painter, box, name, font, now.text if marked else now.muted)
            painter.restore()

    def _words(self, side: int, row: int, column: int) -> str:
        count, total = self._counts[side, row, column], self._counts[side, row].sum()
        share = f" ({100 * count / total:.1f} %)" if total else ""
        return f"{self._classes[row]} → {self._classes[column]}: {count} of {total} clouds{share}"

    # --- mouse and keys -----------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            found = self._found(event.pos())
            QToolTip.showText(event.globalPos(), self._words(*found) if found else "", self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = self._found(event.position().toPoint())
        self.setCursor(
            Qt.CursorShape.PointingHandCursor if found and self._counts[found] else Qt.CursorShape.ArrowCursor
        )
        if found is not None and found != self._at:
            self._go(found)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        found = self._found(event.position().toPoint())
        if found is not None and event.button() == Qt.MouseButton.LeftButton:
            self._go(found)
            self._pick()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, count = event.key(), len(self._classes)
        if key in ARROWS and count:
            side, row, column = np.add(self._at, ARROWS[key]).tolist()
            if 0 <= side + column // count <= 1:  # over the edge of one matrix into the other
                self._go((side + column // count, min(max(row, 0), count - 1), column % count))
                self.reached.emit(self.cell(*self._at))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and count:
            self._pick()
        else:
            super().keyPressEvent(event)

    def _go(self, at: tuple[int, int, int]) -> None:
        self._at = at
        self.update()

    def _pick(self) -> None:
        if self._counts[self._at]:
            self.picked.emit(*self._at)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self.update()
