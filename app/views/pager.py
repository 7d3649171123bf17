"""A line such as "chair → table: 3 of 17 clouds", with buttons for the previous and the next item."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, keep_space, tool_button


class Pager(QWidget):
    """Steps through a number of items; after the last comes the first.

    Parameters
    ----------
    unit
        Name of one item: "cloud".
    """

    itemChosen = Signal(int)
    """Index, from 0, of the item to show."""

    def __init__(self, unit: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._unit, self._description = unit, ""
        self._index = self._count = 0
        self._label = Label(role="caption")
        self._label.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_XS)
        row.addWidget(self._label, 1)
        previous, following = f"Previous {unit}", f"Next {unit}"
        self.previous = tool_button(icon="chevron-left", name=previous, tip=previous)
        self.next = tool_button(icon="chevron-right", name=following, tip=following)
        for button, step in ((self.previous, -1), (self.next, 1)):
            keep_space(button)
            button.clicked.connect(lambda _=False, step=step: self._show_item(self._index + step))
            row.addWidget(button)
        self.clear("")

    @property
    def text(self) -> str:
        return self._label.text()

    def clear(self, text: str) -> None:
        """Have no items, and show ``text``."""
        self._count = 0
        self._set_text(text)

    def set_hint(self, text: str) -> None:
        """Show ``text`` if there are no items."""
        if not self._count:
            self._set_text(text)

    def set_items(self, description: str, count: int) -> None:
        """Have ``count`` items with a description, and show the first."""
        self._description, self._count = description, count
        if count:
            self._show_item(0)
        else:
            self._set_text(f"{description}: no {self._unit}")

    def _show_item(self, index: int) -> None:
        self._index = index % self._count
        self._set_text(
            f"{self._description}: {self._index + 1} of {self._count} {self._unit}{'s' if self._count > 1 else ''}"
        )
        self.itemChosen.emit(self._index)

    def _set_text(self, text: str) -> None:
        self._label.setText(text)
        set_tooltip(self._label, text)
        for button in (self.previous, self.next):
            button.setVisible(self._count > 1)
