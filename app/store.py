"""The one mutable truth of the window: what is open and chosen, a signal per thing. It computes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:  # torch is loaded behind the painted window, so nothing here may import it
    from core.attacks import Attack, State
    from core.clouds import Cloud
    from core.datasets import Dataset
    from core.live import Outcome, Scene
    from core.models.checkpoints import LoadedModel

VERDICTS = 3
"""Shipped models that give a verdict before anyone has chosen: as many as fit beside each other."""
SPLIT = "test"
"""The part of a dataset that is looked at: shapes that no shipped model was trained on."""


class Store(QObject):
    """Plain values with a signal each. Panels read and set them; the studio computes scenes from them."""

    datasetChanged = Signal(object)
    cloudChanged = Signal(object)
    modelsChanged = Signal()
    attackChanged = Signal(object)
    epsilonChanged = Signal(float)
    historyChanged = Signal()
    """The states of the attack, or the place among them, are others."""
    sceneChanged = Signal(object)
    outcomeChanged = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.dataset: Dataset | None = None
        self.data_root: Path | None = None
        self.cloud: Cloud | None = None
        self.source: Path | None = None
        self.models: tuple[LoadedModel, ...] = ()
        self.shown: frozenset[str] = frozenset()
        self.primary: str = ""
        self.preset: str = "fgsm"
        self.attack: Attack | None = None
        self.target: int | None = None
        self.epsilon: float = 0.1
        self.history: tuple[State, ...] = ()
        self.position: int = 0
        self.scene: Scene | None = None
        self.outcome: Outcome | None = None

    @property
    def verdict_models(self) -> tuple[LoadedModel, ...]:
        """The models that give a verdict: those shown whose classes are the primary one's."""
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
        """The classes all verdicts are about."""
        primary = self.primary_model
        return tuple(primary.card.classes) if primary is not None else ()

    def set_dataset(self, dataset: Dataset | None, root: Path | None = None) -> None:
        """Show a dataset, opened from ``root`` if it is not built in."""
        self.dataset, self.data_root = dataset, root
        self.datasetChanged.emit(dataset)

    def set_cloud(self, cloud: Cloud | None, source: Path | None = None) -> None:
        """Look at a cloud, which came from the file ``source`` if it is not of a dataset."""
        self.cloud, self.source = cloud, source
        self.cloudChanged.emit(cloud)

    def add_model(self, model: LoadedModel, *, primary: bool = False) -> None:
        """Add a model, shown at once, in place of one from the same file; a name or title that is taken is numbered."""
        name = self._add(model)
        if primary or not self.primary:
            self.primary = name
        self.modelsChanged.emit()

    def _add(self, model: LoadedModel) -> str:
        same = model.path or model.name
        others = [known for known in self.models if (known.path or known.name) != same]
        card = model.card
        for field in ("name", "title"):
            taken, wanted, count = {getattr(known.card, field) for known in others}, getattr(card, field), 1
            while getattr(card, field) in taken:
                count += 1
                card = card.model_copy(update={field: f"{wanted} {count}"})
        model = replace(model, card=card)
        self.models = (*others, model)
        self.shown |= {model.name}
        return model.name

    def set_shipped(self, models: tuple[LoadedModel, ...]) -> None:
        """Put the models that come with the program for a dataset before the others, in place of another dataset's.

        The first is attacked, and the first three give their verdicts.
        """
        primary = self.primary_model
        others = {model: model.name in self.shown for model in self.models if not model.shipped}
        self.models, self.shown, self.primary = (), frozenset(), ""
        for place, model in enumerate((*models, *others)):
            name = self._add(model)
            if not others.get(model, place < VERDICTS):
                self.shown -= {name}
            if not self.primary or (model is primary and models and model.card.classes == models[0].card.classes):
                self.primary = name  # one's own model stays the attacked one where it fits
        self.modelsChanged.emit()

    def set_shown(self, name: str, shown: bool) -> None:
        self.shown = self.shown | {name} if shown else self.shown - {name}
        self.modelsChanged.emit()

    def set_primary(self, name: str) -> None:
        if name != self.primary:
            self.primary = name
            self.modelsChanged.emit()

    def set_attack(self, preset: str, attack: Attack, target: int | None) -> None:
        self.preset, self.attack, self.target = preset, attack, target
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
