"""Small pictures of clouds, painted without OpenGL."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPixmap

from app.shell import theme

SIZE = 48
_POINTS = 400  # drawing more is slower and looks the same at this size
_AZIMUTH, _ELEVATION = np.radians(-58.0), np.radians(24.0)  # the three-quarter view of the large views
_SHADES = 8


def thumbnail(points: NDArray[np.float32], pixel_ratio: float) -> QPixmap:
    """A ``SIZE`` x ``SIZE`` picture of a cloud (N, 3) in the unit sphere, z up; nearer points are brighter."""
    points = points[:: max(1, len(points) // _POINTS)]
    x, y, z = points.T.astype(np.float64)
    right = -np.sin(_AZIMUTH) * x + np.cos(_AZIMUTH) * y
    away = np.cos(_AZIMUTH) * x + np.sin(_AZIMUTH) * y
    up = np.cos(_ELEVATION) * z - np.sin(_ELEVATION) * away
    near = np.cos(_ELEVATION) * away + np.sin(_ELEVATION) * z

    pixmap = QPixmap(round(SIZE * pixel_ratio), round(SIZE * pixel_ratio))
    pixmap.setDevicePixelRatio(pixel_ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    colours = theme.current()
    shade = np.clip(((near + 1) / 2 * _SHADES).astype(int), 0, _SHADES - 1)
    scale, middle = SIZE * 0.47, SIZE / 2
    for level in range(_SHADES):  # far to near
        painter.setBrush(_mix(colours.panel, colours.clean, 0.35 + 0.65 * level / (_SHADES - 1)))
        for i in np.flatnonzero(shade == level):
            painter.drawEllipse(QPointF(middle + scale * right[i], middle - scale * up[i]), 0.9, 0.9)
    painter.end()
    return pixmap


def _mix(start: QColor, end: QColor, share: float) -> QColor:
    first, last = ((colour.redF(), colour.greenF(), colour.blueF()) for colour in (start, end))
    return QColor.fromRgbF(*(a + (b - a) * share for a, b in zip(first, last, strict=True)))
