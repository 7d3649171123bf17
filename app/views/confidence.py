"""Confidence of every loaded model in every class, on one axis: clean above in blue, adversarial below in orange."""

from collections.abc import Sequence

from numpy.typing import ArrayLike
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QFrame,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.views import hud
from app.views.paint import faint, write
from app.views.verdicts import Verdicts

TOP = 6  # rows shown until a person asks for all
ROW, LINE, BAR = 24, 18, 7  # heights in pixels: a class, a line of the header, a bar
HEADER = 4 * LINE  # names of the models, one verdict per cloud, the scale
GUTTER, GAP = 16, 6  # room for the mark of the true class; between models
COLUMN = 50  # narrowest column of a model
EMPTY = "Open a cloud and load a model to see how sure each model is of each class."


class ConfidenceView(QWidget):
    """Bars from 0 to 1: classes down, models across, one pair of bars (clean, adversarial) where they meet.

    The six most confident classes have rows; a switch shows all classes in their own order. Rows keep their places
    while only the adversarial cloud changes (`Verdicts.hold`); they are sorted anew for another cloud or on `settle`.
    """

    allShown = Signal(bool)
    """Whether every class has a row, after that has changed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars = _Bars()
        self._all = QToolButton(toolButtonStyle=Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._all.setToolTip("Show every class in the dataset's order, or only the most confident ones")
        theme.role(self._all, "flat")
        self._legend = QLabel()
        theme.role(self._legend, "caption")
        footer = QHBoxLayout()
        footer.addWidget(self._all)
        footer.addStretch()
        footer.addWidget(self._legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        layout.addWidget(self._bars)
        layout.addLayout(footer)
        self._all.clicked.connect(lambda: self.set_all(not self._bars.show_all))
        self.setAccessibleName("Confidence of each model in each class")
        self._refresh()

    def set_verdicts(
        self,
        classes: Sequence[str],
        models: Sequence[str],
        clean: ArrayLike | None,
        adversarial: ArrayLike | None,
        true_class: int | None,
        target_class: int | None,
    ) -> None:
        """Show what M models think of a cloud and of its adversarial copy; arguments and errors are `Verdicts`'."""
        self._bars.put(Verdicts(classes, models, clean, adversarial, true_class, target_class))
        self._refresh()

    def settle(self) -> None:
        """Sort the rows anew: the slider has been let go."""
        self._bars.sort()

    def set_all(self, on: bool) -> None:
        """Rows for every class, or for the most confident ones."""
        self._bars.show_all = on
        self._bars.sort()
        self._refresh()
        self.allShown.emit(on)

    def _refresh(self) -> None:
        verdicts, everything = self._bars.verdicts, self._bars.show_all
        self._all.setVisible(len(verdicts.classes) > TOP)
        self._all.setText(f"top {TOP}" if everything else f"all {len(verdicts.classes)}")
        theme.set_icon(self._all, "chevron-down" if everything else "chevron-right", "muted")
        marks = [("●", "true class", verdicts.true_class), ("○", "target", verdicts.target_class)]
        self._legend.setText("    ".join(f"{mark} {name}" for mark, name, index in marks if index is not None))
        self.setAccessibleDescription(verdicts.spoken() or EMPTY)


class _Bars(QAbstractScrollArea):
    """The painted part: a header with the verdicts that stays, and rows that scroll under it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Confidence bars")
        self.verdicts = Verdicts()
        self.show_all = False
        self._rows: list[int] = []
        self.viewport().setAutoFillBackground(False)
        theme.notifier.changed.connect(self.viewport().update)

    def put(self, verdicts: Verdicts) -> None:
        same, self.verdicts = verdicts.of_same_cloud(self.verdicts), verdicts
        if not same:
            self.sort()
        elif not self.show_all:
            self._rows = verdicts.hold(self._rows)
        self.viewport().update()

    def sort(self) -> None:
        count = len(self.verdicts.classes)
        self._rows = list(range(count)) if self.show_all else self.verdicts.top(TOP)
        self._lay_out()

    # --- where it is --------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        labels = QFontMetrics(theme.font(semibold=True))
        widest = max((labels.horizontalAdvance(name) for name in self.verdicts.classes), default=0)
        captions = QFontMetrics(theme.font(theme.CAPTION_PX)).horizontalAdvance("adversarial")
        self._names = GUTTER + min(max(widest, captions), 120) + GAP
        view = self.viewport().size()
        count = max(1, len(self.verdicts.models))
        self._column = max(COLUMN + GAP, (view.width() - self._names) // count)
        self.verticalScrollBar().setRange(0, max(0, HEADER + ROW * len(self._rows) - view.height()))
        self.verticalScrollBar().setPageStep(max(1, view.height() - HEADER))
        self.verticalScrollBar().setSingleStep(ROW)
        self.horizontalScrollBar().setRange(0, max(0, self._names + self._column * count - view.width()))
        self.horizontalScrollBar().setPageStep(max(1, view.width() - self._names))
        self.horizontalScrollBar().setSingleStep(self._column)
        self.viewport().update()
        self.updateGeometry()

    def _left(self, model: int) -> int:
        return self._names + model * self._column - self.horizontalScrollBar().value()

    def _top(self, row: int) -> int:
        return HEADER + row * ROW - self.verticalScrollBar().value()

    def _tip(self, where: QPoint) -> str:
        """Exact numbers of the bars under the mouse, or of the predictions where it is on a model's name."""
        row, model = (where.y() - self._top(0)) // ROW, (where.x() - self._left(0)) // self._column
        if where.x() < self._names or model >= len(self.verdicts.models) or row >= len(self._rows):
            return ""
        return self.verdicts.exact(model, None if where.y() < HEADER else self._rows[row])

    def sizeHint(self) -> QSize:
        return QSize(320, HEADER + TOP * ROW + theme.SPACE_XS)

    def minimumSizeHint(self) -> QSize:
        return QSize(220, HEADER + 3 * ROW)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    # --- the picture --------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, view = QPainter(self.viewport()), self.viewport().rect()
        if not self.verdicts.clouds:
            hud.empty(painter, view, "No verdicts yet", EMPTY)
            return
        painter.setClipRect(view.adjusted(0, HEADER, 0, 0))
        self._paint_names(painter)
        painter.setClipRect(view.adjusted(self._names, HEADER, 0, 0))
        self._paint_bars(painter)
        painter.setClipRect(QRect(self._names, 0, view.width() - self._names, HEADER))
        self._paint_header(painter)
        painter.setClipping(False)
        for line, name in enumerate(self.verdicts.clouds, start=1):
            box = QRect(GUTTER, line * LINE, self._names, LINE)
            write(painter, box, name, theme.font(theme.CAPTION_PX), _colour(name))

    def _paint_names(self, painter: QPainter) -> None:
        now, verdicts = theme.current(), self.verdicts
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, k in enumerate(self._rows):
            top, wins, true = self._top(row), k in verdicts.winners, k == verdicts.true_class
            if true or k == verdicts.target_class:
                painter.setPen(QPen(now.text, 1.5))
                painter.setBrush(now.text if true else Qt.BrushStyle.NoBrush)
                painter.drawEllipse(QPointF(GUTTER / 2 - 1, top + ROW / 2), 3, 3)
            box = QRect(GUTTER, top, self._names - GUTTER - GAP, ROW)
            write(painter, box, verdicts.classes[k], theme.font(semibold=wins), now.text if wins or true else now.muted)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_bars(self, painter: QPainter) -> None:
        length, bottom = self._column - GAP, self._top(len(self._rows))
        guide = faint(theme.current().border, 0.6)
        for m in range(len(self.verdicts.models)):
            left = self._left(m)
            for x in (left, left + length // 2, left + length - 1):
                painter.fillRect(x, HEADER, 1, bottom - HEADER, guide)
            for row, k in enumerate(self._rows):
                top = self._top(row) + (ROW - 2 * BAR - 1) // 2
                for line, (name, values) in enumerate(self.verdicts.clouds.items()):
                    bar = QRectF(left, top + line * (BAR + 1), float(values[m, k]) * length, BAR)
                    painter.fillRect(bar, _colour(name))

    def _paint_header(self, painter: QPainter) -> None:
        now, verdicts, width = theme.current(), self.verdicts, self._column - GAP
        title, caption = theme.font(theme.CAPTION_PX, semibold=True), theme.font(theme.CAPTION_PX)
        for m, model in enumerate(verdicts.models):
            left = self._left(m)
            write(painter, QRect(left, 0, width, LINE), model, title, now.text)
            scale = QRect(left, HEADER - LINE, width, LINE)
            write(painter, scale, "0", caption, now.muted)
            write(painter, scale, "1", caption, now.muted, Qt.AlignmentFlag.AlignRight)
            for line, (name, predicted) in enumerate(verdicts.predicted.items(), start=1):
                box = QRect(left, line * LINE, width, LINE)
                if verdicts.true_class is not None:
                    _draw_mark(painter, box, predicted[m] == verdicts.true_class, _colour(name))
                    box.adjust(14, 0, 0, 0)
                write(painter, box, verdicts.classes[predicted[m]], caption, now.text)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._tip(event.pos()), self.viewport())
            return True
        return super().viewportEvent(event)


def _colour(cloud: str) -> QColor:
    return theme.current().clean if cloud == "clean" else theme.current().adv


def _draw_mark(painter: QPainter, box: QRect, right: bool, colour: QColor) -> None:
    """A check mark or a cross, drawn by hand: not every platform's font has them."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.translate(box.left() + 1, box.top() + LINE / 2)
    if right:
        painter.drawPolyline(QPolygonF([QPointF(0, 0), QPointF(3, 3), QPointF(8, -4)]))
    else:
        painter.drawLine(QPointF(0.5, -3.5), QPointF(7.5, 3.5))
        painter.drawLine(QPointF(0.5, 3.5), QPointF(7.5, -3.5))
    painter.restore()
