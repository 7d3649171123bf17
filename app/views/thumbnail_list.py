"""A row of thumbnails of clouds, with a line or two of text below each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QListView, QListWidget, QListWidgetItem

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.views.thumbnails import SIZE
from core.runtime.text import printable

DATA = Qt.ItemDataRole.UserRole
"""Role of what an item stands for."""


class Thumbnail(NamedTuple):
    """A picture, what it stands for, and its texts."""

    picture: QPixmap
    data: Any
    tip: str
    lines: tuple[str, ...] = ()
    """Below the picture."""


class ThumbnailList(QListWidget):
    """Pictures from left to right in one row, which scrolls.

    Parameters
    ----------
    lines
        Most lines of text below a picture.
    """

    def __init__(self, name: str, lines: int = 0) -> None:
        super().__init__()
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setAccessibleName(name)
        self.setIconSize(QSize(SIZE, SIZE))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFont(theme.font(theme.CAPTION_PX))
        self.setFixedHeight(SIZE + 3 * theme.SPACE_M + lines * self.fontMetrics().lineSpacing())

    def set_thumbnails(self, thumbnails: Sequence[Thumbnail]) -> None:
        """Show these pictures, of which none is chosen."""
        with QSignalBlocker(self):
            self.clear()
            for picture, data, tip, lines in thumbnails:
                item = QListWidgetItem(QIcon(picture), "\n".join(map(printable, lines)), self)
                set_tooltip(item, tip)
                item.setData(Qt.ItemDataRole.AccessibleTextRole, printable(tip))
                item.setData(DATA, data)
