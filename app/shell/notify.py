"""What the program says by itself: toasts, the log, unexpected errors, and questions.

A toast says what happened and what to do, and never asks; details go to the log. A dialog opens only where the person
must decide.
"""

import logging
import sys
from collections.abc import Callable
from enum import Enum
from types import TracebackType

from pydantic import ValidationError
from PySide6.QtCore import QAbstractAnimation, QEvent, QObject, QPropertyAnimation, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QEnterEvent,
    QFontDatabase,
    QGuiApplication,
    QTextOption,
)
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsOpacityEffect,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from core.options import explain

TOASTS = 3
TOAST_WIDTH = 380
TOAST_LETTERS = 320
TOAST_MS = 6000
FADE_MS = 120
STRIP_HEIGHT = 28  # the job strip stays free
LOG_LINES = 1000

_log = logging.getLogger(__name__)


def sentence(error: BaseException) -> str:
    """What happened and what to do, for a person; never the bare name of an exception."""
    text = str(error).strip()
    if isinstance(error, ValidationError):
        text = explain(error)
    elif isinstance(error, MemoryError | RuntimeError) and (lacking := _out_of_memory(error)):
        text = lacking
    elif isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror
        text = f"{place}. Check the path, its permissions and the free space."
    elif not isinstance(error, ValueError) or not text:
        text = "Something unexpected went wrong, and this was not finished. The log has the details."
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def _out_of_memory(error: BaseException) -> str | None:
    from core.runtime.devices import out_of_memory  # loads PyTorch, which has no place in a window's start

    return out_of_memory(error)


def ask(parent: QWidget | None, title: str, text: str, yes: str, no: str) -> bool:
    """Let the person decide; Escape and Enter mean ``no``. Both words are verbs of what will happen."""
    box = QMessageBox(QMessageBox.Icon.NoIcon, "Pointward", title, parent=parent)
    box.setInformativeText(text)
    accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    reject = box.addButton(no, QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(reject)
    box.setEscapeButton(reject)
    box.exec()
    return box.clickedButton() is accept


# --- toasts ---------------------------------------------------------------------------------------------------------


class Severity(Enum):
    """Icon, colour and level of a message."""

    INFO = ("info", "accent", logging.INFO)
    OK = ("check", "ok", logging.INFO)
    WARNING = ("warning", "warn", logging.WARNING)
    ERROR = ("error", "bad", logging.ERROR)


class Toasts(QObject):
    """Up to three messages in the lower right corner of a window, newest lowest; errors stay until they are closed."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.visible: list[Toast] = []
        window.installEventFilter(self)

    def show(self, severity: Severity, text: str, action: tuple[str, Callable[[], object]] | None = None) -> None:
        """Show a message, with one button if there is something to do, and log it. A repeated one is counted."""
        _log.log(severity.value[2], text)
        for toast in self.visible:
            if toast.said == (severity, text):
                toast.repeat()
                return
        if len(self.visible) == TOASTS:
            self.visible[0].leave()
        toast = Toast(self._window, severity, text, action)
        toast.left.connect(self._left)
        self.visible.append(toast)
        self._place()
        toast.enter()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _left(self, toast: "Toast") -> None:
        self.visible.remove(toast)
        self._place()

    def _place(self) -> None:
        bottom = self._window.height() - STRIP_HEIGHT - theme.SPACE_M
        for toast in reversed(self.visible):
            toast.move(self._window.width() - toast.width() - theme.SPACE_L, bottom - toast.height())
            bottom -= toast.height() + theme.SPACE_S


class Toast(QFrame):
    """One message of ``Toasts``."""

    left = Signal(object)

    def __init__(
        self, parent: QWidget, severity: Severity, text: str, action: tuple[str, Callable[[], object]] | None
    ) -> None:
        super().__init__(parent)
        self.said = severity, text
        self.setAccessibleName(text)
        theme.role(self, "card")
        self._picture = QLabel()
        theme.notifier.changed.connect(self._dress)
        self._dress()
        message = QLabel(text if len(text) <= TOAST_LETTERS else text[:TOAST_LETTERS] + "… (the log has all of it)")
        message.setTextFormat(Qt.TextFormat.PlainText)
        message.setWordWrap(True)
        self._count, self._times = QLabel(), 1
        theme.role(self._count, "caption")
        close = QToolButton()
        close.setAccessibleName("Close message")
        theme.set_icon(close, "close", "muted")
        theme.role(close, "flat")
        close.clicked.connect(self.leave)

        column = QVBoxLayout()
        column.setSpacing(theme.SPACE_S)
        column.addWidget(message)
        if action is not None:
            label, run = action
            button = QPushButton(label)
            button.clicked.connect(self.leave)
            button.clicked.connect(lambda: run())
            column.addWidget(button, alignment=Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.SPACE_M, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        row.setSpacing(theme.SPACE_M)
        row.addWidget(self._picture, alignment=Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)
        row.addWidget(self._count, alignment=Qt.AlignmentFlag.AlignTop)
        row.addWidget(close, alignment=Qt.AlignmentFlag.AlignTop)
        self.setFixedWidth(TOAST_WIDTH)
        self.setFixedHeight(row.heightForWidth(TOAST_WIDTH))

        self._effect = QGraphicsOpacityEffect(self)
        self.setGraphicsEffect(self._effect)
        self._fade = QPropertyAnimation(self._effect, b"opacity", self, duration=FADE_MS, startValue=0.0, endValue=1.0)
        self._fade.finished.connect(self._faded)
        self._timer = QTimer(self, singleShot=True, interval=TOAST_MS)
        self._timer.timeout.connect(self.leave)
        self._leaving = False

    def _dress(self) -> None:
        name, token, _ = self.said[0].value
        self._picture.setPixmap(theme.icon(name, token).pixmap(20))

    def enter(self) -> None:
        self.show()
        self.raise_()
        self._fade.start()
        self._wait()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.said[1]))

    def repeat(self) -> None:
        """The same message again: count it and stay longer."""
        self._times += 1
        self._count.setText(f"×{self._times}")
        self._wait()

    def leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._timer.stop()
            self.left.emit(self)
            self._effect.setEnabled(True)
            self._fade.setDirection(QAbstractAnimation.Direction.Backward)
            self._fade.start()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._timer.stop()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._wait()
        super().leaveEvent(event)

    def _wait(self) -> None:
        if self.said[0] is not Severity.ERROR and not self._leaving:
            self._timer.start()

    def _faded(self) -> None:
        self._effect.setEnabled(False)  # sharp text, and no off-screen painting while nothing moves
        if self._leaving:
            self.deleteLater()


# --- the log --------------------------------------------------------------------------------------------------------


class LogPanel(QWidget):
    """The last thousand lines of the log, from the moment it is made, with a button that copies them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Log")
        self.resize(760, 420)
        self._text = QPlainTextEdit(readOnly=True, maximumBlockCount=LOG_LINES)
        self._text.setAccessibleName("Log")
        self._text.setPlaceholderText("Nothing has been logged. Messages and errors appear here.")
        self._text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        copy = QPushButton("Copy all")
        theme.set_icon(copy, "copy")
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text))
        column = QVBoxLayout(self)
        column.addWidget(self._text)
        column.addWidget(copy, alignment=Qt.AlignmentFlag.AlignRight)
        handler = _Handler()
        handler.relay.line.connect(self._text.appendPlainText)
        logging.getLogger().addHandler(handler)
        self.destroyed.connect(lambda: logging.getLogger().removeHandler(handler))

    @property
    def text(self) -> str:
        return self._text.toPlainText()


class _Relay(QObject):
    line = Signal(str)


class _Handler(logging.Handler):
    """Brings records of any thread to the GUI thread. Not itself a QObject: logging holds handlers until exit."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
        self.relay = _Relay()

    def emit(self, record: logging.LogRecord) -> None:
        self.relay.line.emit(self.format(record))


class Reporter(QObject):
    """To be put in place of ``sys.excepthook``: an unexpected error becomes a toast, its traceback goes to the log."""

    _caught = Signal(str)  # the error may come from any thread

    def __init__(self, toasts: Toasts, show_log: Callable[[], object]) -> None:
        super().__init__(toasts)
        self._caught.connect(lambda text: toasts.show(Severity.ERROR, text, ("Show log", show_log)))

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            QGuiApplication.quit()
            return
        _log.error("unexpected error", exc_info=(kind, error, trace))
        self._caught.emit(sentence(error))
