"""The legend of the latent map, whose classes can be hidden."""

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRect, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.views.map_plot import POINT_SIZE, PointStyle, draw_symbol
from app.views.painting import draw_text
from core.runtime.text import printable

ROW_HEIGHT, SYMBOL_WIDTH = 20, 16  # in pixels
MAX_NAME_WIDTH = 200  # of a class, in pixels; longer ones end in an ellipsis


class LegendEntry(NamedTuple):
    """A line of the legend."""

    name: str
    style: PointStyle
    label: int | None = None
    """Number of the class; None for a line that is no class."""
    shown: bool = True


class MapLegend(QWidget):
    """The meaning of outlines, colours and markers, in as many columns as the height requires.

    A click on a class, or Space, hides or shows it; with Ctrl it is shown alone, and then all again.
    """

    toggled = Signal(int)
    """Number of the class that is to be hidden, or shown again."""
    singled = Signal(int)
    """Number of the class that is to be shown alone, or with all others again."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: Sequence[LegendEntry] = ()
        self._current = 0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        self.setAccessibleName("Classes of the map")
        set_tooltip(self, "Click: hide or show a class. Ctrl+click: show it alone, or all again.")

    def set_entries(self, entries: Sequence[LegendEntry]) -> None:
        self._entries = entries
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if entries else Qt.FocusPolicy.NoFocus)
        hidden = [entry.name for entry in entries if not entry.shown]
        self.setAccessibleDescription(f"hidden: {', '.join(hidden)}" if hidden else "all are shown")
        self._update_layout()
        self.update()

    def _update_layout(self) -> None:
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX))
        widest = max((metrics.horizontalAdvance(printable(entry.name)) for entry in self._entries), default=0)
        widest = min(widest, MAX_NAME_WIDTH)
        self._rows, self._column = max(1, self.height() // ROW_HEIGHT), SYMBOL_WIDTH + widest + theme.SPACE_M
        self.setFixedWidth(self._column * -(-len(self._entries) // self._rows))

    def _box(self, at: int) -> QRect:
        column, row = divmod(at, self._rows)
        return QRect(column * self._column, row * ROW_HEIGHT, self._column, ROW_HEIGHT)

    def _choose(self, at: int, alone: bool) -> None:
        label = self._entries[at].label if at < len(self._entries) else None
        if label is not None:
            self._current = at
            (self.singled if alone else self.toggled).emit(label)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at_mouse = event.position().toPoint()
        at = next((at for at in range(len(self._entries)) if self._box(at).contains(at_mouse)), len(self._entries))
        self._choose(at, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_Left: -self._rows, Qt.Key.Key_Right: self._rows}
        if event.key() in step and self._entries:
            self._current = min(max(self._current + step[Qt.Key(event.key())], 0), len(self._entries) - 1)
            self.update()
        elif event.key() == Qt.Key.Key_Space:
            self._choose(self._current, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._update_layout()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, now = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = theme.font(theme.CAPTION_PX)
        for at, (name, style, _, shown) in enumerate(self._entries):
            box = self._box(at)
            centre = QPointF(box.left() + SYMBOL_WIDTH / 2 - 2, box.center().y() + 0.5)
            hidden = style[0], QBrush(Qt.BrushStyle.NoBrush), QPen(now.border, 1)
            draw_symbol(painter, centre, POINT_SIZE + 1, style if shown else hidden)
            text = box.adjusted(SYMBOL_WIDTH, 0, 0, 0)
            draw_text(painter, text, name, font, now.text if shown else now.muted)
            if not shown:
                width = min(QFontMetrics(font).horizontalAdvance(printable(name)), text.width())
                painter.setPen(QPen(now.muted, 1))
                painter.drawLine(text.left(), text.center().y(), text.left() + width, text.center().y())
            if self.hasFocus() and at == self._current:
                painter.setPen(QPen(now.accent, 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(box.adjusted(0, 1, -theme.SPACE_S, -1), 3, 3)
