"""The course of an attack: loss and RMSE over its steps, as two small curves with a mark at the shown step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import number
from app.views.painting import draw_text

HEIGHT = 64
"""In pixels: a line of captions, and the curves."""
CAPTION = 16


@dataclass(frozen=True, eq=False)
class _Curve:
    name: str
    unit: str
    values: NDArray[np.floating]
    """(T,)"""


class AttackTraces(QWidget):
    """Two curves side by side, each over the steps and scaled to its own range; a click goes to a step."""

    stepChosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: tuple[_Curve, ...] = ()
        self._position = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Loss and RMSE over the steps of the attack")
        set_tooltip(self, "Loss and RMSE after each step of the attack. Click to go to a step.")
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(300, HEIGHT)

    def set_traces(self, loss: NDArray[np.floating], rmse: NDArray[np.floating], position: int) -> None:
        """Show T states of an attack, the one at ``position`` marked.

        Parameters
        ----------
        loss
            (T,), in nats; NaN where it is not known.
        rmse
            (T,), in unit-sphere radii.
        """
        self._curves = (_Curve("loss", "nat", loss), _Curve("RMSE", "r", rmse))
        self._position = position
        self.setAccessibleDescription(", ".join(map(self._text, self._curves)))
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._curves:
            self._choose(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self._curves:
            self._choose(event.position())

    def _choose(self, at: QPointF) -> None:
        area = self._area(0 if at.x() < self.width() / 2 else 1)
        share = np.clip((at.x() - area.left()) / area.width(), 0.0, 1.0)
        self.stepChosen.emit(round(share * (len(self._curves[0].values) - 1)))

    def _area(self, place: int) -> QRectF:
        """Of the curve ``place``, without its caption."""
        width = (self.width() - theme.SPACE_L) / 2
        return QRectF(place * (width + theme.SPACE_L), CAPTION + 2, width, self.height() - CAPTION - 4)

    def _text(self, curve: _Curve) -> str:
        value = curve.values[self._position]
        return f"{curve.name} {number(float(value))} {curve.unit}" if np.isfinite(value) else f"{curve.name} –"

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for place, curve in enumerate(self._curves):
            area = self._area(place)
            caption = QRect(round(area.left()), 0, round(area.width()), CAPTION)
            draw_text(painter, caption, self._text(curve), theme.font(theme.CAPTION_PX), colours.muted)
            painter.fillRect(area, colours.raised)
            self._paint_curve(painter, area.adjusted(3, 4, -3, -4), curve.values)

    def _paint_curve(self, painter: QPainter, area: QRectF, values: NDArray[np.floating]) -> None:
        known = np.flatnonzero(np.isfinite(values))
        if len(known) == 0:
            return
        low, high = float(values[known].min()), float(values[known].max())
        x = area.left() + area.width() * np.arange(len(values)) / max(1, len(values) - 1)
        y = area.bottom() - area.height() * (values - low) / max(high - low, 1e-12)
        colours = theme.current()
        painter.setPen(QPen(colours.adv, 1.5))
        painter.drawPolyline(QPolygonF([QPointF(x[step], y[step]) for step in known]))
        painter.setPen(QPen(colours.muted, 1.0))
        painter.drawLine(QLineF(x[self._position], area.top(), x[self._position], area.bottom()))
        if self._position in known:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.text)
            painter.drawEllipse(QPointF(x[self._position], y[self._position]), 3.0, 3.0)
            painter.setBrush(Qt.BrushStyle.NoBrush)
