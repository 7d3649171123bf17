"""The library: choose the dataset, the class and the shape, and which way up it is."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QListView, QStackedWidget, QVBoxLayout, QWidget

from app.shell import icons, theme
from app.shell.file_strip import FileStrip
from app.shell.orientation import OrientationPanel
from app.shell.plain_text import tooltip_text
from app.shell.widgets import ElidedComboBox, Label, add_item, button
from app.stage.orientation import OrientationController
from app.store import SPLIT, Store
from app.views.thumbnails import SIZE, thumbnail
from core.clouds import SHOWN, Cloud
from core.runtime.text import printable

if TYPE_CHECKING:
    from core.datasets import Dataset, Split

Index = QModelIndex | QPersistentModelIndex

WIDTH = 236
"""Minimum width in pixels: the title and the name of a dataset fit side by side."""


class _ShapeListModel(QAbstractListModel):
    """The shapes of one split, filtered by class and by words in their names."""

    def __init__(self, pixel_ratio: float) -> None:
        super().__init__()
        self._pixel_ratio = pixel_ratio
        self._split: Split | None = None
        self.rows = np.empty(0, np.int64)
        self._thumbnail = lru_cache(maxsize=512)(self._thumbnail_of)
        theme.notifier.changed.connect(self._repaint)

    def show(self, split: Split | None, label: int | None, words: str) -> None:
        """List the shapes of ``split`` with this label (None: any) whose names contain all words of the search."""
        self.beginResetModel()
        if split is not self._split:
            self._thumbnail.cache_clear()
        self._split = split
        if split is None:
            self.rows = np.empty(0, np.int64)
        else:
            rows = np.arange(len(split.labels)) if label is None else np.flatnonzero(split.labels == label)
            words_wanted = words.lower().split()
            if words_wanted:
                keep = [all(word in split.names[int(row)].lower() for word in words_wanted) for row in rows]
                rows = rows[np.asarray(keep, bool)]
            self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if self._split is None or not index.isValid():
            return None
        row = int(self.rows[index.row()])
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnail(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip_text(printable(self._split.names[row]))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._split.names[row]
        return None

    def _thumbnail_of(self, row: int) -> QPixmap:
        assert self._split is not None
        return thumbnail(np.asarray(self._split.points[row], np.float32), self._pixel_ratio)

    def _repaint(self) -> None:
        self._thumbnail.cache_clear()
        self.layoutChanged.emit()


class LibraryPanel(QWidget):
    """Choose a dataset, a class and a shape, or open a file; choose which axis of it points up."""

    datasetChosen = Signal(str)
    openClicked = Signal()

    def __init__(
        self,
        store: Store,
        datasets: dict[str, str],
        orientation: OrientationController,
        parent: QWidget | None = None,
    ) -> None:
        """``datasets``: name -> summary for the tooltip."""
        super().__init__(parent)
        self.setMinimumWidth(WIDTH)
        self._store = store
        self._datasets = ElidedComboBox()
        self._datasets.setAccessibleName("Dataset")
        for name, summary in datasets.items():
            add_item(self._datasets, name, tip=summary)
        self._datasets.textActivated.connect(self.datasetChosen)
        self.classes = ElidedComboBox()
        self.classes.setAccessibleName("Class")
        self.classes.currentIndexChanged.connect(self._filter)
        self._search = QLineEdit(placeholderText="Search shapes", clearButtonEnabled=True)
        self._search.setAccessibleName("Search shapes")
        search_icon = self._search.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition)
        icons.set_icon(search_icon, "search", "muted")
        self._search.textChanged.connect(self._filter)
        clear = QShortcut(QKeySequence(Qt.Key.Key_Escape), self._search, self._search.clear)
        clear.setContext(Qt.ShortcutContext.WidgetShortcut)

        self.shapes = _ShapeListModel(self.devicePixelRatioF())
        self.list = QListView(
            viewMode=QListView.ViewMode.IconMode,
            resizeMode=QListView.ResizeMode.Adjust,
            movement=QListView.Movement.Static,
            uniformItemSizes=True,
        )
        self.list.setAccessibleName("Shapes")
        self.list.setIconSize(QSize(SIZE, SIZE))
        self.list.setGridSize(QSize(SIZE + theme.SPACE_S, SIZE + theme.SPACE_S))
        self.list.setModel(self.shapes)
        self.list.selectionModel().currentChanged.connect(lambda index: self._show_shape(index.row()))
        self._placeholder = Label(role="caption", wrap=True)
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.list)
        self._pages.addWidget(self._placeholder)

        head = QHBoxLayout()
        head.setSpacing(theme.SPACE_M)
        head.addWidget(Label("Library", "title"))
        head.addWidget(self._datasets, 1)
        self.orientation = OrientationPanel(orientation)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_S, theme.SPACE_M)
        column.setSpacing(theme.SPACE_S)
        column.addLayout(head)
        column.addWidget(self.classes)
        column.addWidget(self._search)
        column.addWidget(self._pages, 1)
        self.files = FileStrip(store, orientation)
        column.addWidget(self.files)
        column.addWidget(self.orientation)
        column.addWidget(button("Open file or run…", "open", self.openClicked.emit))

        store.datasetChanged.connect(self._show_dataset)
        store.cloudChanged.connect(self._show_cloud)
        self._show_dataset(store.dataset)

    @property
    def can_move(self) -> bool:
        """Whether the list has another shape than the current one."""
        return self.shapes.rowCount() > int(self.list.currentIndex().isValid())

    def move_by(self, rows: int) -> None:
        """Choose the shape ``rows`` after the current one; after the last comes the first."""
        count = self.shapes.rowCount()
        if count:
            row = max(self.list.currentIndex().row(), 0 if rows < 0 else -1)  # -1: the shown cloud is not in the list
            row = (row + rows) % count
            self.list.setCurrentIndex(self.shapes.index(row))

    def refresh(self) -> None:
        """Show the store's dataset again, after another one that was chosen could not be opened."""
        self._show_dataset(self._store.dataset)

    def show_placeholder(self, text: str) -> None:
        """Show a text in place of the list of shapes."""
        self._placeholder.setText(text)
        self._pages.setCurrentWidget(self._placeholder)

    def _show_dataset(self, dataset: Dataset | None) -> None:
        self.classes.blockSignals(True)
        self.classes.clear()
        self.classes.addItem("all classes")
        if dataset is None:
            self.show_placeholder("The shapes appear here in a moment.")
        else:
            for name in dataset.card.classes:
                add_item(self.classes, name)
            self._datasets.setCurrentText(dataset.card.name)
        self.classes.blockSignals(False)
        self._filter()

    def _filter(self) -> None:
        dataset = self._store.dataset
        if dataset is None:
            self.shapes.show(None, None, "")
            return
        label = self.classes.currentIndex() - 1
        self.shapes.show(dataset.split(SPLIT), None if label < 0 else label, self._search.text())
        if self.shapes.rowCount():
            self._pages.setCurrentWidget(self.list)
            self._show_cloud(self._store.cloud)
        else:
            self.show_placeholder("No shape has these words in its name. Clear the search to see all.")

    def _show_shape(self, row: int) -> None:
        dataset = self._store.dataset
        if dataset is None or row < 0:
            return
        self._store.set_cloud(dataset.cloud(SPLIT, int(self.shapes.rows[row]), SHOWN))

    def _show_cloud(self, cloud: Cloud | None) -> None:
        """Select the shown cloud in the list, if it is there."""
        dataset, selection = self._store.dataset, self.list.selectionModel()
        if dataset is None or cloud is None:
            return
        names = dataset.split(SPLIT).names
        row = next((position for position, shape in enumerate(self.shapes.rows) if names[int(shape)] == cloud.name), -1)
        selection.blockSignals(True)
        self.list.setCurrentIndex(self.shapes.index(row) if row >= 0 else QModelIndex())
        selection.blockSignals(False)
        self.list.viewport().update()
