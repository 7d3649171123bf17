"""The Evaluate tab: several models on the same clouds under the present attack, in numbers and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from app.jobs import JobList, Status
from app.shell import theme
from app.shell.parts import button, label, trade_places
from app.stage.outcomes import EPSILON_MAX
from app.store import Store
from app.workspaces.comparison import ComparisonView
from app.workspaces.jobpanel import JobPanel
from core.events import Cancel, Event, Progress, Step

if TYPE_CHECKING:
    from pathlib import Path

    from core.clouds import Cloud
    from core.evaluation.comparison import Comparison
    from core.models.checkpoints import LoadedModel


class EvaluationPanel(JobPanel):
    """Measure the models that are ticked under the present attack; show, open and export what comes of it."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        super().__init__(store, jobs, parent)
        self.result: Comparison | None = None
        self._made_with: tuple[object, ...] | None = None
        self._making: tuple[object, ...] | None = None
        self._shown_with: tuple[object, ...] | None = None
        self._partial: Comparison | None = None
        self._title = ""
        """Of the result."""
        self._left_out: frozenset[str] = frozenset()
        """Names of the models that are not ticked."""
        self.models = QVBoxLayout()
        self.models.setSpacing(0)
        self.start = button("Evaluate", "evaluate", self.begin, role="primary")
        self.stop = button(
            "Stop and keep", "stop", self._stop, tip="End now; the models that are measured by then are kept"
        )
        self.export = button("Export", "export", lambda: None, tip="Save the figure, the table or the records")
        menu = QMenu(self.export)
        menu.addAction("Figure shown…", self._export_figure)
        menu.addAction("Table…", self._export_table)
        menu.addAction("Records of every cloud…", self._export_records)
        self.export.setMenu(menu)
        self.stale = label("settings changed – evaluate again", "chip-warn")
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_S)
        for made in (self.start, self.stop, self.export, self.stale):
            buttons.addWidget(made)
        buttons.addStretch()
        self.stop.hide()  # before the splitter asks how much room the row needs
        self.stale.hide()
        self.view = ComparisonView(buttons, self.status)
        self.view.opened.connect(self._open)
        self._lay_out("evaluation", 260, self.view)
        for changed in (store.datasetChanged, store.modelsChanged):
            changed.connect(self._list_models)
        for changed in (self.jobChanged, store.attackChanged, store.epsilonChanged):
            changed.connect(self._show)
        self._show()

    def fill(self) -> None:
        """Make the form; core's options are loaded by now."""
        from app.shell.forms import OptionsForm
        from core.evaluation.comparison import ComparisonOptions

        self.form = OptionsForm(ComparisonOptions)
        self.form.changed.connect(self._show)
        self.view.fill()
        both, ticks = QWidget(), QWidget()
        theme.role(both, "content")
        inner = QVBoxLayout(ticks)
        inner.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, 0)
        inner.setSpacing(theme.SPACE_XS)
        inner.addWidget(label("Models", "section"))
        inner.addLayout(self.models)
        column = QVBoxLayout(both)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(ticks)
        column.addWidget(self.form)
        column.addStretch(1)
        self._form_place.setWidget(both)
        self._list_models()

    # --- what is to be measured ---

    @property
    def chosen(self) -> tuple[LoadedModel, ...]:
        """The models that are ticked and know the dataset's classes."""
        return tuple(model for model in self._store.models if self._fits(model) and model.name not in self._left_out)

    def _fits(self, model: LoadedModel) -> bool:
        dataset = self._store.dataset
        return dataset is not None and tuple(model.card.classes) == tuple(dataset.card.classes)

    def _list_models(self, *_: object) -> None:
        while (item := self.models.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        for model in self._store.models:
            fits = self._fits(model)
            box = QCheckBox(model.card.title, checked=fits and model.name not in self._left_out)
            box.setEnabled(fits)
            box.setToolTip(f"Measure {model.name}" if fits else "This model knows other classes than the dataset")
            box.toggled.connect(lambda on, name=model.name: self._tick(name, on))
            self.models.addWidget(box)
        self._show()

    def _tick(self, name: str, on: bool) -> None:
        self._left_out = self._left_out - {name} if on else self._left_out | {name}
        self._show()

    def _wanted(self) -> tuple[object, ...] | None:
        """What an evaluation made now would be about, but for epsilon; None while something is missing or wrong."""
        store = self._store
        if store.dataset is None or store.attack is None or self._form_place.widget() is None:
            return None
        options = self.form.value()
        if options is None or not self.chosen:
            return None
        return store.dataset, self.chosen, store.attack.at(0.0), options

    # --- the job ---

    def begin(self) -> None:
        """Measure the models that are ticked, at the epsilon of the slider."""
        from core.evaluation.comparison import compare

        wanted = self._wanted()
        if self.job is not None or wanted is None:
            return
        dataset, models, attack, options = wanted
        attack, cancel = attack.at(self._store.epsilon), Cancel()
        self._making, self._partial = wanted, None
        job = self._jobs.submit(
            "evaluation", lambda: compare(models, dataset, attack, options, cancel), cancel, unit="clouds"
        )
        job.events.connect(self._watch)
        self._take(job, self._finished, self._finished, self._refused)

    def _watch(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Step(_, _, comparison):
                    self._partial = comparison
                    self._put(comparison, self._making)
                case Progress(text=text):
                    self.status.setText(f"Measuring {text}…")

    def _finished(self, result: Comparison | None) -> None:
        """Show the result; where there is none, the one before."""
        self.job = None
        if result is not None:
            self.result, self._made_with = result, self._making
            self._title = result.table().title
        self._put(self.result, self._made_with)
        self._show()

    def _refused(self, sentence: str, _: str) -> None:
        self._finished(self._partial)  # the models before the one that failed
        self.failed.emit(sentence)

    def _put(self, comparison: Comparison | None, made_with: tuple[object, ...] | None) -> None:
        self._shown_with = made_with
        if comparison is not self.view.comparison:
            self.view.put(comparison)

    def _show(self, *_: object) -> None:
        running, wanted = self.job is not None, self._wanted()
        done = self.result is not None and not running
        trade_places(*((self.start, self.stop) if running else (self.stop, self.start)))
        self.start.setEnabled(wanted is not None)
        self.start.setText("Evaluate again" if done else "Evaluate")
        self.stop.setEnabled(self.job is not None and self.job.status is not Status.STOPPING)
        self.export.setEnabled(done)
        stale = self.view.comparison is not None and self._shown_with != (self._making if running else wanted)
        self.stale.setVisible(stale)
        self.view.set_stale(stale)
        attack = f"{self._store.preset.upper()} at ε {self._store.epsilon:.3f} r"
        if done:
            self.status.setText(self._title)
            self.start.setToolTip(f"Measure anew, with {attack}")
        else:
            self.start.setToolTip(f"Measure, with {attack}")
            if not running:
                self.status.setText(f"Attack: {attack}, as set above.")
        if not self._store.models:
            self.view.empty.setText("Open a model in the library first.")
        elif self._store.dataset is None:
            self.view.empty.setText("Open a dataset in the library first.")
        elif not any(self._fits(model) for model in self._store.models):
            self.view.empty.setText(
                f"No model here knows the classes of {self._store.dataset.card.name}: train one in the Train tab."
            )
        elif wanted is None:
            self.view.empty.setText("Tick at least one model, and set right what the form marks.")
        else:
            self.view.empty.setText(
                "Tick the models to compare and press Evaluate. Each is attacked through its own gradients."
            )

    # --- what comes of it ---

    def _open(self, cloud: Cloud, model: str, epsilon: float | None) -> None:
        """Show a cloud in the pair view as the mark was about it: attacked through this model, at this epsilon."""
        if all(known.name != model for known in self._store.models):
            self.said.emit(f"{model} is not in the list of models any more: open it again to see its attack.")
            return
        self._store.set_primary(model)
        if epsilon is not None:
            self._store.set_epsilon(min(epsilon, EPSILON_MAX))
        self._store.set_cloud(cloud)

    def _export_figure(self) -> None:
        from core.figures import save

        result = self.result
        assert result is not None
        self._save(
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

        self._save("Export table", "evaluation.csv", "*.csv *.tex *.md", write)

    def _export_records(self) -> None:
        from core.results.records import write_csv, write_provenance

        result = self.result
        assert result is not None

        def write(path: Path) -> None:
            write_csv(path, result.records())
            write_provenance(path, result.provenance())

        self._save("Export records", "records.csv", "*.csv", write)
