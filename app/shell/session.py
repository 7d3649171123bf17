"""What is open and chosen: saved while it changes, also for a start after a crash, and restored at the next start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QSplitter, QWidget

from app.jobs import JobList
from app.shell import settings
from app.shell.opening import Opener
from app.stage.attack import AttackPanel
from app.store import SPLIT, Store
from app.workspaces.base import Workspace
from core.clouds import SHOWN
from core.datasets import REGISTRY
from core.options import Options, option
from core.results.records import read_as, write_json
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.attacks import Attack
    from core.models.checkpoints import LoadedModel

SAVE_MS = 1000
"""Time after the first change until all changes are saved."""

_log = logging.getLogger(__name__)


class SavedModel(Options):
    """A model that a person has opened."""

    path: str = option("", "Its file.")
    title: str = option("", "What it is called in the window.")


class SessionState(Options):
    """What is open and chosen, in the types of JSON."""

    dataset: str = option("shapes16", "Name of the dataset.")
    data_root: str = option("", "Its folder; empty if it is built in.")
    shape: str = option("", "Name of the shape of the dataset that is shown.")
    file: str = option("", "File of the shape that is shown, if it is none of the dataset.")
    files: tuple[str, ...] = option((), "Files of clouds that were opened.")
    true_class: str = option("", "Class that the person gave to the file.")
    models: tuple[SavedModel, ...] = option((), "Models that were opened.")
    attacked: str = option("", "File of the attacked model, or the name of one that comes with the program.")
    shown: tuple[str, ...] = option((), "The same of each model that gives a verdict.")
    preset: str = option("fgsm", "Name of the attack.")
    attack: dict[str, Any] = option({}, "Its options; empty for those of the preset.")
    target: int | None = option(None, "Target class.", low=0)
    epsilon: float = option(0.1, "In the unit of the attack.", low=0.0)
    workspaces: dict[str, dict[str, Any]] = option({}, "The choices of each workspace.")


class Session(QObject):
    """Saves the state a second after it has changed, and restores it at the start.

    Nothing is saved until the last state is restored, so that a start that is killed loses nothing.
    """

    restored = Signal()
    saving = Signal()
    """Sizes and places are to be saved too."""
    info = Signal(str)

    def __init__(
        self,
        store: Store,
        jobs: JobList,
        opener: Opener,
        attack: AttackPanel,
        workspaces: Mapping[str, Workspace],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._store, self._jobs, self._opener, self._attack, self._workspaces = store, jobs, opener, attack, workspaces
        self._saved: SessionState | None = None
        """The state in the file; None until it is restored."""
        self._restoring: SessionState | None = None
        self._timer = QTimer(self, singleShot=True, interval=SAVE_MS)
        self._timer.timeout.connect(self._save_unless_dragged)
        for changed in (
            store.datasetChanged,
            store.cloudChanged,
            store.filesChanged,
            store.modelsChanged,
            store.attackChanged,
            store.epsilonChanged,
            *(panel.choicesChanged for panel in workspaces.values()),
        ):
            changed.connect(self._touch)

    # --- saving ---

    def watch(self, actions: Mapping[str, QAction], window: QWidget) -> None:
        """Save also after an action, and after a splitter was dragged."""
        for action in actions.values():
            action.triggered.connect(self._touch)
        for splitter in window.findChildren(QSplitter):
            splitter.splitterMoved.connect(self._touch)

    def _touch(self, *_: object) -> None:
        if self._saved is not None and not self._timer.isActive():
            self._timer.start()

    def _save_unless_dragged(self) -> None:
        if self._jobs.held:  # while the slider is dragged: a disk can be slow, and the slider never waits
            self._timer.start()
        else:
            self.save()

    def save(self) -> None:
        """Save what has changed."""
        self.saving.emit()
        if self._saved is None:
            return
        state = self._state()
        if state != self._saved:
            try:
                write_json(_path(), state)
            except OSError:
                _log.warning("the session could not be saved", exc_info=True)
            else:
                self._saved = state

    def _state(self) -> SessionState:
        store = self._store
        dataset, cloud, attack = store.dataset, store.cloud, store.attack
        file = _text(store.source.path) if store.source is not None else ""
        own = [model for model in store.models if not model.shipped and model.path is not None and _text(model.path)]
        return SessionState(
            dataset=dataset.card.name if dataset is not None else "shapes16",
            data_root=_text(store.data_root) if store.data_root is not None else "",
            shape=cloud.name if cloud is not None and not file else "",
            file=file,
            files=tuple(filter(None, (_text(source.path) for source in store.files))),
            true_class=(cloud.class_name or "") if cloud is not None and file else "",
            models=tuple(SavedModel(path=str(model.path), title=model.card.title) for model in own),
            attacked=_key(store.primary_model) if store.primary_model is not None else "",
            shown=tuple(_key(model) for model in store.models if model.name in store.shown),
            preset=store.preset,
            attack=attack.model_dump(mode="json") if attack is not None else {},
            target=store.target,
            epsilon=store.epsilon,
            workspaces={name: panel.saved_choices() for name, panel in self._workspaces.items()},
        )

    # --- restoring ---

    def restore(self, *, only_models: bool = False) -> None:
        """Open what was open: the dataset and the models, and once they are there the shape and the choices.

        ``only_models``: files are opened in its place, so that the shape and its dataset are not wanted.
        """
        state = self._read()
        gone = []
        if state.dataset not in REGISTRY or (state.data_root and not Path(state.data_root).is_dir()):
            gone.append(state.data_root or state.dataset)
            state = state.model_copy(update={"dataset": "shapes16", "data_root": "", "shape": ""})
        if state.file and not Path(state.file).is_file():
            gone.append(state.file)
            state = state.model_copy(update={"file": ""})
        models = [model for model in state.models if Path(model.path).is_file()]
        gone += [model.path for model in state.models if model not in models]
        self._restoring = state.model_copy(update={"models": tuple(models)})
        if gone:
            self.info.emit(f"Not there any more, so not opened again: {', '.join(map(readable, gone))}.")
        self._jobs.emptied.connect(self._on_opened)
        self._opener.open_dataset(state.dataset, Path(state.data_root) if state.data_root else None)
        for model in models:
            self._opener.open_path(Path(model.path))
        if files := [Path(name) for name in state.files if Path(name).is_file()]:
            self._opener.reopen(files)
        if state.file and not only_models:
            self._opener.open_path(Path(state.file))
        if only_models:
            self._restoring = self._restoring.model_copy(update={"shape": "", "file": ""})

    def _read(self) -> SessionState:
        try:
            return read_as(_path(), SessionState, "a saved session") if _path().is_file() else SessionState()
        except (OSError, ValueError) as error:
            _log.warning("the last session could not be read: %s", error)
            self.info.emit("The last session could not be read, so everything is as at the first start.")
            return SessionState()

    def _on_opened(self) -> None:
        """Everything is open that can be: choose what was chosen."""
        self._jobs.emptied.disconnect(self._on_opened)
        state, store = self._restoring, self._store
        assert state is not None
        self._restoring = None
        if store.dataset is None and state.dataset != "shapes16":
            self._opener.open_dataset("shapes16")
        titles = {model.path: model.title for model in state.models}
        for model in store.models:
            if title := titles.get(str(model.path)):
                store.rename_model(model.name, title)
        names = {_key(model): model.name for model in store.models}
        if state.attacked in names:
            store.set_primary(names[state.attacked])
            for key, name in names.items():
                store.set_shown(name, key in state.shown)
        for name, panel in self._workspaces.items():
            panel.restore_choices(state.workspaces.get(name, {}))
        self._restore_shape(state)
        if (attack := _attack_of(state)) is not None:
            self._attack.restore(state.preset, attack, state.target, state.epsilon)
        self._saved = state
        self.restored.emit()
        self._touch()

    def _restore_shape(self, state: SessionState) -> None:
        store, dataset = self._store, self._store.dataset
        if state.file and store.source is not None and store.cloud is not None and state.true_class:
            store.set_cloud(replace(store.cloud, class_name=state.true_class), store.source)
        elif state.shape and store.source is None and dataset is not None:
            names = list(dataset.split(SPLIT).names)
            if state.shape in names:
                store.set_cloud(dataset.cloud(SPLIT, names.index(state.shape), SHOWN))


def _attack_of(state: SessionState) -> Attack | None:
    """The attack that was chosen, with the preset's own options if its own are not valid any more; None without it."""
    from core.attacks import PRESETS, preset

    if state.preset not in PRESETS:
        return None
    try:
        return PRESETS[state.preset].kind.model_validate(state.attack) if state.attack else preset(state.preset)
    except ValueError:
        return preset(state.preset)


def _key(model: LoadedModel) -> str:
    """What tells a model from others at the next start."""
    return model.name if model.shipped or model.path is None else str(model.path)


def _text(path: Path) -> str:
    """A path as text; empty if its name is not UTF-8, which a file of text can't hold."""
    absolute = str(path.absolute())
    return absolute if readable(absolute) == absolute else ""


def _path() -> Path:
    return settings.data_dir() / "session.json"
