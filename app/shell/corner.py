"""What is at the right of the menu bar: errors that nobody has looked up, a way to find an action, and the device."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label, keep_space, tool_button

MOST_COUNTED = 99  # errors; there is space for two digits


class Corner(QWidget):
    """A button with the number of new errors, which is hidden without any, one for the palette, and the device."""

    logRequested = Signal()
    paletteRequested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.errors = tool_button(str(MOST_COUNTED), "error", colour="bad", role="flat", tip="New errors: open the log")
        self.errors.setFixedWidth(self.errors.sizeHint().width())
        self.errors.clicked.connect(self.logRequested)
        keep_space(self.errors)  # Qt gives a corner its width only once
        self.device = Label(role="caption")
        self.device.setContentsMargins(0, 0, theme.SPACE_M, 0)
        find = tool_button("Find an action…   Ctrl+Shift+P")
        find.setAutoRaise(True)
        find.setMinimumWidth(find.fontMetrics().horizontalAdvance(find.text()) + theme.SPACE_XL)
        find.clicked.connect(self.paletteRequested)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_M)
        for widget in (self.errors, find, self.device):
            row.addWidget(widget)
        self.show_errors(0)

    def show_errors(self, count: int) -> None:
        """Show how many errors nobody has looked up."""
        self.errors.setText(str(min(count, MOST_COUNTED)))
        self.errors.setAccessibleName(f"{count} new errors in the log")
        self.errors.setVisible(count > 0)
