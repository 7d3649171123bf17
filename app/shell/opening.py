"""Opens files, folders and datasets: reads them in the background and puts them into the store."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from app.jobs import Job, JobList
from app.shell import settings
from app.shell.importing import Importer
from app.shell.plain_text import button_text
from app.stage.orientation import OrientationController
from app.store import MOST_FILES, SPLIT, FileSource, Store
from core.clouds import SHOWN
from core.clouds.frames import AS_IT_IS, STANDARD_UP, Orientation
from core.datasets import REGISTRY
from core.datasets.matching import listed, presence, unknown_classes
from core.events import Cancel, Done, Event, Note, Progress
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.clouds import Cloud
    from core.datasets import Dataset
    from core.models.checkpoints import LoadedModel

READABLE = (
    "Clouds, meshes and models (*.ply *.pcd *.xyz *.txt *.pts *.npy *.npz *.h5 *.off *.obj *.stl *.safetensors *.pth "
    "*.pt *.pt2 *.ckpt *.t7 *.tar *.py *.pointward.json)"
)


class Opener(QObject):
    """Opens what a person chooses, as jobs, and reports notes and errors."""

    info = Signal(str)
    failed = Signal(str)
    preparing = Signal(str)
    """Progress, as a text, while there is no dataset to show yet."""
    datasetNotOpened = Signal()

    def __init__(self, store: Store, jobs: JobList, orientation: OrientationController, parent: QWidget) -> None:
        super().__init__(parent)
        self._store, self._jobs, self._orientation, self._window = store, jobs, orientation, parent
        self._requested: tuple[str, Path | None, Orientation] = ("", None, AS_IT_IS)
        """Name, folder and orientation of the dataset that was requested last."""
        self._paths_to_orient: set[Path] = set()
        """Paths whose orientation has to be found once they are open."""
        self._importer = Importer(store, self.submit, parent)
        self._importer.info.connect(self.info)
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

        expected = self._orientation.expected
        orientation = settings.orientation_of(root) if root is not None and expected is not None else AS_IT_IS
        request = self._requested = name, root, orientation
        if self._store.dataset is None:
            self.preparing.emit(f"Preparing {name}. This happens once.")
        job = self.submit(
            f"opening {name}",
            lambda _: open_dataset(
                name, root, settings.cache_dir(), orientation=orientation, expected=expected or STANDARD_UP
            ),
        )
        job.finished_ok.connect(lambda dataset: self._on_dataset(dataset, request))
        for ended in (job.failed, job.stopped):
            ended.connect(lambda *_: self.datasetNotOpened.emit())

    def open_path(self, path: Path, orientation: Orientation | None = AS_IT_IS, *, recent: bool = True) -> None:
        """Open a cloud, a mesh, a model or the folder of a run; a folder of class folders is opened as dataset.

        Of a folder without class folders the clouds are opened. A model of another project is imported.

        ``orientation`` is that of the clouds in the files, and is saved for the folder; None: find it. ``recent`` puts
        the path first in the list of those opened last.
        """
        is_folder = path.is_dir() and not any(path.glob("*.safetensors"))
        if orientation is None:
            self._paths_to_orient.add(path)
        elif orientation.given:
            up = orientation.up or self._orientation.expected
            settings.save_orientation(path if is_folder else path.parent, replace(orientation, up=up))
        read = _read_folder if is_folder else _read
        job, request_id = self.submit(f"opening {readable(path.name)}", lambda _: read(path)), next(self._request_ids)
        told = orientation is None or orientation.given
        job.finished_ok.connect(lambda opened: self._on_opened(path, opened, request_id, recent, told))

    def reopen(self, files: list[Path]) -> None:
        """Read the clouds of files again, and show none of them."""
        job = self.submit("opening my files", lambda _: _read_all(files))
        job.finished_ok.connect(lambda clouds: self._store.add_files(_sources(clouds)))

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

    def _on_opened(self, path: Path, opened: Any, request_id: int, recent: bool, told: bool) -> None:
        if opened is None:
            self._importer.begin(str(path))
            return
        if isinstance(opened, str):
            self.open_dataset(opened, path)
            return
        if recent and opened != []:
            settings.add_recent(path)
        if not isinstance(opened, list):
            self._store.add_model(opened, primary=True)
            return
        sources = _sources(opened)
        self._store.add_files(sources)
        if sources and request_id > self._newest_request:  # a large file may be read after a smaller one opened later
            self._newest_request = request_id
            self._orientation.show_file(sources[0])
            self._find_orientation(path)
            source = self._store.source
            if source is not None and source.orientation.given and recent and not told:
                self.info.emit(_told_before(source))

    def _on_dataset(self, dataset: Dataset, request: tuple[str, Path | None, Orientation]) -> None:
        if self._requested != request:
            return  # another one has been requested since
        store, root = self._store, request[1]
        before, store_root = store.dataset, store.data_root
        store.set_dataset(dataset, root)
        if before is not None and root is not None and root == store_root and store.cloud is not None:
            self._show_turned(dataset, store.cloud)
        if root is not None:
            self._find_orientation(root)
        from core.models.checkpoints import builtin_models
        from core.runtime.startup import shipped_models

        name, primary = dataset.card.name, store.primary_model
        if any(model.shipped and model.card.dataset == name for model in store.models):
            return
        try:
            shipped = builtin_models(name)
        except ValueError:  # their index is damaged, as the start has said
            shipped = {}
        if shipped:
            job = self.submit(f"loading the models of {name}", lambda _: shipped_models(name))
            job.finished_ok.connect(lambda models: self._on_shipped_models(dataset, models))
        elif primary is not None and (unknown := unknown_classes(dataset.card.classes, primary.card.classes)):
            self.info.emit(
                f"The attacked model does not know {listed(unknown)}, and its verdicts name the classes it knows. "
                "Train one in the Train workspace."
            )
        elif primary is not None and primary.card.dataset not in (None, name):
            present = presence(np.arange(len(dataset.card.classes)), primary.card.classes)
            self.info.emit(f"The attacked model was trained on {primary.card.dataset}: {present} in {name}.")

    def _find_orientation(self, path: Path) -> None:
        """Find the orientation of the clouds of a path, if ``open_path`` requested that."""
        if path in self._paths_to_orient:
            self._paths_to_orient.remove(path)
            self._orientation.find()

    def _show_turned(self, dataset: Dataset, cloud: Cloud) -> None:
        """Show the present shape again, as it is in the dataset after that was turned."""
        names = dataset.split(SPLIT).names
        if self._store.source is None and cloud.name in names:
            self._store.set_cloud(dataset.cloud(SPLIT, list(names).index(cloud.name), SHOWN))

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


Clouds = list[tuple["Path", "Cloud"]]
"""Files, and the clouds that were read from them."""


def _sources(clouds: Clouds) -> list[FileSource]:
    """The clouds of files, which stand as it was last said of their folders."""
    return [FileSource(path, cloud, settings.orientation_of(path.parent)) for path, cloud in clouds]


def _told_before(source: FileSource) -> str:
    """That a file stands as it was said of another one of its folder."""
    name, (up, turn) = readable(source.path.name), (source.orientation.up, source.orientation.turn)
    how = f"{up} up" + (f", turned by {turn:g}°" if turn else "")
    return f"{name} was opened with {how}, as was said of its folder before: U and Shift+U change it."


def _read(path: Path) -> Iterator[Event]:
    """``Done`` with ``Clouds``, a model or the name of a dataset; with None for a model that has to be imported."""
    from core.clouds import Cloud
    from core.datasets.modelnet40 import is_modelnet_archive
    from core.runtime.devices import choose_device
    from core.runtime.opening import has_to_be_imported, open_path

    yield Progress(0, 1, f"reading {readable(path.name)}")
    if is_modelnet_archive(path):
        yield Done("modelnet40")
    elif has_to_be_imported(path):
        yield Done(None)
    else:
        opened = open_path(path, choose_device("auto"))
        yield Done([(path, opened)] if isinstance(opened, Cloud) else opened)


def _read_folder(path: Path) -> Iterator[Event]:
    """``Done`` with "folder" if there are folders of classes, otherwise with the ``Clouds`` of the files in it."""
    from core.clouds.files import READABLE as CLOUDS
    from core.datasets.folder import has_class_folders

    files = [each for each in sorted(path.iterdir()) if each.suffix.lower() in CLOUDS and each.is_file()]
    if not files or has_class_folders(path):
        yield Done("folder")  # where there is neither, opening it says what is accepted
        return
    if len(files) > MOST_FILES:
        yield Note(
            f"{readable(path.name)} holds {len(files):,} clouds, and the first {MOST_FILES} were opened. With a folder "
            "for each class in it, all of it is opened as a dataset."
        )
    yield from _read_all(files[:MOST_FILES])


def _read_all(files: list[Path]) -> Iterator[Event]:
    """``Done`` with the ``Clouds`` of the files that can be read, after a Note about the others."""
    from core.clouds.files import read_cloud

    clouds, problems = [], []
    for place, path in enumerate(files):
        yield Progress(place, len(files), f"reading {readable(path.name)}")
        try:
            clouds.append((path, read_cloud(path, SHOWN)))
        except (OSError, ValueError) as error:
            problems.append(str(error))
    if problems:
        others = f" {len(problems) - 1} others could not be read either." if len(problems) > 1 else ""
        yield Note(problems[0] + others)
    yield Done(clouds)
