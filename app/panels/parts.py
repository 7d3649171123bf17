"""The small pieces that all panels are made of."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton, QStyle, QStyleOptionComboBox, QStylePainter

from app import theme


def label(text: str, role: str) -> QLabel:
    """A label that plays a part of the style sheet: "title", "caption"."""
    made = QLabel(text)
    theme.role(made, role)
    return made


def button(text: str, icon: str, clicked: Callable[[], object], *, role: str = "", tip: str = "") -> QPushButton:
    """A push button with an icon that follows the theme."""
    made = QPushButton(text, toolTip=tip)
    theme.set_icon(made, icon, "on_accent" if role == "primary" else "text")
    if role:
        theme.role(made, role)
    made.clicked.connect(lambda: clicked())
    return made


class Choice(QComboBox):
    """A combo box that, where it is narrow, ends its text with an ellipsis; a style sheet's cuts through a letter."""

    def paintEvent(self, event: QPaintEvent) -> None:
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
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
