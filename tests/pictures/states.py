"""How each workspace is brought into each of its states.

A state is a context manager: within it the window is in that state, and at its end nothing of it goes on. The states
are brought about in the order in which ``in_order`` gives them: what is empty comes before what fills it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.shell import settings
from app.workspaces.evaluation import EvaluationPanel
from app.workspaces.latents import LatentsPanel
from app.workspaces.training import TrainingPanel
from app.workspaces.transfer import TransferPanel
from core.training import remember_run_folder
from tests.pictures import prepared
from tests.pictures.studio import Studio

State = Callable[[Studio], AbstractContextManager[None]]
EVERY = ("empty", "busy", "full")
"""The states that each workspace has."""


# --- attack ---


@contextmanager
def attack_empty(studio: Studio) -> Iterator[None]:
    """The first seconds, in which core is imported."""
    studio.show_stage()
    yield


@contextmanager
def attack_busy(studio: Studio) -> Iterator[None]:
    studio.load()
    studio.show_stage()
    studio.choose_attack("pgd", steps=4000)
    job = "an attack that runs as a job"
    studio.wait_until(lambda: any(each.meter.rate for each in studio.window.jobs.jobs), job)
    yield
    studio.stop_jobs()
    studio.choose_attack("fgsm")


@contextmanager
def attack_full(studio: Studio) -> Iterator[None]:
    studio.load()
    studio.show_stage()
    studio.load_models(7)
    library, all_classes = studio.window.library, studio.window.actions_["all_classes"]
    library.classes.setCurrentIndex(library.classes.findText("chair"))
    library.list.setCurrentIndex(library.shapes.index(4))
    studio.choose_attack("pgd", steps=20)
    studio.wait_for_outcome()
    all_classes.trigger()
    yield
    all_classes.trigger()
    studio.choose_attack("fgsm")
    studio.wait_for_outcome()


# --- train ---


@contextmanager
def train_empty(studio: Studio) -> Iterator[None]:
    studio.load()
    studio.show_workspace("train")
    yield


@contextmanager
def train_busy(studio: Studio) -> Iterator[None]:
    """A training runs, and another one waits for its end."""
    studio.load()
    panel = studio.show_workspace("train")
    assert isinstance(panel, TrainingPanel)
    panel.form.set_value(panel.form.value().changed(epochs=400, clouds=160, points=64))
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    studio.wait_until(lambda: any(len(run.history) > 3 for run in panel.runs.runs), "four epochs")
    QTest.mouseClick(panel.queue, Qt.MouseButton.LeftButton)
    yield
    panel.runs.removalRequested.emit(panel.runs.runs[0])
    studio.stop_jobs()
    shutil.rmtree(settings.runs_dir())
    panel.runs.refresh()


@contextmanager
def train_full(studio: Studio) -> Iterator[None]:
    """Twelve runs, of which four are compared."""
    studio.load()
    panel = studio.show_workspace("train")
    assert isinstance(panel, TrainingPanel)
    remember_run_folder(prepared.runs(studio.home))
    panel.runs.refresh()
    studio.wait_until(lambda: len(panel.runs.runs) == 12, "twelve runs")
    panel.runs.table.select([prepared.runs(studio.home) / name for name in list(prepared.BEGUN_ANEW)[:4]])
    yield


# --- evaluate ---


@contextmanager
def evaluate_empty(studio: Studio) -> Iterator[None]:
    studio.load()
    studio.show_workspace("evaluate")
    yield


@contextmanager
def evaluate_busy(studio: Studio) -> Iterator[None]:
    """The first models are measured, the others not yet."""
    studio.load()
    panel = studio.show_workspace("evaluate")
    assert isinstance(panel, EvaluationPanel)
    panel.form.set_value(panel.form.value().changed(clouds=800, points=256))
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    studio.wait_until(lambda: panel.view.comparison is not None, "the first model")
    with studio.suspended_jobs():
        yield
    studio.stop_jobs()


@contextmanager
def evaluate_full(studio: Studio) -> Iterator[None]:
    """The table of seven models."""
    with _evaluated(studio, "table"):
        yield


@contextmanager
def _evaluated(studio: Studio, figure: str) -> Iterator[None]:
    """A figure of seven models."""
    studio.load()
    studio.load_models(7)
    panel = evaluate(studio, clouds=96)
    panel.view.figures[figure].setChecked(True)
    yield


@contextmanager
def evaluate_forty(studio: Studio) -> Iterator[None]:
    """The confusion of the forty classes of ModelNet40."""
    studio.load()
    store, opener = studio.window.store, studio.window.opener
    opener.open_dataset("modelnet40", studio.modelnet40)
    studio.wait_until(lambda: store.dataset.card.name == "modelnet40", "modelnet40")
    opener.open_path(studio.home / prepared.FORTY)
    studio.wait_until(lambda: len(store.classes) == 40, "the model of forty classes")
    store.set_cloud(store.dataset.cloud("test", 0, 1024))
    studio.wait_for_outcome()
    panel = evaluate(studio, clouds=320)
    panel.view.figures["confusion"].setChecked(True)
    yield
    store.remove_model(store.primary)
    opener.open_dataset("shapes16")
    studio.wait_until(lambda: store.dataset.card.name == "shapes16", "shapes16")


def evaluate(studio: Studio, clouds: int) -> EvaluationPanel:
    """Evaluate all models that fit the dataset, unless what is shown is that already."""
    panel = studio.show_workspace("evaluate")
    assert isinstance(panel, EvaluationPanel)
    panel.form.set_value(panel.form.value().changed(clouds=clouds, points=128))
    if panel.result is None or panel.is_stale:
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        studio.wait_until(lambda: panel.job is None and not panel.is_stale, "the evaluation")
    return panel


# --- latents ---


@contextmanager
def latents_empty(studio: Studio) -> Iterator[None]:
    studio.load()
    studio.show_workspace("latents")
    yield


@contextmanager
def latents_busy(studio: Studio) -> Iterator[None]:
    studio.load()
    panel = make_map(studio, clouds=200, iterations=100_000)
    studio.wait_until(lambda: panel.classes and panel.job.meter.fraction > 0.003, "300 iterations")
    with studio.suspended_jobs():
        yield
    studio.stop_jobs()


@contextmanager
def latents_full(studio: Studio) -> Iterator[None]:
    """A map of 1,024 clouds, clean and adversarial."""
    studio.load()
    panel = make_map(studio, clouds=1024, iterations=500)
    studio.wait_until(lambda: panel.job is None, "the map")
    yield


def make_map(studio: Studio, clouds: int, iterations: int) -> LatentsPanel:
    """Begin a map."""
    panel = studio.show_workspace("latents")
    assert isinstance(panel, LatentsPanel)
    panel.clouds_form.set_value(panel.clouds_form.value().changed(clouds=clouds, points=256))
    panel.form.set_value(panel.form.value().changed(iterations=iterations))
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    studio.wait_until(lambda: panel.job is not None, "the map to start")
    return panel


# --- transfer ---


@contextmanager
def transfer_empty(studio: Studio) -> Iterator[None]:
    studio.load()
    panel = studio.show_workspace("transfer")
    assert isinstance(panel, TransferPanel)
    studio.wait_until(lambda: panel.status.text().startswith("It will take"), "the time that it will take")
    yield


@contextmanager
def transfer_busy(studio: Studio) -> Iterator[None]:
    """Some cells are there, the others not yet."""
    studio.load()
    panel = begin_transfer(studio, surrogates=2, attacks=("gd", "m-gd", "adam"), samples=32)
    studio.wait_until(lambda: panel.has_result and panel.results.measures.progress()[0] > 5, "some cells")
    with studio.suspended_jobs():
        yield
    studio.stop_jobs()
    panel.setup.start_in(None)


@contextmanager
def transfer_full(studio: Studio) -> Iterator[None]:
    """Four surrogates and nine victims."""
    studio.load()
    studio.load_models(9)
    panel = begin_transfer(studio, surrogates=4, attacks=("m-gd", "fgsm"), samples=16)
    studio.wait_until(lambda: panel.job is None, "the matrix")
    yield


def begin_transfer(studio: Studio, surrogates: int, attacks: tuple[str, ...], samples: int) -> TransferPanel:
    """Begin an experiment with all models as victims, and the first of them as surrogates."""
    panel = studio.show_workspace("transfer")
    assert isinstance(panel, TransferPanel)
    setup, fitting = panel.setup, [each.name for each in panel.setup.candidates.values() if not each.why_not]
    setup.form.set_value(setup.form.value().changed(samples=samples, held_out=8, points=64))
    setup.surrogates.tick(fitting[:surrogates])
    setup.victims.tick(fitting)
    setup.attacks.tick(attacks)
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    studio.wait_until(lambda: panel.job is not None, "the experiment to start")
    return panel


STATES: Mapping[str, Mapping[str, State]] = {
    "attack": {"empty": attack_empty, "busy": attack_busy, "full": attack_full},
    "train": {"empty": train_empty, "busy": train_busy, "full": train_full},
    "evaluate": {
        "empty": evaluate_empty,
        "busy": evaluate_busy,
        "full": evaluate_full,
        "top_k": lambda studio: _evaluated(studio, "top-k"),
        "confidence": lambda studio: _evaluated(studio, "confidence"),
        "sweep": lambda studio: _evaluated(studio, "sweep"),
        "confusion": lambda studio: _evaluated(studio, "confusion"),
        "forty": evaluate_forty,
    },
    "latents": {"empty": latents_empty, "busy": latents_busy, "full": latents_full},
    "transfer": {"empty": transfer_empty, "busy": transfer_busy, "full": transfer_full},
}
"""The states of each workspace. Those besides ``EVERY`` show more of a full one."""
NEEDS_DATA = ("evaluate-forty",)
"""States that need ModelNet40."""


def in_order() -> dict[str, State]:
    """All states as "workspace-state": what is empty first, then what is busy, and what replaces the dataset last."""
    places = {state: place for place, state in enumerate(EVERY)}
    named = [(f"{key}-{name}", name, bring) for key, states in STATES.items() for name, bring in states.items()]
    named.sort(key=lambda each: (each[0] in NEEDS_DATA, places.get(each[1], len(EVERY) - 1)))
    return {full_name: bring for full_name, _, bring in named}
