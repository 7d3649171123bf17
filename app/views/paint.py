"""Small things that several views paint alike."""

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QGuiApplication, QPainter, QPen


def faint(colour: QColor, opacity: float) -> QColor:
    """A see-through copy of a colour; opacity from 0 to 1."""
    made = QColor(colour)
    made.setAlphaF(opacity)
    return made


def plot_pen(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """A pen for what is drawn in a plot's own coordinates, with its width in logical pixels all the same."""
    pen = QPen(colour, width * QGuiApplication.instance().devicePixelRatio(), style)
    pen.setCosmetic(True)  # Qt takes the width of such a pen in device pixels
    return pen


def write(
    painter: QPainter,
    box: QRect,
    text: str,
    font: QFont,
    colour: QColor,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    """One line of text in the middle of the height of `box`, with an ellipsis where it is too long."""
    painter.setFont(font)
    painter.setPen(colour)
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, box.width())
    painter.drawText(box, side | Qt.AlignmentFlag.AlignVCenter, shown)
