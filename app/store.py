"""The state of the window: what is open and chosen, with a signal for each value. It computes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from core.clouds.frames import AS_IT_IS, Orientation

if TYPE_CHECKING:  # torch is imported after the window is painted, so nothing here may import it
    from core.attacks import Attack, State
    from core.clouds import Cloud
    from core.datasets import Dataset
    from core.live import Colouring, Outcome, Scene
    from core.models.checkpoints import LoadedModel

SHOWN_AT_START = 3
"""Number of shipped models whose verdicts are shown at first; each further one makes the slider slower."""
MOST_FILES = 50
"""Most files of clouds that are kept open."""
SPLIT = "test"
"""The split whose shapes are shown: no shipped model was trained on them."""


@dataclass(frozen=True, eq=False)
class FileSource:
    """The file that the shown cloud was read from."""

    path: Path
    supplied: Cloud
    """The cloud as it is in the file."""
    orientation: Orientation = AS_IT_IS
    """Which axis points up in the file; the shown cloud has been turned accordingly."""


class Store(QObject):
    """Plain values with a signal each. Panels read and set them; the attack controller computes scenes from them."""

    datasetChanged = Signal(object)
    cloudChanged = Signal(object)
    filesChanged = Signal()
    modelsChanged = Signal()
    attackChanged = Signal(object)
    epsilonChanged = Signal(float)
    historyChanged = Signal()
    """The states of the attack, or which of them is shown, have changed."""
    sceneChanged = Signal(object)
    outcomeChanged = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.dataset: Dataset | None = None
        self.data_root: Path | None = None
        self.cloud: Cloud | None = None
        self.source: FileSource | None = None
        self.files: tuple[FileSource, ...] = ()
        """The files of clouds that were opened, the newest first."""
        self.models: tuple[LoadedModel, ...] = ()
        self.shown: frozenset[str] = frozenset()
        self.primary: str = ""
        self.preset: str = "fgsm"
        self.attack: Attack | None = None
        self.target: int | None = None
        self.seed: int = 0
        """Of the attack's random numbers, and of what a random defence draws during it."""
        self.epsilon: float = 0.1
        self.colouring: Colouring = "displacement"
        """What the colours of the points show."""
        self.history: tuple[State, ...] = ()
        self.position: int = 0
        self.scene: Scene | None = None
        self.outcome: Outcome | None = None

    @property
    def verdict_models(self) -> tuple[LoadedModel, ...]:
        """The models that give a verdict: the attacked one, and those shown that have the same classes."""
        primary = self.primary_model
        if primary is None:
            return ()
        return tuple(
            model
            for model in self.models
            if model.name == self.primary or (model.name in self.shown and model.card.classes == primary.card.classes)
        )

    @property
    def primary_model(self) -> LoadedModel | None:
        """The model that is attacked."""
        return next((model for model in self.models if model.name == self.primary), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the attacked model."""
        primary = self.primary_model
        return tuple(primary.card.classes) if primary is not None else ()

    def set_dataset(self, dataset: Dataset | None, root: Path | None = None) -> None:
        """Show a dataset, which was opened from the folder ``root`` if it is not built in."""
        self.dataset, self.data_root = dataset, root
        self.datasetChanged.emit(dataset)

    def set_cloud(self, cloud: Cloud | None, source: FileSource | None = None) -> None:
        """Show a cloud, with its file if it was read from one."""
        self.cloud, self.source = cloud, source
        self.cloudChanged.emit(cloud)

    def add_files(self, sources: Sequence[FileSource]) -> None:
        """Keep the clouds of files at hand, before the others; a file that is there already is replaced."""
        known = {each.path: each for each in sources}
        replaced = tuple(known.pop(each.path, each) for each in self.files)
        self.files = (*known.values(), *replaced)[:MOST_FILES]
        self.filesChanged.emit()

    def remove_file(self, path: Path) -> None:
        """Take a file out of those that were opened; if its cloud is shown, it stays."""
        self.files = tuple(each for each in self.files if each.path != path)
        self.filesChanged.emit()

    def add_model(self, model: LoadedModel, *, primary: bool = False) -> None:
        """Add a model and show it; it replaces one from the same file.

        A name already in use gets a number, a title the name of the training set, then a number.
        """
        name = self._add(model)
        if primary or not self.primary:
            self.primary = name
        self.modelsChanged.emit()

    def show_models(self, models: Iterable[LoadedModel]) -> list[str]:
        """Show the models of files, which are added unless they are there.

        Returns the names that they have here.
        """
        names = []
        for model in models:
            known = next((each for each in self.models if each.path == model.path and not each.defense), None)
            names.append(self._add(model) if known is None else known.name)
        self.shown |= set(names)
        self.modelsChanged.emit()
        return names

    def _add(self, model: LoadedModel) -> str:
        same = model.path or model.name
        others = [known for known in self.models if (known.path or known.name) != same]
        card, titles = model.card, {known.card.title for known in others}
        title = card.title if card.title not in titles or card.dataset is None else f"{card.title} · {card.dataset}"
        name = _free(card.name, {known.card.name for known in others})
        model = replace(model, card=card.model_copy(update={"name": name, "title": _free(title, titles)}))
        self.models = (*others, model)
        self.shown |= {model.name}
        return model.name

    def set_shipped(self, models: tuple[LoadedModel, ...]) -> None:
        """Put the shipped models of a dataset before the others; they replace the shipped models of another dataset.

        The first one is attacked, and the first three give their verdicts.
        """
        primary = self.primary_model
        others = {model: model.name in self.shown for model in self.models if not model.shipped}
        self.models, self.shown, self.primary = (), frozenset(), ""
        for place, model in enumerate((*models, *others)):
            name = self._add(model)
            if not others.get(model, place < SHOWN_AT_START):
                self.shown -= {name}
            if not self.primary or (model is primary and models and model.card.classes == models[0].card.classes):
                self.primary = name  # a person's own model stays the attacked one if its classes fit
        self.modelsChanged.emit()

    def replace_model(self, model: LoadedModel, by: LoadedModel) -> None:
        """Replace a model by another, which is attacked and shown if the first was."""
        self.models = tuple(by if known is model else known for known in self.models)
        if model.name in self.shown:
            self.shown = self.shown - {model.name} | {by.name}
        if model.name == self.primary:
            self.primary = by.name
        self.modelsChanged.emit()

    def rename_model(self, name: str, title: str) -> None:
        """Give a model another title, with a number if another model has it."""
        model = next((each for each in self.models if each.name == name), None)
        if model is None:  # it was replaced while the person was asked
            return
        taken = {each.card.title for each in self.models if each is not model}
        card = model.card.model_copy(update={"title": _free(title, taken)})
        self.replace_model(model, replace(model, card=card))

    def remove_model(self, name: str) -> None:
        """Unload a model; if it was the attacked one, the first of the others is, preferably one of its classes."""
        classes = self.classes
        self.models = tuple(each for each in self.models if each.name != name)
        self.shown -= {name}
        if name == self.primary:
            nearest = min(self.models, key=lambda each: tuple(each.card.classes) != classes, default=None)
            self.primary = nearest.name if nearest is not None else ""
        self.modelsChanged.emit()

    def set_shown(self, name: str, shown: bool) -> None:
        self.shown = self.shown | {name} if shown else self.shown - {name}
        self.modelsChanged.emit()

    def set_shown_models(self, names: Iterable[str]) -> None:
        """Show the verdicts of these models and of no others."""
        self.shown = frozenset(names)
        self.modelsChanged.emit()

    def set_primary(self, name: str) -> None:
        """Attack this model, unless it has been unloaded."""
        if name != self.primary and any(each.name == name for each in self.models):
            self.primary = name
            self.modelsChanged.emit()

    def set_attack(self, preset: str, attack: Attack, target: int | None, seed: int = 0) -> None:
        self.preset, self.attack, self.target, self.seed = preset, attack, target, seed
        self.attackChanged.emit(attack)

    def set_epsilon(self, epsilon: float) -> None:
        if epsilon != self.epsilon:
            self.epsilon = epsilon
            self.epsilonChanged.emit(epsilon)

    def set_history(self, history: tuple[State, ...], position: int) -> None:
        """The states of the attack so far, and which of them is shown."""
        self.history, self.position = history, position
        self.historyChanged.emit()

    def set_scene(self, scene: Scene | None) -> None:
        self.scene = scene
        self.sceneChanged.emit(scene)
        if scene is None:
            self.set_outcome(None)

    def set_outcome(self, outcome: Outcome | None) -> None:
        self.outcome = outcome
        self.outcomeChanged.emit(outcome)


def _free(wanted: str, taken: set[str]) -> str:
    """``wanted``, with the first number from 2 that makes it none of those that are taken."""
    numbered = (f"{wanted} {count}" for count in itertools.count(2))
    return next(text for text in itertools.chain([wanted], numbered) if text not in taken)
