"""The legend of lines: samples, values at the cursor, and names."""

from collections.abc import Callable, Iterator
from itertools import groupby
from math import ceil
from typing import NamedTuple

from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QBrush, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.shell import theme
from app.views.painting import draw_text
from app.views.plot import MARKERS
from core.runtime.text import printable

SAMPLE_WIDTH = 26
"""Width in pixels of the sample of a line."""
SHORTEST_NAME = 16
"""Width in pixels to which the name of a line is shortened at most."""
MOST_ROWS = 8
"""Rows from which names are shortened rather than that there is another one."""
_COLUMN_GAP = theme.SPACE_L + 2  # larger than any between a value and its name
_LINE_HEIGHT = theme.CONTROL_HEIGHT // 2


class LegendRow(NamedTuple):
    """What a legend has of a line."""

    name: str
    value: str
    widest: str
    """The longest of all its values."""
    pen: QPen
    marker: str


class _Column(NamedTuple):
    rows: list[LegendRow]
    number_width: int
    name_width: int


class ValueLegend(QWidget):
    """Says where values are read; below it, in columns, a sample of each line, its value there and its name."""

    def __init__(self, heading: Callable[[], str], rows: Callable[[], Iterator[LegendRow]], usual: str) -> None:
        """``usual`` is a usual long value, for which there is space at least."""
        super().__init__()
        self._heading, self._rows, self._usual = heading, rows, usual
        self.setFixedHeight(theme.CONTROL_HEIGHT)

    def fit(self) -> None:
        """Take as many rows as the lines need; called when lines or the width have changed."""
        rows = max((len(column.rows) for column in self._columns()), default=0)
        self.setFixedHeight(max(2, bool(self._heading()) + rows) * _LINE_HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    def _columns(self) -> list[_Column]:
        """All lines in the fewest rows in which no name is shortened; from ``MOST_ROWS`` on, names are."""
        lines, rows = list(self._rows()), 1
        if not lines:
            return []
        columns = self._filled(lines, rows)
        while len(columns) > 1 and self._missing(columns, SHORTEST_NAME if rows >= MOST_ROWS else self.width()) > 0:
            rows += 1
            columns = self._filled(lines, rows)
        longest = max(column.name_width for column in columns)
        while longest > SHORTEST_NAME and self._missing(columns, longest) > 0:
            longest -= 1  # shorten the longest names, never the values
        return [column._replace(name_width=min(column.name_width, longest)) for column in columns]

    def _filled(self, lines: list[LegendRow], most: int) -> list[_Column]:
        """Columns of at most so many rows. Lines that differ only in colour, such as clean and adversarial ones of a
        model, stay in one column.
        """
        columns: list[list[LegendRow]] = []
        for _, alike in groupby(lines, lambda row: (row.marker, row.pen.style())):
            group = list(alike)
            if not columns or len(columns[-1]) + min(len(group), most) > most:
                columns.append([])
            for row in group:
                if len(columns[-1]) == most:
                    columns.append([])
                columns[-1].append(row)
        metrics = QFontMetricsF(_font())  # a text whose width was rounded down would be shortened
        return [
            _Column(
                rows,
                ceil(max(metrics.horizontalAdvance(text) for text in (self._usual, *(row.widest for row in rows)))),
                ceil(max(metrics.horizontalAdvance(printable(row.name)) for row in rows)),
            )
            for rows in columns
        ]

    def _missing(self, columns: list[_Column], longest: int) -> int:
        """Pixels by which columns are wider than the legend, where names have the width ``longest`` at most."""
        widths = [_beside(column) + min(column.name_width, longest) for column in columns]
        return sum(widths) + (len(columns) - 1) * _COLUMN_GAP + theme.SPACE_S - self.width()

    def paintEvent(self, event: QPaintEvent) -> None:
        columns, heading, font, now = self._columns(), self._heading(), _font(), theme.current()
        if not columns:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        first, left = 0, theme.SPACE_S
        if heading:
            draw_text(painter, QRect(left, 0, self.width() - left, _LINE_HEIGHT), heading, font, now.muted)
            first = _LINE_HEIGHT
        for column in columns:
            number = left + SAMPLE_WIDTH + theme.SPACE_XS
            name = left + _beside(column)
            for place, row in enumerate(column.rows):
                top = first + place * _LINE_HEIGHT
                _paint_sample(painter, QRect(left, top, SAMPLE_WIDTH, _LINE_HEIGHT), row.pen, row.marker)
                draw_text(painter, QRect(number, top, column.number_width, _LINE_HEIGHT), row.value, font, now.text)
                draw_text(painter, QRect(name, top, column.name_width, _LINE_HEIGHT), row.name, font, now.muted)
            left = name + column.name_width + _COLUMN_GAP


def _font() -> QFont:
    return theme.tabular(theme.font(theme.CAPTION_PX))


def _beside(column: _Column) -> int:
    """Pixels from the left end of a column to its names."""
    return SAMPLE_WIDTH + theme.SPACE_XS + column.number_width + theme.SPACE_XS


def _paint_sample(painter: QPainter, area: QRect, pen: QPen, marker: str) -> None:
    """A piece of a line with its marker in the middle."""
    middle = QPointF(area.left() + area.width() / 2, area.top() + area.height() / 2)
    painter.setPen(QPen(pen.color(), 1.5, pen.style()))
    painter.drawLine(QPointF(area.left(), middle.y()), QPointF(area.right(), middle.y()))
    painter.save()
    painter.translate(middle)
    drawSymbol(painter, marker, MARKERS[marker], QPen(Qt.PenStyle.NoPen), QBrush(pen.color()))
    painter.restore()
