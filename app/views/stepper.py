"""A row of things of which one is shown: "chair → table: 3 of 17 clouds", with buttons to the one before and after."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.shell import theme


class Stepper(QWidget):
    """Tells the place of the thing that is to be shown, from the first one on, around the ends.

    Parameters
    ----------
    unit
        What the things are: "cloud".
    """

    reached = Signal(int)
    """Place, from 0, of the thing to show now."""

    def __init__(self, unit: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._unit, self._what = unit, ""
        self._at = self._count = 0
        self._text = QLabel()
        theme.role(self._text, "caption")
        self._text.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_XS)
        row.addWidget(self._text, 1)
        self.previous, self.next = QToolButton(), QToolButton()
        for button, name, icon, step in (
            (self.previous, f"Previous {unit}", "chevron-left", -1),
            (self.next, f"Next {unit}", "chevron-right", 1),
        ):
            theme.set_icon(button, icon)
            button.setAccessibleName(name)
            button.setToolTip(name)
            button.clicked.connect(lambda _=False, step=step: self._go(self._at + step))
            row.addWidget(button)
        self.say("")

    @property
    def text(self) -> str:
        return self._text.text()

    def say(self, text: str) -> None:
        """Offer nothing, and say why or how to come by something."""
        self._count = 0
        self._show(text)

    def offer(self, what: str, count: int) -> None:
        """Offer ``count`` things that are ``what``, and show the first."""
        self._what, self._count = what, count
        if count:
            self._go(0)
        else:
            self._show(f"{what}: no {self._unit}")

    def _go(self, place: int) -> None:
        self._at = place % self._count
        self._show(f"{self._what}: {self._at + 1} of {self._count} {self._unit}{'s' if self._count > 1 else ''}")
        self.reached.emit(self._at)

    def _show(self, text: str) -> None:
        self._text.setText(text)
        self._text.setToolTip(text)
        for button in (self.previous, self.next):
            button.setEnabled(self._count > 1)
