"""Messages to the person: toasts, unexpected errors, and questions.

A toast tells what happened and what to do, and needs no answer; details go to the log. A dialog opens only for a
decision.
"""

import logging
import sys
from collections.abc import Callable
from enum import Enum
from types import TracebackType

from pydantic import ValidationError
from PySide6.QtCore import QAbstractAnimation, QEvent, QObject, QPropertyAnimation, QRect, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QEnterEvent,
    QGuiApplication,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGraphicsOpacityEffect,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QSizePolicy,
    QSystemTrayIcon,
    QWidget,
)

from app.shell import icons, theme
from app.shell.plain_text import button_text, multi_line
from app.shell.widgets import Label, tool_button
from core.options import explain
from core.runtime.files import readable
from core.runtime.memory import out_of_memory
from core.runtime.text import printable

MAX_TOASTS = 3
TOAST_CHARACTERS = 320
LOG_HAS_ALL = "… (the log has all of it)"
TOAST_MS, ERROR_MS = 6000, 12_000  # for which a message is shown
FADE_MS = 120
STRIP_HEIGHT = 28  # in pixels: of the job strip, over which toasts are
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
    """Up to three messages side by side in one row, the newest at the right. Each goes by itself after some time.

    Parameters
    ----------
    window : whose children the messages are.
    place : where the row is, in pixels of the window, at the moment.
    """

    shown = Signal(object, str)
    """Severity and text of each message."""
    unreadChanged = Signal(int)
    """Number of the errors that have gone by themselves or are still shown, and were not looked up in the log."""

    def __init__(self, window: QWidget, place: Callable[[], QRect]) -> None:
        super().__init__(window)
        self._window, self._place = window, place
        self.visible: list[Toast] = []
        self.unread: list[str] = []
        """Texts of these errors, the oldest first."""
        window.installEventFilter(self)

    def show(self, severity: Severity, text: str, action: tuple[str, Callable[[], object]] | None = None) -> None:
        """Show and log a message, with a button for ``action`` (text, handler). A repeated message is only counted."""
        self.shown.emit(severity, text)
        _log.log(severity.value[2], "%s", multi_line(text))  # the log goes to a terminal, too
        if severity is Severity.ERROR and text not in self.unread:
            self._set_unread([*self.unread, text])
        for toast in self.visible:
            if toast.message == (severity, text):
                toast.repeat()
                return
        if len(self.visible) == MAX_TOASTS:
            self.visible[0].dismiss()
        toast = Toast(self._window, severity, text, action)
        toast.closed.connect(self._on_closed)
        toast.read.connect(lambda: self._set_unread([each for each in self.unread if each != text]))
        self.visible.append(toast)
        self.position()
        toast.appear()

    def mark_read(self) -> None:
        """The person has looked at the log, which has all errors."""
        self._set_unread([])

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.visible:
            QTimer.singleShot(0, self, self.position)  # once the window is laid out again
        return super().eventFilter(watched, event)

    def _set_unread(self, unread: list[str]) -> None:
        self.unread = unread
        self.unreadChanged.emit(len(unread))

    def _on_closed(self, toast: "Toast") -> None:
        self.visible.remove(toast)
        self.position()

    def position(self) -> None:
        """Give each message the width of its text, or an equal share of what others leave."""
        area, gap = self._place(), theme.SPACE_XS
        space, widths = area.width() - gap * (len(self.visible) - 1), {}
        for others, toast in enumerate(sorted(self.visible, key=lambda each: each.needed_width)):
            widths[toast] = min(toast.needed_width, space // (len(self.visible) - others))
            space -= widths[toast]
        left = area.left()
        for toast in self.visible:
            toast.set_place(QRect(left, area.top(), widths[toast], area.height()))
            left += widths[toast] + gap


class Toast(QFrame):
    """One message of ``Toasts``, in one line; under the mouse it is as high as its text needs, and waits."""

    closed = Signal(object)
    read = Signal()
    """The person has closed it, or used its button."""

    def __init__(
        self, parent: QWidget, severity: Severity, text: str, action: tuple[str, Callable[[], object]] | None
    ) -> None:
        super().__init__(parent)
        self.message = severity, text
        self.setAccessibleName(text)
        theme.set_role(self, "card")
        self._place = QRect()
        self._icon = Label()
        theme.notifier.changed.connect(self._update_icon)
        self._update_icon()
        self._shown = printable(text if len(text) <= TOAST_CHARACTERS else text[:TOAST_CHARACTERS] + LOG_HAS_ALL)
        self._text = Label()
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._count, self._repeats = Label(role="caption"), 1
        close = tool_button(icon="close", colour="muted", role="toast", name="Close message")
        close.clicked.connect(self._close)

        row = QHBoxLayout(self)
        row.setContentsMargins(theme.SPACE_M, 1, theme.SPACE_XS, 1)
        row.setSpacing(theme.SPACE_S)
        row.addWidget(self._icon)
        row.addWidget(self._text, 1)
        row.addWidget(self._count)
        if action is not None:
            label, run = action
            action_button = tool_button(label, role="toast")
            action_button.clicked.connect(self._close)
            action_button.clicked.connect(lambda: run())
            row.addWidget(action_button)
        row.addWidget(close)

        self._effect = QGraphicsOpacityEffect(self)
        self.setGraphicsEffect(self._effect)
        self._fade = QPropertyAnimation(self._effect, b"opacity", self)
        self._fade.setDuration(FADE_MS)
        self._fade.setStartValue(0.0)
        self._fade.setEndValue(1.0)
        self._fade.finished.connect(self._on_faded)
        self._timer = QTimer(self, singleShot=True, interval=ERROR_MS if severity is Severity.ERROR else TOAST_MS)
        self._timer.timeout.connect(self._on_timeout)
        self._closing = False

    @property
    def needed_width(self) -> int:
        """In pixels, for all of the text in one line."""
        row = self.layout()
        assert row is not None
        beside = row.totalSizeHint().width()  # which has no width for the text, by its size policy
        return beside + self._text.fontMetrics().horizontalAdvance(self._shown) + theme.SPACE_XS

    def set_place(self, place: QRect) -> None:
        """Show the message in this line of its parent; it may be higher, upwards, while the mouse is over it."""
        self._place = place
        self._lay_out(self.underMouse())

    def _lay_out(self, whole: bool) -> None:
        """Show the ``whole`` text, or what fits into one line of it."""
        row = self.layout()
        assert row is not None
        self.setGeometry(self._place)
        row.activate()
        line = self._text.fontMetrics().elidedText(self._shown, Qt.TextElideMode.ElideRight, self._text.width())
        higher = whole and line != self._shown
        self._text.setWordWrap(higher)
        self._text.setText(self._shown if higher else line)
        if higher:
            height = max(self._place.height(), row.totalHeightForWidth(self._place.width()) + theme.SPACE_S)
            self.setGeometry(self._place.adjusted(0, self._place.height() - height, 0, 0))

    def _update_icon(self) -> None:
        name, token, _ = self.message[0].value
        self._icon.setPixmap(icons.icon(name, token).pixmap(16))

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
        self._lay_out(self.underMouse())
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
        self._lay_out(True)
        self.raise_()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._lay_out(False)
        self._start_timeout()
        super().leaveEvent(event)

    def _close(self) -> None:
        self.read.emit()
        self.dismiss()

    def _start_timeout(self) -> None:
        if not (self._closing or self.underMouse()):
            self._timer.start()

    def _on_timeout(self) -> None:
        """Go, but not while the keyboard is on one of its buttons."""
        focused = QApplication.focusWidget()
        if focused is not None and self.isAncestorOf(focused):
            self._timer.start()
        else:
            self.dismiss()

    def _on_faded(self) -> None:
        self._effect.setEnabled(False)  # text is sharper and painting cheaper without the effect
        if self._closing:
            self.deleteLater()


# --- unexpected errors -----------------------------------------------------------------------------------------


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
