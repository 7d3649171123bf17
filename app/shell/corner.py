"""What is at the right of the menu bar: errors that nobody has looked up, a way to find an action, and the device."""

from collections.abc import Callable
from contextlib import suppress

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.shell import theme
from app.shell.widgets import Label, keep_space, tool_button

MOST_COUNTED = 99  # errors; there is space for two digits
DEVICE_MS = 3000  # time after which the free memory of a GPU is read again


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
        self.device.setFont(theme.tabular(theme.font(theme.CAPTION_PX)))
        self.device.setContentsMargins(0, 0, theme.SPACE_M, 0)
        self._read_device: Callable[[], str] | None = None
        self._device_timer = QTimer(self, interval=DEVICE_MS)
        self._device_timer.timeout.connect(self._update_device)
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

    def show_device(self, text: str, read: Callable[[], str] | None = None) -> None:
        """Show the device; of one whose text changes, ``read`` returns it anew while this is visible."""
        self._device_timer.stop()
        self.device.setText(text)
        self._read_device = read
        if read is not None:
            more_digits = self.device.fontMetrics().horizontalAdvance("00")
            self.device.setFixedWidth(self.device.sizeHint().width() + more_digits)  # nothing beside it moves
            if self.isVisible():
                self._device_timer.start()

    def _update_device(self) -> None:
        assert self._read_device is not None
        with suppress(RuntimeError):  # of a GPU that has failed; the work on it says that
            self.device.setText(self._read_device())

    # --- Qt ---

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._read_device is not None:
            self._device_timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._device_timer.stop()
