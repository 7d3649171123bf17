"""Opening files, folders and datasets: each is read in the background and put into the store."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.jobs import Job, JobList
from app.shell import settings
from app.store import Store
from core.datasets import REGISTRY
from core.events import Cancel, Event, Note, Progress
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.datasets import Dataset
    from core.models.checkpoints import LoadedModel

READABLE = "Clouds, meshes and weights (*.ply *.pcd *.xyz *.txt *.pts *.npy *.npz *.h5 *.off *.obj *.stl *.safetensors)"


class Opener(QObject):
    """Asks what to open where that is not given, opens it, and says how that went."""

    said = Signal(str)
    failed = Signal(str)
    preparing = Signal(str)
    """What goes on while there is no dataset to show yet."""
    datasetRefused = Signal()

    def __init__(self, store: Store, jobs: JobList, parent: QWidget) -> None:
        super().__init__(parent)
        self._store, self._jobs, self._window = store, jobs, parent
        self._wanted: tuple[str, Path | None] = ("", None)
        """The dataset that was asked for last, and its folder."""
        self._orders = itertools.count(1)
        self._newest = 0
        """The order, by which it was asked for, of the cloud that was opened last."""

    def run(self, title: str, work: Callable[[Cancel], Any]) -> Job:
        """Submit an operation whose notes and failure are told."""
        cancel = Cancel()
        job = self._jobs.submit(title, lambda: work(cancel), cancel, brief=True, keeps=False)
        job.events.connect(self._tell)
        job.failed.connect(lambda sentence, _: self.failed.emit(sentence))
        return job

    def dataset(self, name: str, root: Path | None = None) -> None:
        """Open a dataset of the registry, and the models that come with the program for it."""
        if REGISTRY[name].needs_root and root is None:
            chosen = QFileDialog.getExistingDirectory(self._window, f"Folder of {name}", settings.load().folder)
            if not chosen:
                self.datasetRefused.emit()
                return
            root = Path(chosen)
        from core.datasets import open_dataset

        self._wanted = name, root
        if self._store.dataset is None:
            self.preparing.emit(f"Preparing {name}. This happens once.")
        job = self.run(f"opening {name}", lambda _: open_dataset(name, root, settings.cache_dir()))
        job.finished_ok.connect(lambda dataset: self._opened_dataset(dataset, root))
        for ended in (job.failed, job.stopped):
            ended.connect(lambda *_: self.datasetRefused.emit())

    def path(self, path: Path) -> None:
        """Open a cloud, a mesh, weights or a run's folder; a folder of class folders becomes the dataset."""
        if path.is_dir() and not any(path.glob("*.safetensors")):
            self.dataset("folder", path)
            return
        job, order = self.run(f"opening {readable(path.name)}", lambda _: _opening(path)), next(self._orders)
        job.finished_ok.connect(lambda thing: self._opened(path, thing, order))

    def ask_file(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self._window, "Open", settings.load().folder, READABLE)
        for name in names:
            self.path(Path(name))

    def ask_folder(self, title: str) -> None:
        place = settings.load().folder or str(settings.runs_dir())
        name = QFileDialog.getExistingDirectory(self._window, title, place)
        if name:
            self.path(Path(name))

    def fill_recent(self, menu: QMenu) -> None:
        """The files that were opened last, as entries that open them."""
        menu.clear()
        for name in settings.load().recent:
            entry = menu.addAction(name)
            entry.setEnabled(os.path.exists(name))  # a Path raises where it may not look
            entry.triggered.connect(lambda _=False, path=Path(name): self.path(path))
        if menu.isEmpty():
            menu.addAction("nothing yet").setEnabled(False)

    def _opened(self, path: Path, thing: Any, order: int) -> None:
        from core.clouds import Cloud

        settings.add_recent(path)
        if not isinstance(thing, Cloud):
            self._store.add_model(thing, primary=True)
        elif order > self._newest:  # a large file may be read after a small one that was asked for later
            self._newest = order
            self._store.set_cloud(thing, path)

    def _opened_dataset(self, dataset: Dataset, root: Path | None) -> None:
        if self._wanted != (dataset.card.name, root):
            return  # another one was asked for since
        store = self._store
        store.set_dataset(dataset, root)
        from core.models.checkpoints import builtin_models
        from core.runtime.startup import shipped_models

        name, primary = dataset.card.name, store.primary_model
        if any(model.shipped and model.card.dataset == name for model in store.models):
            return
        if builtin_models(name):
            job = self.run(f"loading the models of {name}", lambda _: shipped_models(name))
            job.finished_ok.connect(lambda models: self._shipped(dataset, models))
        elif primary is not None and tuple(primary.card.classes) != tuple(dataset.card.classes):
            self.said.emit(
                f"No model in the list was trained on {name}: their verdicts name the classes they know. "
                "Train one in the Train tab."
            )
        elif primary is not None and primary.card.dataset != name:
            self.said.emit(
                f"The attacked model was trained on {primary.card.dataset}, which has the same classes as {name}."
            )

    def _shipped(self, dataset: Dataset, models: tuple[LoadedModel, ...]) -> None:
        if models and self._store.dataset is dataset:
            self._store.set_shipped(models)
            self.said.emit(f"The models that come with the program for {dataset.card.name} are in the list.")

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Note):
                self.said.emit(event.text)
            elif isinstance(event, Progress) and self._store.dataset is None and event.text:
                share = f" · {100 * event.done // event.total} %" if event.total else ""
                self.preparing.emit(f"{event.text[:1].upper()}{event.text[1:]}{share}")


def _opening(path: Path) -> Any:
    from core.events import Done, Progress
    from core.runtime.devices import choose_device
    from core.runtime.opening import open_path

    yield Progress(0, 1, f"reading {readable(path.name)}")
    yield Done(open_path(path, choose_device("auto")))
