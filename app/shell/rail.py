"""The rail at the left edge of the window: a button for each workspace, and the buttons of the two drawers."""

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import tool_button

WIDTH = 68
"""In pixels: the longest name of a workspace fits."""


class Rail(QWidget):
    """Buttons of checkable actions: the workspaces from the top, the drawers at the bottom."""

    def __init__(self, workspaces: Iterable[QAction], drawers: Iterable[QAction]) -> None:
        super().__init__()
        theme.set_role(self, "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Workspaces")
        self.setFixedWidth(WIDTH)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_XS, theme.SPACE_S, theme.SPACE_XS, theme.SPACE_S)
        column.setSpacing(theme.SPACE_XS)
        for action in workspaces:
            column.addWidget(_button(action))
        column.addStretch(1)
        for action in drawers:
            column.addWidget(_button(action))

    def button(self, action: QAction) -> QToolButton:
        """The button of an action."""
        return next(each for each in self.findChildren(QToolButton) if each.defaultAction() is action)


def _button(action: QAction) -> QToolButton:
    button = tool_button(role="rail")
    button.setDefaultAction(action)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
    button.setIconSize(QSize(20, 20))
    button.setFixedWidth(WIDTH - 2 * theme.SPACE_XS)
    return button
