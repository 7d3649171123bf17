"""The command palette: finds an action by a few letters of its text, and triggers it."""

from collections.abc import Mapping
from functools import cache
from math import inf

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QAction, QIcon, QKeyEvent, QKeySequence, QPainter
from PySide6.QtWidgets import (
    QFrame,
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
from app.shell.actions import ACTIONS, ActionInfo
from app.shell.plain_text import set_tooltip

WIDTH = 560
ROWS = 10
ROW_HEIGHT = 32
ICON = 18
_SHORTCUT = Qt.ItemDataRole.UserRole
_KEY = Qt.ItemDataRole.UserRole + 1


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


def _match_score(query: str, info: ActionInfo) -> float:
    """The menu's name may be part of the query, but counts less than the action's own text."""
    return max(score(query, info.text), score(query, f"{info.menu} {info.text}") - 2.0)


class CommandPalette(QFrame):
    """A popup with all actions of the table; disabled ones are grey. It is deleted when it closes."""

    def __init__(self, window: QWidget, actions: Mapping[str, QAction]) -> None:
        super().__init__(window, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._window, self._actions = window, actions
        theme.set_role(self, "card")
        self._query_field = QLineEdit(placeholderText="Find an action…", clearButtonEnabled=True)
        self._query_field.setAccessibleName("Find an action")
        self._query_field.textChanged.connect(self._filter)
        self._query_field.installEventFilter(self)
        self._list = QListWidget()
        self._list.setAccessibleName("Actions")
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setItemDelegate(_ActionDelegate(self._list))
        self._list.setFixedHeight(ROWS * ROW_HEIGHT + theme.SPACE_S)
        self._list.itemClicked.connect(self._trigger)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        column.addWidget(self._query_field)
        column.addWidget(self._list)
        self.setFixedWidth(WIDTH)
        self._filter("")

    def popup(self) -> None:
        """Show the palette near the top of the window, with the focus in the query field."""
        left = (self._window.width() - WIDTH) // 2
        self.move(self._window.mapToGlobal(QPoint(left, 2 * theme.SPACE_XL)))
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
                self._trigger(self._list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _filter(self, query: str) -> None:
        matches = [(_match_score(query, info), info) for info in ACTIONS if info.kind != "submenu"]
        if query:
            matches = sorted((match for match in matches if match[0] > -inf), key=lambda match: -match[0])
        self._list.clear()
        for _, info in matches:
            action = self._actions[info.key]
            item = QListWidgetItem(action.icon(), f"{info.menu}: {info.text}", self._list)
            item.setData(_KEY, info.key)
            item.setData(_SHORTCUT, action.shortcut().toString(QKeySequence.SequenceFormat.NativeText))
            set_tooltip(item, info.tip)
            if not action.isEnabled():
                item.setFlags(Qt.ItemFlag.NoItemFlags)
        self._list.setCurrentRow(0)

    def _trigger(self, item: QListWidgetItem | None) -> None:
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            action = self._actions[item.data(_KEY)]
            self.close()
            action.trigger()


class _ActionDelegate(QStyledItemDelegate):
    """Paints icon, text, and the shortcut at the right."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        enabled = bool(index.flags() & Qt.ItemFlag.ItemIsEnabled)
        painter.save()
        if enabled and option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            selected = bool(option.state & QStyle.StateFlag.State_Selected)
            painter.fillRect(option.rect, theme.current().selection if selected else theme.current().hover)
        area = option.rect.adjusted(theme.SPACE_S, 0, -theme.SPACE_M, 0)
        icon = index.data(Qt.ItemDataRole.DecorationRole)
        mode = QIcon.Mode.Normal if enabled else QIcon.Mode.Disabled
        icon.paint(painter, QRect(area.left(), area.top(), ICON, area.height()), Qt.AlignmentFlag.AlignCenter, mode)
        area.setLeft(area.left() + ICON + theme.SPACE_S)
        painter.setPen(theme.current().text if enabled else theme.current().disabled)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, index.data())
        painter.setPen(theme.current().muted if enabled else theme.current().disabled)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, index.data(_SHORTCUT))
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)
