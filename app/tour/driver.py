"""Drives the window with real mouse and key events, waits for their effects, and records what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSlider, QWidget

from app.shell.window import Window
from app.views.groove import MARGIN
from app.workspaces.base import Workspace
from app.workspaces.registry import action_key

TIMEOUT = 300.0  # seconds after which something that should have happened counts as failed


class TourError(Exception):
    """Something that the tour waited for did not happen in time."""


class UiDriver:
    """Sends input to the open window and records each step."""

    window: Window

    def __init__(self, out: Path) -> None:
        self.out = out
        """Folder of the pictures."""
        self.steps: list[dict[str, Any]] = []
        self.errors: list[str] = []
        """Error messages that the program has shown; one ends a wait."""
        self.latencies: list[float] = []
        """From each move of the slider to its painted frame, in ms."""
        self._start = time.monotonic()
        self._scene_time = self._frame_time = 0.0

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = TIMEOUT) -> None:
        """Run the event loop until ``condition`` holds; ``what`` names it in the error message."""
        deadline = time.monotonic() + seconds
        loop, poll = QEventLoop(), QTimer(interval=2, timerType=Qt.TimerType.PreciseTimer)
        poll.timeout.connect(lambda: loop.quit() if condition() or self.errors or time.monotonic() > deadline else None)
        if not condition():
            poll.start()
            loop.exec()  # not QTest.qWait, which holds the interpreter lock and blocks the worker thread
        if self.errors:
            raise TourError(f"An error was shown while waiting for {what}.")
        if not condition():
            raise TourError(f"Waited {seconds:.0f} s in vain for {what}.")

    def attach(self, window: Window) -> None:
        """Drive this window; note the times of its scenes and of the frames of its adversarial view."""

        def scene(_: object) -> None:
            self._scene_time = time.perf_counter()

        def frame() -> None:
            self._frame_time = time.perf_counter()

        self.window = window
        window.store.sceneChanged.connect(scene)
        window.pair.adversarial.painted.connect(frame)

    def settled(self, epsilon: float) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.epsilon == epsilon and scene.exact and not self.window.controller.busy

    def shows_epsilon(self, epsilon: float) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.epsilon == epsilon

    def at_step(self, step: int) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.step == step

    def scene_of(self, name: str) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.setup.cloud.name == name and self.settled(self.window.store.epsilon)

    def show_workspace(self, key: str) -> Workspace:
        """Click on a workspace in the rail; returns its panel."""
        window = self.window
        QTest.mouseClick(window.area.rail.button(window.actions_[action_key(key)]), Qt.MouseButton.LeftButton)
        return window.workspaces[key]

    def choose(self, combo: Any, text: str) -> None:
        """Choose an entry of a combo box with the arrow keys."""
        combo.setFocus()
        position = combo.findText(text)
        while combo.currentIndex() != position:
            QTest.keyClick(combo, Qt.Key.Key_Down if combo.currentIndex() < position else Qt.Key.Key_Up)

    def type(self, form: Any, field: str, text: str) -> None:
        editor = form.findChild(QWidget, field)
        editor.setFocus()
        editor.selectAll()
        QTest.keyClicks(editor, text)
        QTest.keyClick(editor, Qt.Key.Key_Return)

    def key(self, key: Any) -> None:
        self.window.pair.adversarial.setFocus()
        QTest.keyClick(self.window.pair.adversarial, key)

    def drag(self, start: float, end: float, *, stop_on_success: bool) -> float | None:
        """Drag the epsilon slider from start to end in 30 moves and release it.

        With ``stop_on_success`` it stops at the first epsilon at which the attacked model is fooled, and returns it.
        """
        slider, store = self.window.attack.epsilon, self.window.store
        slider.setValue(start)
        self.window.controller.release(start)
        self.wait_until(lambda: self.settled(start), f"the attack at epsilon {start}")
        groove, fooled_at = slider.findChild(QAbstractSlider), None
        assert groove is not None

        def at(epsilon: float) -> QPoint:
            x = MARGIN + (groove.width() - 2 * MARGIN) * epsilon / slider.scale.highest
            return QPoint(round(x), groove.height() // 3)

        QTest.mousePress(groove, Qt.MouseButton.LeftButton, pos=at(start))
        for position in range(1, 31):
            epsilon = start + (end - start) * position / 30
            event_time = time.perf_counter()
            QTest.mouseMove(groove, at(epsilon))
            value = slider.value
            self.wait_until(partial(self.shows_epsilon, value), "the refit")
            self.wait_until(lambda: self._frame_time > self._scene_time, "the frame")
            self.latencies.append(1000 * (self._frame_time - event_time))
            scene = store.scene
            assert scene is not None
            if stop_on_success and scene.fooled()[scene.setup.primary]:
                fooled_at = value
                break
        QTest.mouseRelease(groove, Qt.MouseButton.LeftButton, pos=at(slider.value))
        self.wait_until(lambda: self.settled(slider.value), "the attack after the drag")
        return fooled_at

    def scene_summary(self) -> dict[str, Any]:
        """What the window shows: cloud, epsilon, step, distances and all verdicts."""
        scene = self.window.store.scene
        assert scene is not None
        classes = scene.setup.classes
        rows = zip(scene.setup.models, scene.clean_confidence, scene.adversarial_confidence, strict=True)
        return {
            "shape": scene.setup.cloud.name,
            "epsilon": scene.epsilon,
            "step": scene.step,
            "linf": scene.distances.linf,
            "rmse": scene.distances.rmse,
            "verdicts": {
                model.name: {
                    "clean": [classes[clean.argmax()], round(float(clean.max()), 4)],
                    "adversarial": [classes[adversarial.argmax()], round(float(adversarial.max()), 4)],
                }
                for model, clean, adversarial in rows
            },
        }

    def record_step(self, did: str, **details: Any) -> None:
        self.steps.append({"seconds": round(time.monotonic() - self._start, 2), "did": did, **details})

    def picture(self, name: str) -> None:
        QTest.qWait(300)  # until fades, tooltips and delayed captions are over
        number = sum("picture" in step for step in self.steps) + 1
        path = self.out / f"{number:02d}-{name}.png"
        self.window.grab().save(str(path))
        if self.steps:
            self.steps[-1]["picture"] = path.name
