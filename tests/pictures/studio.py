"""The open window, brought into states by states.py: what it does for all of them, and its pictures."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from PySide6.QtCore import QEventLoop, QMessageLogContext, Qt, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtTest import QTest

from app.shell.application import make
from app.shell.notify import Severity
from app.tour.driver import UiDriver
from app.workspaces.registry import ATTACK, action_key
from core.attacks import preset
from tests.pictures import prepared

SIZES = {1.0: ((1280, 720), (1366, 768), (1600, 1000)), 1.5: ((2560, 1440),)}
"""Sizes of the window in pixels of the screen, by the scale factor of the screen."""
LEFT = Qt.MouseButton.LeftButton
THEMES = ("dark", "light")
LAYOUT_MS, MESSAGE_MS = 150, 250
"""Time until the parts of the window have their places, and until a closed message has faded."""


class Studio(UiDriver):
    """Takes the pictures of one scale factor into the folder ``out``.

    Parameters
    ----------
    home : folder of what was prepared.
    modelnet40 : where that dataset is; None where it is absent.
    """

    def __init__(self, out: Path, scale: float, home: Path, modelnet40: Path | None) -> None:
        super().__init__(out)
        self.scale, self.home, self.modelnet40 = scale, home, modelnet40
        self.problems: list[str] = []
        """Error messages, Qt's warnings and exceptions, each with the state in which it appeared."""
        self._state = "start"

    def open(self) -> None:
        """Open the window; all its jobs wait, as in its first seconds, until ``load``."""
        qInstallMessageHandler(self._on_qt_message)
        self.application, window = make(["pointward"])
        window.jobs.hold_all()
        self.attach(window)
        window.toasts.shown.connect(self._on_message)
        self.wait_until(lambda: window.jobs.jobs, "the first job")

    def load(self) -> None:
        """Let the waiting jobs run, and wait for models, dataset and verdicts; nothing if that was done."""
        if self.window.jobs.held:
            self.window.jobs.release_all()
            self.wait_until(lambda: self.window.store.dataset is not None, "the dataset")
            self.wait_for_outcome()

    def close(self) -> None:
        self.window.close()
        self.application.processEvents()

    def wait_for_outcome(self) -> None:
        """Wait until the attack, its verdicts and the curve over epsilon are those of what is chosen."""
        store, controller = self.window.store, self.window.controller

        def is_there() -> bool:
            scene, setup = store.scene, controller.current_setup()
            return (
                self.settled(store.epsilon)
                and scene.setup.same_attack(setup)
                and scene.setup.models == setup.models
                and store.outcome is not None
                and store.outcome.holds_for(scene)
            )

        self.wait_until(is_there, "the outcome over epsilon")

    def show_stage(self) -> None:
        """Show the Attack workspace."""
        QTest.mouseClick(self.window.area.rail.button(self.window.actions_[action_key(ATTACK)]), LEFT)

    def choose_attack(self, name: str, **options: int) -> None:
        """Choose an attack, with its own options but these."""
        panel = self.window.attack
        panel.take(name, preset(name).model_copy(update=options))

    def load_models(self, count: int) -> None:
        """Load prepared runs until there are so many models, and show all; the first one is attacked."""
        store, first = self.window.store, self.window.store.models[0].name
        loaded = {model.path.parent for model in store.models}
        for folder in [each for each in prepared.tuned(self.home) if each not in loaded][: count - len(store.models)]:
            self.window.opener.open_path(folder)
            self.wait_until(lambda: not self.window.jobs.jobs, f"the model of {folder.name}")
        store.set_shown_models(model.name for model in store.models)
        store.set_primary(first)
        self.wait_for_outcome()

    @contextmanager
    def suspended_jobs(self) -> Iterator[None]:
        """Let all jobs rest, as while the slider is held, so that every picture shows the same."""
        self.window.jobs.hold_all()
        yield
        self.window.jobs.release_all()

    def stop_jobs(self) -> None:
        """End all jobs and drop their results."""
        for job in list(self.window.jobs.jobs):
            job.silent = True
            job.cancel()
        self.wait_until(lambda: not self.window.jobs.jobs, "the jobs to end")

    def take(self, name: str, bring: Callable[[Studio], AbstractContextManager[None]]) -> None:
        """Bring the window into a state, and take its pictures in every size and both themes."""
        self._state = name
        try:
            with bring(self):
                self._take_all(name)
        except Exception:
            self.problems.append(f"{name}: {traceback.format_exc()}")
        self.errors.clear()  # that of one state must not end the waits of the next

    def pass_time(self, milliseconds: int) -> None:
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()  # not QTest.qWait, which holds the interpreter lock

    def _take_all(self, name: str) -> None:
        window = self.window
        for toast in list(window.toasts.visible):
            toast.dismiss()
        self.pass_time(MESSAGE_MS)
        for width, height in SIZES[self.scale]:
            window.resize(-int(-width // self.scale), -int(-height // self.scale))  # rounded up
            window.actions_["reset_layout"].trigger()  # as at the first start in this size
            for theme in THEMES:
                window.actions_[f"theme_{theme}"].trigger()
                self.pass_time(LAYOUT_MS)
                file = self.out / f"{name}-{width}x{height}-{theme}.png"
                if not window.grab().toImage().copy(0, 0, width, height).save(str(file)):
                    raise OSError(f"{file} could not be written.")
                print(file.name, flush=True)

    def _on_message(self, severity: Severity, text: str) -> None:
        if severity is Severity.ERROR:
            self.errors.append(text)
            self.problems.append(f"{self._state}: {text}")

    def _on_qt_message(self, kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
        if kind in (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg):
            self.problems.append(f"{self._state}: Qt: {text}")
        print(text, file=sys.stderr)
