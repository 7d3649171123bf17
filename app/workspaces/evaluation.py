"""The Evaluate workspace: compares several models on the same clouds under the present attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.jobs import JobList
from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import ElidedComboBox, Label, add_item
from app.store import Store
from app.workspaces.base import Workspace
from app.workspaces.comparison import ComparisonView
from app.workspaces.measured_models import MeasuredModels
from core.datasets.matching import listed, unknown_classes
from core.events import Cancel, Event, Progress, Step

if TYPE_CHECKING:
    from pathlib import Path

    from app.shell.forms import OptionsForm
    from core.clouds import Cloud
    from core.datasets import Dataset
    from core.evaluation.auto import AnyAttack
    from core.evaluation.comparison import Comparison, ComparisonOptions
    from core.models.checkpoints import LoadedModel

PRESENT = "that of the slider"
AUTO_TIP = (
    "Auto-PGD on two objectives, FAB, Square and clouds of other models: what remains right after all of them is the "
    "accuracy to state. Minutes for each model, and no sweep"
)


class _Request(NamedTuple):
    """What an evaluation measures, but for epsilon."""

    dataset: Dataset
    models: tuple[LoadedModel, ...]
    attack: AnyAttack
    """At epsilon 0."""
    options: ComparisonOptions


class EvaluationPanel(Workspace):
    """Evaluate the ticked models under the present attack, or under ``auto``; show and export the comparison."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        tip = "End now; the models that are measured by then are kept"
        stale = "settings changed – evaluate again"
        super().__init__(store, jobs, name="evaluation", icon="evaluate", stop_tip=tip, stale=stale, parent=parent)
        self.result: Comparison | None = None
        self._result_request: _Request | None = None
        self._running_request: _Request | None = None
        self._shown_request: _Request | None = None
        self._partial: Comparison | None = None
        self._title = ""
        """Title of the result."""
        self.attack = ElidedComboBox()
        self.attack.setAccessibleName("Attack of the evaluation")
        add_item(self.attack, PRESENT, tip="The attack of the strip under the clouds, with its options")
        self.models = MeasuredModels(store)
        self.set_exports(
            {
                "Figure shown…": self._export_figure,
                "Table…": self._export_table,
                "Records of every cloud…": self._export_records,
            }
        )
        self.view = ComparisonView()
        self.view.opened.connect(self._open)
        self._lay_out(self.view, 260)
        for changed in (store.datasetChanged, store.modelsChanged, store.attackChanged, self.models.ticked):
            changed.connect(self._update)
        self.models.ticked.connect(self.choicesChanged)
        store.epsilonChanged.connect(self._show_attack)
        self._update()

    @property
    def start_text(self) -> str:
        return "Evaluate again" if self.result is not None and self.job is None else "Evaluate"

    @property
    def has_result(self) -> bool:
        return self.result is not None

    @property
    def is_stale(self) -> bool:
        latest = self._running_request if self.job is not None else self._chosen()
        return self.view.comparison is not None and self._shown_request != latest

    def build_forms(self) -> None:
        from app.shell.forms import OptionsForm
        from core.evaluation.auto import AUTO, AutoAttack
        from core.evaluation.comparison import ComparisonOptions

        add_item(self.attack, AUTO.upper(), AutoAttack(), AUTO_TIP)
        self.attack.currentIndexChanged.connect(self._update)

        self.form = OptionsForm(ComparisonOptions)
        self.form.changed.connect(self._update)
        for changed in (self.form.changed, self.attack.currentIndexChanged):
            changed.connect(lambda *_: self.choicesChanged.emit())
        self.view.list_definitions()
        content, model_list = QWidget(), QWidget()
        theme.set_role(content, "content")
        inner = QVBoxLayout(model_list)
        inner.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, 0)
        inner.setSpacing(theme.SPACE_XS)
        inner.addWidget(Label("Attack", "section"))
        inner.addWidget(self.attack)
        inner.addSpacing(theme.SPACE_S)
        inner.addWidget(Label("Models", "section"))
        inner.addWidget(self.models)
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(model_list)
        column.addWidget(self.form)
        column.addStretch(1)
        self._form_area.setWidget(content)
        self._update()

    @property
    def forms(self) -> Mapping[str, OptionsForm[Any]]:
        return {"options": self.form} if self._form_area.widget() is not None else {}

    def reset_sizes(self) -> None:
        super().reset_sizes()
        self.view.reset_sizes()

    def saved_choices(self) -> dict[str, Any]:
        return super().saved_choices() | {"attack": self.attack.currentText(), "left_out": self.models.left_out}

    def restore_choices(self, saved: Mapping[str, Any]) -> None:
        super().restore_choices(saved)
        self.attack.setCurrentIndex(max(0, self.attack.findText(str(saved.get("attack")))))
        self.models.leave_out(saved.get("left_out"))
        self._update()

    # --- what is to be evaluated ---

    def _chosen_attack(self) -> AnyAttack | None:
        """The chosen attack, at epsilon 0; None while there is none, or ``auto`` can't take the slider's epsilon."""
        chosen: AnyAttack | None = self.attack.currentData()
        present = self._store.attack
        if chosen is None or present is None:
            return None if present is None else present.at(0.0)
        return chosen.at(0.0) if chosen.epsilon_scale == present.epsilon_scale else None

    def _chosen(self) -> _Request | None:
        """What an evaluation started now would measure, at any epsilon; None while something is missing or invalid."""
        store, attack = self._store, self._chosen_attack()
        if store.dataset is None or attack is None or self._form_area.widget() is None:
            return None
        options = self.form.value()
        if options is None or not self.models.chosen:
            return None
        return _Request(store.dataset, self.models.chosen, attack, options)

    def commands(self) -> list[str]:
        from core.commands.words import evaluate_line

        store, request = self._store, self._chosen()
        assert request is not None
        name = store.preset if self.attack.currentIndex() == 0 else self.attack.currentText().lower()
        attack = request.attack.at(store.epsilon)
        return [
            evaluate_line(model, request.dataset.card, store.data_root, name, attack, request.options)
            for model in request.models
        ]

    @property
    def not_in_commands(self) -> str:
        request = self._chosen()
        return ", without the sweep over epsilon" if request is not None and request.options.budgets else ""

    # --- the job ---

    def begin(self) -> None:
        """Start to evaluate the ticked models, at the epsilon of the slider."""
        from core.evaluation.comparison import compare

        request = self._chosen()
        if self.job is not None or request is None:
            return
        attack, cancel = request.attack.at(self._store.epsilon), Cancel()
        self._running_request, self._partial = request, None
        job = self._jobs.submit(
            "evaluation",
            lambda: compare(request.models, request.dataset, attack, request.options, cancel),
            cancel,
            unit="clouds",
        )
        job.events.connect(self._on_events)
        self._track(job, self._on_finished, self._on_finished, self._on_failed)

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Step(_, _, comparison):
                    self._partial = comparison
                    self._show_comparison(comparison, self._running_request)
                case Progress(text=text):
                    self.status.setText(f"Measuring {text}…")

    def _on_finished(self, result: Comparison | None) -> None:
        """Show the result; if there is none, the previous one."""
        self.job = None
        if result is not None:
            self.result, self._result_request = result, self._running_request
            self._title = result.table().title
        self._show_comparison(self.result, self._result_request)
        self._update()

    def _on_failed(self, _: str) -> None:
        self._on_finished(self._partial)  # the models before the one that failed

    def _show_comparison(self, comparison: Comparison | None, request: _Request | None) -> None:
        self._shown_request = request
        if comparison is not self.view.comparison:
            self.view.show_comparison(comparison)

    def _update(self, *_: object) -> None:
        super()._update()
        self.view.set_stale(self.is_stale)
        if self.result is not None and self.job is None:
            self.status.setText(self._title)
        self._show_attack()
        if not self._store.models:
            self.view.empty.setText("Open a model first: the button is below the list of models.")
        elif self._store.dataset is None:
            self.view.empty.setText("Open a dataset in the library first.")
        elif not self.models.fitting:
            reasons = [unknown_classes(self._store.dataset.card.classes, m.card.classes) for m in self._store.models]
            self.view.empty.setText(
                f"No model here knows {listed(min(reasons, key=len))}: train one in the Train workspace, or give the "
                "class folders the names of a model's classes."
            )
        elif self.attack.currentData() is not None and self._chosen_attack() is None:
            self.view.empty.setText(
                "AUTO has a budget in radii: choose an attack for the slider whose ε is in radii, too."
            )
        elif not self.can_start:
            self.view.empty.setText("Tick at least one model, and set right what the form marks.")
        else:
            titles = listed([model.card.title for model in self.models.chosen])
            self.view.empty.setText(
                f"Press Evaluate to attack {titles}, each through its own gradients, and to compare them. Models and "
                "options: F9."
            )

    def _show_attack(self, *_: object) -> None:
        """Say with which attack the next evaluation is made; alone, because it is told at each move of the slider."""
        present = self._store.attack
        budget = present.epsilon_scale.text(self._store.epsilon) if present is not None else ""
        name = self._store.preset.upper() if self.attack.currentIndex() == 0 else self.attack.currentText()
        has_title = self.result is not None and self.job is None
        set_tooltip(self.start, f"Measure{' anew' if has_title else ''}, with {name} at ε {budget}")
        if self.result is None and self.job is None:
            self.status.setText(f"Attack: {name} at ε {budget}.")

    # --- the result ---

    def _open(self, cloud: Cloud, model: str, epsilon: float | None) -> None:
        """Show a cloud of a clicked mark in the pair view, attacked through the mark's model at its epsilon."""
        if all(known.name != model for known in self._store.models):
            self.info.emit(f"{model} is not in the list of models any more: open it again to see its attack.")
            return
        self._store.set_primary(model)
        measured, present = self.view.comparison, self._store.attack
        if epsilon is not None and measured is not None and present is not None:
            scale = present.epsilon_scale
            if scale.unit == measured.attack.epsilon_scale.unit:
                self._store.set_epsilon(min(epsilon, scale.highest))
        self._store.set_cloud(cloud)

    def _export_figure(self) -> None:
        from core.figures import save

        result = self.result
        assert result is not None
        if self.view.key == "table":
            self._refuse("The table is no figure: choose a figure, or export the table.")
            return
        self._export(
            "Export figure",
            f"{self.view.key}.pdf",
            "*.pdf *.svg *.png",
            lambda path: save(self.view.figure(), path, result.provenance(), result.caption),
        )

    def _export_table(self) -> None:
        from core.results.records import write_provenance

        result = self.result
        assert result is not None

        def write(path: Path) -> None:
            result.table().write(path)
            write_provenance(path, result.provenance())

        self._export("Export table", "evaluation.csv", "*.csv *.tex *.md", write)

    def _export_records(self) -> None:
        from core.results.records import write_csv, write_provenance

        result = self.result
        assert result is not None

        def write(path: Path) -> None:
            write_csv(path, result.records())
            write_provenance(path, result.provenance())

        self._export("Export records", "records.csv", "*.csv", write)
