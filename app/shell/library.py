"""What can be looked at and who judges it: datasets, classes, shapes, models."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QRadioButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.shell.parts import Choice, button, label
from app.store import SPLIT, Store
from app.views.thumbnails import SIZE, thumbnail
from core.clouds import SHOWN, Cloud

if TYPE_CHECKING:
    from core.datasets import Dataset, Split

Index = QModelIndex | QPersistentModelIndex

WIDTH = 236
"""At least, where it is not folded: a dataset and "all classes" fit side by side."""


class _Shapes(QAbstractListModel):
    """The shapes of one split, filtered by class and by words in their names."""

    def __init__(self, pixel_ratio: float) -> None:
        super().__init__()
        self._pixel_ratio = pixel_ratio
        self._split: Split | None = None
        self.rows = np.empty(0, np.int64)
        self._picture = lru_cache(maxsize=512)(self._paint)
        theme.notifier.changed.connect(self._repaint)

    def show(self, split: Split | None, label: int | None, words: str) -> None:
        """List the shapes of ``split`` with this label (None: any) whose names hold all the words."""
        self.beginResetModel()
        if split is not self._split:
            self._picture.cache_clear()
        self._split = split
        if split is None:
            self.rows = np.empty(0, np.int64)
        else:
            rows = np.arange(len(split.labels)) if label is None else np.flatnonzero(split.labels == label)
            wanted = words.lower().split()
            if wanted:
                keep = [all(word in split.names[row].lower() for word in wanted) for row in rows]
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
            return self._picture(row)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._split.names[row]
        return None

    def _paint(self, row: int) -> QPixmap:
        assert self._split is not None
        return thumbnail(np.asarray(self._split.points[row], np.float32), self._pixel_ratio)

    def _repaint(self) -> None:
        self._picture.cache_clear()
        self.layoutChanged.emit()


class LibraryPanel(QWidget):
    """Choose a dataset, a class, a shape; choose which models judge and which one is attacked."""

    datasetChosen = Signal(str)
    openClicked = Signal()

    def __init__(self, store: Store, datasets: dict[str, str], parent: QWidget | None = None) -> None:
        """``datasets``: name -> one sentence for the tooltip."""
        super().__init__(parent)
        self.setMinimumWidth(WIDTH)
        self._store = store
        self._datasets = Choice()
        self._datasets.setAccessibleName("Dataset")
        for name, sentence in datasets.items():
            self._datasets.addItem(name)
            self._datasets.setItemData(self._datasets.count() - 1, sentence, Qt.ItemDataRole.ToolTipRole)
        self._datasets.textActivated.connect(self.datasetChosen)
        self.classes = Choice()
        self.classes.setAccessibleName("Class")
        self.classes.currentIndexChanged.connect(self._filter)
        self._search = QLineEdit(placeholderText="Search shapes", clearButtonEnabled=True)
        self._search.setAccessibleName("Search shapes")
        lens = self._search.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition)
        theme.set_icon(lens, "search", "muted")
        self._search.textChanged.connect(self._filter)
        clear = QShortcut(QKeySequence(Qt.Key.Key_Escape), self._search, self._search.clear)
        clear.setContext(Qt.ShortcutContext.WidgetShortcut)

        self.shapes = _Shapes(self.devicePixelRatioF())
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
        self.list.selectionModel().currentChanged.connect(lambda index: self._choose(index.row()))
        self._empty = label("", "caption")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.list)
        self._pages.addWidget(self._empty)

        self._models = QGridLayout()
        self._models.setSpacing(theme.SPACE_XS)
        self._models.setColumnStretch(0, 1)
        self._attacked = QButtonGroup(self)
        self._attacked.idClicked.connect(lambda row: store.set_primary(store.models[row].name))
        self._open = button("Open file or run…", "open", self.openClicked.emit)

        filters = QHBoxLayout()
        filters.setSpacing(theme.SPACE_XS)
        filters.addWidget(self._datasets, 8)
        filters.addWidget(self.classes, 9)
        self._head, self._foot = QWidget(), QWidget()
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_S, theme.SPACE_M)
        head, foot = QVBoxLayout(self._head), QVBoxLayout(self._foot)
        for box in (head, foot):
            box.setContentsMargins(0, 0, 0, 0)
        for box in (column, head, foot):
            box.setSpacing(theme.SPACE_S)
        head.addWidget(label("Library", "title"))
        head.addLayout(filters)
        head.addWidget(self._search)
        foot.addWidget(label("Models", "title"))
        foot.addLayout(self._models)
        foot.addWidget(self._open)
        column.addWidget(self._head)
        column.addWidget(self._pages, 1)
        column.addWidget(self._foot)

        store.datasetChanged.connect(self._show_dataset)
        store.cloudChanged.connect(self._show_cloud)
        store.modelsChanged.connect(self._show_models)
        self._show_dataset(store.dataset)
        self._show_models()

    def move_by(self, rows: int) -> None:
        """Choose the shape so many places further, around the ends."""
        count = self.shapes.rowCount()
        if count:
            row = max(self.list.currentIndex().row(), 0 if rows < 0 else -1)  # -1: a shape of elsewhere is shown
            row = (row + rows) % count
            self.list.setCurrentIndex(self.shapes.index(row))

    def set_folded(self, folded: bool) -> None:
        """Thumbnails alone, in one column, for narrow windows."""
        for widget in (self._head, self._foot):
            widget.setHidden(folded)
        width = SIZE + 4 * theme.SPACE_M
        self.setMinimumWidth(width if folded else WIDTH)
        self.setMaximumWidth(width if folded else 16_777_215)

    def refresh(self) -> None:
        """Show what the store has: a choice was not followed."""
        self._show_dataset(self._store.dataset)

    def say(self, sentence: str) -> None:
        """What stands in place of the shapes while there are none."""
        self._empty.setText(sentence)
        self._pages.setCurrentWidget(self._empty)

    def _show_dataset(self, dataset: Dataset | None) -> None:
        self.classes.blockSignals(True)
        self.classes.clear()
        self.classes.addItem("all classes")
        if dataset is None:
            self.say("The shapes appear here in a moment.")
        else:
            self.classes.addItems(list(dataset.card.classes))
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
            self.say("No shape has these words in its name. Clear the search to see all.")

    def _choose(self, row: int) -> None:
        dataset = self._store.dataset
        if dataset is None or row < 0:
            return
        self._store.set_cloud(dataset.cloud(SPLIT, int(self.shapes.rows[row]), SHOWN))

    def _show_cloud(self, cloud: Cloud | None) -> None:
        """Select the row of the cloud that is open, if the list has it."""
        dataset, selection = self._store.dataset, self.list.selectionModel()
        if dataset is None or cloud is None:
            return
        names = dataset.split(SPLIT).names
        row = next((place for place, shape in enumerate(self.shapes.rows) if names[shape] == cloud.name), -1)
        selection.blockSignals(True)
        self.list.setCurrentIndex(self.shapes.index(row) if row >= 0 else QModelIndex())
        selection.blockSignals(False)
        self.list.viewport().update()

    def _show_models(self) -> None:
        held = self._models.indexOf(QApplication.focusWidget())
        place = self._models.getItemPosition(held)[:2] if held >= 0 else None
        self._list_models()
        item = self._models.itemAtPosition(*place) if place is not None else None
        if item is not None and (widget := item.widget()) is not None:
            widget.show()  # what is not on the screen yet cannot have it
            widget.setFocus()

    def _list_models(self) -> None:
        while (item := self._models.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        store = self._store
        primary = store.primary_model
        if primary is None:
            self._models.addWidget(label("None yet: open one below.", "caption"), 0, 0)
            return
        for column, text in ((0, "attacked"), (1, "shown")):
            self._models.addWidget(label(text, "caption"), 0, column)
        for row, model in enumerate(store.models):
            attacked = QRadioButton(model.card.title)
            attacked.setToolTip(f"{model.name}: attack this model")
            attacked.setChecked(model.name == store.primary)
            self._attacked.addButton(attacked, row)
            self._models.addWidget(attacked, row + 1, 0)
            shown = QCheckBox()
            shown.setAccessibleName(f"Show {model.card.title}")
            fits = model.card.classes == primary.card.classes
            shown.setChecked(fits and (model.name in store.shown or model.name == store.primary))
            shown.setEnabled(fits and model.name != store.primary)
            shown.setToolTip("Show this model's verdict" if fits else "This model knows other classes")
            shown.toggled.connect(lambda on, name=model.name: store.set_shown(name, on))
            self._models.addWidget(shown, row + 1, 1, Qt.AlignmentFlag.AlignRight)
