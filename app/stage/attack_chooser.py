"""The combo box of attacks. Its list can be searched by a few letters and describes each attack."""

from collections.abc import Mapping

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QWidget

from app.shell.search import Entry, SearchPopup
from app.shell.widgets import ElidedComboBox, add_item


class AttackChooser(ElidedComboBox):
    """Arrow keys go through the attacks; a click, or Alt+Down, opens the list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Attack")
        self._descriptions: dict[str, str] = {}

    def fill(self, descriptions: Mapping[str, str]) -> None:
        """Offer attacks: what each does, by its name."""
        self._descriptions = dict(descriptions)
        for name, description in self._descriptions.items():
            add_item(self, name.upper(), name, description)

    def showPopup(self) -> None:
        entries = [Entry(name, name.upper(), text, explained=True) for name, text in self._descriptions.items()]
        popup = SearchPopup(self.window(), entries, "Find an attack…", "Attacks")
        popup.chosen.connect(lambda name: self.setCurrentIndex(self.findData(name)))
        popup.destroyed.connect(self.hidePopup)
        above = self.mapToGlobal(QPoint(0, -popup.sizeHint().height()))
        popup.popup(above if above.y() > 0 else self.mapToGlobal(QPoint(0, self.height())), self.currentData())
