"""The whole window in a test, and a person in front of it who looks, clicks, drags, types and waits."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QPoint, QSettings, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QWidget

from app.shell.notify import Severity
from app.shell.window import Window
from app.views.groove import SIDE, Groove
from core.datasets import REGISTRY, Spec, folder
from core.datasets.shapes16 import CATEGORIES, make_shape
from core.live import Scene
from core.models.checkpoints import LoadedModel
from tests.app.mouse import move_mouse

TRAIN, TEST = 3, 3
"""Shapes of each class in the small dataset."""
LEFT = Qt.MouseButton.LeftButton
SIZE = (1600, 1000)
WAIT = 60.0  # seconds after which something that should have happened counts as failed

Kind = TypeVar("Kind", bound=QWidget)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders with a few built-in shapes of every class the shipped models know."""
    root = tmp_path_factory.mktemp("shapes")
    for split, count in (("train", TRAIN), ("test", TEST)):
        for name in CATEGORIES:
            place = root / split / name
            place.mkdir(parents=True)
            for k in range(count):
                np.save(place / f"{name}_{split}_{k}.npy", make_shape(name, [k, split == "test"]))
    return root


def small(shapes: Path) -> Spec:
    """What stands for the built-in dataset, which takes too long to make for a test."""
    return Spec("Built in.", "", lambda root, allow_missing: replace(folder.find(shapes), name="shapes16"))


@contextmanager
def opened(shapes: Path, home: Path) -> Iterator["Person"]:
    """The window on the screen with its models and, for the built-in dataset, the small one; closed at the end."""
    settings = str(home / "settings.ini")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setattr("app.shell.settings.create", lambda: QSettings(settings, QSettings.Format.IniFormat))
        patch.setitem(REGISTRY, "shapes16", small(shapes))  # type: ignore[arg-type]
        window = Window()
        person = Person(window)
        try:
            window.resize(*SIZE)
            window.move(0, 0)
            window.show()
            person.activate()
            window.begin()
            person.until(lambda: window.store.dataset is not None, "the dataset")
            person.until(person.settled, "the first verdicts")
            person.shipped = person.store.verdict_models
            yield person
        finally:
            person.leave()


@pytest.fixture(scope="module")
def seat(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Person"]:
    """One window for all tests of a file."""
    with opened(shapes, tmp_path_factory.mktemp("home")) as person:
        yield person


@pytest.fixture
def person(seat: "Person") -> Iterator["Person"]:
    """Somebody in front of a window that stands as after its start; what goes wrong unnoticed fails the test."""
    seat.begin_again()
    yield seat
    assert not seat.complaints()


class Person:
    """What one can do at the window, and see."""

    def __init__(self, window: Window) -> None:
        self.window, self.store = window, window.store
        self.shipped: tuple[LoadedModel, ...] = ()
        """Those that give their verdicts at first; a test begins with them alone."""
        """The models the window has begun with."""

    # --- waiting ---

    def until(self, condition: Callable[[], object], what: str, seconds: float = WAIT) -> None:
        """Let the program live until ``condition`` holds."""
        deadline = time.monotonic() + seconds
        loop, look = QEventLoop(), QTimer(interval=5)
        look.timeout.connect(lambda: loop.quit() if condition() or time.monotonic() > deadline else None)
        if not condition():
            look.start()
            loop.exec()  # not QTest.qWait, which keeps Python's lock from the worker
        assert condition(), f"waited in vain for {what}; said: {self.said()}"

    def settled(self) -> bool:
        """Whether the picture belongs to all that is chosen."""
        scene, studio = self.store.scene, self.window.studio
        return (
            scene is not None
            and not (studio.busy or studio.playing)
            and self.store.cloud is not None
            and scene.setup.cloud.name == self.store.cloud.name
            and scene.setup.models == self.store.verdict_models
            and scene.epsilon == self.store.epsilon
            and scene.exact
            and not studio._choices.isActive()
            and not studio._settle.isActive()
            and not self.window.attack._typed.isActive()
            and not studio._asked.keys() - {"outcome", "sweep"}
        )

    def settle(self) -> Scene:
        self.until(self.settled, "the verdicts")
        assert self.store.scene is not None
        return self.store.scene

    # --- the window ---

    def activate(self) -> None:
        """No window manager does it here, and keys need an active window."""
        self.window.activateWindow()
        self.until(self.window.isActiveWindow, "the window to become active")

    def begin_again(self) -> None:
        """FGSM by the first model on the first shape at an epsilon of 0.1, everything shown, no message."""
        window, store = self.window, self.store
        self.dismiss()
        self.activate()
        window.studio.reset()
        attack = window.attack
        for combo in (attack.preset, attack._reading, attack._goal, window.library.classes):
            combo.setCurrentIndex(0)
        window.library._search.clear()
        store.models, store.shown = self.shipped, frozenset(model.name for model in self.shipped)
        store.primary = self.shipped[0].name
        store.modelsChanged.emit()
        window.work.setCurrentIndex(0)
        assert store.dataset is not None
        window.library.list.setCurrentIndex(window.library.shapes.index(0))
        window.attack.epsilon.setValue(0.1)
        window.studio.release(0.1)
        self.settle()

    def leave(self) -> None:
        """Close the window, which ends everything it started."""
        self.window.close()
        assert not self.window.jobs.jobs
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()

    # --- what the program says ---

    def said(self) -> list[str]:
        return [toast.said[1] for toast in self.window.toasts.visible]

    def complaints(self) -> list[str]:
        """The errors on the screen, which are read and closed."""
        texts = [toast.said[1] for toast in self.window.toasts.visible if toast.said[0] is Severity.ERROR]
        self.dismiss()
        return texts

    def dismiss(self) -> None:
        for toast in list(self.window.toasts.visible):
            toast.leave()

    # --- mouse and keys ---

    def named(self, kind: type[Kind], name: str) -> Kind:
        """The visible widget of this accessible name or text."""
        for widget in self.window.findChildren(kind):
            text = widget.text() if isinstance(widget, QAbstractButton) else ""
            if widget.isVisible() and name in (widget.accessibleName(), text):
                return widget
        raise AssertionError(f"no {kind.__name__} called {name!r} is on the screen")

    def click(self, widget: QWidget, place: QPoint | None = None) -> None:
        assert widget.isVisible()
        assert widget.isEnabled()
        QTest.mouseClick(widget, LEFT, pos=widget.rect().center() if place is None else place)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key while looking at the shapes."""
        view = self.window.pair.adversarial
        view.setFocus()
        QTest.keyClick(view, key, modifier)

    def choose(self, combo: QComboBox, text: str) -> None:
        """Go to an entry of a combo box with the arrow keys."""
        place = combo.findText(text)
        assert place >= 0, f"{text!r} is not among the choices"
        combo.setFocus()
        while combo.currentIndex() != place:
            QTest.keyClick(combo, Qt.Key.Key_Down if combo.currentIndex() < place else Qt.Key.Key_Up)

    def type_option(self, form: QWidget, field: str, text: str) -> None:
        """Type into a field of a form."""
        editor = form.findChild(QWidget, field)
        assert editor is not None, f"the form has no field {field!r}"
        editor.setFocus()
        editor.selectAll()  # type: ignore[attr-defined]
        QTest.keyClicks(editor, text)
        QTest.keyClick(editor, Qt.Key.Key_Return)

    def choose_pgd(self, steps: int = 4) -> Scene:
        """PGD of one start and few steps, as the options' popup lets one choose."""
        panel = self.window.attack
        self.choose(panel.preset, "PGD")
        self.type_option(panel._form, "steps", str(steps))
        self.type_option(panel._form, "restarts", "0")
        return self.settle()

    # --- the epsilon slider ---

    @property
    def groove(self) -> Groove:
        groove = self.window.attack.epsilon.findChild(Groove)
        assert groove is not None
        return groove

    def place_of(self, epsilon: float) -> QPoint:
        """Where the handle stands at this epsilon."""
        groove, maximum = self.groove, self.window.attack.epsilon.maximum
        return QPoint(round(SIDE + (groove.width() - 2 * SIDE) * epsilon / maximum), groove.height() // 3)

    def take(self, epsilon: float) -> None:
        """Press the mouse on the groove."""
        QTest.mousePress(self.groove, LEFT, pos=self.place_of(epsilon))

    def pull(self, epsilon: float) -> Scene:
        """Move the held handle and see the frame that belongs to it."""
        move_mouse(self.groove, self.place_of(epsilon))
        slider = self.window.attack.epsilon
        self.until(lambda: self.store.scene is not None and self.store.scene.epsilon == slider.value, "the refit")
        assert self.store.scene is not None
        return self.store.scene

    def let_go(self) -> Scene:
        """Let the handle go and wait for the attack."""
        QTest.mouseRelease(self.groove, LEFT, pos=self.place_of(self.window.attack.epsilon.value))
        return self.settle()
