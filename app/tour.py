"""The guided tour: the real window, driven through its main job with real mouse and key events, with pictures.

It is what ``make run`` does on a machine without a display, and the end-to-end test of the program.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (1600, 1000)
WAIT = 300.0  # seconds after which something that should have happened counts as failed


def take_tour(out: Path, as_json: bool) -> int:
    """Take the tour, write pictures, the figure and ``tour.json`` into ``out``; 0 if nothing went wrong."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return _under_xvfb(["tour", "--out", str(out), *(["--json"] if as_json else [])])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pointward-tour-") as home:
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = home  # nobody's settings and runs are touched
        report = Tour(out).take()
    (out / "tour.json").write_text(json.dumps(report, indent=2) + "\n")
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        for entry in report["steps"]:
            print(f"{entry['seconds']:7.1f} s  {entry['did']}")
        print("\n".join([*(f"error: {text}" for text in report["errors"]), f"Pictures and tour.json are in {out}."]))
    return 1 if report["errors"] else 0


def _under_xvfb(words: list[str]) -> int:
    """Run this program with these words on a virtual display of its own, and give its exit code."""
    if shutil.which("Xvfb") is None:
        raise OSError("There is no display, and no Xvfb to make one: install the package xvfb.")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            raise OSError("Xvfb did not start, so there is no display to open the window on.")
        display = {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
        program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, sys.argv[0]]
        return subprocess.call([*program, *words], env=os.environ | display)
    finally:
        server.terminate()
        server.wait()


class Tour:
    """One walk through the program; each step says what it did and what it saw."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.steps: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.latencies: list[float] = []
        self._began = time.monotonic()
        self._shown = self._swapped = 0.0

    def take(self) -> dict[str, Any]:
        """Every step in turn; the first that fails ends the tour, with the reason."""
        from app.application import make
        from app.notify import Severity

        application, window = make(["pointward"])
        self.window = window
        self._watch()
        window.resize(*SIZE)
        window.move(0, 0)
        say = window.toasts.show

        def listen(severity: Severity, text: str, *rest: Any) -> None:
            if severity is Severity.ERROR:
                self.errors.append(text)
            say(severity, text, *rest)

        window.toasts.show = listen  # type: ignore[method-assign]
        try:
            self._open()
            self._choose_shape()
            self._drag_until_it_flips()
            self._step_pgd()
            self._train()
            self._evaluate()
            self._map_latents()
            self._light()
        except TourError as error:
            self.errors.append(str(error))
            self._picture("failed")
        except Exception:
            self.errors.append(traceback.format_exc())
        finally:
            window.close()
            application.processEvents()
        ordered = sorted(self.latencies)
        return {
            "steps": self.steps,
            "slider_to_paint_ms": {
                "n": len(ordered),
                "median": _quantile(ordered, 0.5),
                "p95": _quantile(ordered, 0.95),
                "max": _quantile(ordered, 1.0),
                "all": [round(value, 1) for value in self.latencies],
            },
            "errors": self.errors,
        }

    # --- the steps ---

    def _open(self) -> None:
        window = self.window
        self._until(window.isVisible, "the window to appear", 10)
        window.activateWindow()  # no window manager does it here, and shortcuts need an active window
        self._until(window.isActiveWindow, "the window to become active", 10)
        self._note("the window is painted")
        self._until(lambda: window.store.scene is not None and window.store.scene.step > 0, "the first verdicts")
        self._note("a shape is attacked and three models give their verdicts", **self._seen())
        self._until(lambda: window.store.outcome is not None, "the outcome curve")
        self._until(lambda: window.store.dataset is not None, "the built-in dataset")
        dataset = window.store.dataset
        assert dataset is not None
        self._note(
            "the built-in dataset is open", shapes=dict(dataset.card.splits), fingerprint=dataset.card.fingerprint
        )
        self._picture("start")

    def _choose_shape(self) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        library = self.window.library
        self._choose(library.classes, "chair")
        index = library.shapes.index(4)
        library.list.scrollTo(index)
        QTest.mouseClick(
            library.list.viewport(), Qt.MouseButton.LeftButton, pos=library.list.visualRect(index).center()
        )
        wanted = index.data(Qt.ItemDataRole.ToolTipRole)
        self._until(lambda: self._scene_of(wanted), f"the verdicts on {wanted}")
        self._note(f"clicked {wanted} in the library", **self._seen())
        self._picture("shape")

    def _drag_until_it_flips(self) -> None:
        """Drag the slider from 0 until the attacked model changes its mind, on the first shape where it does."""
        library, store = self.window.library, self.window.store
        for row in range(4, 16):
            if row > 4:
                library.move_by(1)
                wanted = library.shapes.index(row).data(_TOOLTIP)
                self._until(lambda wanted=wanted: self._scene_of(wanted), f"the verdicts on {wanted}")
            flip = self._drag(0.0, 0.3, until_fooled=True)
            if flip is not None:
                scene = store.scene
                assert scene is not None
                self._note(
                    f"dragged epsilon to {flip:.3f}, where {store.primary} says "
                    f"{scene.setup.classes[scene.adversarial[scene.setup.primary].argmax()]}",
                    **self._seen(),
                )
                self._picture("flipped")
                return
        raise TourError("No chair of the first twelve was misclassified at any epsilon up to 0.3.")

    def _drag(self, start: float, end: float, *, until_fooled: bool) -> float | None:
        """Press the handle, move it in small steps, let go; the epsilon at which the attacked model was fooled."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest
        from PySide6.QtWidgets import QAbstractSlider

        from app.views.groove import SIDE

        slider, store = self.window.attack.epsilon, self.window.store
        slider.setValue(start)
        self.window.studio.release(start)
        self._until(lambda: self._settled(start), f"the attack at epsilon {start}")
        groove, fooled = slider.findChild(QAbstractSlider), None

        def at(epsilon: float) -> QPoint:
            return QPoint(round(SIDE + (groove.width() - 2 * SIDE) * epsilon / slider.maximum), groove.height() // 3)

        QTest.mousePress(groove, Qt.MouseButton.LeftButton, pos=at(start))
        for place in range(1, 31):
            epsilon = start + (end - start) * place / 30
            began = time.perf_counter()
            QTest.mouseMove(groove, at(epsilon))
            value = slider.value
            self._until(lambda value=value: store.scene is not None and store.scene.epsilon == value, "the refit")
            self._until(lambda: self._swapped > self._shown, "the frame")
            self.latencies.append(1000 * (self._swapped - began))
            scene = store.scene
            assert scene is not None
            if until_fooled and scene.fooled()[scene.setup.primary]:
                fooled = value
                break
        QTest.mouseRelease(groove, Qt.MouseButton.LeftButton, pos=at(slider.value))
        self._until(lambda: self._settled(slider.value), "the attack after the drag")
        return fooled

    def _step_pgd(self) -> None:
        from PySide6.QtCore import Qt

        window = self.window
        self._choose(window.attack.preset, "PGD")
        self._until(lambda: self._settled(window.store.epsilon) and len(window.store.history) > 20, "PGD")
        self._key(Qt.Key.Key_R)
        self._until(lambda: self._at_step(0), "the clean cloud")
        for count in range(1, 6):
            self._key(Qt.Key.Key_N)
            self._until(lambda count=count: self._at_step(count), "a step")
        self._key(Qt.Key.Key_V)
        self._note("stepped PGD five times with the keyboard, displacement vectors on", **self._seen())
        self._picture("pgd")
        self._key(Qt.Key.Key_V)

    def _train(self) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        window, panel = self.window, self.window.training
        window.work.setCurrentWidget(panel)
        for field, value in (("epochs", 2), ("points", 128), ("clouds", 640)):
            self._type(panel.form, field, str(value))
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self._until(lambda: panel.job is not None, "the training to start")
        self._drag(0.05, 0.1, until_fooled=False)
        self._until(lambda: panel.job is None, "two epochs")
        self._note(f"trained two epochs in the panel while dragging: {panel.status.text()}")
        self._picture("trained")
        models = len(window.store.models)
        QTest.mouseClick(panel.load, Qt.MouseButton.LeftButton)
        self._until(lambda: len(window.store.models) > models, "the trained model")
        self._until(lambda: self._settled(window.store.epsilon), "the new model's verdict")
        self._note("loaded the trained model beside the others", models=[model.name for model in window.store.models])
        self._picture("loaded")
        window.store.set_primary(window.store.models[0].name)
        self._until(lambda: self._settled(window.store.epsilon), "the first model's verdict")

    def _evaluate(self) -> None:
        """Measure all models on a few clouds, and open the first of those that most often go wrong the same way."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        window, panel = self.window, self.window.evaluation
        self._choose(window.attack.preset, "FGSM")
        self._until(lambda: self._settled(window.store.epsilon), "FGSM")
        window.work.setCurrentWidget(panel)
        self._type(panel.form, "clouds", "64")
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self._until(lambda: panel.job is not None, "the evaluation to start")
        self._until(lambda: panel.job is None, "the evaluation")
        result, view = panel.result, panel.view
        assert result is not None
        table = result.table()
        self._note(
            f"measured {len(table.rows)} models: {table.title}",
            accuracies={str(row[0]): [round(float(cell), 1) for cell in (row[1], row[3])] for row in table.rows},
        )
        QTest.mouseClick(view.figures["confusion"], Qt.MouseButton.LeftButton)
        wrong = result.measured[0].report.sides[1].confusion()
        wrong[range(len(wrong)), range(len(wrong))] = 0
        true, predicted = divmod(int(wrong.argmax()), len(wrong))
        cells = view.matrix.widget()
        QTest.mouseClick(cells, Qt.MouseButton.LeftButton, pos=cells.cell(1, true, predicted).center())
        cloud = window.store.cloud
        assert cloud is not None
        self._until(lambda: self._scene_of(cloud.name), f"the verdicts on {cloud.name}")
        self._note(f"clicked a cell: {view.stepper.text}", **self._seen())
        self._picture("evaluated")

    def _map_latents(self) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        window, panel = self.window, self.window.latents
        window.work.setCurrentWidget(panel)
        self._type(panel.clouds_form, "clouds", "128")
        self._type(panel.form, "perplexity", "15")
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self._until(lambda: panel.job is not None, "the map to start")
        self._until(lambda: panel.job is None, "the map")
        self._note(f"made a t-SNE map: {panel.status.text()}")
        self._drag(0.0, 0.15, until_fooled=False)
        self._note(
            "dragged epsilon, and the marker moved over the map",
            marker=None if panel.place is None else panel.place.tolist(),
        )
        self._picture("latents")
        figure, table = self.out / "latents.pdf", self.out / "latents.csv"
        panel.export_figure(figure)
        panel.export_figure(figure.with_suffix(".png"))
        panel.export_coordinates(table)
        self._note("exported the figure and its coordinates", files=[figure.name, "latents.png", table.name])

    def _light(self) -> None:
        self.window.actions_["theme_light"].trigger()
        self._note("switched to the light theme")
        self._picture("light")

    # --- how ---

    def _until(self, condition: Callable[[], object], what: str, seconds: float = WAIT) -> None:
        """Let the program live until ``condition`` holds."""
        from PySide6.QtCore import QEventLoop, Qt, QTimer

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

    def _watch(self) -> None:
        """Note when a scene was shown and when the adversarial view put a frame on the screen."""

        def scene(_: object) -> None:
            self._shown = time.perf_counter()

        def frame() -> None:
            self._swapped = time.perf_counter()

        self.window.store.sceneChanged.connect(scene)
        self.window.pair.adversarial.painted.connect(frame)

    def _settled(self, epsilon: float) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.epsilon == epsilon and scene.exact and not self.window.studio.busy

    def _at_step(self, step: int) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.step == step

    def _scene_of(self, name: str) -> bool:
        scene = self.window.store.scene
        return scene is not None and scene.setup.cloud.name == name and self._settled(self.window.store.epsilon)

    def _choose(self, combo: Any, text: str) -> None:
        """Choose an entry of a combo box with the keyboard, as a person who knows it does."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        combo.setFocus()
        place = combo.findText(text)
        while combo.currentIndex() != place:
            QTest.keyClick(combo, Qt.Key.Key_Down if combo.currentIndex() < place else Qt.Key.Key_Up)

    def _type(self, form: Any, field: str, text: str) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest
        from PySide6.QtWidgets import QWidget

        editor = form.findChild(QWidget, field)
        editor.setFocus()
        editor.selectAll()
        QTest.keyClicks(editor, text)
        QTest.keyClick(editor, Qt.Key.Key_Return)

    def _key(self, key: Any) -> None:
        from PySide6.QtTest import QTest

        self.window.pair.adversarial.setFocus()
        QTest.keyClick(self.window.pair.adversarial, key)

    def _seen(self) -> dict[str, Any]:
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

    def _note(self, did: str, **seen: Any) -> None:
        self.steps.append({"seconds": round(time.monotonic() - self._began, 2), "did": did, **seen})

    def _picture(self, name: str) -> None:
        from PySide6.QtTest import QTest

        QTest.qWait(300)  # fades, tool tips and delayed captions of the last click
        number = sum("picture" in step for step in self.steps) + 1
        path = self.out / f"{number:02d}-{name}.png"
        self.window.grab().save(str(path))
        if self.steps:
            self.steps[-1]["picture"] = path.name


class TourError(Exception):
    """Something that the tour waited for did not happen."""


_TOOLTIP = 3  # Qt.ItemDataRole.ToolTipRole, usable before Qt is imported


def _quantile(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
