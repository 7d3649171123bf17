"""The command palette: type a few letters of what to do, press Enter."""

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

WIDTH = 560
ROWS = 10
ROW_HEIGHT = 32
ICON = 18
_SHORTCUT = Qt.ItemDataRole.UserRole
_KEY = Qt.ItemDataRole.UserRole + 1


def score(letters: str, text: str) -> float:
    """How well typed letters fit a text; minus infinity if they do not occur in it in order.

    Runs of letters and letters at the beginnings of words count more, long texts a little less.
    """
    letters, text = letters.lower().replace(" ", ""), text.lower()

    def gain(place: int, last: int) -> float:
        if place == last + 1 and last >= 0:
            return 3.0
        return 2.0 if place == 0 or not text[place - 1].isalnum() else 0.5

    @cache
    def best(typed: int, last: int) -> float:
        if typed == len(letters):
            return 0.0
        places = (place for place in range(last + 1, len(text)) if text[place] == letters[typed])
        return max((gain(place, last) + best(typed + 1, place) for place in places), default=-inf)

    return best(0, -1) - 0.01 * len(text)


def _fit(letters: str, info: ActionInfo) -> float:
    """The name of the menu helps to find an action, but counts less than its own words."""
    return max(score(letters, info.text), score(letters, f"{info.menu} {info.text}") - 2.0)


class CommandPalette(QFrame):
    """A popup over the window with every action of the table; greyed ones cannot be run now. Made for one use."""

    def __init__(self, window: QWidget, actions: Mapping[str, QAction]) -> None:
        super().__init__(window, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._window, self._actions = window, actions
        theme.role(self, "card")
        self._field = QLineEdit(placeholderText="Find an action…", clearButtonEnabled=True)
        self._field.setAccessibleName("Find an action")
        self._field.textChanged.connect(self._filter)
        self._field.installEventFilter(self)
        self._list = QListWidget()
        self._list.setAccessibleName("Actions")
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setItemDelegate(_Row(self._list))
        self._list.setFixedHeight(ROWS * ROW_HEIGHT + theme.SPACE_S)
        self._list.itemClicked.connect(self._run)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        column.addWidget(self._field)
        column.addWidget(self._list)
        self.setFixedWidth(WIDTH)
        self._filter("")

    def popup(self) -> None:
        """Show every action near the top of the window, ready to type."""
        left = (self._window.width() - WIDTH) // 2
        self.move(self._window.mapToGlobal(QPoint(left, 2 * theme.SPACE_XL)))
        self.show()
        self._field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The field keeps the focus; arrows, pages and Enter go to the list."""
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
                self._run(self._list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _filter(self, letters: str) -> None:
        fits = [(_fit(letters, info), info) for info in ACTIONS if info.kind != "submenu"]
        if letters:
            fits = sorted((fit for fit in fits if fit[0] > -inf), key=lambda fit: -fit[0])
        self._list.clear()
        for _, info in fits:
            action = self._actions[info.key]
            item = QListWidgetItem(action.icon(), f"{info.menu}: {info.text}", self._list)
            item.setData(_KEY, info.key)
            item.setData(_SHORTCUT, action.shortcut().toString(QKeySequence.SequenceFormat.NativeText))
            item.setToolTip(info.tip)
            if not action.isEnabled():
                item.setFlags(Qt.ItemFlag.NoItemFlags)
        self._list.setCurrentRow(0)

    def _run(self, item: QListWidgetItem | None) -> None:
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            action = self._actions[item.data(_KEY)]
            self.close()
            action.trigger()


class _Row(QStyledItemDelegate):
    """Icon, text, and the shortcut at the right."""

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
