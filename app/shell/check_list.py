"""A list of names to tick."""

from collections.abc import Collection, Iterable

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from app.shell import theme
from app.shell.plain_text import set_tooltip
from core.runtime.text import printable

MOST_ROWS = 14  # that are shown without scrolling
_NAME = Qt.ItemDataRole.UserRole


class CheckList(QListWidget):
    """Names to tick; the arrow keys move, the space bar ticks."""

    ticksChanged = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(lambda _: self.ticksChanged.emit())

    def fill(self, entries: Iterable[tuple[str, str, bool]], ticked: Collection[str]) -> None:
        """List entries of a name, a tooltip and whether it can be ticked."""
        with QSignalBlocker(self):
            self.clear()
            for name, tip, fits in entries:
                item = QListWidgetItem(printable(name), self)
                item.setData(_NAME, name)
                if not fits:
                    item.setFlags(Qt.ItemFlag.NoItemFlags)
                on = fits and name in ticked
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                set_tooltip(item, tip, wrap=True)
        self.setFixedHeight(self.sizeHint().height())

    def sizeHint(self) -> QSize:
        """As high as its rows, up to ``MOST_ROWS``."""
        row = max(self.sizeHintForRow(0), theme.BODY_PX + theme.SPACE_S)
        rows = min(max(self.count(), 1), MOST_ROWS)
        return QSize(super().sizeHint().width(), rows * row + 2 * self.frameWidth() + theme.SPACE_XS)

    @property
    def ticked(self) -> tuple[str, ...]:
        items = [self.item(row) for row in range(self.count())]
        return tuple(item.data(_NAME) for item in items if item.checkState() is Qt.CheckState.Checked)

    def tick(self, names: Collection[str]) -> None:
        """Tick these and no others."""
        with QSignalBlocker(self):
            for row in range(self.count()):
                item = self.item(row)
                on = item.data(_NAME) in names and bool(item.flags())
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.ticksChanged.emit()
