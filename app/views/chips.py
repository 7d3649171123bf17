"""Short verdicts of all shown models in one line, for where the confidence bars have no space."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QSize
from PySide6.QtGui import QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views.model_list import ModelRow
from app.views.painting import draw_text


class VerdictChips(QWidget):
    """A chip for each model, orange where it is fooled; those without space are counted, and are in the tooltip."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[ModelRow, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Verdicts")
        theme.notifier.changed.connect(self.update)

    def set_rows(self, rows: Sequence[ModelRow]) -> None:
        """Show those of these models that give a verdict, in this order."""
        self.rows = tuple(row for row in rows if row.verdict)
        self.setAccessibleDescription("; ".join(row.short for row in self.rows))
        self.update()

    @property
    def boxes(self) -> list[QRect]:
        """Where the chips are that fit into the width."""
        metrics, left = QFontMetrics(theme.font()), 0
        boxes: list[QRect] = []
        more = metrics.horizontalAdvance("+99") + theme.SPACE_S
        for place, row in enumerate(self.rows):
            width = metrics.horizontalAdvance(row.short) + 2 * theme.SPACE_M + theme.SPACE_XS
            reserved = 0 if place == len(self.rows) - 1 else more
            if left + width + reserved > self.width():
                if not boxes:  # it ends in an ellipsis
                    boxes.append(QRect(0, 0, max(0, self.width() - reserved), self.height()))
                break
            boxes.append(QRect(left, 0, width, self.height()))
            left += width + theme.SPACE_S
        return boxes

    def sizeHint(self) -> QSize:
        return QSize(400, theme.CONTROL_HEIGHT - 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, theme.CONTROL_HEIGHT - 4)

    def paintEvent(self, _: QPaintEvent) -> None:
        painter, now, boxes = QPainter(self), theme.current(), self.boxes
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, box in zip(self.rows, boxes, strict=False):
            colour = now.adv if row.fooled else now.border
            painter.setPen(QPen(colour, 1.5 if row.fooled else 1))
            painter.setBrush(now.raised)
            painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), box.height() / 2, box.height() / 2)
            inside = box.adjusted(theme.SPACE_M, 0, -theme.SPACE_M, 0)
            draw_text(painter, inside, row.short, theme.font(), now.adv if row.fooled else now.text)
        if left_out := len(self.rows) - len(boxes):
            left = boxes[-1].right() + theme.SPACE_S if boxes else 0
            box = QRect(left, 0, self.width() - left, self.height())
            draw_text(painter, box, f"+{left_out}", theme.font(), now.muted)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            show_tooltip(event.globalPos(), "\n".join(row.short for row in self.rows), self)
            return True
        return super().event(event)
