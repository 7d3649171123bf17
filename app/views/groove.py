"""The groove of the epsilon slider: it counts in thousandths and shows an outcome curve behind its handle."""

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
from PySide6.QtWidgets import QAbstractSlider, QSizePolicy, QToolTip

from app.shell import theme
from app.views.paint import faint

STEP = 0.001  # unit-sphere radii: one step of the keys, one of the integers in which Qt's slider counts
HEIGHT, CAPTIONS = 28, 14  # in pixels: of the curve, of the numbers under it
SIDE = 12  # room left and right of the curve for half a handle and half a number
_KEYS = {
    *(Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down),
    *(Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home, Qt.Key.Key_End),
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What M models make of an attack at E epsilons.

    Parameters
    ----------
    epsilons
        (E,) rising, in unit-sphere radii.
    confidence
        (M, E) confidence in ``label``, 0 to 1.
    wrong
        (M, E) whether the verdict is another.
    names
        M names of models.
    primary
        The attacked model.
    label
        The class the attack moves away from.

    Raises
    ------
    ValueError
        If the lengths do not agree.
    """

    epsilons: NDArray[np.floating]
    confidence: NDArray[np.floating]
    wrong: NDArray[np.bool_]
    names: tuple[str, ...]
    primary: int
    label: str

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.epsilons))
        if self.confidence.shape != shape or self.wrong.shape != shape:
            raise ValueError(
                f"confidences {self.confidence.shape} and verdicts {self.wrong.shape} were given for {shape[0]} models "
                f"and {shape[1]} epsilons; {shape} is needed of both"
            )
        if not 0 <= self.primary < len(self.names):
            raise ValueError(f"model {self.primary} is not one of the {len(self.names)} models of the outcome")

    def runs(self, model: int) -> list[tuple[int, int]]:
        """First and last place, in ``epsilons``, of each stretch at which a model's verdict is another."""
        turns = np.flatnonzero(np.diff(self.wrong[model].astype(int), prepend=0, append=0))
        return [(int(first), int(end) - 1) for first, end in turns.reshape(-1, 2)]

    def at(self, epsilon: float) -> str:
        """A line for each model: its confidence at an epsilon, and all epsilons at which it gives another verdict."""
        lines = []
        for model, name in enumerate(self.names):
            confidence = np.interp(epsilon, self.epsilons, self.confidence[model])
            lines.append(f"{name}: {self.label} {confidence:.2f}{self._elsewhere(model)}")
        return "\n".join(lines)

    def spoken(self) -> str:
        """Where the models give another verdict, for a screen reader."""
        return "; ".join(f"{name}{found}" for m, name in enumerate(self.names) if (found := self._elsewhere(m)))

    def _elsewhere(self, model: int) -> str:
        ends = [(self.epsilons[first], self.epsilons[last]) for first, last in self.runs(model)]
        stretches = [f"{first:.2f}" if first == last else f"{first:.2f} to {last:.2f}" for first, last in ends]
        return f", another verdict at {', '.join(stretches)}" if stretches else ""


class Groove(QAbstractSlider):
    """The handle, the keys and the number beside it meet on the same values, multiples of `STEP`.

    Mouse, keys and wheel all speak the slider's own language: `sliderPressed`, `valueChanged`, `sliderReleased`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setOrientation(Qt.Orientation.Horizontal)
        self.setSingleStep(1)
        self.setPageStep(10)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Epsilon in thousandths of a unit-sphere radius")
        self.put(None, "")
        theme.notifier.changed.connect(self._redraw)

    def put(self, outcome: Outcome | None, note: str) -> None:
        """Draw an outcome, or nothing, and write a note over it."""
        self._outcome, self._note = outcome, note
        self.setAccessibleDescription("; ".join(filter(None, (note, outcome.spoken() if outcome else ""))))
        self._redraw()

    # --- where it is --------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(360, HEIGHT + CAPTIONS)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, HEIGHT + CAPTIONS)

    def _rail(self) -> QRectF:
        return QRectF(SIDE, 0, max(1, self.width() - 2 * SIDE), HEIGHT)

    def _x(self, epsilon: float) -> float:
        rail = self._rail()
        return rail.left() + rail.width() * epsilon / (self.maximum() * STEP)

    def _count(self, x: float) -> int:
        """The slider's integer at a place."""
        rail = self._rail()
        return int(np.clip(round((x - rail.left()) / rail.width() * self.maximum()), 0, self.maximum()))

    # --- mouse, keys, wheel: each is pressed, moved, released ----------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.setSliderDown(True)
        self.setSliderPosition(self._count(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.setSliderPosition(self._count(event.position().x()))

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
        self.setSliderDown(False)  # a key that is let go elsewhere is let go
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
            QToolTip.showText(event.globalPos(), self._tip(event.pos()), self)
            return True
        return super().event(event)

    def _tip(self, where: QPoint) -> str:
        """Epsilon under the mouse and what the models make of it."""
        epsilon = self._count(where.x()) * STEP
        lines = [f"ε = {epsilon:.3f} unit-sphere radii", f"{50 * epsilon:.2f}\u2009% of the diameter"]
        return "\n".join(filter(None, (*lines, self._note, self._outcome.at(epsilon) if self._outcome else "")))

    # --- the picture --------------------------------------------------------------------------------------------

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
        now, rail = theme.current(), self._rail()
        frame = QPainterPath()
        frame.addRoundedRect(rail.adjusted(0, 0.5, 0, -0.5), 4, 4)
        painter.fillPath(frame, now.raised)
        painter.setClipPath(frame)
        if self._outcome is None:
            passed = self._x(self.value() * STEP) - rail.left()
            painter.fillRect(QRectF(rail.left(), rail.top(), passed, HEIGHT), now.hover)
        else:
            self._paint_cached(painter, self._outcome)
        if self._note:
            self._paint_note(painter, rail.adjusted(0, 0, -theme.SPACE_S, 0))
        painter.setClipping(False)
        painter.setPen(now.border)
        painter.drawPath(frame)
        self._paint_captions(painter)
        self._paint_handle(painter)

    def _paint_note(self, painter: QPainter, place: QRectF) -> None:
        now, aligned = theme.current(), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(theme.font(theme.CAPTION_PX))
        painter.setPen(now.muted)
        words = painter.boundingRect(place, aligned, self._note)
        painter.fillRect(words.adjusted(-theme.SPACE_XS, 0, theme.SPACE_XS, 0), faint(now.raised, 0.85))
        painter.drawText(place, aligned, self._note)

    def _paint_cached(self, painter: QPainter, outcome: Outcome) -> None:
        """The curves from a picture of them: while the handle moves only the handle costs time."""
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

    def _paint_curves(self, painter: QPainter, outcome: Outcome) -> None:
        now, rail, primary = theme.current(), self._rail(), outcome.primary
        for m in range(len(outcome.names)):
            if m != primary:
                painter.strokePath(self._path(outcome, m), QPen(faint(now.muted, 0.8), 1))
        curve = self._path(outcome, primary)
        hill = QPainterPath(curve)
        hill.lineTo(rail.bottomRight())
        hill.lineTo(rail.bottomLeft())
        wrong = QRegion()
        for left, right in self._stretches(outcome, primary):
            zone = QRect(QPoint(round(left), 0), QPoint(round(right) - 1, HEIGHT))
            painter.fillRect(zone, faint(now.adv, 0.2))
            wrong += zone
        for zone, colour in ((QRegion(rail.toAlignedRect()) - wrong, now.clean), (wrong, now.adv)):
            painter.save()
            painter.setClipRegion(zone, Qt.ClipOperation.IntersectClip)
            painter.fillPath(hill, faint(colour, 0.4))
            painter.strokePath(curve, QPen(colour, 1.5))
            painter.restore()
        for m in range(len(outcome.names)):
            painter.setPen(QPen(now.adv if m == primary else now.muted, 1))
            for left, _ in self._stretches(outcome, m):
                x = round(left) + 0.5
                painter.drawLine(QPointF(x, rail.top()), QPointF(x, rail.bottom()))

    def _stretches(self, outcome: Outcome, model: int) -> list[tuple[float, float]]:
        """Left and right end of what is drawn as another verdict: half-way to the next epsilon that is not."""
        middles = (outcome.epsilons[1:] + outcome.epsilons[:-1]) / 2
        edges = [self._rail().left(), *map(self._x, middles), self._rail().right()]
        return [(edges[first], edges[last + 1]) for first, last in outcome.runs(model)]

    def _path(self, outcome: Outcome, model: int) -> QPainterPath:
        """The curve of a model from left to right."""
        rail, path = self._rail(), QPainterPath()
        heights = rail.bottom() - 1 - np.clip(outcome.confidence[model], 0, 1) * (rail.height() - 3)
        points = [QPointF(self._x(epsilon), y) for epsilon, y in zip(outcome.epsilons, heights, strict=True)]
        path.addPolygon(QPolygonF(points))
        return path

    def _paint_captions(self, painter: QPainter) -> None:
        painter.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
        painter.setPen(theme.current().muted)
        parts = next(n for n in (3, 4, 5, 1) if self.maximum() % n == 0)  # so that the numbers are short
        for epsilon in np.linspace(0, self.maximum() * STEP, parts + 1):
            box = QRect(round(self._x(epsilon)) - 30, HEIGHT, 60, CAPTIONS)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"{epsilon:.3g}")

    def _paint_handle(self, painter: QPainter) -> None:
        now = theme.current()
        x = self._x(self.value() * STEP)
        handle = QRectF(x - 4, 1, 8, HEIGHT - 2)
        painter.setPen(QPen(now.accent if self.hasFocus() else now.panel, 2))
        painter.setBrush(now.text if self.isEnabled() else now.disabled)
        painter.drawRoundedRect(handle, 4, 4)
