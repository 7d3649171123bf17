"""Pixels and tooltips of a widget."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QEvent, QPoint
from PySide6.QtGui import QColor, QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QToolTip, QWidget


def pixels(widget: QWidget) -> NDArray[np.uint8]:
    """The widget's picture, (height, width, 3)."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def where(widget: QWidget, colour: QColor, tolerance: int = 0) -> NDArray[np.bool_]:
    """(height, width) mask of the pixels of a colour; antialiased lines need a tolerance."""
    return (abs(pixels(widget).astype(int) - colour.getRgb()[:3]) <= tolerance).all(axis=2)


def tooltip(widget: QWidget, place: QPoint) -> str:
    """The tooltip at a position of the widget."""
    QApplication.sendEvent(widget, QHelpEvent(QHelpEvent.Type.ToolTip, place, widget.mapToGlobal(place)))
    said = QToolTip.text()
    for tip in (window for window in QApplication.topLevelWidgets() if window.objectName() == "qtooltip_label"):
        tip.close()  # at once: Qt would let it linger, with its text
        tip.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return said
