"""The small pieces that all panels are made of."""

from collections.abc import Callable

from PySide6.QtWidgets import QLabel, QPushButton

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


def number(value: float) -> str:
    """Three significant digits in plain notation; zero as 0."""
    if value == 0:
        return "0"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
