"""Messages to the person: toasts, the log window, unexpected errors, and questions.

A toast tells what happened and what to do, and needs no answer; details go to the log. A dialog opens only for a
decision.
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
    QApplication,
    QFrame,
    QGraphicsOpacityEffect,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QSystemTrayIcon,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.shell.plain_text import button_text, multi_line
from app.shell.widgets import Label, button, tool_button
from core.options import explain
from core.runtime.files import readable
from core.runtime.memory import out_of_memory
from core.runtime.text import printable

MAX_TOASTS = 3
TOAST_WIDTH = 380
TOAST_CHARACTERS = 320
TOAST_MS = 6000
FADE_MS = 120
STRIP_HEIGHT = 28  # of the job strip, which toasts do not cover
LOG_LINES = 1000
DESKTOP_MS = 10_000  # for which the desktop shows a message

_log = logging.getLogger(__name__)


def error_message(error: BaseException) -> str:
    """An exception as one sentence for a person: what happened and what to do, without the exception's name."""
    text = str(error).strip()
    if isinstance(error, ValidationError):
        text = explain(error)
    elif isinstance(error, MemoryError | RuntimeError) and (lacking := out_of_memory(error)):
        text = lacking
    elif isinstance(error, OSError) and error.strerror:
        location = f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror
        text = f"{location}. Check the path, its permissions and the free space."
    elif not isinstance(error, ValueError) or not text:
        text = "Something unexpected went wrong, and this was not finished. The log has the details."
    text = readable(text)
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def ask(parent: QWidget | None, title: str, text: str, yes: str, no: str) -> bool:
    """Ask a question with two buttons; Escape and Enter choose ``no``. ``yes`` and ``no`` are the buttons' texts."""
    box = QMessageBox(QMessageBox.Icon.NoIcon, "Pointward", printable(title), parent=parent)
    box.setInformativeText(printable(text))
    for label in box.findChildren(QLabel):  # setTextFormat of the box is for its title alone
        label.setTextFormat(Qt.TextFormat.PlainText)
    accept = box.addButton(button_text(yes), QMessageBox.ButtonRole.AcceptRole)
    reject = box.addButton(button_text(no), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(reject)
    box.setEscapeButton(reject)
    box.exec()
    return box.clickedButton() is accept


def tell_desktop(window: QWidget, text: str) -> None:
    """Tell a person who works in another window: the task bar marks this one, and the desktop shows ``text``."""
    QApplication.alert(window)
    if QSystemTrayIcon.isSystemTrayAvailable() and QSystemTrayIcon.supportsMessages():
        icon = QSystemTrayIcon(window.windowIcon(), window)
        icon.messageClicked.connect(window.activateWindow)
        icon.show()  # messages come from an icon; it stays as long as they do
        icon.showMessage("Pointward", printable(text))
        QTimer.singleShot(DESKTOP_MS, icon, icon.deleteLater)


# --- toasts -------------------------------------------------------------------------------------------------------


class Severity(Enum):
    """Icon, colour and level of a message."""

    INFO = ("info", "accent", logging.INFO)
    OK = ("check", "ok", logging.INFO)
    WARNING = ("warning", "warn", logging.WARNING)
    ERROR = ("error", "bad", logging.ERROR)


class Toasts(QObject):
    """Up to three messages in the lower right corner of a window, the newest lowest. Errors stay until closed."""

    shown = Signal(object, str)
    """Severity and text of each message."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.visible: list[Toast] = []
        window.installEventFilter(self)

    def show(self, severity: Severity, text: str, action: tuple[str, Callable[[], object]] | None = None) -> None:
        """Show and log a message, with a button for ``action`` (text, handler). A repeated message is only counted."""
        self.shown.emit(severity, text)
        _log.log(severity.value[2], "%s", multi_line(text))  # the log goes to a terminal, too
        for toast in self.visible:
            if toast.message == (severity, text):
                toast.repeat()
                return
        if len(self.visible) == MAX_TOASTS:
            self.visible[0].dismiss()
        toast = Toast(self._window, severity, text, action)
        toast.closed.connect(self._on_closed)
        self.visible.append(toast)
        self._position()
        toast.appear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._position()
        return super().eventFilter(watched, event)

    def _on_closed(self, toast: "Toast") -> None:
        self.visible.remove(toast)
        self._position()

    def _position(self) -> None:
        bottom = self._window.height() - STRIP_HEIGHT - theme.SPACE_M
        for toast in reversed(self.visible):
            toast.move(self._window.width() - toast.width() - theme.SPACE_L, bottom - toast.height())
            bottom -= toast.height() + theme.SPACE_S


class Toast(QFrame):
    """One message of ``Toasts``."""

    closed = Signal(object)

    def __init__(
        self, parent: QWidget, severity: Severity, text: str, action: tuple[str, Callable[[], object]] | None
    ) -> None:
        super().__init__(parent)
        self.message = severity, text
        self.setAccessibleName(text)
        theme.set_role(self, "card")
        self._icon = Label()
        theme.notifier.changed.connect(self._update_icon)
        self._update_icon()
        shown = text if len(text) <= TOAST_CHARACTERS else text[:TOAST_CHARACTERS] + "… (the log has all of it)"
        message = Label(shown, wrap=True)
        self._count, self._repeats = Label(role="caption"), 1
        close = tool_button(icon="close", colour="muted", role="flat", name="Close message")
        close.clicked.connect(self.dismiss)

        column = QVBoxLayout()
        column.setSpacing(theme.SPACE_S)
        column.addWidget(message)
        if action is not None:
            label, run = action
            action_button = button(label, "", self.dismiss)
            action_button.clicked.connect(lambda: run())
            column.addWidget(action_button, alignment=Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.SPACE_M, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        row.setSpacing(theme.SPACE_M)
        row.addWidget(self._icon, alignment=Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)
        row.addWidget(self._count, alignment=Qt.AlignmentFlag.AlignTop)
        row.addWidget(close, alignment=Qt.AlignmentFlag.AlignTop)
        self.setFixedWidth(TOAST_WIDTH)
        self.setFixedHeight(row.heightForWidth(TOAST_WIDTH))

        self._effect = QGraphicsOpacityEffect(self)
        self.setGraphicsEffect(self._effect)
        self._fade = QPropertyAnimation(self._effect, b"opacity", self)
        self._fade.setDuration(FADE_MS)
        self._fade.setStartValue(0.0)
        self._fade.setEndValue(1.0)
        self._fade.finished.connect(self._on_faded)
        self._timer = QTimer(self, singleShot=True, interval=TOAST_MS)
        self._timer.timeout.connect(self.dismiss)
        self._closing = False

    def _update_icon(self) -> None:
        name, token, _ = self.message[0].value
        self._icon.setPixmap(theme.icon(name, token).pixmap(20))

    def appear(self) -> None:
        self.show()
        self.raise_()
        self._fade.start()
        self._start_timeout()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.message[1]))

    def repeat(self) -> None:
        """Count the same message once more and restart its timeout."""
        self._repeats += 1
        self._count.setText(f"×{self._repeats}")
        self._start_timeout()

    def dismiss(self) -> None:
        if not self._closing:
            self._closing = True
            self._timer.stop()
            self.closed.emit(self)
            self._effect.setEnabled(True)
            self._fade.setDirection(QAbstractAnimation.Direction.Backward)
            self._fade.start()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._timer.stop()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._start_timeout()
        super().leaveEvent(event)

    def _start_timeout(self) -> None:
        if self.message[0] is not Severity.ERROR and not self._closing:
            self._timer.start()

    def _on_faded(self) -> None:
        self._effect.setEnabled(False)  # text is sharper and painting cheaper without the effect
        if self._closing:
            self.deleteLater()


# --- the log ------------------------------------------------------------------------------------------------------


class LogPanel(QWidget):
    """The last thousand log lines since this widget was created, with a button that copies them."""

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
    """Sends log records of any thread to the GUI thread. Not a QObject itself: logging keeps handlers until exit."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))
        self.relay = _Relay()

    def emit(self, record: logging.LogRecord) -> None:
        self.relay.line.emit(multi_line(self.format(record)))


class ExceptionHook(QObject):
    """Replaces ``sys.excepthook``: an unexpected error becomes a toast, and its traceback goes to the log."""

    _error_caught = Signal(str)  # the error may come from any thread

    def __init__(self, toasts: Toasts, show_log: Callable[[], object]) -> None:
        super().__init__(toasts)
        self._error_caught.connect(lambda text: toasts.show(Severity.ERROR, text, ("Show log", show_log)))

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            QGuiApplication.quit()
            return
        _log.error("unexpected error", exc_info=(kind, error, trace))
        self._error_caught.emit(error_message(error))
