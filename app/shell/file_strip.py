"""The files that were opened, as thumbnails, and what the shown one holds."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import QListWidgetItem, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label, number
from app.stage.orientation import OrientationController
from app.store import FileSource, Store
from app.views.thumbnail_list import DATA, Thumbnail, ThumbnailList
from app.views.thumbnails import thumbnail
from core.runtime.files import readable


class FileStrip(QWidget):
    """A row of thumbnails; a click shows the file again, Delete takes it out. Hidden while no file was opened."""

    def __init__(self, store: Store, orientation: OrientationController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store, self._orientation = store, orientation
        self._pictures: dict[FileSource, QPixmap] = {}
        self.list = ThumbnailList("My files")
        self.list.currentItemChanged.connect(self._choose)
        self.list.itemClicked.connect(self._choose)
        remove = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list, self._remove)
        remove.setContext(Qt.ShortcutContext.WidgetShortcut)
        self.facts = Label(role="caption", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_XS)
        column.addWidget(Label("My files", "section"))
        column.addWidget(self.list)
        column.addWidget(self.facts)
        store.filesChanged.connect(self._fill)
        store.cloudChanged.connect(lambda _: self._show_current())
        theme.notifier.changed.connect(self._on_theme)
        self._fill()

    def _fill(self) -> None:
        known, self._pictures = self._pictures, {}
        for source in self._store.files:
            self._pictures[source] = known.get(source) or self._thumbnail(source)
        self.list.set_thumbnails(
            [Thumbnail(picture, each.path, readable(str(each.path))) for each, picture in self._pictures.items()]
        )
        self.setVisible(bool(self._store.files))
        self._show_current()

    def _thumbnail(self, source: FileSource) -> QPixmap:
        return thumbnail(self._orientation.upright(source).points, self.devicePixelRatioF())

    def _on_theme(self) -> None:
        self._pictures.clear()
        self._fill()

    def _show_current(self) -> None:
        """Mark the shown file, and tell what it holds."""
        source, cloud = self._store.source, self._store.cloud
        paths = [each.path for each in self._store.files]
        with QSignalBlocker(self.list):
            self.list.setCurrentRow(paths.index(source.path) if source is not None and source.path in paths else -1)
            if self.list.currentItem() is None:
                self.list.clearSelection()
        if source is None or cloud is None:
            self.facts.setText("")
            return
        box = " × ".join(
            number(float(side)) for side in np.ptp(source.supplied.points, axis=0) * source.supplied.radius
        )
        points = source.supplied.fitting or f"{len(source.supplied.points):,} points"
        self.facts.setText(f"{readable(source.path.name)}: {points}; box {box} in its own units.")

    def _choose(self, item: QListWidgetItem | None, *_: object) -> None:
        source = next((each for each in self._store.files if item is not None and each.path == item.data(DATA)), None)
        if source is not None and (self._store.source is None or self._store.source.path != source.path):
            self._orientation.show_file(source)

    def _remove(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self._store.remove_file(item.data(DATA))
