"""A table of results that is sorted by a click on a column and copied with Ctrl+C."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtWidgets import QAbstractItemView, QGraphicsOpacityEffect, QTableView, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from core.runtime.text import printable

MISSING = "–"
"""In place of a number that is not there."""
MIN_FIRST_WIDTH, MAX_WIDTH = 120, 220
"""Of the first column, and of the others, in pixels; a longer text ends in an ellipsis and is whole in its tooltip."""
_VALUE, _KEY, _COLOUR, _COLUMNS = (Qt.ItemDataRole.UserRole + place for place in range(4))


@dataclass(frozen=True)
class Cell:
    """What is in a row and column."""

    text: str = ""
    value: float | str | None = None
    """By which the column is sorted; None comes last in rising order. Numbers are set to the right."""
    colour: str = "text"
    """Name of a colour of the theme."""
    columns: int = 1
    """Number of columns that it takes; a text of several makes none of them wider."""


class ResultTable(QTableView):
    """Rows of cells under named columns, each with a key."""

    chosen = Signal(object)
    """The key of a row that was double-clicked, or on which Enter was pressed."""
    rowsSelected = Signal(list)
    """The keys of the selected rows, from top to bottom."""

    def __init__(self, columns: Mapping[str, str], parent: QWidget | None = None) -> None:
        """``columns`` are names and explanations."""
        super().__init__(parent)
        self._columns = dict(columns)
        self._model = QStandardItemModel(0, len(columns), self)
        self._model.setSortRole(_VALUE)
        for column, (name, tip) in enumerate(self._columns.items()):
            self._model.setHorizontalHeaderItem(column, QStandardItem(name))
            set_tooltip(self._model.horizontalHeaderItem(column), tip)
        self.setModel(self._model)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        header = self.horizontalHeader()
        header.setFixedHeight(theme.CONTROL_HEIGHT + theme.SPACE_S)
        header.setHighlightSections(False)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        header.sortIndicatorChanged.connect(self._join_columns)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.CONTROL_HEIGHT)
        self._first_width = self._fitted_width = 0
        """Width that the texts of the first column need, and that it was given."""
        self._dimmed = QGraphicsOpacityEffect(self, opacity=0.6)
        self._dimmed.setEnabled(False)
        self.setGraphicsEffect(self._dimmed)
        self.doubleClicked.connect(self._choose)
        self.selectionModel().selectionChanged.connect(lambda *_: self.rowsSelected.emit(self.selected_keys))
        for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._add_shortcut(QKeySequence(key), lambda: self._choose(self.currentIndex()))
        self._add_shortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.copy)
        theme.notifier.changed.connect(self._colour)

    def _add_shortcut(self, keys: QKeySequence, function: Callable[[], None]) -> None:
        shortcut = QShortcut(keys, self, function)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)  # PySide ignores it as an argument beside a function

    def clear(self) -> None:
        """Remove all rows; the order stays chosen."""
        self._model.removeRows(0, self._model.rowCount())

    def add_row(self, cells: Sequence[Cell], key: Any) -> None:
        """Add a row with a cell for each column, in its place if an order was chosen."""
        self._append(cells, key)
        self._arrange()

    def set_rows(self, rows: Sequence[tuple[Sequence[Cell], Any]]) -> None:
        """Show rows of cells and a key in place of those that are there; the keys that were selected stay selected."""
        selected, scrolled = self.selected_keys, self.verticalScrollBar().value()
        current = self._key(self.currentIndex().row())
        with QSignalBlocker(self.selectionModel()):
            self.clear()
            for cells, key in rows:
                self._append(cells, key)
            self._arrange()
            self.select(selected, current)
        self.verticalScrollBar().setValue(scrolled)
        self.viewport().update()
        if self.selected_keys != selected:
            self.rowsSelected.emit(self.selected_keys)

    @property
    def selected_keys(self) -> list[Any]:
        """The keys of the selected rows, from top to bottom."""
        return [self._key(row) for row in sorted(index.row() for index in self.selectionModel().selectedRows())]

    def select(self, keys: Collection[Any], current: Any = None) -> None:
        """Select the rows with these keys, and no other; arrow keys go on from the row of ``current``."""
        model, flag = self.selectionModel(), QItemSelectionModel.SelectionFlag
        selection = QItemSelection()
        for row in range(self._model.rowCount()):
            if self._key(row) in keys:
                selection.select(self._model.index(row, 0), self._model.index(row, len(self._columns) - 1))
            if current is not None and self._key(row) == current:
                model.setCurrentIndex(self._model.index(row, 0), flag.NoUpdate)
        model.select(selection, flag.ClearAndSelect)

    def _key(self, row: int) -> Any:
        item = self._model.item(row, 0)
        return item.data(_KEY) if item is not None else None

    def _append(self, cells: Sequence[Cell], key: Any) -> None:
        items = [self._item(cell) for cell in cells]
        for column, (cell, item) in enumerate(zip(cells, items, strict=True)):
            if cell.value is not None:  # or it says nothing of its column
                self._model.horizontalHeaderItem(column).setTextAlignment(item.textAlignment())
        items[0].setData(key, _KEY)
        self._model.appendRow(items)

    def _arrange(self) -> None:
        """Make the columns as wide as their texts, and put the rows in the chosen order."""
        header = self.horizontalHeader()
        header.setSortIndicatorShown(False)  # it is above the name, and Qt would widen every column for it
        self.resizeColumnsToContents()
        header.setSortIndicatorShown(True)
        for column in range(1, len(self._columns)):
            self.setColumnWidth(column, min(self.columnWidth(column), MAX_WIDTH))
        self._first_width = self._fitted_width = self.columnWidth(0)
        self._fit_first_column()
        if header.sortIndicatorSection() >= 0:
            self._model.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())
        self._join_columns()

    def _join_columns(self, *_: object) -> None:
        """Give the cells that take several columns their space, wherever their rows are now."""
        self.clearSpans()
        for row in range(self._model.rowCount()):
            for column in range(len(self._columns)):
                if (columns := self._model.item(row, column).data(_COLUMNS)) > 1:
                    self.setSpan(row, column, 1, columns)

    def _fit_first_column(self) -> None:
        """Make it as wide as its texts, if the others leave as much; a width that a person has given stays."""
        if self.columnWidth(0) != self._fitted_width:
            return
        left = self.viewport().width() - self.horizontalHeader().length() + self.columnWidth(0)
        self._fitted_width = min(self._first_width, max(MIN_FIRST_WIDTH, left))
        self.setColumnWidth(0, self._fitted_width)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_first_column()

    def set_stale(self, stale: bool) -> None:
        """Dim the table, because it is of something else than what is shown now."""
        self._dimmed.setEnabled(stale)

    def copy(self) -> None:
        """Copy the selected rows, or all if none is, as tab-separated lines under the names of the columns."""
        selected = sorted(index.row() for index in self.selectionModel().selectedRows())
        lines = ["\t".join(self._columns)]
        for row in selected or range(self._model.rowCount()):
            lines.append("\t".join(self._model.item(row, column).text() for column in range(len(self._columns))))
        QGuiApplication.clipboard().setText("\n".join(lines))

    def _item(self, cell: Cell) -> QStandardItem:
        item = QStandardItem(printable(cell.text))
        set_tooltip(item, cell.text, wrap=True)
        is_number = isinstance(cell.value, float | int) or cell.text == MISSING
        side = Qt.AlignmentFlag.AlignRight if is_number else Qt.AlignmentFlag.AlignLeft
        item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        item.setFont(theme.tabular())
        item.setData(cell.value, _VALUE)
        item.setData(cell.colour, _COLOUR)
        item.setData(cell.columns, _COLUMNS)
        if cell.columns > 1:
            item.setSizeHint(QSize(0, theme.CONTROL_HEIGHT))
        item.setForeground(_colour(cell.colour))
        return item

    def _colour(self) -> None:
        for row in range(self._model.rowCount()):
            for column in range(len(self._columns)):
                item = self._model.item(row, column)
                item.setForeground(_colour(item.data(_COLOUR)))

    def _choose(self, index: QModelIndex) -> None:
        if index.isValid():
            self.chosen.emit(self._key(index.row()))


def _colour(name: str) -> QColor:
    colour: QColor = getattr(theme.current(), name)
    return colour
