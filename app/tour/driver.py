"""The hand that a tour is taken with: real mouse and key events, waits for what they bring about, and notes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSlider, QWidget

from app.shell.window import Window
from app.views.groove import SIDE

WAIT = 300.0  # seconds after which something that should have happened counts as failed


class TourError(Exception):
    """Something that the tour waited for did not happen."""


class Hand:
    """Drives the open window, and writes down what it did and what it saw."""

    window: Window

    def __init__(self, out: Path) -> None:
        self.out = out
        """Folder of the pictures."""
        self.steps: list[dict[str, Any]] = []
        self.errors: list[str] = []
        """Those that the program has shown; one ends a wait."""
        self.latencies: list[float] = []
        """Of each move of the slider to the painted frame, in ms."""
        self._began = time.monotonic()
        self._shown = self._swapped = 0.0

    def until(self, condition: Callable[[], object], what: str, seconds: float = WAIT) -> None:
        """Let the program live until ``condition`` holds."""
        deadline = time.monotonic() + seconds
        loop, look = QEventLoop(), QTimer(interval=2, timerType=Qt.TimerType.PreciseTimer)
        look.timeout.connect(lambda: loop.quit() if condition() or self.errors or time.monotonic() > deadline else None)
        if not condition():
            look.start()
            loop.exec()  # not QTest.qWait, which keeps Python's lock and starves the worker
        if self.errors:
            raise TourError(f"An error was shown while waiting for {what}.")
        if not condition():
            raise TourError(f"Waited {seconds:.0f} s in vain for {what}.")

    def take(self, window: Window) -> None:
        """Take a window in hand; note when it shows a scene and when its adversarial view has painted a frame."""

        def scene(_: object) -> None:
            self._shown = time.perf_counter()

        def frame() -> None:
            self._swapped = time.perf_counter()

        self.window = window
        window.store.sceneChanged.connect(scene)
        window.pair.adversarial.painted.connect(frame)

    def settled(self, epsilon: float) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.epsilon == epsilon and scene.exact and not self.window.studio.busy

    def at_step(self, step: int) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.step == step

    def scene_of(self, name: str) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.setup.cloud.name == name and self.settled(self.window.store.epsilon)

    def choose(self, combo: Any, text: str) -> None:
        """Choose an entry of a combo box with the keyboard, as a person who knows it does."""
        combo.setFocus()
        place = combo.findText(text)
        while combo.currentIndex() != place:
            QTest.keyClick(combo, Qt.Key.Key_Down if combo.currentIndex() < place else Qt.Key.Key_Up)

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
        """Press the handle, move it in small steps, let go; the epsilon at which the attacked model was fooled."""
        slider, store = self.window.attack.epsilon, self.window.store
        slider.setValue(start)
        self.window.studio.release(start)
        self.until(lambda: self.settled(start), f"the attack at epsilon {start}")
        groove, fooled = slider.findChild(QAbstractSlider), None

        def at(epsilon: float) -> QPoint:
            return QPoint(round(SIDE + (groove.width() - 2 * SIDE) * epsilon / slider.maximum), groove.height() // 3)

        QTest.mousePress(groove, Qt.MouseButton.LeftButton, pos=at(start))
        for place in range(1, 31):
            epsilon = start + (end - start) * place / 30
            began = time.perf_counter()
            QTest.mouseMove(groove, at(epsilon))
            value = slider.value
            self.until(lambda value=value: store.scene is not None and store.scene.epsilon == value, "the refit")
            self.until(lambda: self._swapped > self._shown, "the frame")
            self.latencies.append(1000 * (self._swapped - began))
            scene = store.scene
            assert scene is not None
            if stop_on_success and scene.fooled()[scene.setup.primary]:
                fooled = value
                break
        QTest.mouseRelease(groove, Qt.MouseButton.LeftButton, pos=at(slider.value))
        self.until(lambda: self.settled(slider.value), "the attack after the drag")
        return fooled

    def seen(self) -> dict[str, Any]:
        scene = self.window.store.scene
        assert scene is not None
        classes = scene.setup.classes
        rows = zip(scene.setup.models, scene.clean, scene.adversarial, strict=True)
        return {
            "shape": scene.setup.cloud.name,
            "epsilon": scene.epsilon,
            "step": scene.step,
            "linf": scene.distances.linf,
            "rmse": scene.distances.rmse,
            "verdicts": {
                model.name: {
                    "clean": [classes[clean.argmax()], round(float(clean.max()), 4)],
                    "adversarial": [classes[moved.argmax()], round(float(moved.max()), 4)],
                }
                for model, clean, moved in rows
            },
        }

    def note(self, did: str, **seen: Any) -> None:
        self.steps.append({"seconds": round(time.monotonic() - self._began, 2), "did": did, **seen})

    def picture(self, name: str) -> None:
        QTest.qWait(300)  # fades, tool tips and delayed captions of the last click
        number = sum("picture" in step for step in self.steps) + 1
        path = self.out / f"{number:02d}-{name}.png"
        self.window.grab().save(str(path))
        if self.steps:
            self.steps[-1]["picture"] = path.name
