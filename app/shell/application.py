"""Makes the application and its window: GL attributes first, then errors, theme, window. Used by main and by tests."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtWidgets import QApplication

from app.shell import settings, theme
from app.shell.notify import Reporter

if TYPE_CHECKING:
    from app.shell.window import Window


def make(argv: Sequence[str], paths: tuple[Path, ...] = ()) -> tuple[QApplication, Window]:
    """The application and its painted window, which goes on loading behind it and then opens ``paths``."""
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
    sys.excepthook = Reporter(window.toasts, window.log.show)
    # Not before the window is painted: importing torch keeps Python's lock for long stretches.
    window.pair.clean.painted.connect(
        lambda: QTimer.singleShot(0, window, lambda: window.begin(paths)), Qt.ConnectionType.SingleShotConnection
    )
    window.show()
    return application, window
