"""Confidence bars of a model in each class: the clean cloud in blue, the adversarial one in orange below."""

from collections.abc import Sequence

from numpy.typing import ArrayLike
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.shell import icons, theme
from app.shell.plain_text import show_tooltip
from app.shell.widgets import Label, tool_button
from app.views import annotations
from app.views.confidence_table import ConfidenceTable
from app.views.painting import draw_focus_frame, draw_text, translucent
from core.runtime.text import printable

TOP_CLASSES = 6  # rows unless all classes are shown
ROW_HEIGHT, HEADER_LINE, BAR_HEIGHT = 24, 18, 7  # heights in pixels: a class, a line of the header, a bar
HEADER_HEIGHT = 3 * HEADER_LINE  # predictions on both clouds, scale
MARK_WIDTH, GAP = 16, 6  # in pixels: for the mark of the true class; between names and bars
EMPTY_HINT = "With a model and a shape, its confidence in each class is shown here."


class ConfidenceView(QWidget):
    """Bars from 0 to 1: a row for each class, with two bars (clean, adversarial).

    The six most confident classes have rows; a button shows all classes in the dataset's order. While only the
    adversarial cloud changes, rows stay where they are (`ConfidenceTable.keep_rows`); they are sorted for another cloud
    and by `sort_rows`.
    """

    allShown = Signal(bool)
    """Emitted when the view switches between all classes (True) and the most confident ones (False)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars = _Bars()
        tip = "Show every class in the dataset's order, or only the most confident ones"
        self._all = tool_button("all", "chevron-right", colour="muted", role="flat", tip=tip)
        self._mark_legend = Label(role="caption")
        footer = QHBoxLayout()
        footer.addWidget(self._all)
        footer.addStretch()
        footer.addWidget(self._mark_legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        layout.addWidget(self._bars)
        layout.addLayout(footer)
        self._all.clicked.connect(lambda: self.set_all(not self._bars.show_all))
        self.setAccessibleName("Confidence of the model in each class")
        self._update_labels()

    def set_verdicts(
        self,
        classes: Sequence[str],
        clean: ArrayLike | None,
        adversarial: ArrayLike | None,
        true_class: int | None,
        target_class: int | None,
    ) -> None:
        """Show the confidences of a model; for arguments and errors see `ConfidenceTable`."""
        self._bars.set_table(ConfidenceTable(classes, clean, adversarial, true_class, target_class))
        self._update_labels()

    def sort_rows(self) -> None:
        """Sort the rows by confidence."""
        self._bars.sort()

    def set_all(self, on: bool) -> None:
        """Show rows for all classes, or for the most confident ones."""
        self._bars.show_all = on
        self._bars.sort()
        self._update_labels()
        self.allShown.emit(on)

    def _update_labels(self) -> None:
        table, show_all = self._bars.table, self._bars.show_all
        self._all.setVisible(len(table.classes) > TOP_CLASSES)
        self._all.setText(f"show top {TOP_CLASSES}" if show_all else f"show all {len(table.classes)}")
        icons.set_icon(self._all, "chevron-down" if show_all else "chevron-right", "muted")
        marks = [("●", "true class", table.true_class), ("○", "target", table.target_class)]
        self._mark_legend.setText("    ".join(f"{mark} {name}" for mark, name, index in marks if index is not None))
        self.setAccessibleDescription(table.accessible_text() or EMPTY_HINT)


class _Bars(QAbstractScrollArea):
    """The painted part: a fixed header with the predictions, and rows that scroll below it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Confidence bars")
        self.table = ConfidenceTable()
        self.show_all = False
        self._rows: list[int] = []
        self.viewport().setAutoFillBackground(False)
        theme.notifier.changed.connect(self.viewport().update)

    def set_table(self, table: ConfidenceTable) -> None:
        same_clean_cloud, self.table = table.has_same_clean_cloud(self.table), table
        if not same_clean_cloud:
            self.sort()
        else:
            self._rows = self._with_others(table.keep_rows(self._rows[:TOP_CLASSES]))
        self.viewport().update()

    def sort(self) -> None:
        self._rows = self._with_others(self.table.top(TOP_CLASSES))
        self._lay_out()

    def _with_others(self, top: list[int]) -> list[int]:
        """The rows to show: these classes and, if all are shown, the others below them in their own order."""
        return top + [k for k in range(len(self.table.classes)) if k not in top] if self.show_all else top

    # --- geometry --------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        labels = QFontMetrics(theme.font(semibold=True))
        widest = max((labels.horizontalAdvance(printable(name)) for name in self.table.classes), default=0)
        captions = QFontMetrics(theme.font(theme.CAPTION_PX)).horizontalAdvance("adversarial")
        self._names = MARK_WIDTH + min(max(widest, captions), 120) + GAP
        view = self.viewport().size()
        self._length = max(1, view.width() - self._names - GAP)
        self.verticalScrollBar().setRange(0, max(0, HEADER_HEIGHT + ROW_HEIGHT * len(self._rows) - view.height()))
        self.verticalScrollBar().setPageStep(max(1, view.height() - HEADER_HEIGHT))
        self.verticalScrollBar().setSingleStep(ROW_HEIGHT)
        self.viewport().update()
        self.updateGeometry()

    def _top(self, row: int) -> int:
        return HEADER_HEIGHT + row * ROW_HEIGHT - self.verticalScrollBar().value()

    def _tooltip(self, where: QPoint) -> str:
        """Exact confidences of the bars at a position."""
        row = (where.y() - self._top(0)) // ROW_HEIGHT
        if where.x() < self._names or where.y() < HEADER_HEIGHT or row >= len(self._rows):
            return ""
        return self.table.exact_text(self._rows[row])

    def sizeHint(self) -> QSize:
        return QSize(320, HEADER_HEIGHT + TOP_CLASSES * ROW_HEIGHT + theme.SPACE_XS)

    def minimumSizeHint(self) -> QSize:
        return QSize(220, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    # --- painting --------------------------------------------------------------------------------------------------

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, view = QPainter(self.viewport()), self.viewport().rect()
        if self.hasFocus():
            draw_focus_frame(painter, view)
        if not self.table.clouds:
            annotations.empty(painter, view, "No verdicts yet", EMPTY_HINT)
            return
        painter.setClipRect(view.adjusted(0, HEADER_HEIGHT, 0, 0))
        self._paint_names(painter)
        painter.setClipRect(view.adjusted(self._names, HEADER_HEIGHT, 0, 0))
        self._paint_bars(painter)
        painter.setClipping(False)
        self._paint_header(painter)

    def _paint_names(self, painter: QPainter) -> None:
        now, table = theme.current(), self.table
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, k in enumerate(self._rows):
            top, predicted, true = self._top(row), k in table.predicted.values(), k == table.true_class
            if true or k == table.target_class:
                painter.setPen(QPen(now.text, 1.5))
                painter.setBrush(now.text if true else Qt.BrushStyle.NoBrush)
                painter.drawEllipse(QPointF(MARK_WIDTH / 2 - 1, top + ROW_HEIGHT / 2), 3, 3)
            box = QRect(MARK_WIDTH, top, self._names - MARK_WIDTH - GAP, ROW_HEIGHT)
            colour = now.text if predicted or true else now.muted
            draw_text(painter, box, table.classes[k], theme.font(semibold=predicted), colour)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_bars(self, painter: QPainter) -> None:
        left, length, bottom = self._names, self._length, self._top(len(self._rows))
        guide = translucent(theme.current().border, 0.6)
        for x in (left, left + length // 2, left + length - 1):
            painter.fillRect(x, HEADER_HEIGHT, 1, bottom - HEADER_HEIGHT, guide)
        for row, k in enumerate(self._rows):
            top = self._top(row) + (ROW_HEIGHT - 2 * BAR_HEIGHT - 1) // 2
            for line, (name, values) in enumerate(self.table.clouds.items()):
                bar = QRectF(left, top + line * (BAR_HEIGHT + 1), float(values[k]) * length, BAR_HEIGHT)
                painter.fillRect(bar, _colour(name))

    def _paint_header(self, painter: QPainter) -> None:
        now, table, caption = theme.current(), self.table, theme.font(theme.CAPTION_PX)
        scale = QRect(self._names, HEADER_HEIGHT - HEADER_LINE, self._length, HEADER_LINE)
        draw_text(painter, scale, "0", caption, now.muted)
        draw_text(painter, scale, "1", caption, now.muted, Qt.AlignmentFlag.AlignRight)
        for line, (name, predicted) in enumerate(table.predicted.items()):
            box = QRect(MARK_WIDTH, line * HEADER_LINE, self._names - MARK_WIDTH, HEADER_LINE)
            draw_text(painter, box, name, caption, _colour(name))
            box = QRect(self._names, line * HEADER_LINE, self._length, HEADER_LINE)
            if table.true_class is not None:
                _draw_mark(painter, box, predicted == table.true_class, _colour(name))
                box.adjust(14, 0, 0, 0)
            draw_text(painter, box, table.classes[predicted], caption, now.text)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            show_tooltip(event.globalPos(), self._tooltip(event.pos()), self.viewport())
            return True
        return super().viewportEvent(event)


def _colour(cloud: str) -> QColor:
    return theme.current().clean if cloud == "clean" else theme.current().adv


def _draw_mark(painter: QPainter, box: QRect, right: bool, colour: QColor) -> None:
    """Draw a check mark or a cross as lines, because not every platform's font has these characters."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.translate(box.left() + 1, box.top() + HEADER_LINE / 2)
    if right:
        painter.drawPolyline(QPolygonF([QPointF(0, 0), QPointF(3, 3), QPointF(8, -4)]))
    else:
        painter.drawLine(QPointF(0.5, -3.5), QPointF(7.5, 3.5))
        painter.drawLine(QPointF(0.5, 3.5), QPointF(7.5, -3.5))
    painter.restore()
