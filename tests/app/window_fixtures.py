"""Fixtures with the real window, and ``Person``, which simulates its user: clicks, drags, types, waits, reads."""

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

from app.shell.window import Window
from app.stage.controller import Request
from app.views.groove import MARGIN, Groove
from app.workspaces.base import Workspace
from app.workspaces.registry import ATTACK, action_key
from core.datasets import REGISTRY, Spec, folder
from core.datasets.shapes16 import CATEGORIES, make_shape
from core.live import Scene
from core.models.checkpoints import LoadedModel
from tests.app.mouse import move_mouse

TRAIN, TEST = 3, 3
"""Shapes of each class and split in the small dataset that replaces the built-in one."""
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


def small_spec(shapes: Path) -> Spec:
    """A small dataset in place of the built-in one, which takes too long to make in a test."""
    return Spec("Built in.", "", lambda root, allow_missing: replace(folder.find(shapes), name="shapes16"))


@contextmanager
def open_window(shapes: Path, home: Path, *files: Path) -> Iterator["Person"]:
    """The shown window with its models and the small dataset in place of the built-in one; closed at the end.

    ``files`` are those that the program was started with.
    """
    settings = str(home / "settings.ini")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shapes.parent / "cache"))  # of all windows: the dataset is converted once
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setattr("app.shell.settings.create", lambda: QSettings(settings, QSettings.Format.IniFormat))
        patch.setattr("app.shell.window.ask", lambda *_: True)  # to stop what runs, and close
        patch.setitem(REGISTRY, "shapes16", small_spec(shapes))  # type: ignore[arg-type]
        window = Window()
        person = Person(window)
        try:
            window.resize(*SIZE)
            window.move(0, 0)
            window.show()
            person.activate()
            window.start_loading(files)
            person.wait_until(lambda: window.store.dataset is not None, "the dataset")
            person.wait_until(person.settled, "the first verdicts")
            person.shipped = person.store.verdict_models
            yield person
        finally:
            person.close()


@pytest.fixture(scope="module")
def shared_window(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Person"]:
    """One window for all tests of a module."""
    with open_window(shapes, tmp_path_factory.mktemp("home")) as person:
        yield person


@pytest.fixture
def person(shared_window: "Person") -> Iterator["Person"]:
    """The simulated user of a window in its initial state. An error message that is left open fails the test."""
    shared_window.reset()
    yield shared_window
    shared_window.leave_work()  # the Transfer workspace starts a job some time after it was shown
    shared_window.wait_until(lambda: not shared_window.busy(), "the jobs to end")
    assert not shared_window.pop_errors()


class Person:
    """Simulates the user of the window."""

    def __init__(self, window: Window) -> None:
        self.window, self.store = window, window.store
        self.shipped: tuple[LoadedModel, ...] = ()
        """Models that the window showed at its start; each test starts with these."""

    # --- waiting ---

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = WAIT) -> None:
        """Run the event loop until ``condition`` holds; ``what`` names it in the error message."""
        deadline, holds = time.monotonic() + seconds, bool(condition())
        loop, poll = QEventLoop(), QTimer(interval=5)

        def look() -> None:
            nonlocal holds
            holds = holds or bool(condition())
            if holds or time.monotonic() > deadline:
                loop.quit()

        poll.timeout.connect(look)
        if not holds:
            poll.start()
            loop.exec()  # not QTest.qWait, which holds the interpreter lock and blocks the worker thread
            poll.stop()  # pytest keeps this frame of a test that fails, and the timer with it
        # not asked again: an event after the one that ended the loop may have started something else
        assert holds, f"waited in vain for {what}; missing: {self.unsettled()}; messages: {self.messages()}"

    def settled(self) -> bool:
        """Whether the scene belongs to all that is chosen, and nothing is pending but the outcome."""
        return not self.unsettled()

    def unsettled(self) -> list[str]:
        """What is missing until the scene belongs to all that is chosen, and nothing is pending but the outcome."""
        scene, cloud, controller = self.store.scene, self.store.cloud, self.window.controller
        timers = (controller._change_timer, controller._typing_timer, self.window.attack._typing_timer)
        later = {Request.OUTCOME, Request.SWEEP}
        missing = {
            "a scene": scene is None,
            "the end of the attack": controller.busy,
            "the end of playing": self.window.playback.playing,
            "the chosen cloud": scene is not None and (cloud is None or scene.setup.cloud.name != cloud.name),
            "the chosen models": scene is not None and scene.setup.models != self.store.verdict_models,
            "the chosen epsilon": scene is not None and scene.epsilon != self.store.epsilon,
            "a cloud of the attack itself": scene is not None and not scene.exact,
            "the end of a timer": any(timer.isActive() for timer in timers),
            f"results of {sorted(controller._pending)}": bool(controller._pending.keys() - later),
            f"the end of {[job.title for job in self.window.jobs.jobs]}": self.busy(),
        }
        return [what for what, is_missing in missing.items() if is_missing]

    def busy(self) -> bool:
        """Whether a job is running that the window starts by itself, such as the search which way is up."""
        return any(job.immediate for job in self.window.jobs.jobs)

    def wait_for_scene(self) -> Scene:
        self.wait_until(self.settled, "the verdicts")
        assert self.store.scene is not None
        return self.store.scene

    # --- the window ---

    def activate(self) -> None:
        """Activate the window, which a window manager would do; keys need an active window."""
        self.window.activateWindow()
        self.wait_until(self.window.isActiveWindow, "the window to become active")

    def reset(self) -> None:
        """Restore the initial state: FGSM on the first shape and model at epsilon 0.1, no search, no message."""
        window, store = self.window, self.store
        self.close_messages()
        self.activate()
        window.playback.reset()
        attack = window.attack
        attack._form.set_seed(0)
        store.seed = 0
        for combo in (attack.preset, attack._variant, attack._goal, window.library.classes):
            combo.setCurrentIndex(0)
        window.library._search.clear()
        store.models, store.shown = self.shipped, frozenset(model.name for model in self.shipped)
        store.primary = self.shipped[0].name
        store.modelsChanged.emit()
        self.leave_work()
        assert store.dataset is not None
        window.library.list.setCurrentIndex(window.library.shapes.index(0))
        window.attack.epsilon.setValue(0.1)
        window.controller.release(0.1)
        self.wait_for_scene()

    def leave_work(self) -> None:
        """Show the whole Stage."""
        for key in ("focus_pair", "maximise_work"):
            if self.window.actions_[key].isChecked():
                self.window.actions_[key].trigger()
        if self.window.area.workspace != ATTACK:
            self.window.actions_[action_key(ATTACK)].trigger()

    def close(self) -> None:
        """Close and delete the window; checks that no job is left."""
        self.window.close()
        assert not self.window.jobs.jobs
        self.window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()

    # --- messages ---

    def messages(self) -> list[str]:
        return [toast.message[1] for toast in self.window.toasts.visible]

    def pop_errors(self) -> list[str]:
        """Texts of the error messages since the last call; closes all messages."""
        texts = self.window.toasts.unread
        self.close_messages()
        return texts

    def close_messages(self) -> None:
        for toast in list(self.window.toasts.visible):
            toast.dismiss()
        self.window.toasts.mark_read()

    # --- mouse and keys ---

    def find(self, kind: type[Kind], name: str) -> Kind:
        """The visible widget with this accessible name or text."""
        for widget in self.window.findChildren(kind):
            text = widget.text() if isinstance(widget, QAbstractButton) else ""
            if widget.isVisible() and name in (widget.accessibleName(), text):
                return widget
        raise AssertionError(f"no {kind.__name__} called {name!r} is on the screen")

    def show_workspace(self, key: str) -> Workspace | None:
        """Click on a workspace in the rail; returns what is beside the Stage."""
        self.click(self.window.area.rail.button(self.window.actions_[action_key(key)]))
        assert self.window.area.workspace == key
        QApplication.processEvents()  # lays it out
        strip = self.window.attack  # in a narrow column it has two rows, which its parents are told one after the other
        self.wait_until(lambda: strip.height() >= strip.minimumSizeHint().height(), "the strip to have its rows")
        return self.window.workspaces.get(key)

    def choose_export(self, panel: Workspace, text: str) -> None:
        """Choose an entry of the export button's menu."""
        assert panel.export.isVisible()
        assert panel.export.isEnabled()
        menu = panel.export.menu()
        assert menu is not None
        next(action for action in menu.actions() if action.text() == text).trigger()

    def click(self, widget: QWidget, place: QPoint | None = None) -> None:
        assert widget.isVisible()
        assert widget.isEnabled()
        QTest.mouseClick(widget, LEFT, pos=widget.rect().center() if place is None else place)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key while the pair view has the focus."""
        view = self.window.pair.adversarial
        view.setFocus()
        QTest.keyClick(view, key, modifier)

    def choose(self, combo: QComboBox, text: str) -> None:
        """Choose an entry of a combo box with the arrow keys."""
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
        """Choose PGD with few steps and no restart in the options popup."""
        panel = self.window.attack
        self.choose(panel.preset, "PGD")
        self.type_option(panel._form, "steps", str(steps))
        self.type_option(panel._form, "restarts", "0")
        return self.wait_for_scene()

    # --- the epsilon slider ---

    @property
    def groove(self) -> Groove:
        groove = self.window.attack.epsilon.findChild(Groove)
        assert groove is not None
        return groove

    def groove_position(self, epsilon: float) -> QPoint:
        """Position of the handle at this epsilon."""
        groove, maximum = self.groove, self.window.attack.epsilon.scale.highest
        return QPoint(round(MARGIN + (groove.width() - 2 * MARGIN) * epsilon / maximum), groove.height() // 3)

    def press_slider(self, epsilon: float) -> None:
        """Press the mouse on the groove."""
        QTest.mousePress(self.groove, LEFT, pos=self.groove_position(epsilon))

    def drag_slider(self, epsilon: float) -> Scene:
        """Move the mouse with the pressed handle, and wait for the frame at that epsilon."""
        move_mouse(self.groove, self.groove_position(epsilon))
        slider = self.window.attack.epsilon
        self.wait_until(lambda: self.store.scene is not None and self.store.scene.epsilon == slider.value, "the refit")
        assert self.store.scene is not None
        return self.store.scene

    def release_slider(self) -> Scene:
        """Release the handle and wait for the attack."""
        QTest.mouseRelease(self.groove, LEFT, pos=self.groove_position(self.window.attack.epsilon.value))
        return self.wait_for_scene()
