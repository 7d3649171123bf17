"""What Pointward remembers from one start to the next, and where its files lie. The only file that names QSettings.

Nothing in a settings file can stop the program: a bad value goes back to its default by itself, the others stay.
"""

import json
import logging
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QByteArray, QRect, QSettings, QSize, QStandardPaths
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow, QSplitter

from core.options import Options, option
from core.runtime.files import readable

RECENT = 10
LAYOUT = 1
"""Version of the window's layout; a remembered layout of another version is left alone."""

_log = logging.getLogger(__name__)


class Remembered(Options):
    """The choices a person would miss if they were forgotten."""

    theme: Literal["system", "dark", "light"] = option("system", "Colours of the window.")
    attack: str = option("fgsm", "Attack of the last session.")
    epsilon: float = option(0.1, "Epsilon of the last session.", unit="unit-sphere radii", low=0.0, high=0.3)
    all_classes: bool = option(False, "Whether the confidence bars show every class.")
    folder: str = option("", "Where the last file was opened or saved.")
    recent: tuple[str, ...] = option((), "Files and run folders opened last, newest first.")


def create() -> QSettings:
    """The settings file. Everything here opens it through this function; tests put a private file in its place."""
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "pointward", "pointward")


def load() -> Remembered:
    """What was remembered; unusable values are dropped one by one, with a line in the log."""
    store, good = create(), {}
    for name in Remembered.model_fields:
        if not store.contains(name):
            continue
        try:
            value = json.loads(store.value(name))
            Remembered.model_validate({name: value})
        except (TypeError, ValueError):
            _log.warning("the remembered %s was unusable and is back to its default", name.replace("_", " "))
            store.remove(name)
        else:
            good[name] = value
    return Remembered(**good)


def remember(**values: Any) -> None:
    """Keep some fields of ``Remembered``.

    Raises
    ------
    ValueError
        For an unknown field or a value outside its limits; nothing is kept then.
    """
    checked = load().changed(**values)
    store = create()
    for name in values:
        store.setValue(name, json.dumps(getattr(checked, name)))


def add_recent(path: Path) -> None:
    """Put a file or run folder at the head of the recent ones; not one whose name is not UTF-8, which Qt can't hold."""
    if readable(path.absolute()) != str(path.absolute()):
        return
    newest = str(path.absolute())
    others = [name for name in load().recent if name != newest]
    remember(recent=(newest, *others)[:RECENT], folder=str(path.absolute().parent))


# --- the window ---------------------------------------------------------------------------------------------------


def save_window(window: QMainWindow) -> None:
    """Keep place, size, docks and named splitters of the window."""
    store = create()
    store.setValue("window/geometry", window.saveGeometry())
    store.setValue("window/state", window.saveState(LAYOUT))
    for splitter in _splitters(window):
        store.setValue(f"window/splitters-{LAYOUT}/{splitter.objectName()}", splitter.saveState())


def restore_window(window: QMainWindow) -> None:
    """Give the window its remembered place and layout, and bring it back if that is off every screen."""
    store = create()
    window.restoreGeometry(_bytes(store, "window/geometry"))
    window.restoreState(_bytes(store, "window/state"), LAYOUT)
    for splitter in _splitters(window):
        splitter.restoreState(_bytes(store, f"window/splitters-{LAYOUT}/{splitter.objectName()}"))
    _rescue(window)


def forget_window() -> None:
    """Let the next start use the default layout."""
    create().remove("window")


def _splitters(window: QMainWindow) -> list[QSplitter]:
    return [splitter for splitter in window.findChildren(QSplitter) if splitter.objectName()]


def _bytes(store: QSettings, key: str) -> QByteArray:
    value = store.value(key)
    return value if isinstance(value, QByteArray) else QByteArray()


def _rescue(window: QMainWindow) -> None:
    """Centre the window on the first screen unless enough of its title bar is on some screen to take hold of it."""
    frame = window.frameGeometry()
    title = QRect(frame.topLeft(), QSize(frame.width(), 32))
    grips = [(screen.availableGeometry() & title).size() for screen in QGuiApplication.screens()]
    if not any(grip.width() >= 100 and grip.height() >= 16 for grip in grips):
        area = QGuiApplication.primaryScreen().availableGeometry()
        window.resize(window.size().boundedTo(area.size()))
        window.move(area.center() - window.rect().center())


# --- folders ------------------------------------------------------------------------------------------------------


def cache_dir() -> Path:
    """Where converted datasets lie; may be deleted at any time. Not made here."""
    return _place(QStandardPaths.StandardLocation.GenericCacheLocation)


def data_dir() -> Path:
    """Where the program keeps what it must not lose. Not made here."""
    return _place(QStandardPaths.StandardLocation.GenericDataLocation)


def runs_dir() -> Path:
    """Where training writes its run folders unless told otherwise. Not made here."""
    return data_dir() / "runs"


def _place(location: QStandardPaths.StandardLocation) -> Path:
    return Path(QStandardPaths.writableLocation(location)) / "pointward"
