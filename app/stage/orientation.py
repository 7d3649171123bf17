"""The orientation of the shown file or of the dataset's folder: chosen by a person, found by trying, or hinted at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from app.jobs import Job, JobList
from app.store import FileSource, Store
from core.clouds import SHOWN
from core.clouds.frames import AS_IT_IS, AXES, STANDARD_UP, Axis, Orientation, axis_named, rotated, turned
from core.events import Cancel

if TYPE_CHECKING:
    from core.clouds import Cloud, Points
    from core.datasets import Dataset
    from core.evaluation.orientation import TurnSearch
    from core.models.checkpoints import LoadedModel

MAX_HINTS = 8  # hints that are kept, so that going back to a file needs no new search


class OrientationController(QObject):
    """Turns the shown file into the frame that the attacked model expects, and asks for the dataset to be turned.

    The subject is the file that the shown cloud was read from or, for another cloud, the folder of the dataset.
    """

    changed = Signal()
    """The subject, its orientation, the hint, or whether a search is running."""
    chosen = Signal(object, object)
    """Folder (Path) and the orientation of its files, to be saved."""
    datasetTurned = Signal(str, object)
    """Name and root (Path) of the dataset, after ``chosen``: it has to be opened again."""
    hintFound = Signal(str)
    """What the hint is about: "The file looks y up"; ``follow_hint`` turns it."""
    info = Signal(str)
    failed = Signal(str)

    def __init__(self, store: Store, jobs: JobList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store, self._jobs = store, jobs
        self._job: Job | None = None
        self.finding = False
        """Whether the job searches for an orientation to apply; otherwise it searches for a hint."""
        self._hints: dict[tuple[object, str, Orientation], Orientation | None] = {}
        """For a file or dataset, the name of a model and the orientation that was given: the hint, None if no turn is
        better. None is looked for once a turn about the up axis was given."""
        for signal in (store.cloudChanged, store.datasetChanged, store.modelsChanged):
            signal.connect(self._on_changed)

    # --- the subject ---

    @property
    def dataset(self) -> Dataset | None:
        """The dataset, if it is the subject: no file is shown, and it was opened from a folder."""
        store = self._store
        return store.dataset if store.source is None and store.data_root is not None else None

    @property
    def orientation(self) -> Orientation:
        """The orientation of the subject that was given."""
        if self._store.source is not None:
            return self._store.source.orientation
        return self.dataset.card.orientation if self.dataset is not None else AS_IT_IS

    @property
    def expected(self) -> Axis | None:
        """The axis that the attacked model expects up, the usual one without a model; None if its card doesn't say."""
        model = self._model
        return STANDARD_UP if model is None else axis_named(model.card.up_axis)

    @property
    def _model(self) -> LoadedModel | None:
        """The attacked model without its defence, because what is typical of its training data was measured without."""
        model = self._store.primary_model
        return model.bare or model if model is not None else None

    @property
    def has_subject(self) -> bool:
        return self._store.source is not None or self.dataset is not None

    @property
    def hint(self) -> Orientation | None:
        """The orientation in which the subject is much more like the attacked model's training data, if any."""
        return self._hints.get(self._hint_key())

    @property
    def busy(self) -> bool:
        """Whether the orientation is being searched."""
        return self._job is not None

    def hint_text(self, hint: Orientation) -> str:
        """What a hint says of the subject, without a full stop."""
        what = "file" if self.dataset is None else "folder"
        if self.orientation.given:
            return f"The {what} faces another way: turn it by {hint.turn:g}°"
        turn = f", then turned by {hint.turn:g}°" if hint.turn else ""
        return f"The {what} looks {hint.up} up{turn}".replace("-", "−")

    # --- what a person does ---

    def choose(self, up: Axis | None) -> None:
        """Set the axis that points up; None: the axis that the model expects."""
        self._set_orientation(Orientation(up, self.orientation.turn) if up is not None else AS_IT_IS)

    def turn(self) -> None:
        """Turn by another 90° about the up axis."""
        if not self.has_subject or self.expected is None:
            return
        self._set_orientation(Orientation(self.orientation.up or self.expected, (self.orientation.turn + 90) % 360))

    def follow_hint(self) -> None:
        if self.hint is not None:
            self._set_orientation(self.hint)

    def find(self) -> None:
        """Find and apply the right-angled turn in which the attacked model knows the subject best."""
        self._search("finding which way is up", self._on_found, finding=True)

    def show_file(self, source: FileSource) -> None:
        """Show the cloud of a file, turned by its orientation; the class is kept if it is the file shown now."""
        store = self._store
        if self.expected is None:
            source = replace(source, orientation=AS_IT_IS)
        cloud = _turned_upright(source, self.expected)
        if store.source is not None and store.source.supplied is source.supplied and store.cloud is not None:
            cloud = replace(cloud, class_name=store.cloud.class_name)
        store.set_cloud(cloud, source)
        if any(each.path == source.path for each in store.files):
            store.add_files([source])

    def restore(self, source: FileSource) -> None:
        """Show the cloud of a file as it stood at another time, and keep that for its folder."""
        self._stop()
        self.chosen.emit(source.path.parent, source.orientation)
        self.show_file(source)

    def upright(self, source: FileSource) -> Cloud:
        """The cloud of a file as it is shown."""
        return _turned_upright(source, self.expected)

    def next_axis(self) -> None:
        """Set the next axis as that which points up; after the last comes the one that the model expects."""
        if self.has_subject and self.expected is not None:
            axes = (None, *AXES)
            self.choose(axes[(axes.index(self.orientation.up) + 1) % len(axes)])

    # --- internals ---

    def _set_orientation(self, orientation: Orientation) -> None:
        self._stop()
        store = self._store
        if store.source is not None:
            self.chosen.emit(store.source.path.parent, orientation)
            self.show_file(replace(store.source, orientation=orientation))
        elif self.dataset is not None:
            self.chosen.emit(store.data_root, orientation)
            self.datasetTurned.emit(self.dataset.card.name, store.data_root)

    def _hint_key(self) -> tuple[object, str, Orientation]:
        """The subject, the name of the model that gives the hint, and the orientation that was given."""
        source, model = self._store.source, self._model
        subject = source.supplied if source is not None else self.dataset
        return subject, model.name if model else "", self.orientation

    def _on_changed(self, *_: object) -> None:
        store = self._store
        if store.source is not None and store.cloud is not None:
            upright = _turned_upright(store.source, self.expected).points
            if not np.array_equal(upright, store.cloud.points):  # the attacked model is another, with another frame
                self.show_file(store.source)
                return
        self._stop()
        if self.has_subject and self.expected and not self.orientation.turn and self._hint_key() not in self._hints:
            self._look_for_hint()
        self.changed.emit()

    def _look_for_hint(self) -> None:
        """Search for a hint; only a model whose file tells what is typical of its training data can give one."""
        key, model, given = self._hint_key(), self._model, self.orientation
        stored = axis_named(self.dataset.card.up_axis) if self.dataset is not None and not given.given else None
        if stored is not None:
            self._keep_hint(key, Orientation(stored) if stored != self.expected else None)
        elif model is not None and model.typical is not None:
            self._search("looking which way is up", lambda search: self._keep_hint(key, search.hint(given)))

    def _keep_hint(self, key: tuple[object, str, Orientation], hint: Orientation | None) -> None:
        self._hints[key] = hint
        if hint is not None:
            self.hintFound.emit(self.hint_text(hint))
        while len(self._hints) > MAX_HINTS:
            del self._hints[next(iter(self._hints))]

    def _search(self, title: str, take: Callable[[TurnSearch], None], *, finding: bool = False) -> None:
        from core.evaluation.orientation import search_turn

        model, clouds = self._model, self._samples()
        if model is None or not clouds:
            return
        self._stop()
        cancel = Cancel()
        job = self._jobs.submit(
            title,
            lambda: search_turn(model, clouds, cancel),
            cancel,
            "clouds",
            immediate=True,
            keeps_partial=False,
            silent=not finding,
        )
        self._job, self.finding = job, finding
        job.finished_ok.connect(lambda search: self._on_ended(job, take, search))
        job.stopped.connect(lambda _: self._on_ended(job, take, None))
        job.failed.connect(lambda message, _: self._on_failed(job, message))
        self.changed.emit()

    def _samples(self) -> Sequence[Points]:
        """Clouds of the subject, unturned."""
        from core.evaluation.orientation import sample_clouds

        if self._store.source is not None:
            return [self._store.source.supplied.points]
        if self.dataset is None:
            return []
        card, clouds = self.dataset.card, sample_clouds(self.dataset, SHOWN)
        up = axis_named(card.up_axis)
        if not card.orientation.given or up is None:
            return clouds
        return [rotated(points, card.orientation.rotation(up).T) for points in clouds]

    def _on_ended(self, job: Job, take: Callable[[TurnSearch], None], search: TurnSearch | None) -> None:
        if job is self._job:
            self._job, self.finding = None, False
            if search is not None:
                take(search)
            self.changed.emit()

    def _on_found(self, search: TurnSearch) -> None:
        best = int(search.scores.argmax())
        turn = f", turned by {search.best.turn:g}°" if search.best.turn else ""
        self.info.emit(
            f"Found {search.best.up} up{turn}, {search.criterion}: the class margin is {search.margins[best]:.1f} "
            f"logits there, and {search.margins[0]:.1f} as it is."
        )
        self._set_orientation(search.best)

    def _on_failed(self, job: Job, message: str) -> None:
        if job is self._job:
            self._job, self.finding = None, False
            self.failed.emit(message)
            self.changed.emit()

    def _stop(self) -> None:
        if self._job is not None:
            job, self._job, self.finding = self._job, None, False
            job.cancel()


def _turned_upright(source: FileSource, expected: Axis | None) -> Cloud:
    """The cloud of a file, turned into the frame in which ``expected`` points up."""
    if expected is None or not source.orientation.given:
        return source.supplied
    return turned(source.supplied, source.orientation.rotation(expected))
