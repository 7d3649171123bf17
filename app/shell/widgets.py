"""Small widgets that several panels use."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from app.shell import theme


def label(text: str, role: str) -> QLabel:
    """A label with a role of the style sheet, such as "title" or "caption"."""
    made = QLabel(text)
    theme.set_role(made, role)
    return made


def swap_visible(hidden: QWidget, shown: QWidget) -> None:
    """Show one button in place of another, and pass the keyboard focus on to it."""
    focused = hidden.hasFocus()
    shown.setVisible(True)
    shown.setEnabled(True)  # a disabled widget cannot have the focus
    if focused:
        shown.setFocus()
    hidden.setVisible(False)


def button(text: str, icon: str, clicked: Callable[[], object], *, role: str = "", tip: str = "") -> QPushButton:
    """A push button with an icon that follows the theme."""
    made = QPushButton(text, toolTip=tip)
    theme.set_icon(made, icon, "on_accent" if role == "primary" else "text")
    if role:
        theme.set_role(made, role)
    made.clicked.connect(lambda: clicked())
    return made


MINIMUM_WIDTH = 72  # of a combo box, in pixels: the beginning of a word can still be read


class ElidedComboBox(QComboBox):
    """A combo box as wide as its current text; where there is less space, the text ends in an ellipsis.

    Qt's own is as wide as its longest entry, and with a style sheet it cuts the text off within a letter.
    """

    _last_hint = QSize()

    def sizeHint(self) -> QSize:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        text = option.fontMetrics.size(0, option.currentText)
        return self.style().sizeFromContents(QStyle.ContentsType.CT_ComboBox, option, text, self)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint().boundedTo(QSize(MINIMUM_WIDTH, self.maximumHeight()))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.sizeHint() != self._last_hint:  # checked here, because a change with blocked signals is not signalled
            self._last_hint = self.sizeHint()
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
