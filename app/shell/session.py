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
from core.runtime.startup import FIRST_DATASET

if TYPE_CHECKING:
    from core.attacks import Attack
    from core.clouds import Cloud
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

    dataset: str = option(FIRST_DATASET, "Name of the dataset.")
    data_root: str = option("", "Where it is; empty if it is built in.")
    shape: str = option("", "Name of the shape of the dataset that is shown.")
    file: str = option("", "File of the shape that is shown, if it is none of the dataset.")
    files: tuple[str, ...] = option((), "Files of clouds that were opened.")
    true_class: str = option("", "Class that the person gave to the file.")
    models: tuple[SavedModel, ...] = option((), "Models that were opened.")
    attacked: str = option("", "File of the attacked model, or the name of one that comes with the program.")
    shown: tuple[str, ...] = option((), "The same of each model that gives a verdict.")
    defenses: dict[str, str] = option({}, "The same of each model behind an input defence, and that defence.")
    preset: str = option("fgsm", "Name of the attack.")
    attack: dict[str, Any] = option({}, "Its options; empty for those of the preset.")
    target: int | None = option(None, "Target class.", low=0)
    seed: int = option(0, "Seed of its random numbers.", low=0, high=2**31 - 1)
    epsilon: float = option(0.1, "In the unit of the attack.", low=0.0)
    workspaces: dict[str, dict[str, Any]] = option({}, "The choices of each workspace.")


class Session(QObject):
    """Saves the state a second after it has changed, and restores it at the start.

    Attack and options are restored at once; the models and the shape once their files are read, unless the person has
    chosen another shape meanwhile. Nothing is saved until then, so that a start that is killed loses nothing.
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
        self._first_cloud: Cloud | None = None
        """The shape that was shown when the restoring began."""
        self._layout_changed = False
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
            action.triggered.connect(self._touch_layout)
        for splitter in window.findChildren(QSplitter):
            splitter.splitterMoved.connect(self._touch_layout)

    def _touch_layout(self, *_: object) -> None:
        self._layout_changed = True
        self._touch()

    def _touch(self, *_: object) -> None:
        if self._saved is not None and not self._timer.isActive():
            self._timer.start()

    def _save_unless_dragged(self) -> None:
        if self._jobs.held:  # while the slider is dragged: a disk can be slow, and the slider never waits
            self._timer.start()
        else:
            self._save()

    def close(self) -> None:
        """Save what has changed, the layout in any case."""
        self._layout_changed = True
        self._timer.stop()
        self._save()

    def _save(self) -> None:
        if self._layout_changed:
            self._layout_changed = False
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
        return SessionState(
            dataset=dataset.card.name if dataset is not None else FIRST_DATASET,
            data_root=_text(store.data_root) if store.data_root is not None else "",
            shape=cloud.name if cloud is not None and not file else "",
            file=file,
            files=tuple(filter(None, (_text(source.path) for source in store.files))),
            true_class=(cloud.class_name or "") if cloud is not None and file else "",
            models=tuple(saved for model in store.models if (saved := _saved_model(model)) is not None),
            attacked=_key(store.primary_model) if store.primary_model is not None else "",
            shown=tuple(_key(model) for model in store.models if model.name in store.shown),
            defenses={_key(model): model.defense for model in store.models if model.defense},
            preset=store.preset,
            attack=attack.model_dump(mode="json") if attack is not None else {},
            target=store.target,
            seed=store.seed,
            epsilon=store.epsilon,
            workspaces={name: panel.saved_choices() for name, panel in self._workspaces.items()},
        )

    # --- restoring ---

    def restore(self, *, only_models: bool = False) -> None:
        """Choose attack and options as they were, and open what was open.

        ``only_models``: the person has asked for files, so that the last shape is not wanted.
        """
        state, store = self._read(), self._store
        gone: list[str] = []
        changes: dict[str, Any] = {}
        needs_root = state.dataset in REGISTRY and REGISTRY[state.dataset].needs_root
        if state.dataset not in REGISTRY or needs_root != bool(state.data_root) or not _exists(state.data_root):
            gone.append(state.data_root or state.dataset)
            changes |= {"dataset": FIRST_DATASET, "data_root": "", "shape": ""}
        gone += [name for name in (*state.files, *([state.file] if state.file else ())) if not Path(name).is_file()]
        gone += [model.path for model in state.models if not Path(model.path).is_file()]
        changes["models"] = tuple(model for model in state.models if model.path not in gone)
        changes["files"] = tuple(name for name in state.files if name not in gone)
        if only_models or state.file in gone:
            changes["file"] = ""
        if only_models:
            changes["shape"] = ""
        if gone:
            names = ", ".join(map(readable, dict.fromkeys(gone)))
            self.info.emit(f"Not there any more, so not opened again: {names}.")
        self._restoring = state = state.model_copy(update=changes)
        self._first_cloud = store.cloud
        for name, panel in self._workspaces.items():
            panel.restore_choices(state.workspaces.get(name, {}))
        self._restore_attack(state)
        self._opener.open_dataset(state.dataset, Path(state.data_root) if state.data_root else None)
        for model in state.models:
            self._opener.open_path(Path(model.path), recent=False)
        if state.files:
            self._opener.reopen([Path(name) for name in state.files])
        if state.file:
            self._opener.open_path(Path(state.file), recent=False)
        self._jobs.removed.connect(self._look_whether_opened)

    def _read(self) -> SessionState:
        try:
            return read_as(_path(), SessionState, "a saved session") if _path().is_file() else SessionState()
        except (OSError, ValueError) as error:
            _log.warning("the last session could not be read: %s", error)
            self.info.emit("The last session could not be read, so everything is as at the first start.")
            return SessionState()

    def _look_whether_opened(self, *_: object) -> None:
        """What a job has opened may have started another one, which is seen when all have had their turn."""
        QTimer.singleShot(0, self, self._on_opened)

    def _on_opened(self) -> None:
        """Choose models and shape once everything is open that can be."""
        state, store = self._restoring, self._store
        if state is None or any(job.immediate for job in self._jobs.jobs):
            return
        self._restoring = None
        self._jobs.removed.disconnect(self._look_whether_opened)
        if store.dataset is None and state.dataset != FIRST_DATASET:
            self._opener.open_dataset(FIRST_DATASET)
        self._restore_models(state)
        self._workspaces["transfer"].restore_choices(state.workspaces.get("transfer", {}))  # its models are known now
        self._restore_shape(state)
        if state.target is not None and store.target != state.target:  # its class is known now
            self._restore_attack(state)
        self._saved = state
        self.restored.emit()
        self._touch()

    def _restore_attack(self, state: SessionState) -> None:
        if (attack := _attack_of(state)) is not None:
            self._attack.restore(state.preset, attack, state.target, state.seed, state.epsilon)

    def _restore_models(self, state: SessionState) -> None:
        """Give the models their titles, defences and places; a model that the session does not know keeps its own."""
        from core.defenses.names import parse, protected

        store = self._store
        titles = {model.path: model.title for model in state.models}
        for model in store.models:
            if title := titles.get(str(model.path)):
                store.rename_model(model.name, title)
        known = {*titles, *(model.name for model in store.models if model.shipped)}
        for model in store.models:
            if (defense := state.defenses.get(_key(model))) and not model.defense:
                try:
                    store.replace_model(model, protected(model, parse(defense)))
                except ValueError:
                    _log.warning("the defence %s of %s could not be restored", defense, model.name)
        primary, names = store.primary_model, {_key(model): model.name for model in store.models}
        if state.attacked in names:
            shown = {name for key, name in names.items() if key in state.shown or key not in known}
            store.set_shown_models(shown)
            if primary is None or _key(primary) in known:
                store.set_primary(names[state.attacked])

    def _restore_shape(self, state: SessionState) -> None:
        store, dataset = self._store, self._store.dataset
        if state.file and state.file not in state.files:  # it was shown, but taken out of My files
            store.remove_file(Path(state.file))
        if store.source is not None and _text(store.source.path) == state.file and state.true_class:
            assert store.cloud is not None
            store.set_cloud(replace(store.cloud, class_name=state.true_class), store.source)
        elif state.shape and store.cloud is self._first_cloud and dataset is not None:
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
    """What tells a model from others at the next start, whether it is behind a defence or not."""
    bare = model.bare or model
    return bare.name if bare.shipped or bare.path is None else str(bare.path)


def _saved_model(model: LoadedModel) -> SavedModel | None:
    """What is saved of a model that a person has opened; None of another. A run has its own title."""
    from core.training import run_exists

    bare = model.bare or model
    if bare.shipped or bare.path is None or not _text(bare.path):
        return None
    return SavedModel(path=str(bare.path), title="" if run_exists(bare.path.parent) else bare.card.title)


def _exists(name: str) -> bool:
    return not name or Path(name).exists()


def _text(path: Path) -> str:
    """A path as text; empty if its name is not UTF-8, which a file of text can't hold."""
    absolute = str(path.absolute())
    return absolute if readable(absolute) == absolute else ""


def _path() -> Path:
    return settings.data_dir() / "session.json"
