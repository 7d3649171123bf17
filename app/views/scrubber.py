"""The slider over the steps of an attack: where each start begins, and the step of the best iterate."""

from collections.abc import Sequence

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QWidget

from app.shell import theme

LINE = 6  # in pixels: half the height of the line where a start begins
DIAMOND = 4  # in pixels: half the height of the mark at the best iterate


class Scrubber(QSlider):
    """A horizontal slider with a line where each further start begins, and a diamond at the best iterate's step."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.starts: tuple[int, ...] = ()
        """Steps after which a further start begins."""
        self.best: int | None = None
        """Step of the best iterate."""
        theme.notifier.changed.connect(self.update)

    def set_marks(self, starts: Sequence[int], best: int | None) -> None:
        """Mark the steps after which a further start begins, and the one whose iterate is the result."""
        self.starts, self.best = tuple(starts), best
        self.update()

    def place(self, step: int) -> float:
        """Horizontal position of a step, in pixels."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        style, kind = self.style(), QStyle.ComplexControl.CC_Slider
        groove = style.subControlRect(kind, option, QStyle.SubControl.SC_SliderGroove, self)
        handle = style.subControlRect(kind, option, QStyle.SubControl.SC_SliderHandle, self).width()
        way = groove.width() - handle
        return groove.left() + handle / 2 + style.sliderPositionFromValue(self.minimum(), self.maximum(), step, way)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, now, middle = QPainter(self), theme.current(), self.height() / 2
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(now.muted, 1))
        for step in self.starts:
            x = self.place(step)
            painter.drawLine(QPointF(x, middle - LINE), QPointF(x, middle + LINE))
        painter.end()
        super().paintEvent(event)
        if self.best is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(now.window, 1))
        painter.setBrush(now.adv)
        steps = (QPointF(0, -DIAMOND), QPointF(DIAMOND, 0), QPointF(0, DIAMOND), QPointF(-DIAMOND, 0))
        painter.drawPolygon(QPolygonF([QPointF(self.place(self.best), middle) + step for step in steps]))
