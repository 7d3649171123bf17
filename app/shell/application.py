"""Creates the application and its window, in the order that OpenGL sharing, theme and error handling need."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtWidgets import QApplication

from app.shell import settings, theme
from app.shell.notify import ExceptionHook
from app.tour.display import has_display
from core.clouds.frames import AS_IT_IS, Orientation
from core.runtime.threads import requested_threads

if TYPE_CHECKING:
    from app.shell.window import Window


def make(
    argv: Sequence[str], paths: tuple[Path, ...] = (), orientation: Orientation | None = AS_IT_IS
) -> tuple[QApplication, Window]:
    """The application and its shown window, which loads core and the models afterwards and then opens ``paths``.

    ``orientation`` is that of ``Window.start_loading``.
    """
    # Two top-level windows share GL programs only with this attribute, which has to be set before the application is.
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    application = QApplication.instance() or QApplication(list(argv))
    assert isinstance(application, QApplication)
    application.setApplicationName("pointward")
    for name in ("app", "core"):
        logging.getLogger(name).setLevel(logging.INFO)
    application.setApplicationDisplayName("Pointward")
    theme.apply(application, settings.load().theme)

    from app.shell.window import Window

    window = Window()
    sys.excepthook = ExceptionHook(window.toasts, window.log.open)
    # Not before the window is painted: importing torch holds the interpreter lock for long.
    window.pair.clean.painted.connect(
        lambda: QTimer.singleShot(0, window, lambda: window.start_loading(paths, orientation)),
        Qt.ConnectionType.SingleShotConnection,
    )
    window.show()
    return application, window


def open_studio(paths: tuple[Path, ...] = (), orientation: Orientation | None = None) -> int:
    """Open the window, with paths whose clouds stand so in their files, and stay until it is closed: the exit code."""
    try:
        requested_threads()
    except ValueError as error:
        _print_error(str(error))
        return 2
    if not (has_display() or os.environ.get("QT_QPA_PLATFORM")):
        _print_error(
            "There is no display to open the window on. Try: pointward tour --out FOLDER, or pointward --help."
        )
        return 1
    application, window = make(sys.argv, paths, orientation)
    code = application.exec()
    if window.left_thread_running:  # destroying its object while it runs would abort the process
        os._exit(code)
    return code


def _print_error(sentence: str) -> None:
    from core.commands.console import print_error  # loads the command line, which has no place in a window's start

    print_error(sentence)
