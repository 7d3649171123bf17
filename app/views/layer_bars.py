"""Layers of a model as rows, each with a bar for the adversarial cloud, the range of noise, and their ratio."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.shell import theme
from app.views.painting import draw_text, translucent
from core.runtime.text import printable

ROW_HEIGHT, HEADER_HEIGHT, BAR_HEIGHT, RANGE_HEIGHT = 22, 20, 12, 4  # in pixels
RATIO_WIDTH = 64  # in pixels
MAX_NAME_WIDTH = 220  # in pixels


class LayerBars(QWidget):
    """A row for each layer from the first to the last; those from the parting layer on stand on another ground."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._adversarial, self._noise = np.empty(0), np.empty((1, 0))
        self._parting: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Differences of activations by layer")
        theme.notifier.changed.connect(self.update)

    def set_layers(
        self, names: Sequence[str], adversarial: ArrayLike, noise: ArrayLike, parting: int | None = None
    ) -> None:
        """Show L layers.

        Parameters
        ----------
        adversarial, noise
            (L,) and (D, L), relative differences of the activations, for the adversarial cloud and for D clouds of
            noise.
        parting
            Index of the layer from which on clean and adversarial activations part; None if they do not.
        """
        self._names = [printable(name) for name in names]
        self._adversarial, self._noise = np.asarray(adversarial, float), np.asarray(noise, float)
        self._parting = parting
        lines = [
            f"{name}: {value:.3f}, {self._ratio(row)} of noise"
            for row, (name, value) in enumerate(zip(self._names, self._adversarial, strict=True))
        ]
        self.setAccessibleDescription("; ".join(lines))
        self.updateGeometry()
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def _ratio(self, row: int) -> str:
        noise = self._noise[:, row].mean()
        return f"{self._adversarial[row] / noise:.1f}×" if noise > 0 else "–"

    def sizeHint(self) -> QSize:
        return QSize(520, HEADER_HEIGHT + ROW_HEIGHT * len(self._names))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, now = QPainter(self), theme.current()
        caption, font, numbers = theme.font(theme.CAPTION_PX), theme.font(), theme.tabular()
        widest = max((QFontMetrics(font).horizontalAdvance(name) for name in self._names), default=0)
        left = min(widest, MAX_NAME_WIDTH) + theme.SPACE_M
        length = max(1, self.width() - left - RATIO_WIDTH)
        longest = float(max(self._adversarial.max(initial=0.0), self._noise.max(initial=0.0), 1e-12))
        right, line = Qt.AlignmentFlag.AlignRight, QRect(0, 0, self.width(), HEADER_HEIGHT)
        if not self._names:
            return
        draw_text(painter, line, "layer", caption, now.muted)
        draw_text(painter, line.adjusted(left, 0, 0, 0), "0", caption, now.muted)
        draw_text(painter, line.adjusted(left, 0, -RATIO_WIDTH, 0), f"{longest:.3g}", caption, now.muted, right)
        draw_text(painter, line, "of noise", caption, now.muted, right)
        for row, name in enumerate(self._names):
            top = HEADER_HEIGHT + row * ROW_HEIGHT
            box = QRect(0, top, self.width(), ROW_HEIGHT)
            parted = self._parting is not None and row >= self._parting
            if parted:
                painter.fillRect(box, translucent(now.adv, 0.10))
            if row == self._parting:
                painter.fillRect(0, top, self.width(), 1, now.adv)
            text = now.text if parted else now.muted
            draw_text(painter, QRect(0, top, left - theme.SPACE_S, ROW_HEIGHT), name, font, text)
            draw_text(painter, box.adjusted(0, 0, -theme.SPACE_XS, 0), self._ratio(row), numbers, text, right)
            middle = top + ROW_HEIGHT / 2
            bar = QRectF(left, middle - BAR_HEIGHT / 2, self._adversarial[row] / longest * length, BAR_HEIGHT)
            painter.fillRect(bar, now.adv)
            low, high = self._noise[:, row].min(), self._noise[:, row].max()
            width = max(2.0, (high - low) / longest * length)
            painter.fillRect(
                QRectF(left + low / longest * length, middle - RANGE_HEIGHT / 2, width, RANGE_HEIGHT), now.text
            )
