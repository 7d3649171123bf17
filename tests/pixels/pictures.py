"""Pixels of QImage as arrays."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage


def pixels(picture: QImage) -> NDArray[np.int32]:
    """Red, green and blue of a picture, (height, width, 3)."""
    assert not picture.isNull()
    picture = picture.convertToFormat(QImage.Format.Format_RGB32)
    rows = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    return rows[:, : 4 * picture.width()].reshape(picture.height(), picture.width(), 4)[:, :, 2::-1].astype(np.int32)


def drawn(picture: QImage, background: QColor) -> NDArray[np.bool_]:
    """Where a picture differs from its background, (height, width)."""
    return np.abs(pixels(picture) - background.getRgb()[:3]).max(axis=2) > 12


def scene(picture: QImage) -> QImage:
    """The middle of a view's picture, where there are no annotations."""
    wide, high = picture.width(), picture.height()
    return picture.copy(wide // 6, high // 6, wide * 2 // 3, high * 2 // 3)
