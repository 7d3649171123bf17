"""What is below the models: one model's confidence in each class, the course of the attack, and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, number
from app.store import Store
from app.views.confidence import ConfidenceView
from app.views.traces import AttackTraces
from core.runtime.text import shortened

if TYPE_CHECKING:
    from core.attacks import State
    from core.live import Scene

NUMBERS = (
    ("linf", "‖δ‖∞", "Largest change of a coordinate, in unit-sphere radii"),
    ("per_point_l2", "max ‖δᵢ‖₂", "Largest displacement of a point, in unit-sphere radii"),
    ("l2", "‖δ‖₂", "Length of the whole perturbation, in unit-sphere radii"),
    ("rmse", "RMSE", "Root mean square over the 3N coordinates, in unit-sphere radii"),
    ("chamfer", "Chamfer", "Sum of the two mean distances to the nearest point, in unit-sphere radii"),
    ("hausdorff", "Hausdorff", "Largest distance to the nearest point of the other cloud, in unit-sphere radii"),
)
TITLE = 22
"""Most characters of a model's title; more than these are wider than the panel."""
LOSS = ("loss", "loss", "Cross-entropy to the label, in nats")


class VerdictPanel(QWidget):
    """Class bars of one model, loss and RMSE over the steps, and the distances and loss of the scene."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(300)
        self._store = store
        self._model = ""
        """Name of the model whose class bars are shown; the attacked one's if there is none of this name."""
        self.view = ConfidenceView()
        self.traces = AttackTraces()
        self._traced: tuple[State, ...] = ()
        self._loss, self._rmse = np.empty(0), np.empty(0)
        self._values: dict[str, Label] = {}
        left, right = QFormLayout(), QFormLayout()
        for place, (key, name, tip) in enumerate((*NUMBERS, LOSS)):
            caption, value = Label(name, "caption"), Label("–")
            value.setFont(theme.tabular())
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("0.0000"))
            for widget in (caption, value):
                set_tooltip(widget, tip)
            value.setAccessibleName(tip)
            self._values[key] = value
            (left if place % 2 == 0 else right).addRow(caption, value)
        self._values["loss"].setMinimumWidth(self._values["loss"].fontMetrics().horizontalAdvance("00.0 nat"))
        numbers = QHBoxLayout()
        numbers.setSpacing(theme.SPACE_L)
        for form in (left, right):
            form.setHorizontalSpacing(theme.SPACE_S)
            form.setVerticalSpacing(theme.SPACE_XS)
            numbers.addLayout(form, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_S)
        self.note = Label(role="warning", wrap=True)
        self.note.hide()
        self._title = Label(role="title")
        column.addWidget(self._title)
        self._not_shown = Label("This model's verdict is not shown: tick its box in the list.", "caption", wrap=True)
        self._not_shown.hide()
        column.addWidget(self.note)
        column.addWidget(self._not_shown)
        column.addWidget(self.view, 1)
        column.addWidget(self.traces)
        column.addLayout(numbers)
        store.sceneChanged.connect(self._show)
        store.cloudChanged.connect(lambda _: self.view.sort_rows())
        store.historyChanged.connect(self._show_traces)
        self._show(None)
        self._show_traces()

    def show_model(self, name: str) -> None:
        """Show the class bars of this model."""
        self._model = name
        self._show(self._store.scene)

    def copy_numbers(self) -> None:
        """Copy the scene as tab-separated lines: each model with its two verdicts, then each number."""
        lines = []
        if (scene := self._store.scene) is not None:
            for model, note, *confidences in zip(
                scene.setup.models, scene.notes, scene.clean_confidence, scene.adversarial_confidence, strict=True
            ):
                verdicts = [f"{scene.setup.classes[row.argmax()]} {row.max():.4f}" for row in confidences]
                lines.append("\t".join([model.card.title, *verdicts, *filter(None, [note])]))
        lines += [f"{name}\t{self._values[key].text()}" for key, name, _ in (*NUMBERS, LOSS)]
        QGuiApplication.clipboard().setText("\n".join(lines))

    def _show_traces(self) -> None:
        """Show the course of an attack of several states; those of states that were there before are kept."""
        states = self._store.history
        self.traces.setVisible(len(states) > 2)
        if len(states) > 2:
            from core import live

            kept = len(self._traced) if states[: len(self._traced)] == self._traced else 0
            loss, rmse = live.traces(states[kept:])
            self._traced = states
            self._loss = np.concatenate([self._loss[:kept], loss])
            self._rmse = np.concatenate([self._rmse[:kept], rmse])
            self.traces.set_traces(self._loss, self._rmse, self._store.position)

    def _show(self, scene: Scene | None) -> None:
        if scene is None:
            self._title.setText("Classes")
            self.view.set_verdicts((), None, None, None, None)
            for value in self._values.values():
                value.setText("–")
            self.note.hide()
            return
        models = scene.setup.models
        titles = [model.card.title for model in models]
        chosen = next((each for each in self._store.models if each.name == self._model), self._store.primary_model)
        place = next((at for at, each in enumerate(models) if each == chosen), None)
        self._title.setText("Classes" if chosen is None else f"Classes of {shortened(chosen.card.title, TITLE)}")
        set_tooltip(self._title, "" if chosen is None else chosen.card.title)
        self._not_shown.setVisible(place is None)
        self.view.setVisible(place is not None)
        if place is not None:
            self.view.set_verdicts(
                scene.setup.classes,
                scene.clean_confidence[place],
                scene.adversarial_confidence[place],
                scene.setup.cloud.label,
                scene.setup.target if scene.setup.attack.goal == "targeted" else None,
            )
        marked = [title for title, note in zip(titles, scene.notes, strict=True) if note]
        self.note.setText(f"{', '.join(marked)}: {next(filter(None, scene.notes), '')}")
        self.note.setVisible(bool(marked))
        for key, _, _ in NUMBERS:
            self._values[key].setText(number(getattr(scene.distances, key)))
        self._values["loss"].setText(f"{number(scene.loss)} nat")
