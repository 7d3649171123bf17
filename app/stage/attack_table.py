"""Several attacks on the shown shape, in a table: which fooled the model, how far they went, what they took."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QListWidget, QListWidgetItem, QStackedWidget, QVBoxLayout, QWidget

from app.jobs import Job, JobList
from app.shell import export, theme
from app.shell.notify import error_message
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, button, number
from app.stage.controller import AttackController
from app.stage.verdict import NUMBERS
from app.store import Store
from app.views.table import Cell, ResultTable
from core.events import Cancel, Event, Step

if TYPE_CHECKING:
    from core.attacks import Attack
    from core.attacks.scale import EpsilonScale
    from core.evaluation.one_cloud import AttackComparison, AttackRow

TICKED_AT_FIRST = frozenset({"fgsm", "mi", "pgd", "apgd-ce", "square", "random-sign"})
"""Ticked at first where epsilon is a length: one step, momentum, restarts, steps that adapt, queries, and noise."""
COLUMNS = {
    "Attack": "Name of the preset",
    "ε bounds": "The distance that epsilon is the largest value of",
    "Prediction": "Class that the attacked model predicts for the adversarial cloud",
    "Confidence": "In the predicted class",
    "Fooled": "Whether that is another class than the label or, of a targeted attack, the target",
    **{name: tip for key, name, tip in NUMBERS if key in ("linf", "rmse", "chamfer")},
    "Steps": "Over all starts",
    "Forward": "Forward passes of the attacked model",
    "Backward": "Backward passes of the attacked model",
    "No gradient": "Share of the clean cloud's points at which the gradient is zero; empty where none was asked for",
    "Seconds": "Of computing, with the verdict and the distances after the attack",
}
LIST_WIDTH = 190
_NAME = Qt.ItemDataRole.UserRole

_log = logging.getLogger(__name__)


class AttackTable(QDialog):
    """A list of attacks to tick, and a row for each that was made; it stays open beside the window."""

    taken = Signal(str, object)
    """Preset and attack of a row that was chosen."""
    info = Signal(str)
    failed = Signal(str)

    def __init__(self, store: Store, controller: AttackController, jobs: JobList, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare attacks")
        self.resize(1320, 460)
        self._store, self._controller, self._jobs = store, controller, jobs
        self._job: Job | None = None
        self._scale: EpsilonScale | None = None
        """Of the attacks that can be ticked."""
        self._row_attacks: tuple[Attack, ...] = ()
        self._row_inputs: tuple[object, ...] = ()
        """The inputs that the rows were computed from."""
        self._title = ""
        """The same in words."""
        self._result: AttackComparison | None = None
        self._rows = 0
        self.attacks = QListWidget()
        self.attacks.setAccessibleName("Attacks to compare")
        self.attacks.setFixedWidth(LIST_WIDTH)
        self.table = ResultTable(COLUMNS)
        self.table.setAccessibleName("What the attacks did")
        self.run = button("Run", "play", self.begin, role="primary", tip="Make the ticked attacks one after the other")
        self.copy = button("Copy", "copy", self.table.copy, tip="Copy the selected rows, or all (Ctrl+C)")
        self.export = button("Export CSV…", "export", self._export, tip="Save all rows, with every digit")
        self.status, self.stale = Label(role="caption"), Label(role="warning")
        self.empty = Label(role="caption", wrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedWidget()
        self._lay_out()
        self.run.setDefault(True)
        self.attacks.itemChanged.connect(self._update)
        self.table.chosen.connect(lambda row: self.taken.emit(row.name, row.attack))
        store.attackChanged.connect(self._list_attacks)
        for changed in (store.cloudChanged, store.modelsChanged, store.attackChanged, store.epsilonChanged):
            changed.connect(self._update)

    def showEvent(self, event: QShowEvent) -> None:
        """The attack of the strip is ticked whenever the dialog is opened."""
        for item in self.attacks.findItems(self._store.preset.upper(), Qt.MatchFlag.MatchExactly):
            item.setCheckState(Qt.CheckState.Checked)
        super().showEvent(event)
        self._update()

    def _lay_out(self) -> None:
        left, head, foot, right = QVBoxLayout(), QHBoxLayout(), QHBoxLayout(), QVBoxLayout()
        left.addWidget(self.attacks, 1)
        left.addWidget(self.run)
        head.addWidget(self.status)
        head.addStretch()
        head.addWidget(self.stale)
        foot.addWidget(Label("Double-click or Enter: use this attack in the window.", "caption"), 1)
        foot.addWidget(self.copy)
        foot.addWidget(self.export)
        for page in (self.empty, self.table):
            self._pages.addWidget(page)
        right.addLayout(head)
        right.addWidget(self._pages, 1)
        right.addLayout(foot)
        both = QHBoxLayout(self)
        both.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_M, theme.SPACE_M)
        both.setSpacing(theme.SPACE_M)
        for column in (left, right):
            column.setSpacing(theme.SPACE_S)
        both.addLayout(left)
        both.addLayout(right, 1)

    # --- the list ---

    def _list_attacks(self) -> None:
        """Let the attacks be ticked whose epsilon measures what that of the present one does."""
        from core.attacks import PRESETS, preset

        present = self._store.attack
        if present is None or present.epsilon_scale == self._scale:
            return
        self._scale = present.epsilon_scale
        scales = {name: preset(name).epsilon_scale for name in PRESETS}
        fitting = {name for name, scale in scales.items() if scale == self._scale}
        ticked = TICKED_AT_FIRST if fitting >= TICKED_AT_FIRST else fitting
        with QSignalBlocker(self.attacks):
            self.attacks.clear()
            for name, row in PRESETS.items():
                item = QListWidgetItem(name.upper(), self.attacks)
                item.setData(_NAME, name)
                item.setCheckState(Qt.CheckState.Checked if name in ticked else Qt.CheckState.Unchecked)
                other = "" if name in fitting else f" Its epsilon is in {scales[name].words}: choose it in the window."
                if other:
                    item.setFlags(Qt.ItemFlag.NoItemFlags)
                set_tooltip(item, row.description + other, wrap=True)

    @property
    def ticked(self) -> list[str]:
        """Names of the presets to make."""
        items = [self.attacks.item(row) for row in range(self.attacks.count())]
        return [item.data(_NAME) for item in items if item.checkState() is Qt.CheckState.Checked]

    def _chosen(self, own: Attack) -> dict[str, Attack]:
        """The ticked attacks; that of the strip is ``own``, with its options, and the others have its goal."""
        from core.attacks import preset

        known = {self._store.preset: own}
        return {name: known.get(name) or preset(name, goal=own.goal) for name in self.ticked}

    # --- the job ---

    def begin(self) -> None:
        """Make the ticked attacks at the epsilon of the slider; that of the strip with its options there."""
        from core.evaluation.one_cloud import compare_attacks

        setup, cancel = self._controller.current_setup(), Cancel()
        if setup is None or not self.ticked or self._job is not None:
            return
        chosen = self._chosen(setup.attack)
        title = f"comparing {len(chosen)} attacks" if len(chosen) > 1 else "comparing one attack"
        self._clear()
        self._row_attacks = tuple(chosen.values())
        self._row_inputs, self._title = self._current_inputs, self._current_title
        job = self._jobs.submit(title, lambda: compare_attacks(setup, chosen, cancel), cancel, "steps", immediate=True)
        self._job = job
        job.events.connect(self._on_events)
        job.finished_ok.connect(self._on_ended)
        job.stopped.connect(self._on_ended)
        job.failed.connect(self._on_failed)
        self._update()

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Step):
                self._add(event.value)
        self._update()

    def _on_ended(self, result: AttackComparison | None) -> None:
        self._job, self._result = None, result
        if result is None:  # cancelled: what there is of it is dropped
            self._clear()
        self._update()

    def _on_failed(self, sentence: str, _: str) -> None:
        self._on_ended(None)
        self.failed.emit(sentence)

    # --- the rows ---

    def _clear(self) -> None:
        self._rows, self._result = 0, None
        self.table.clear()

    def _add(self, row: AttackRow) -> None:
        self._rows += 1
        if row.error is not None:
            _log.error("%s failed", row.name, exc_info=row.error)
        self.table.add_row(_cells(row), row)

    @property
    def _current_inputs(self) -> tuple[object, ...]:
        """What rows depend on, as it is chosen now: cloud, model, epsilon, its scale, target, seed if it matters."""
        from core import live

        store, model = self._store, self._store.primary_model
        seed = store.seed if model is not None and live.seed_matters([model], *self._row_attacks) else None
        return store.cloud, model, store.epsilon, self._scale, store.target, seed

    @property
    def _current_title(self) -> str:
        """The current inputs in words; empty while there is no shape, attack or model."""
        from core import live

        store, model = self._store, self._store.primary_model
        if store.cloud is None or store.attack is None or model is None:
            return ""
        budget = store.attack.epsilon_scale.text(store.epsilon)
        seed = f", seed {store.seed}" if live.seed_matters([model], *self._chosen(store.attack).values()) else ""
        return f"{store.cloud.name} at ε {budget}, attacked through {model.name}{seed}"

    def _update(self, *_: object) -> None:
        if not self.isVisible():  # or each move of the slider would have it to do
            return
        running, possible = self._job is not None, self._current_title
        self.run.setEnabled(bool(possible and self.ticked) and not running)
        self.copy.setEnabled(self._rows > 0)
        self.export.setEnabled(self._result is not None and self._rows > 0)
        stale = self._rows > 0 and self._row_inputs != self._current_inputs
        self.stale.setText("Another shape, model, ε, target or seed is chosen now: run again." if stale else "")
        self.table.set_stale(stale)
        self._pages.setCurrentIndex(int(self._rows > 0))
        self.status.setText(self._title if running or self._rows else possible)
        if running:
            self.empty.setText("The first attack is under way.")
        else:
            wanted = "Tick attacks and press Run: each becomes a row here."
            self.empty.setText(wanted if possible else "Open a shape and a model first.")

    def _export(self) -> None:
        from core.results.records import write_provenance

        result = self._result
        assert result is not None

        def write(path: Path) -> None:
            result.table().write(path)
            write_provenance(path, result.provenance())

        try:
            message = export.save_as(self, "Export attacks", "attacks.csv", "Tables (*.csv *.tex *.md)", write)
        except (OSError, ValueError) as error:
            self.failed.emit(error_message(error))
        else:
            if message is not None:
                self.info.emit(message)


def _cells(row: AttackRow) -> list[Cell]:
    """A row under ``COLUMNS``."""
    name, bounded, *rest = row.cells().values()
    first = [Cell(str(name).upper(), str(name)), Cell(str(bounded), str(bounded), "muted")]
    if row.error is not None:
        return [*first, Cell(error_message(row.error), colour="bad"), *[Cell()] * (len(COLUMNS) - 3)]
    predicted, confidence, fooled, *numbers = rest
    colour = "adv" if row.fooled else "clean"
    return [
        *first,
        Cell(str(predicted), str(predicted), colour),
        Cell(f"{confidence:.2f}", confidence),
        Cell(str(fooled), str(fooled), colour),
        *(Cell("" if value is None else _text(value), value) for value in numbers),
    ]


def _text(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int) else number(float(value))
