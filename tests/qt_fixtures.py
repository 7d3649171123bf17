"""What tests of the window share; the `conftest.py` of `app` and of `pixels` take it in. `core` never imports this."""

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
def dressed(qapp: QApplication) -> None:
    """Every test starts in the dark theme."""
    if theme.current() is not theme.DARK or not qapp.styleSheet():
        theme.apply(qapp, "dark")


@pytest.fixture(autouse=True)
def private_settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings, runs or caches are read or written; converted datasets stay for the session."""
    file = str(tmp_path / "settings.ini")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("app.shell.settings.create", lambda: QSettings(file, QSettings.Format.IniFormat))


@pytest.fixture(autouse=True)
def no_leftovers(qapp: QApplication) -> Iterator[None]:
    """A test leaves neither a window nor a running thread behind."""
    before, running = set(qapp.topLevelWidgets()), _threads()
    yield
    qapp.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if _strangers(before):
        gc.collect()  # a window held by a cycle is no leak
    left = [f"the window {widget!r}" for widget in _strangers(before)]
    left += [f"the running thread {ident}" for ident in _threads() - running]
    assert not left, "left behind: " + ", ".join(left)


def _strangers(before: set[QWidget]) -> list[QWidget]:
    return [widget for widget in QApplication.topLevelWidgets() if widget.parent() is None and widget not in before]


def _threads() -> set[int]:
    """Identifiers of the threads that run code of `app.jobs`.

    Read off the stacks: `gc.get_objects` would hand out objects that another thread is just making, and crash it.
    """
    found = set()
    for ident, frame in sys._current_frames().items():
        while frame is not None:
            if ident != threading.main_thread().ident and frame.f_code.co_filename == jobs.__file__:
                found.add(ident)
            frame = frame.f_back
    return found


@pytest.fixture
def gl(qapp: QApplication) -> None:
    """The test needs pixels from OpenGL."""
    if QGuiApplication.platformName() == "offscreen" or not QOpenGLContext().create():
        pytest.skip("no OpenGL context can be made on this display")


@pytest.fixture
def shot() -> Callable[[QWidget, str], QImage]:
    """Takes a picture of a widget and also puts it into `tests/shots` for people to look at."""

    def take(widget: QWidget, name: str) -> QImage:
        SHOTS.mkdir(exist_ok=True)
        picture = widget.grab().toImage()
        picture.save(str(SHOTS / f"{name}.png"))
        return picture

    return take
