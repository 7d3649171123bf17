"""A line such as "chair → table: 3 of 17 clouds", with buttons for the previous and the next item."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.shell import theme


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
        self._label = QLabel()
        theme.set_role(self._label, "caption")
        self._label.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_XS)
        row.addWidget(self._label, 1)
        self.previous, self.next = QToolButton(), QToolButton()
        for button, name, icon, step in (
            (self.previous, f"Previous {unit}", "chevron-left", -1),
            (self.next, f"Next {unit}", "chevron-right", 1),
        ):
            theme.set_icon(button, icon)
            button.setAccessibleName(name)
            button.setToolTip(name)
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
        self._label.setToolTip(text)
        for button in (self.previous, self.next):
            button.setEnabled(self._count > 1)
