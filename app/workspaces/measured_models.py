"""Which models an evaluation measures: a box for each loaded model, enabled where the model fits the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.shell.widgets import check_box
from app.store import Store
from core.datasets.matching import listed, unknown_classes

if TYPE_CHECKING:
    from core.models.checkpoints import LoadedModel


class MeasuredModels(QWidget):
    """The loaded models with a box each; a model is ticked until a person takes it out."""

    ticked = Signal()
    """A person has put a model in or out."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._left_out: frozenset[str] = frozenset()
        """Names of the models that a person has taken out."""
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        for changed in (store.datasetChanged, store.modelsChanged):
            changed.connect(self._list)
        self._list()

    @property
    def chosen(self) -> tuple[LoadedModel, ...]:
        """The ticked models that fit."""
        return tuple(model for model in self.fitting if model.name not in self._left_out)

    @property
    def fitting(self) -> tuple[LoadedModel, ...]:
        """The models that know all of the dataset's classes, and the same ones as the first such model does.

        The attacked model comes first.
        """
        store = self._store
        if store.dataset is None:
            return ()
        classes = store.dataset.card.classes
        fitting = [model for model in store.models if not unknown_classes(classes, model.card.classes)]
        first = min(fitting, key=lambda model: model.name != store.primary, default=None)
        return tuple(model for model in fitting if first is not None and model.card.classes == first.card.classes)

    @property
    def left_out(self) -> list[str]:
        """Names of the models that a person has taken out, in the types of JSON."""
        return sorted(self._left_out)

    def leave_out(self, names: object) -> None:
        """Take out the models of a list of names, and no others; nothing else than a list takes out any."""
        self._left_out = frozenset(map(str, names)) if isinstance(names, list) else frozenset()
        self._list()

    def _list(self, *_: object) -> None:
        while (item := self._column.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        fitting = self.fitting
        for model in self._store.models:
            fits = model in fitting
            checked = fits and model.name not in self._left_out
            tip = f"Measure {model.name}" if fits else self._why_not(model)
            box = check_box(model.card.title, checked=checked, enabled=fits, tip=tip)
            box.toggled.connect(lambda on, name=model.name: self._tick(name, on))
            self._column.addWidget(box)

    def _why_not(self, model: LoadedModel) -> str:
        """Why a model cannot be measured on the dataset."""
        dataset = self._store.dataset
        unknown = [] if dataset is None else unknown_classes(dataset.card.classes, model.card.classes)
        return f"This model does not know {listed(unknown)}" if unknown else "This model knows other classes"

    def _tick(self, name: str, on: bool) -> None:
        self._left_out = self._left_out - {name} if on else self._left_out | {name}
        self.ticked.emit()
