"""Helper functions for painting."""

from functools import lru_cache

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QGuiApplication, QPainter, QPen

from app.shell.theme import contrast, current
from core.runtime.text import printable


def translucent(colour: QColor, opacity: float) -> QColor:
    """A copy of a colour with an opacity from 0 to 1."""
    made = QColor(colour)
    made.setAlphaF(opacity)
    return made


def blend(ground: QColor, colour: QColor, share: float) -> QColor:
    """The opaque colour that ``share`` of a colour, 0 to 1, gives on a ground."""
    low, high = ((each.redF(), each.greenF(), each.blueF()) for each in (ground, colour))
    return QColor.fromRgbF(*((1 - share) * a + share * b for a, b in zip(low, high, strict=True)))


def plot_pen(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """A pen for items in plot coordinates, whose width is in logical pixels."""
    application = QGuiApplication.instance()
    assert isinstance(application, QGuiApplication)
    pen = QPen(colour, width * application.devicePixelRatio(), style)
    pen.setCosmetic(True)  # the width of a cosmetic pen is in device pixels
    return pen


def draw_text(
    painter: QPainter,
    box: QRect,
    text: str,
    font: QFont,
    colour: QColor,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    """Draw plain text in one line, vertically centred in `box`, with an ellipsis if it is too long."""
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(box, side | Qt.AlignmentFlag.AlignVCenter, _elided(text, font, box.width()))


@lru_cache(maxsize=512)
def _elided(text: str, font: QFont, width: int) -> str:
    return QFontMetrics(font).elidedText(printable(text), Qt.TextElideMode.ElideRight, width)


def draw_focus_frame(painter: QPainter, area: QRect) -> None:
    """Draw the frame, along the inside of an area, of a view that has the keyboard focus."""
    painter.setPen(QPen(current().accent, 2.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(area.adjusted(1, 1, -1, -1))


def folded(text: str, metrics: QFontMetrics, width: int) -> str:
    """A text in at most two lines of ``width`` pixels, broken between words; with an ellipsis where it is too long."""
    words = text.split(" ")
    fitting = [count for count in range(1, len(words)) if metrics.horizontalAdvance(" ".join(words[:count])) <= width]
    if metrics.horizontalAdvance(text) <= width or not fitting:
        lines = [text]
    else:
        lines = [" ".join(words[: fitting[-1]]), " ".join(words[fitting[-1] :])]
    return "\n".join(metrics.elidedText(line, Qt.TextElideMode.ElideRight, width) for line in lines)


def ink(ground: QColor) -> QColor:
    """Black or white, whichever is more legible on any opaque ground: it has a contrast of at least 4.5:1."""
    return max((QColor("black"), QColor("white")), key=lambda colour: contrast(colour, ground))
