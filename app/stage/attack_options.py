"""The options of the chosen attack: one form for each kind of attack, of which only the chosen one is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

if TYPE_CHECKING:
    from app.shell.forms import OptionsForm
    from core.attacks import Attack


class AttackOptions(QWidget):
    """The options of an attack except epsilon, which has the slider. A form is created when it is first needed."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._forms: dict[type[Attack], OptionsForm[Attack]] = {}
        self._form: OptionsForm[Attack] | None = None
        QVBoxLayout(self).setContentsMargins(0, 0, 0, 0)

    def value(self) -> Attack | None:
        """The edited attack; None while a field is invalid."""
        return None if self._form is None else self._form.value()

    def set_value(self, attack: Attack) -> None:
        """Show this attack, without emitting ``changed``."""
        form = self._forms.get(type(attack)) or self._create_form(type(attack))
        if self._form is not None:
            self._form.hide()
        self._form = form
        with QSignalBlocker(self):
            form.set_value(attack)
        form.show()

    def _create_form(self, kind: type[Attack]) -> OptionsForm[Attack]:
        from app.shell.forms import OptionsForm

        form = self._forms[kind] = OptionsForm(kind, exclude=("epsilon",))
        form.changed.connect(self.changed)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(form)
        return form
