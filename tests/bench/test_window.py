"""The real window: how long a move of the slider takes to its frame, how evenly the window beats, how it starts."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.store import SPLIT
from app.views.map_points import MapPoints
from app.views.scatter import MapView
from app.workspaces.latents import LatentsPanel, _MapRequest
from core import live
from core.evaluation.latents import LatentMap
from core.evaluation.tsne import Map, TsneOptions
from core.runtime import threads
from tests.app.window_fixtures import Person, person, shapes, shared_window
from tests.bench.conftest import Record
from tests.qt_fixtures import dark_theme, private_settings, qapp_args

__all__ = ["dark_theme", "person", "private_settings", "qapp_args", "shapes", "shared_window"]

BEAT_MS = 10
REST_MS = 60  # between two moves of a hand that looks at each picture
OURS = "ours"


@pytest.fixture(autouse=True)
def as_in_the_program() -> None:
    threads.set_threads_beside_window()


class Drags:
    """Moves the handle and takes the time from the event to the frame on the screen, and of the worker's part of it."""

    def __init__(self, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        self.person = person
        self.frames: list[float] = []
        self.computing: list[float] = []
        self._loop = QEventLoop()
        person.window.pair.adversarial.painted.connect(lambda: QTimer.singleShot(0, self._flushed))
        refit = live.refit

        def timed(*arguments: object) -> live.Scene:
            start = time.perf_counter()
            scene = refit(*arguments)  # type: ignore[arg-type]
            self.computing.append(1000 * (time.perf_counter() - start))
            return scene

        monkeypatch.setattr(live, "refit", timed)

    def _flushed(self) -> None:
        scene = self.person.store.scene
        if scene is not None and scene.epsilon == self.person.window.attack.epsilon.value:
            self._loop.quit()

    def drag(self, moves: int) -> None:
        """Press, move to and fro, let go."""
        person = self.person
        person.press_slider(0.05)
        for move in range(moves):
            rest(REST_MS)
            start = time.perf_counter()
            QTest.mouseMove(person.groove, person.groove_position(0.06 + 0.2 * ((move * 7) % moves) / moves))
            self._loop.exec()
            self.frames.append(1000 * (time.perf_counter() - start))
        person.release_slider()


def rest(milliseconds: int) -> None:
    """Let the program live for a while, without looking at it: who polls takes Python's lock from the worker."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


@contextmanager
def heartbeat() -> Iterator[list[float]]:
    """Milliseconds between the beats of a timer of 10 ms in the thread that paints."""
    beats: list[float] = []
    clock, timer = QElapsedTimer(), QTimer(interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: beats.append(clock.nsecsElapsed() / 1e6) or clock.restart())  # type: ignore[func-returns-value]
    clock.start()
    timer.start()
    yield beats
    timer.stop()


@pytest.mark.parametrize(("models", "frame", "computing"), [(1, 33, 10), (3, 50, 20)])
def test_slider(
    person: Person, record: Record, monkeypatch: pytest.MonkeyPatch, models: int, frame: int, computing: int
) -> None:
    for model in person.store.models[models:]:
        person.store.set_shown(model.name, False)
    person.wait_for_scene()
    drags = Drags(person, monkeypatch)
    drags.drag(20)
    drags.frames.clear()
    drags.computing.clear()
    for _ in range(5):
        drags.drag(20)
    name = f"slider event to painted frame, models: {models}"
    record(name, {OURS: drags.frames}, bars={OURS: f"p95 ≤ {frame} ms"})
    record(f"{name}, computing", {OURS: drags.computing}, bars={OURS: f"p95 ≤ {computing} ms"})


def test_slider_and_heartbeat_while_a_training_runs(
    person: Person, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = person.show_workspace("train")
    for field, value in {"epochs": 1000, "points": 1024, "batch_size": 16}.items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    person.wait_until(lambda: panel.job is not None and panel.job.meter.done > 0, "the first batch")
    drags = Drags(person, monkeypatch)
    drags.drag(5)
    drags.frames.clear()
    with heartbeat() as beats:
        for _ in range(12):
            rest(1000)
            drags.drag(6)
    record("slider while training, models: 3", {OURS: drags.frames}, bars={OURS: "p95 ≤ 100 ms"})
    record("heartbeat of the window while training", {OURS: beats}, bars={OURS: "p95 ≤ 25 ms"})
    panel.job.cancel()  # type: ignore[union-attr]
    person.wait_until(lambda: panel.job is None, "the end")


def test_slider_beside_a_map_of_1024_clouds(person: Person, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """The star follows the slider; the latents of the map are random, because only their number takes time."""
    panel = person.show_workspace("latents")
    assert isinstance(panel, LatentsPanel)
    split, random = person.store.dataset.split(SPLIT), np.random.default_rng(0)  # type: ignore[union-attr]
    clouds = 1024
    latents = random.normal(size=(2 * clouds, 1024)).astype(np.float32)
    fitted = Map(random.normal(size=(2 * clouds, 2)).astype(np.float32), 1.0, 750, TsneOptions(), None, None, True)
    rows = np.tile(np.arange(clouds) % len(split.labels), 2)
    labels, adversarial = np.asarray(split.labels)[rows], np.arange(2 * clouds) >= clouds
    settings = panel._current_settings()
    assert settings is not None
    assert person.store.dataset is not None
    panel._running_request = _MapRequest(settings, person.store.dataset, person.store.epsilon)
    panel._on_finished(LatentMap(fitted, latents, labels, adversarial, rows, labels))
    drags = Drags(person, monkeypatch)
    drags.drag(20)
    drags.frames.clear()
    for _ in range(5):
        drags.drag(20)
    assert panel.marker_position is not None
    record("slider beside a map of 1,024 clouds, models: 3", {OURS: drags.frames}, bars={OURS: "p95 ≤ 50 ms"})


def test_panning_a_map_of_2000_clouds(qtbot: QtBot, record: Record) -> None:
    random, clouds = np.random.default_rng(0), 2000
    labels = np.tile(random.integers(0, 40, clouds), 2)
    xy = random.normal(size=(2 * clouds, 2)) + 20 * np.stack([np.cos(labels), np.sin(2 * labels)], axis=1)
    view = MapView()
    qtbot.addWidget(view)
    view.resize(900, 800)
    with qtbot.waitExposed(view):
        view.show()
    names = tuple(f"class {k}" for k in range(40))
    view.set_map(MapPoints(xy, labels, np.arange(2 * clouds) >= clouds, labels, np.tile(np.arange(clouds), 2), names))
    frames = []
    for _ in range(60):
        start = time.perf_counter()
        view._plot.box.translateBy(x=0.3, y=0.1)
        view._plot.viewport().repaint()
        frames.append(1000 * (time.perf_counter() - start))
    record("a pan of a map of 2,000 clouds, 4,000 points", {OURS: frames[10:]}, bars={OURS: "p95 ≤ 33 ms"})


START = """
import json, os, resource, sys, time
sys.argv = ["pointward"]
from core.runtime.allocator import keep_freed_memory
keep_freed_memory()
from PySide6.QtCore import Qt, QTimer
from app.shell.application import make
began, seen = float(os.environ["BEGAN"]), {}
application, window = make(sys.argv)
now = lambda: 1000 * (time.time() - began)

def verdicts(scene):
    if scene is not None and scene.step and "interactive" not in seen:
        seen["interactive"] = now()
        idle()

def idle(_=None):
    if "interactive" in seen and window.store.dataset is not None:
        QTimer.singleShot(3000, application.quit)

window.pair.clean.painted.connect(
    lambda: QTimer.singleShot(0, lambda: seen.setdefault("visible", now())), Qt.ConnectionType.SingleShotConnection)
window.store.sceneChanged.connect(verdicts)
window.store.datasetChanged.connect(idle)
application.exec()
with open("/proc/self/statm") as file:
    seen["resident"] = int(file.read().split()[1]) * resource.getpagesize() / 2**20
print(json.dumps(seen))
window.close()
"""


def test_start(record: Record, tmp_path: Path, qapp: object) -> None:
    homes = {f"XDG_{kind}_HOME": str(tmp_path) for kind in ("CONFIG", "DATA", "CACHE")}
    found: dict[str, list[float]] = {"visible": [], "interactive": [], "resident": []}
    for _ in range(6):
        done = subprocess.run(
            [sys.executable, "-c", START],
            env=os.environ | homes | {"BEGAN": str(time.time())},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        for name, value in json.loads(done.stdout).items():
            found[name].append(value)
    warm = {name: values[1:] for name, values in found.items()}  # the first one made the dataset and filled the caches
    record("exec to visible window", {OURS: warm["visible"]}, bars={OURS: "≤ 1,500 ms"})
    record("exec to first verdicts", {OURS: warm["interactive"]}, bars={OURS: "≤ 6,000 ms"})
    record("resident, three models, idle", {OURS: warm["resident"]}, unit="MiB", bars={OURS: "≤ 900 MiB"})
