"""The clouds that were picked in the latent map: the nearest neighbours of one, or those in a lasso."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QListWidgetItem, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label, number, tool_button
from app.views.thumbnail_list import DATA, Thumbnail, ThumbnailList
from app.views.thumbnails import thumbnail
from core.runtime.text import printable

if TYPE_CHECKING:
    from core.datasets import Split
    from core.evaluation.latents import LatentMap

NEIGHBOURS = 8
"""Nearest latents that are shown of a point."""
MOST_PICTURES = 60
"""Clouds of a lasso that are shown; making more pictures would take too long."""


class LatentPicks(QWidget):
    """A row of thumbnails below the map, hidden while nothing is picked; a click opens a cloud."""

    chosen = Signal(int)
    """Index of a point of the map."""
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._map: LatentMap | None = None
        self._split: Split | None = None
        self._classes: tuple[str, ...] = ()
        self.title = Label(role="caption")
        self.list = ThumbnailList("Picked clouds", lines=2)
        self.list.itemClicked.connect(self._choose)
        self.list.itemActivated.connect(self._choose)
        close = tool_button(icon="close", role="flat", tip="Show the map alone (Esc)", name="Close the picked clouds")
        close.clicked.connect(self.closed)
        head, column = QHBoxLayout(), QVBoxLayout(self)
        head.addWidget(self.title, 1)
        head.addWidget(close)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_XS)
        column.addLayout(head)
        column.addWidget(self.list)
        self.hide()

    def set_map(self, result: LatentMap | None, split: Split | None, classes: tuple[str, ...]) -> None:
        """The map that is shown, the clouds it is of, and their classes."""
        self._map, self._split, self._classes = result, split, classes

    def show_neighbours(self, index: int) -> NDArray[np.int64]:
        """Show the nearest latents of a point; returns their indices."""
        assert self._map is not None
        nearest, distances = self._map.neighbours(index, NEIGHBOURS)
        self.title.setText(f"Nearest to {self._name(index)} in the latent space, with distances")
        texts = [number(float(distance)) for distance in distances]
        self._fill([self._thumbnail(int(at), text) for at, text in zip(nearest, texts, strict=True)])
        return nearest

    def show_lasso(self, indices: NDArray[np.int64]) -> None:
        """Show the clouds of the points in a lasso, the first ones if there are many; hide for none."""
        if self._map is None or not len(indices):
            self.hide()
            return
        adversarial = int(self._map.adversarial[indices].sum())
        wrong = int((self._map.predicted[indices] != self._map.labels[indices]).sum())
        text = f"In the lasso: {len(indices) - adversarial:,} clean, {adversarial:,} adversarial; {wrong:,} wrong"
        if len(indices) > MOST_PICTURES:
            text += f"; the first {MOST_PICTURES} are shown"
        self.title.setText(text)
        self._fill([self._thumbnail(int(at)) for at in indices[:MOST_PICTURES]])

    def picture(self, index: int) -> QPixmap | None:
        """The clean cloud of a point."""
        if self._map is None or self._split is None:
            return None
        points = self._split.points[int(self._map.rows[index])]
        return thumbnail(np.asarray(points, np.float32), self.devicePixelRatioF())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _fill(self, thumbnails: list[Thumbnail]) -> None:
        self.list.set_thumbnails(thumbnails)
        self.show()

    def _name(self, index: int) -> str:
        assert self._map is not None
        kind = "adversarial" if self._map.adversarial[index] else "clean"
        return f"{kind} {printable(self._classes[self._map.labels[index]])} #{self._map.rows[index]}"

    def _thumbnail(self, index: int, distance: str = "") -> Thumbnail:
        assert self._map is not None
        picture = self.picture(index)
        assert picture is not None
        predicted = self._classes[self._map.predicted[index]]
        kind = "adversarial" if self._map.adversarial[index] else "clean"
        tip = f"{self._name(index)}, predicted {predicted}" + (f", distance {distance}" if distance else "")
        return Thumbnail(picture, index, tip, (predicted, distance or kind))

    def _choose(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(DATA))
