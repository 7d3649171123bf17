"""The log window: what the program and its messages have said since the start."""

import logging

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication, QTextOption
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from app.shell.plain_text import multi_line
from app.shell.widgets import button

LOG_LINES = 1000


class LogPanel(QDialog):
    """The last thousand log lines since this widget was created, with a button that copies them."""

    opened = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Log")
        self.resize(760, 420)
        self._text = QPlainTextEdit(readOnly=True, maximumBlockCount=LOG_LINES)
        self._text.setAccessibleName("Log")
        self._text.setPlaceholderText("Nothing has been logged. Messages and errors appear here.")
        self._text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        copy = button("Copy all", "copy", lambda: QGuiApplication.clipboard().setText(self.text))
        copy.setAutoDefault(False)
        column = QVBoxLayout(self)
        column.addWidget(self._text)
        column.addWidget(copy, alignment=Qt.AlignmentFlag.AlignRight)
        handler = _Handler()
        handler.relay.line.connect(self._text.appendPlainText)
        logging.getLogger().addHandler(handler)
        self.destroyed.connect(lambda: logging.getLogger().removeHandler(handler))

    def open(self) -> None:
        """Show it before all other windows."""
        self.show()
        self.raise_()
        self.activateWindow()
        self.opened.emit()

    @property
    def text(self) -> str:
        return self._text.toPlainText()


class _Relay(QObject):
    line = Signal(str)


class _Handler(logging.Handler):
    """Sends log records of any thread to the GUI thread. Not a QObject itself: logging keeps handlers until exit."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
        self.relay = _Relay()

    def emit(self, record: logging.LogRecord) -> None:
        self.relay.line.emit(multi_line(self.format(record)))
