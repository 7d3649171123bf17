"""Fixtures of all tests with Qt; imported by the `conftest.py` of `app` and of `pixels`, never by `core`."""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QSettings, Qt
from PySide6.QtGui import QGuiApplication, QImage, QOpenGLContext
from PySide6.QtWidgets import QApplication, QWidget

from app import jobs
from app.shell import theme

QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)  # before any application exists

SHOTS = Path(__file__).parent / "shots"


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["pointward"]


@pytest.fixture(autouse=True)
def dark_theme(qapp: QApplication) -> None:
    """Every test starts in the dark theme."""
    if theme.current() is not theme.DARK or not qapp.styleSheet():
        theme.apply(qapp, "dark")


@pytest.fixture(autouse=True)
def private_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, runs and caches in temporary folders; converted datasets are kept for the session."""
    home = tmp_path_factory.mktemp("home")
    file = str(home / "settings.ini")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setattr("app.shell.settings.create", lambda: QSettings(file, QSettings.Format.IniFormat))


@pytest.fixture(autouse=True)
def no_leftovers(qapp: QApplication) -> Iterator[None]:
    """Fails a test that leaves a window or a running thread."""
    before, running = set(qapp.topLevelWidgets()), _threads()
    yield
    qapp.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if _new_windows(before):
        gc.collect()  # a window in a reference cycle is not a leak
    left = [f"the window {widget!r}" for widget in _new_windows(before)]
    left += [f"the running thread {ident}" for ident in _threads() - running]
    assert not left, "left behind: " + ", ".join(left)


def _new_windows(before: set[QWidget]) -> list[QWidget]:
    return [widget for widget in QApplication.topLevelWidgets() if widget.parent() is None and widget not in before]


def _threads() -> set[int]:
    """Identifiers of the threads that run code of `app.jobs`.

    Found from their stacks: `gc.get_objects` could return objects that another thread is creating, and crash it.
    """
    found, folder = set(), str(Path(jobs.__file__).parent)
    for ident, frame in sys._current_frames().items():
        while frame is not None:
            if ident != threading.main_thread().ident and frame.f_code.co_filename.startswith(folder):
                found.add(ident)
            frame = frame.f_back
    return found


@pytest.fixture
def gl(qapp: QApplication) -> None:
    """Skips the test where OpenGL is not available."""
    if QGuiApplication.platformName() == "offscreen" or not QOpenGLContext().create():
        pytest.skip("no OpenGL context can be made on this display")


@pytest.fixture
def shot() -> Callable[[QWidget, str], QImage]:
    """Takes a picture of a widget, and saves it to `tests/shots` for inspection."""

    def take(widget: QWidget, name: str) -> QImage:
        SHOTS.mkdir(exist_ok=True)
        picture = widget.grab().toImage()
        picture.save(str(SHOTS / f"{name}.png"))
        return picture

    return take
