"""Opens files, folders and datasets: reads them in the background and puts them into the store."""

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
from app.shell.plain_text import button_text
from app.store import Store
from core.datasets import REGISTRY
from core.events import Cancel, Event, Note, Progress
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.datasets import Dataset
    from core.models.checkpoints import LoadedModel

READABLE = "Clouds, meshes and weights (*.ply *.pcd *.xyz *.txt *.pts *.npy *.npz *.h5 *.off *.obj *.stl *.safetensors)"


class Opener(QObject):
    """Opens what a person chooses, as jobs, and reports notes and errors."""

    info = Signal(str)
    failed = Signal(str)
    preparing = Signal(str)
    """Progress, as a text, while there is no dataset to show yet."""
    datasetNotOpened = Signal()

    def __init__(self, store: Store, jobs: JobList, parent: QWidget) -> None:
        super().__init__(parent)
        self._store, self._jobs, self._window = store, jobs, parent
        self._requested: tuple[str, Path | None] = ("", None)
        """Name and folder of the dataset that was requested last."""
        self._request_ids = itertools.count(1)
        self._newest_request = 0
        """Request id of the cloud that is shown; an older one that is read later is not shown."""

    def submit(self, title: str, work: Callable[[Cancel], Any]) -> Job:
        """Submit an immediate job whose notes and errors are reported."""
        cancel = Cancel()
        job = self._jobs.submit(title, lambda: work(cancel), cancel, immediate=True, keeps_partial=False)
        job.events.connect(self._show_events)
        job.failed.connect(lambda message, _: self.failed.emit(message))
        return job

    def open_dataset(self, name: str, root: Path | None = None) -> None:
        """Open a dataset of the registry, and the models that come with the program for it."""
        if REGISTRY[name].needs_root and root is None:
            chosen = QFileDialog.getExistingDirectory(self._window, f"Folder of {name}", settings.load().folder)
            if not chosen:
                self.datasetNotOpened.emit()
                return
            root = Path(chosen)
        from core.datasets import open_dataset

        self._requested = name, root
        if self._store.dataset is None:
            self.preparing.emit(f"Preparing {name}. This happens once.")
        job = self.submit(f"opening {name}", lambda _: open_dataset(name, root, settings.cache_dir()))
        job.finished_ok.connect(lambda dataset: self._on_dataset(dataset, root))
        for ended in (job.failed, job.stopped):
            ended.connect(lambda *_: self.datasetNotOpened.emit())

    def open_path(self, path: Path) -> None:
        """Open a cloud, a mesh, weights or the folder of a run; a folder of class folders is opened as dataset."""
        if path.is_dir() and not any(path.glob("*.safetensors")):
            self.open_dataset("folder", path)
            return
        name = readable(path.name)
        job, request_id = self.submit(f"opening {name}", lambda _: _read(path)), next(self._request_ids)
        job.finished_ok.connect(lambda opened: self._on_opened(path, opened, request_id))

    def choose_file(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self._window, "Open", settings.load().folder, READABLE)
        for name in names:
            self.open_path(Path(name))

    def choose_folder(self, title: str) -> None:
        place = settings.load().folder or str(settings.runs_dir())
        name = QFileDialog.getExistingDirectory(self._window, title, place)
        if name:
            self.open_path(Path(name))

    def fill_recent(self, menu: QMenu) -> None:
        """Fill a menu with the files that were opened last."""
        menu.clear()
        for name in settings.load().recent:
            entry = menu.addAction(button_text(name))
            entry.setEnabled(os.path.exists(name))  # Path.exists raises without permission
            entry.triggered.connect(lambda _=False, path=Path(name): self.open_path(path))
        if menu.isEmpty():
            menu.addAction("nothing yet").setEnabled(False)

    def _on_opened(self, path: Path, opened: Any, request_id: int) -> None:
        from core.clouds import Cloud

        settings.add_recent(path)
        if not isinstance(opened, Cloud):
            self._store.add_model(opened, primary=True)
        elif request_id > self._newest_request:  # reading a large file may end after a smaller one requested later
            self._newest_request = request_id
            self._store.set_cloud(opened, path)

    def _on_dataset(self, dataset: Dataset, root: Path | None) -> None:
        if self._requested != (dataset.card.name, root):
            return  # another one has been requested since
        store = self._store
        store.set_dataset(dataset, root)
        from core.models.checkpoints import builtin_models
        from core.runtime.startup import shipped_models

        name, primary = dataset.card.name, store.primary_model
        if any(model.shipped and model.card.dataset == name for model in store.models):
            return
        if builtin_models(name):
            job = self.submit(f"loading the models of {name}", lambda _: shipped_models(name))
            job.finished_ok.connect(lambda models: self._on_shipped_models(dataset, models))
        elif primary is not None and tuple(primary.card.classes) != tuple(dataset.card.classes):
            self.info.emit(
                f"No model in the list was trained on {name}: their verdicts name the classes they know. "
                "Train one in the Train tab."
            )
        elif primary is not None and primary.card.dataset != name:
            self.info.emit(
                f"The attacked model was trained on {primary.card.dataset}, which has the same classes as {name}."
            )

    def _on_shipped_models(self, dataset: Dataset, models: tuple[LoadedModel, ...]) -> None:
        if models and self._store.dataset is dataset:
            self._store.set_shipped(models)
            self.info.emit(f"The models that come with the program for {dataset.card.name} are in the list.")

    def _show_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Note):
                self.info.emit(event.text)
            elif isinstance(event, Progress) and self._store.dataset is None and event.text:
                share = f" · {100 * event.done // event.total} %" if event.total else ""
                self.preparing.emit(f"{event.text[:1].upper()}{event.text[1:]}{share}")


def _read(path: Path) -> Any:
    from core.events import Done, Progress
    from core.runtime.devices import choose_device
    from core.runtime.opening import open_path

    yield Progress(0, 1, f"reading {readable(path.name)}")
    yield Done(open_path(path, choose_device("auto")))
