"""A list that is searched by a few letters: of actions, of attacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.popup import Popup
from core.runtime.text import printable

WIDTH, EXPLAINED_WIDTH = 560, 860
ROWS = 10
ROW_HEIGHT = 32
ICON = 18
NAME_WIDTH = 120  # of the texts whose entries are explained beside them
_DETAIL = Qt.ItemDataRole.UserRole
_KEY = Qt.ItemDataRole.UserRole + 1
_EXPLAINED = Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True)
class Entry:
    """One line of the list."""

    key: Any
    text: str
    detail: str = ""
    """At the right: a shortcut; or, ``explained``, one sentence beside the text, which can be searched too."""
    explained: bool = False
    tip: str = ""
    icon: QIcon | None = None
    enabled: bool = True
    group: str = ""
    """Shown before the text; may be part of a query, but counts less."""

    @property
    def title(self) -> str:
        return f"{self.group}: {self.text}" if self.group else self.text


def score(query: str, text: str) -> float:
    """How well the letters of a query match a text; minus infinity if they do not occur in it in order.

    Consecutive letters and letters at the beginnings of words count more, long texts a little less.
    """
    query, text = query.lower().replace(" ", ""), text.lower()

    def points(place: int, last: int) -> float:
        if place == last + 1 and last >= 0:
            return 3.0
        return 2.0 if place == 0 or not text[place - 1].isalnum() else 0.5

    @cache
    def best(typed: int, last: int) -> float:
        if typed == len(query):
            return 0.0
        places = (place for place in range(last + 1, len(text)) if text[place] == query[typed])
        return max((points(place, last) + best(typed + 1, place) for place in places), default=-inf)

    return best(0, -1) - 0.01 * len(text)


def _match_score(query: str, entry: Entry) -> float:
    beside = entry.detail if entry.explained else entry.group
    return max(score(query, entry.text), score(query, f"{beside} {entry.text}") - 2.0)


class SearchPopup(Popup):
    """A popup with a field and the entries that match it; disabled ones are grey. It is deleted when it closes."""

    chosen = Signal(object)
    """The key of an entry; emitted after the popup has closed."""

    def __init__(self, window: QWidget, entries: Sequence[Entry], prompt: str, name: str) -> None:
        super().__init__(window, prompt.rstrip("…"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._window, self._entries = window, entries
        self._query_field = QLineEdit(placeholderText=prompt, clearButtonEnabled=True)
        self._query_field.setAccessibleName(self.windowTitle())
        self._query_field.textChanged.connect(self._filter)
        self._query_field.installEventFilter(self)
        self._list = QListWidget()
        self._list.setAccessibleName(name)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setItemDelegate(_EntryDelegate(self._list))
        self._list.setFixedHeight(ROWS * ROW_HEIGHT + theme.SPACE_S)
        self._list.itemClicked.connect(self._choose)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        column.addWidget(self._query_field)
        column.addWidget(self._list)
        self.setFixedWidth(EXPLAINED_WIDTH if any(entry.explained for entry in entries) else WIDTH)
        self._filter("")

    def popup(self, place: QPoint | None = None, current: Any = None) -> None:
        """Show it at a place of the screen, or near the top of the window, with the focus in the query field."""
        left = (self._window.width() - self.width()) // 2
        self.move(place or self._window.mapToGlobal(QPoint(left, 2 * theme.SPACE_XL)))
        keys = [entry.key for entry in self._entries]
        self._list.setCurrentRow(keys.index(current) if current in keys else 0)
        self.show()
        self._query_field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The query field keeps the focus; arrow, page and Enter keys act on the list."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            moves: dict[int, int] = {
                Qt.Key.Key_Up: -1,
                Qt.Key.Key_Down: 1,
                Qt.Key.Key_PageUp: -ROWS,
                Qt.Key.Key_PageDown: ROWS,
            }
            if event.key() in moves and self._list.count():
                row = self._list.currentRow() + moves[event.key()]
                self._list.setCurrentRow(min(max(row, 0), self._list.count() - 1))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._choose(self._list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _filter(self, query: str) -> None:
        matches = [(_match_score(query, entry), entry) for entry in self._entries]
        if query:
            matches = sorted((match for match in matches if match[0] > -inf), key=lambda match: -match[0])
        self._list.clear()
        for _, entry in matches:
            item = QListWidgetItem(entry.icon or QIcon(), printable(entry.title), self._list)
            item.setData(_KEY, entry.key)
            item.setData(_DETAIL, printable(entry.detail))
            item.setData(_EXPLAINED, entry.explained)
            set_tooltip(item, entry.tip or entry.detail)
            if not entry.enabled:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
        self._list.setCurrentRow(0)

    def _choose(self, item: QListWidgetItem | None) -> None:
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            key = item.data(_KEY)
            self.close()
            self.chosen.emit(key)


class _EntryDelegate(QStyledItemDelegate):
    """Paints icon, text, and the detail: at the right, or beside the text and cut short."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        enabled = bool(index.flags() & Qt.ItemFlag.ItemIsEnabled)
        painter.save()
        if enabled and option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            selected = bool(option.state & QStyle.StateFlag.State_Selected)
            painter.fillRect(option.rect, theme.current().selection if selected else theme.current().hover)
        area = option.rect.adjusted(theme.SPACE_S, 0, -theme.SPACE_M, 0)
        explained, detail = bool(index.data(_EXPLAINED)), index.data(_DETAIL)
        if not explained:
            icon = index.data(Qt.ItemDataRole.DecorationRole)
            mode = QIcon.Mode.Normal if enabled else QIcon.Mode.Disabled
            icon.paint(painter, QRect(area.left(), area.top(), ICON, area.height()), Qt.AlignmentFlag.AlignCenter, mode)
            area.setLeft(area.left() + ICON + theme.SPACE_S)
        painter.setPen(theme.current().text if enabled else theme.current().disabled)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, index.data())
        painter.setPen(theme.current().muted if enabled else theme.current().disabled)
        side = Qt.AlignmentFlag.AlignRight
        if explained:
            area.setLeft(area.left() + NAME_WIDTH)
            detail = option.fontMetrics.elidedText(detail, Qt.TextElideMode.ElideRight, area.width())
            side = Qt.AlignmentFlag.AlignLeft
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | side, detail)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)
