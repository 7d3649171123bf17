"""The numbers of a comparison: a column for each model and a row for each number, because there are few models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from app.shell import theme
from app.shell.plain_text import set_tooltip
from core.runtime.text import printable

if TYPE_CHECKING:
    from core.evaluation.comparison import Comparison

ROW = 20  # height of a row, in pixels
HIGHEST_TITLE = 200  # in pixels
HEADER_MARGIN = 2 * theme.SPACE_S  # of a title, in pixels, as in the style sheet


class ComparisonTable(QTableWidget):
    """Clean numbers are blue and adversarial ones orange; titles take several lines where they are long."""

    def __init__(self) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setAccessibleName("Measurements of every model")
        right, bottom = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignBottom
        self.horizontalHeader().setDefaultAlignment(right | bottom | Qt.TextFlag.TextWordWrap)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setMinimumSectionSize(ROW)
        self.verticalHeader().setDefaultSectionSize(ROW)
        theme.notifier.changed.connect(self._fill)

    def set_comparison(self, comparison: Comparison) -> None:
        """Show the numbers of these models."""
        self._comparison = comparison
        self._fill()

    def _fill(self) -> None:
        if self._comparison is None:
            return
        colours, table = theme.current(), self._comparison.table()
        names = table.columns[1:]
        self.setRowCount(len(names))
        self.setColumnCount(len(table.rows))
        self.setVerticalHeaderLabels(names)  # they stay where they are while the models are scrolled
        self.setHorizontalHeaderLabels([printable(str(row[0])) for row in table.rows])
        set_tooltip(self, table.note, wrap=True)
        header, heights = self.horizontalHeader(), []
        for column, (title, *cells) in enumerate(table.rows):
            texts = [_text(cell) for cell in cells]
            for line, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setForeground(colours.clean if names[line].startswith("Clean") else colours.adv)
                item.setFont(theme.tabular())
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(line, column, item)
            width, height = _fitting(printable(str(title)), texts)
            header.resizeSection(column, width)
            heights.append(height)
        header.setFixedHeight(max(heights))
        header.geometriesChanged.emit()  # as Qt does for a change that it makes: the rows begin below the titles


def _fitting(title: str, numbers: list[str]) -> tuple[int, int]:
    """Width of a column, of its numbers and the longest word of its title, and the height of that title, in pixels."""
    bold, plain = QFontMetrics(theme.font(semibold=True)), QFontMetrics(theme.tabular())
    words, texts = map(bold.horizontalAdvance, title.split()), map(plain.horizontalAdvance, numbers)
    widest = max([*words, *texts], default=0)
    lines = bold.boundingRect(QRect(0, 0, widest, HIGHEST_TITLE), Qt.TextFlag.TextWordWrap, title)
    return widest + HEADER_MARGIN + 2, lines.height() + theme.SPACE_M


def _text(cell: str | float | None) -> str:
    """A number with three significant digits, zeros included; or a text."""
    return f"{cell:#.3g}".rstrip(".") if isinstance(cell, float) else printable(cell or "–")
