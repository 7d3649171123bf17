"""The epsilon slider's groove and handle, with the outcome over epsilon drawn as curves in the groove."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QRegion,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSlider, QSizePolicy

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views.painting import translucent
from core.runtime.text import printable

CURVE_HEIGHT, CAPTION_HEIGHT = 28, 14  # in pixels: of the curve, of the numbers under it
MARGIN = 12  # in pixels, left and right of the curve, for half of the handle and of the last caption
_KEYS = {
    *(Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down),
    *(Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home, Qt.Key.Key_End),
}


@dataclass(frozen=True)
class Scale:
    """What epsilon measures, and its steps: one key press, and one unit of the slider's integer value."""

    unit: str
    words: str
    highest: float
    step: float

    @property
    def decimals(self) -> int:
        """Number of decimals of a value in whole steps."""
        return max(0, -math.floor(math.log10(self.step) + 1e-9))


RADII = Scale("r", "unit-sphere radii", 0.3, 0.001)


@dataclass(frozen=True, eq=False)
class OutcomeCurves:
    """Predictions of M models under an attack at E epsilons, to be drawn.

    Parameters
    ----------
    epsilons
        (E,) rising.
    confidence
        (M, E) confidence of each model in its class of ``labels``, 0 to 1.
    wrong
        (M, E) whether the prediction is another class.
    names
        Names of the M models.
    primary
        Index of the attacked model.
    labels
        The class that each model should predict.
    decimals
        Number of decimals of epsilons in texts.

    Raises
    ------
    ValueError
        If the shapes differ.
    """

    epsilons: NDArray[np.floating]
    confidence: NDArray[np.floating]
    wrong: NDArray[np.bool_]
    names: tuple[str, ...]
    primary: int
    labels: tuple[str, ...]
    decimals: int = 2

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.epsilons))
        if self.confidence.shape != shape or self.wrong.shape != shape:
            raise ValueError(
                f"confidences {self.confidence.shape} and verdicts {self.wrong.shape} were given for {shape[0]} models "
                f"and {shape[1]} epsilons; {shape} is needed of both"
            )
        if not 0 <= self.primary < len(self.names):
            raise ValueError(f"model {self.primary} is not one of the {len(self.names)} models of the outcome")

    def wrong_ranges(self, model: int) -> list[tuple[int, int]]:
        """First and last index in ``epsilons`` of each range in which a model's prediction is wrong."""
        changes = np.flatnonzero(np.diff(self.wrong[model].astype(int), prepend=0, append=0))
        return [(int(first), int(end) - 1) for first, end in changes.reshape(-1, 2)]

    def text_at(self, epsilon: float) -> str:
        """A line for each model: its confidence at an epsilon, and the ranges in which it gives another verdict."""
        lines = []
        for model, name in enumerate(self.names):
            confidence = np.interp(epsilon, self.epsilons, self.confidence[model])
            name_and_class = printable(f"{name}: {self.labels[model]}")
            lines.append(f"{name_and_class} {confidence:.2f}{self._wrong_ranges_text(model)}")
        return "\n".join(lines)

    def accessible_text(self) -> str:
        """The ranges in which each model gives another verdict, for a screen reader."""
        return "; ".join(f"{name}{text}" for m, name in enumerate(self.names) if (text := self._wrong_ranges_text(m)))

    def _wrong_ranges_text(self, model: int) -> str:
        ends = [(self.epsilons[first], self.epsilons[last]) for first, last in self.wrong_ranges(model)]
        words = [[f"{epsilon:.{self.decimals}f}" for epsilon in dict.fromkeys(pair)] for pair in ends]
        ranges = [" to ".join(pair) for pair in words]
        return f", another verdict at {', '.join(ranges)}" if ranges else ""


class Groove(QAbstractSlider):
    """A slider whose integer value is epsilon in steps of its scale.

    Mouse, keys and wheel all emit `sliderPressed`, `valueChanged`, `sliderReleased` in this order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setOrientation(Qt.Orientation.Horizontal)
        self.setSingleStep(1)
        self.setPageStep(10)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_outcome(None, "")
        self.set_scale(RADII)
        theme.notifier.changed.connect(self._redraw)

    def set_scale(self, scale: Scale) -> None:
        """Measure epsilon on another scale; the value keeps its place only if that is one of the new one."""
        self.scale = scale
        self.setMaximum(round(scale.highest / scale.step))
        self.setAccessibleName(f"Epsilon in steps of {scale.step:g} {scale.words}")
        self._redraw()

    def set_outcome(self, outcome: OutcomeCurves | None, note: str) -> None:
        """Draw the curves of an outcome, or none, and a note over them."""
        self._outcome, self._note = outcome, note
        self.setAccessibleDescription("; ".join(filter(None, (note, outcome.accessible_text() if outcome else ""))))
        self._redraw()

    # --- geometry --------------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(360, CURVE_HEIGHT + CAPTION_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, CURVE_HEIGHT + CAPTION_HEIGHT)

    def _curve_area(self) -> QRectF:
        return QRectF(MARGIN, 0, max(1, self.width() - 2 * MARGIN), CURVE_HEIGHT)

    def _x(self, epsilon: float) -> float:
        area = self._curve_area()
        return area.left() + area.width() * epsilon / self.scale.highest

    def _value_at(self, x: float) -> int:
        """The slider's integer value at a position."""
        area = self._curve_area()
        return int(np.clip(round((x - area.left()) / area.width() * self.maximum()), 0, self.maximum()))

    # --- mouse, keys, wheel: each emits pressed, changed, released -------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.setSliderDown(True)
        self.setSliderPosition(self._value_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.setSliderPosition(self._value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _KEYS:
            self.setSliderDown(True)
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() in _KEYS and not event.isAutoRepeat():
            self.setSliderDown(False)
        super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.setSliderDown(False)  # its release would go to another widget
        super().focusOutEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not self.hasFocus():
            event.ignore()  # the panel scrolls
            return
        self.setSliderDown(True)
        super().wheelEvent(event)
        self.setSliderDown(False)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            show_tooltip(event.globalPos(), self._tooltip(event.pos()), self)
            return True
        return super().event(event)

    def _tooltip(self, where: QPoint) -> str:
        """Epsilon at a position, and the predictions of the models there."""
        epsilon = self._value_at(where.x()) * self.scale.step
        lines = [f"ε = {epsilon:.{self.scale.decimals}f} {self.scale.words}"]
        if self.scale.unit == RADII.unit:
            lines.append(f"{50 * epsilon:.2f}\u2009% of the diameter")
        return "\n".join(filter(None, (*lines, self._note, self._outcome.text_at(epsilon) if self._outcome else "")))

    # --- painting --------------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        self._curves = QPixmap()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._redraw()

    def sliderChange(self, change: QAbstractSlider.SliderChange) -> None:
        if change == QAbstractSlider.SliderChange.SliderRangeChange:
            self._redraw()
        super().sliderChange(change)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        now, area = theme.current(), self._curve_area()
        frame = QPainterPath()
        frame.addRoundedRect(area.adjusted(0, 0.5, 0, -0.5), 4, 4)
        painter.fillPath(frame, now.raised)
        painter.setClipPath(frame)
        if self._outcome is None:
            passed = self._x(self.value() * self.scale.step) - area.left()
            painter.fillRect(QRectF(area.left(), area.top(), passed, CURVE_HEIGHT), now.hover)
        else:
            self._paint_cached(painter, self._outcome)
        if self._note:
            self._paint_note(painter, area.adjusted(0, 0, -theme.SPACE_S, 0))
        painter.setClipping(False)
        painter.setPen(now.border)
        painter.drawPath(frame)
        self._paint_captions(painter)
        self._paint_handle(painter)

    def _paint_note(self, painter: QPainter, place: QRectF) -> None:
        now, aligned = theme.current(), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(theme.font(theme.CAPTION_PX))
        painter.setPen(now.muted)
        note = painter.fontMetrics().elidedText(self._note, Qt.TextElideMode.ElideRight, int(place.width()))
        words = painter.boundingRect(place, aligned, note)
        painter.fillRect(words.adjusted(-theme.SPACE_XS, 0, theme.SPACE_XS, 0), translucent(now.raised, 0.85))
        painter.drawText(place, aligned, note)

    def _paint_cached(self, painter: QPainter, outcome: OutcomeCurves) -> None:
        """Paint the curves from a cached image, so that moving the handle is fast."""
        ratio = self.devicePixelRatioF()
        if self._curves.isNull() or self._curves.devicePixelRatio() != ratio:
            self._curves = QPixmap(self.size() * ratio)
            self._curves.setDevicePixelRatio(ratio)
            self._curves.fill(Qt.GlobalColor.transparent)
            canvas = QPainter(self._curves)
            canvas.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_curves(canvas, outcome)
            canvas.end()
        painter.drawPixmap(0, 0, self._curves)

    def _paint_curves(self, painter: QPainter, outcome: OutcomeCurves) -> None:
        now, area, primary = theme.current(), self._curve_area(), outcome.primary
        for m in range(len(outcome.names)):
            if m != primary:
                painter.strokePath(self._path(outcome, m), QPen(translucent(now.muted, 0.8), 1))
        curve = self._path(outcome, primary)
        area_under_curve = QPainterPath(curve)
        area_under_curve.lineTo(area.bottomRight())
        area_under_curve.lineTo(area.bottomLeft())
        wrong = QRegion()
        for left, right in self._wrong_ranges_in_pixels(outcome, primary):
            rectangle = QRect(QPoint(round(left), 0), QPoint(round(right) - 1, CURVE_HEIGHT))
            painter.fillRect(rectangle, translucent(now.adv, 0.2))
            wrong += rectangle
        for region, colour in ((QRegion(area.toAlignedRect()) - wrong, now.clean), (wrong, now.adv)):
            painter.save()
            painter.setClipRegion(region, Qt.ClipOperation.IntersectClip)
            painter.fillPath(area_under_curve, translucent(colour, 0.4))
            painter.strokePath(curve, QPen(colour, 1.5))
            painter.restore()
        for m in range(len(outcome.names)):
            painter.setPen(QPen(now.adv if m == primary else now.muted, 1))
            for left, _ in self._wrong_ranges_in_pixels(outcome, m):
                x = round(left) + 0.5
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _wrong_ranges_in_pixels(self, outcome: OutcomeCurves, model: int) -> list[tuple[float, float]]:
        """Left and right end of each wrong range in pixels, half-way to the next epsilon of the grid."""
        middles = (outcome.epsilons[1:] + outcome.epsilons[:-1]) / 2
        edges = [self._curve_area().left(), *map(self._x, middles), self._curve_area().right()]
        return [(edges[first], edges[last + 1]) for first, last in outcome.wrong_ranges(model)]

    def _path(self, outcome: OutcomeCurves, model: int) -> QPainterPath:
        """The confidence curve of a model."""
        area, path = self._curve_area(), QPainterPath()
        heights = area.bottom() - 1 - np.clip(outcome.confidence[model], 0, 1) * (area.height() - 3)
        points = [QPointF(self._x(epsilon), y) for epsilon, y in zip(outcome.epsilons, heights, strict=True)]
        path.addPolygon(QPolygonF(points))
        return path

    def _paint_captions(self, painter: QPainter) -> None:
        painter.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
        painter.setPen(theme.current().muted)
        parts = next(n for n in (3, 4, 5, 1) if self.maximum() % n == 0)  # so that the numbers are short
        for epsilon in np.linspace(0, self.scale.highest, parts + 1):
            box = QRect(round(self._x(epsilon)) - 30, CURVE_HEIGHT, 60, CAPTION_HEIGHT)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"{epsilon:.3g}")

    def _paint_handle(self, painter: QPainter) -> None:
        now = theme.current()
        x = self._x(self.value() * self.scale.step)
        handle = QRectF(x - 4, 1, 8, CURVE_HEIGHT - 2)
        painter.setPen(QPen(now.accent if self.hasFocus() else now.panel, 2))
        painter.setBrush(now.text if self.isEnabled() else now.disabled)
        painter.drawRoundedRect(handle, 4, 4)
