"""Text and marks painted over a view: title, verdict, scale bar, colour bar, messages.

Each is rendered into a small image, which is cached: a view that rotates repaints the same text sixty times a second.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QLinearGradient, QPainter

from app.shell import theme
from app.views.painting import translucent
from core.runtime.text import printable

_MARGIN = theme.SPACE_M
_PILL_HEIGHT = 22
TITLE_WIDTH = 110  # of title and verdict, in pixels
_VERDICT_TOP = _MARGIN + 18
VERDICT_BOTTOM = _VERDICT_TOP + _PILL_HEIGHT
"""Pixels from the top edge of a view to the end of the verdict."""
SCALE_BAR_HEIGHT = _MARGIN + 10
"""Pixels from the bottom edge of a view to the upper end of the scale bar."""
_LENGTHS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # of the scale bar


def title(painter: QPainter, text: str, colour: QColor) -> None:
    """The name of the view, top left."""
    _draw_cached(painter, QRect(_MARGIN, _MARGIN, 160, 14), _draw_label, text, True, colour.rgba(), _plate())


def verdict(painter: QPainter, text: str, right: bool | None) -> None:
    """Predicted class and confidence, below the title, in the colour of a right or a wrong prediction."""
    colours, text = theme.current(), printable(text)
    colour = {True: colours.ok, False: colours.bad, None: colours.text}[right]
    _pill(painter, QRect(_MARGIN, _VERDICT_TOP, _pill_width(text), _PILL_HEIGHT), text, colour)


def verdict_note(painter: QPainter, area: QRect, verdict_text: str, text: str) -> None:
    """A note on the verdict, beside it, or below it where the view is too narrow for both."""
    left, width = _MARGIN + _pill_width(printable(verdict_text)) + theme.SPACE_S, _pill_width(text)
    fits = left + width <= area.width() - _MARGIN
    corner = QPoint(left, _VERDICT_TOP) if fits else QPoint(_MARGIN, _MARGIN + 46)
    _pill(painter, QRect(corner, QSize(width, _PILL_HEIGHT)), text, theme.current().warn)


def corner_note(painter: QPainter, area: QRect, text: str, colour: QColor, notes: int = 0) -> None:
    """A note on how to read the picture, top right; in a narrow view below the verdict and its ``notes``."""
    most = area.width() - 2 * _MARGIN
    text = QFontMetrics(theme.tabular()).elidedText(text, Qt.TextElideMode.ElideRight, most - 20)
    width = _pill_width(text)
    left = area.width() - _MARGIN - width
    corner = QPoint(left, _MARGIN) if left > _MARGIN + TITLE_WIDTH else QPoint(_MARGIN, _MARGIN + 46 + 28 * notes)
    _pill(painter, QRect(corner, QSize(width, _PILL_HEIGHT)), text, colour)


def state_note(painter: QPainter, text: str) -> None:
    """A note on the state of the picture, below the verdict."""
    _pill(painter, QRect(_MARGIN, _MARGIN + 46, _pill_width(text), _PILL_HEIGHT), text, theme.current().text)


def scale_bar(painter: QPainter, area: QRect, pixels_per_unit: float) -> None:
    """A scale bar in unit-sphere radii at the depth of the centre, bottom left: 0.25 unless too short or too long."""
    fitting = [length for length in _LENGTHS if 24.0 <= length * pixels_per_unit <= 160.0]
    length = 0.25 if 0.25 in fitting else (fitting or _LENGTHS[-1:])[0]
    bar_width, base, colour = round(length * pixels_per_unit), area.height() - _MARGIN, theme.current().muted
    painter.fillRect(QRect(_MARGIN, base - 1, bar_width, 1), colour)
    for end in (_MARGIN, _MARGIN + bar_width - 1):
        painter.fillRect(QRect(end, base - 6, 1, 6), colour)
    label = QRect(_MARGIN + bar_width + 8, area.height() - SCALE_BAR_HEIGHT, 120, 14)
    _draw_cached(painter, label, _draw_label, f"{length:g} sphere radii", False, colour.rgba(), _plate())


def colour_bar(
    painter: QPainter, area: QRect, colours: pg.ColorMap, limits: tuple[float, float], name: str, clipped: bool
) -> None:
    """The colour map of the points with its limits, bottom right; ``clipped`` if some values are above them."""
    bar_height = max(48, min(160, area.height() // 5)) + 22  # of a short bar, the numbers just fit
    stops = tuple(stop.rgba() for stop in colours.map(np.linspace(0.0, 1.0, 9), mode="qcolor"))
    top, middle, low = (
        f"{value:#.3g}".rstrip(".") if value else "0" for value in (limits[1], sum(limits) / 2, limits[0])
    )
    numbers = (f"≥ {top}" if clipped else top, middle, low)
    rect = QRect(area.width() - _MARGIN - 80, area.height() - _MARGIN - bar_height, 80, bar_height)
    _draw_cached(painter, rect, _draw_bar, name, numbers, stops, theme.current().muted.rgba(), _plate())


def ring(painter: QPainter, x: float, y: float, radius: float) -> None:
    """A ring around one point."""
    half_size = round(radius) + 2
    rect = QRect(round(x) - half_size, round(y) - half_size, 2 * half_size + 1, 2 * half_size + 1)
    _draw_cached(painter, rect, _draw_ring, theme.current().text.rgba())


def empty(painter: QPainter, area: QRect, headline: str, hint: str) -> None:
    """A headline and a hint what to do, in the middle of an empty view."""
    middle = area.center().y()
    painter.setFont(theme.font(theme.TITLE_PX, semibold=True))
    painter.setPen(theme.current().text)
    painter.drawText(QRect(0, middle - 30, area.width(), 24), Qt.AlignmentFlag.AlignCenter, headline)
    painter.setFont(theme.font())
    painter.setPen(theme.current().muted)
    below = QRect(theme.SPACE_XL, middle, area.width() - 2 * theme.SPACE_XL, 60)
    painter.drawText(below, Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap, hint)


# --- pieces -------------------------------------------------------------------------------------------------------


def _plate() -> int:
    """What is painted behind a text, so that it can be read over points: the view's ground, not quite opaque."""
    return translucent(theme.current().canvas, 0.7).rgba()


def _pill(painter: QPainter, rect: QRect, text: str, colour: QColor) -> None:
    _draw_cached(painter, rect, _draw_pill, text, colour.rgba(), theme.current().panel.rgba())


def _pill_width(text: str) -> int:
    return QFontMetrics(theme.tabular()).horizontalAdvance(text) + 20


def _draw_cached(painter: QPainter, rect: QRect, draw: Callable[..., None], *arguments: Hashable) -> None:
    ratio = painter.device().devicePixelRatio()
    painter.drawImage(rect.topLeft(), _render(draw, rect.width(), rect.height(), ratio, *arguments))


@lru_cache(maxsize=64)
def _render(draw: Callable[..., None], width: int, height: int, ratio: float, *arguments: Hashable) -> QImage:
    """The image that `draw(painter, area, *arguments)` paints; `arguments` must hold all it depends on, colours too."""
    area = QRect(0, 0, width, height)
    picture = QImage(area.size() * ratio, QImage.Format.Format_ARGB32_Premultiplied)
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    draw(painter, area, *arguments)
    painter.end()
    return picture


def _draw_label(painter: QPainter, area: QRect, text: str, semibold: bool, colour: int, plate: int) -> None:
    painter.setFont(theme.tabular(theme.font(theme.CAPTION_PX, semibold=semibold)))
    painter.setPen(QColor.fromRgba(colour))
    _draw_on_plate(painter, area, Qt.AlignmentFlag.AlignLeft, text, plate)


def _draw_on_plate(painter: QPainter, area: QRect, side: Qt.AlignmentFlag, text: str, plate: int) -> None:
    flags = side | Qt.AlignmentFlag.AlignVCenter
    painter.fillRect(painter.boundingRect(area, flags, text).intersected(area), QColor.fromRgba(plate))
    painter.drawText(area, flags, text)


def _draw_pill(painter: QPainter, area: QRect, text: str, colour: int, background: int) -> None:
    painter.setPen(QColor.fromRgba(colour))
    painter.setBrush(QColor.fromRgba(background))
    painter.drawRoundedRect(QRectF(area).adjusted(0.5, 0.5, -0.5, -0.5), _PILL_HEIGHT / 2, _PILL_HEIGHT / 2)
    painter.setFont(theme.tabular())
    painter.drawText(area, Qt.AlignmentFlag.AlignCenter, text)


def _draw_bar(
    painter: QPainter, area: QRect, name: str, numbers: tuple[str, ...], stops: tuple[int, ...], colour: int, plate: int
) -> None:
    bar = QRect(area.right() - 7, area.top() + 22, 8, area.height() - 22)
    gradient = QLinearGradient(bar.bottomLeft(), bar.topLeft())
    gradient.setStops([(place / (len(stops) - 1), QColor.fromRgba(stop)) for place, stop in enumerate(stops)])
    painter.fillRect(bar, gradient)
    painter.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
    painter.setPen(QColor.fromRgba(colour))
    right = Qt.AlignmentFlag.AlignRight
    _draw_on_plate(painter, QRect(0, 0, area.width(), 16), right, name, plate)
    for number, y in zip(numbers, (bar.top() + 5, bar.center().y(), bar.bottom() - 5), strict=True):
        _draw_on_plate(painter, QRect(0, y - 8, bar.left() - theme.SPACE_XS, 16), right, number, plate)


def _draw_ring(painter: QPainter, area: QRect, colour: int) -> None:
    pen = painter.pen()
    pen.setColor(QColor.fromRgba(colour))
    pen.setWidthF(2.0)
    painter.setPen(pen)
    painter.drawEllipse(QPointF(area.width() / 2, area.height() / 2), area.width() / 2 - 1.5, area.width() / 2 - 1.5)
