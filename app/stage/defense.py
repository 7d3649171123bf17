"""The choice of an input defence before the attacked model."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal

from app.shell.notify import error_message
from app.shell.plain_text import set_tooltip
from app.shell.widgets import ElidedComboBox, add_item
from app.store import Store

NONE = "no defence"


class DefenseChoice(ElidedComboBox):
    """Replaces the attacked model by the same model behind a defence, and back."""

    failed = Signal(str)

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.setAccessibleName("Defence")
        set_tooltip(self, "What is done to a cloud before the attacked model sees it")
        self.activated.connect(self._choose)
        store.modelsChanged.connect(self._show)
        self._show()

    def _show(self) -> None:
        """Show the defence of the attacked model."""
        primary = self._store.primary_model
        self.setEnabled(primary is not None)
        if primary is None:
            return
        from core.defenses import DEFENSES  # with a model there, core is imported

        with QSignalBlocker(self):
            if not self.count():
                add_item(self, NONE, "")
                for name, spec in DEFENSES.items():
                    add_item(self, spec.title, name, spec.sentence)
            self.setCurrentIndex(max(0, self.findData(primary.defense.partition(":")[0])))

    def _choose(self) -> None:
        from core.defenses import DEFENSES
        from core.defenses.names import protected

        primary, name = self._store.primary_model, self.currentData()
        if primary is None or name == primary.defense.partition(":")[0]:
            return
        bare = primary.bare or primary
        try:
            chosen = protected(bare, DEFENSES[name].options()) if name else bare
        except ValueError as error:  # the model can't stand behind it
            self._show()
            self.failed.emit(error_message(error))
        else:
            self._store.replace_model(primary, chosen)
