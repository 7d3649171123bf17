"""The options of the chosen attack and its seed, and the popup with them.

There is one form for each kind of attack, of which only the chosen one is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.forms import OptionsForm, align_fields
from app.shell.popup import Popup
from core.options import Options, option

if TYPE_CHECKING:
    from core.attacks import Attack


class SeedOptions(Options):
    """What is chosen beside the options of every attack."""

    seed: int = option(
        0,
        "Seed of the attack's random numbers, and of what a random defence draws during it.",
        low=0,
        high=2**31 - 1,
    )


class AttackOptions(QWidget):
    """The options of an attack except epsilon, which has the slider, and its seed.

    A form is created when it is first needed.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, "content")
        self._forms: dict[type[Attack], OptionsForm[Attack]] = {}
        self._form: OptionsForm[Attack] | None = None
        self._seed = OptionsForm(SeedOptions)
        self._seed.changed.connect(self.changed)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self._seed)

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
        self._align_seed()

    @property
    def seed(self) -> int | None:
        """The edited seed; None while its field is invalid."""
        options = self._seed.value()
        return None if options is None else options.seed

    def set_seed(self, seed: int) -> None:
        """Show this seed, without emitting ``changed``."""
        with QSignalBlocker(self):
            self._seed.set_value(SeedOptions(seed=seed))

    def show_seed(self, on: bool) -> None:
        """Show the seed, or hide it while it changes nothing."""
        self._seed.setVisible(on)

    def _create_form(self, kind: type[Attack]) -> OptionsForm[Attack]:
        form = self._forms[kind] = OptionsForm(kind, exclude=("epsilon",))
        form.changed.connect(self.changed)
        form.expanded.connect(self._align_seed)
        self._column.insertWidget(0, form)
        return form

    def _align_seed(self) -> None:
        if self._form is not None:
            align_fields(self._form, self._seed)


class OptionsPopup(Popup):
    """Shows options, which are scrolled where the screen has no space for all of them."""

    def __init__(self, options: AttackOptions, window: QWidget, title: str) -> None:
        super().__init__(window, title)
        self._options = options
        scrolled = QScrollArea(widgetResizable=True)
        scrolled.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scrolled.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scrolled.setWidget(options)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_XS, theme.SPACE_XS, theme.SPACE_XS, theme.SPACE_XS)
        column.addWidget(scrolled)
        options.installEventFilter(self)

    def sizeHint(self) -> QSize:
        around = 2 * (theme.SPACE_XS + self.frameWidth())
        return self._options.sizeHint() + QSize(around, around)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A layout in a scroll area does not tell those around it that it changes."""
        if event.type() == QEvent.Type.LayoutRequest:
            QApplication.postEvent(self, QEvent(QEvent.Type.LayoutRequest))
        return super().eventFilter(watched, event)
