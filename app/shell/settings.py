"""Preferences and window layout, kept between starts, and the program's folders. The only file that uses QSettings.

No content of the settings file can stop the program: a bad value is replaced by its default, the others are kept.
"""

import itertools
import json
import logging
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QByteArray, QRect, QSettings, QSize, QStandardPaths
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow, QSplitter

from core.clouds.frames import AS_IT_IS, Axis, Orientation
from core.options import Options, option
from core.runtime.files import readable

MAX_RECENT = 10
MAX_ORIENTATIONS = 100
LAYOUT_VERSION = 2
"""Version of the window's layout; a saved layout of another version is not restored."""

_log = logging.getLogger(__name__)


class Preferences(Options):
    """Choices that are kept until the next start."""

    theme: Literal["system", "dark", "light"] = option("system", "Colours of the window.")
    all_classes: bool = option(False, "Whether the confidence bars show every class.")
    folder: str = option("", "Where the last file was opened or saved.")
    export_folders: dict[str, str] = option({}, "For kinds of exports: where one was saved last.")
    workspace: str = option("attack", "Workspace of the last session.")
    stage_widths: dict[str, int] = option({}, "For workspaces: width in pixels of the Stage beside the work.")
    stage_parts: dict[str, list[int]] = option(
        {}, "For arrangements of the Stage: sizes in pixels of the shapes and of the models."
    )
    library_width: int = option(0, "Width of the library in pixels.", low=0)
    library_open: dict[str, bool] = option({}, "For workspaces: whether the library is shown.")
    options_open: dict[str, bool] = option({}, "For workspaces: whether the options are shown.")
    recent: tuple[str, ...] = option((), "Files and run folders opened last, newest first.")
    orientations: dict[str, tuple[Axis, float]] = option(
        {}, "For folders: the axis that points up in their files, and the turn about it in degrees."
    )


def create() -> QSettings:
    """The settings file. Everything here opens it through this function, which tests replace."""
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "pointward", "pointward")


def load() -> Preferences:
    """The saved preferences; each unusable value is removed, with a line in the log."""
    store, good = create(), {}
    for name in Preferences.model_fields:
        if not store.contains(name):
            continue
        try:
            value = json.loads(store.value(name))
            Preferences.model_validate({name: value})
        except (TypeError, ValueError):
            _log.warning("the saved %s was unusable and is back to its default", name.replace("_", " "))
            store.remove(name)
        else:
            good[name] = value
    return Preferences(**good)


def save(**values: Any) -> None:
    """Save some fields of ``Preferences``.

    Raises
    ------
    ValueError
        For an unknown field or a value outside its limits; nothing is saved then.
    """
    checked = load().changed(**values)
    store = create()
    for name in values:
        store.setValue(name, json.dumps(getattr(checked, name)))


def add_recent(path: Path) -> None:
    """Put a file or run folder first in the list of recent ones; not one whose name is not UTF-8: Qt can't hold it."""
    if readable(path.absolute()) != str(path.absolute()):
        return
    newest = str(path.absolute())
    others = [name for name in load().recent if name != newest]
    save(recent=(newest, *others)[:MAX_RECENT], folder=str(path.absolute().parent))


def export_folder(kind: str) -> str:
    """Where an export of a kind was saved last, or else the last file; empty if neither folder is there any more."""
    saved = load()
    return next((name for name in (saved.export_folders.get(kind), saved.folder) if name and Path(name).is_dir()), "")


def save_export_folder(kind: str, folder: Path) -> None:
    """Let the next export of a kind be offered in this folder."""
    save(export_folders=load().export_folders | {kind: str(folder.absolute())})


def orientation_of(folder: Path) -> Orientation:
    """The orientation that was last given for the files of a folder."""
    up_turn = load().orientations.get(str(folder.absolute()))
    return Orientation(*up_turn) if up_turn is not None else AS_IT_IS


def save_orientation(folder: Path, orientation: Orientation) -> None:
    """Save the orientation of the files of a folder; remove it if it is the default."""
    known = load().orientations
    known.pop(str(folder.absolute()), None)
    if orientation.up is not None:
        known[str(folder.absolute())] = (orientation.up, orientation.turn)
    save(orientations=dict(list(known.items())[-MAX_ORIENTATIONS:]))


# --- the window ---------------------------------------------------------------------------------------------------


def save_window(window: QMainWindow) -> None:
    """Save geometry, docks and named splitters of the window."""
    store = create()
    store.setValue("window/geometry", window.saveGeometry())
    store.setValue("window/state", window.saveState(LAYOUT_VERSION))
    for splitter in _splitters(window):
        store.setValue(f"window/splitters-{LAYOUT_VERSION}/{splitter.objectName()}", splitter.saveState())


def restore_window(window: QMainWindow) -> None:
    """Restore geometry and layout of the window, and move it onto a screen if it is outside of all of them."""
    store = create()
    window.restoreGeometry(_bytes(store, "window/geometry"))
    window.restoreState(_bytes(store, "window/state"), LAYOUT_VERSION)
    for splitter in _splitters(window):
        splitter.restoreState(_bytes(store, f"window/splitters-{LAYOUT_VERSION}/{splitter.objectName()}"))
    _move_on_screen(window)


def clear_window() -> None:
    """Remove the saved layout, so that the next start uses the default."""
    create().remove("window")


def _splitters(window: QMainWindow) -> list[QSplitter]:
    return [splitter for splitter in window.findChildren(QSplitter) if splitter.objectName()]


def _bytes(store: QSettings, key: str) -> QByteArray:
    value = store.value(key)
    return value if isinstance(value, QByteArray) else QByteArray()


def _move_on_screen(window: QMainWindow) -> None:
    """Centre the window on the first screen, unless enough of its title bar is visible to drag it."""
    frame = window.frameGeometry()
    title = QRect(frame.topLeft(), QSize(frame.width(), 32))
    visible_parts = [(screen.availableGeometry() & title).size() for screen in QGuiApplication.screens()]
    if not any(part.width() >= 100 and part.height() >= 16 for part in visible_parts):
        area = QGuiApplication.primaryScreen().availableGeometry()
        window.resize(window.size().boundedTo(area.size()))
        window.move(area.center() - window.rect().center())


# --- folders ------------------------------------------------------------------------------------------------------


def cache_dir() -> Path:
    """Folder of converted datasets; it may be deleted at any time. Not created here."""
    return _location(QStandardPaths.StandardLocation.GenericCacheLocation)


def data_dir() -> Path:
    """Folder of the program's permanent data. Not created here."""
    return _location(QStandardPaths.StandardLocation.GenericDataLocation)


def runs_dir() -> Path:
    """Default folder of training runs. Not created here."""
    return data_dir() / "runs"


def transfers_dir() -> Path:
    """Default folder of transfer experiments. Not created here."""
    return data_dir() / "transfer"


def new_folder(parent: Path, name: str, taken: Collection[Path] = ()) -> Path:
    """A folder that is not there yet and not ``taken``, named by the time; two of the same second differ."""
    first = parent / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], numbered) if not (folder.exists() or folder in taken))


def _location(location: QStandardPaths.StandardLocation) -> Path:
    return Path(QStandardPaths.writableLocation(location)) / "pointward"
