"""The small pieces that all panels are made of."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from app.shell import theme


def label(text: str, role: str) -> QLabel:
    """A label that plays a part of the style sheet: "title", "caption"."""
    made = QLabel(text)
    theme.role(made, role)
    return made


def trade_places(gone: QWidget, come: QWidget) -> None:
    """Show a button in the place of another, which leaves it the keyboard focus; else that would jump elsewhere."""
    focused = gone.hasFocus()
    come.setVisible(True)
    come.setEnabled(True)  # or it could not have the focus
    if focused:
        come.setFocus()
    gone.setVisible(False)


def button(text: str, icon: str, clicked: Callable[[], object], *, role: str = "", tip: str = "") -> QPushButton:
    """A push button with an icon that follows the theme."""
    made = QPushButton(text, toolTip=tip)
    theme.set_icon(made, icon, "on_accent" if role == "primary" else "text")
    if role:
        theme.role(made, role)
    made.clicked.connect(lambda: clicked())
    return made


NARROW = 72  # pixels of a combo box in which the beginning of a word can still be read


class Choice(QComboBox):
    """A combo box that asks for the room of what is chosen and, where it gets less, ends in an ellipsis.

    Qt's own asks for the room of its longest entry, and a style sheet's cuts through a letter.
    """

    _room = QSize()

    def sizeHint(self) -> QSize:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        text = option.fontMetrics.size(0, option.currentText)
        return self.style().sizeFromContents(QStyle.ContentsType.CT_ComboBox, option, text, self)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint().boundedTo(QSize(NARROW, self.maximumHeight()))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.sizeHint() != self._room:  # here, for a choice made while its signals are blocked tells nobody
            self._room = self.sizeHint()
            self.updateGeometry()
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = option.fontMetrics.elidedText(
            option.currentText, Qt.TextElideMode.ElideRight, field.width()
        )
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def number(value: float) -> str:
    """Three significant digits in plain notation; zero as 0."""
    if value == 0:
        return "0"
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"
