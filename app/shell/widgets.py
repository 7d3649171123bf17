"""Labels, buttons and combo boxes, which show every text literally: see ``app/shell/plain_text.py``."""

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QPushButton,
    QSplitter,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QWidget,
)

from app.shell import icons, theme
from app.shell.plain_text import button_text, set_tooltip, tooltip_text
from core.runtime.text import printable, shortened


class Label(QLabel):
    """A label that shows plain text in one line, which is wrapped where ``wrap`` is True.

    Parameters
    ----------
    role : role in the style sheet, such as "title" or "caption".
    """

    def __init__(self, text: str = "", role: str = "", *, wrap: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        self.setText(text)
        if role:
            theme.set_role(self, role)

    def setText(self, text: str) -> None:
        super().setText(printable(text))


def button(text: str, icon: str, clicked: Callable[[], object], *, role: str = "", tip: str = "") -> QPushButton:
    """A push button; an empty ``icon`` is none."""
    made = QPushButton(button_text(text))
    set_tooltip(made, tip)
    if icon:
        icons.set_icon(made, icon, "on_accent" if role == "primary" else "text")
    if role:
        theme.set_role(made, role)
    made.clicked.connect(lambda: clicked())
    return made


def tool_button(
    text: str = "",
    icon: str = "",
    *,
    colour: str = "text",
    role: str = "",
    tip: str = "",
    name: str = "",
    checkable: bool = False,
    checked: bool = False,
) -> QToolButton:
    """A tool button with a text, an icon, or an icon beside its text; ``name`` is the accessible name."""
    made = QToolButton()
    made.setText(button_text(text))
    set_tooltip(made, tip)
    made.setAccessibleName(name)
    made.setCheckable(checkable)
    made.setChecked(checked)
    if icon:
        icons.set_icon(made, icon, colour)
    if icon and text:
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    if role:
        theme.set_role(made, role)
    return made


def check_box(text: str = "", *, checked: bool = False, enabled: bool = True, tip: str = "") -> QCheckBox:
    made = QCheckBox(button_text(shortened(text, LONGEST_CHECK_BOX)))
    made.setChecked(checked)
    made.setEnabled(enabled)
    set_tooltip(made, tip)
    return made


def add_item(combo: QComboBox, text: str, data: Any = None, tip: str = "") -> None:
    """Add an entry to a combo box."""
    combo.addItem(printable(text), data)
    if tip:
        combo.setItemData(combo.count() - 1, tooltip_text(tip), Qt.ItemDataRole.ToolTipRole)


class Splitter(QSplitter):
    """A splitter whose sizes are saved under ``name``; each part begins with its share of the space."""

    def __init__(self, orientation: Qt.Orientation, name: str, parts: Mapping[QWidget, int]) -> None:
        super().__init__(orientation)
        self.setObjectName(name)
        self.setChildrenCollapsible(False)
        self._shares = list(parts.values())
        for part, share in parts.items():
            self.addWidget(part)
            self.setStretchFactor(self.indexOf(part), share)
        self.reset_sizes()

    def reset_sizes(self) -> None:
        self.setSizes([SHARE * share for share in self._shares])


def keep_space(widget: QWidget) -> None:
    """Let a widget take its space also while it is hidden, so that nothing beside it moves."""
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)


def swap_visible(hidden: QWidget, shown: QWidget) -> None:
    """Show one button in place of another, and pass the keyboard focus on to it."""
    focused = hidden.hasFocus()
    shown.setVisible(True)
    shown.setEnabled(True)  # a disabled widget cannot have the focus
    if focused:
        shown.setFocus()
    hidden.setVisible(False)


SHARE = 100  # pixels of one share of a splitter; Qt scales the sum to the space that there is
MINIMUM_WIDTH = 72  # of a combo box, in pixels: the beginning of a word can still be read
LONGEST_CHECK_BOX = 28
"""Most characters; a longer text would make the drawer's fields wider than the drawer."""


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
