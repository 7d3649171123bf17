"""The Train workspace: the options of a training, the runs of this machine, and the curves of those selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.jobs import JobList
from app.shell import settings, theme
from app.shell.notify import error_message
from app.shell.progress import Status
from app.shell.widgets import Label, Splitter, button
from app.store import Store
from app.workspaces.base import Workspace
from app.workspaces.run_curves import RunCurves
from app.workspaces.run_list import RunList
from app.workspaces.training_work import Plan, plan_new, plan_resume
from core.events import Cancel, Epoch, Event, Note
from core.runtime.text import shortened

if TYPE_CHECKING:
    from app.shell.forms import OptionsForm
    from core.evaluation.accuracy import Rate
    from core.options import Options
    from core.training import RunResult, RunSummary, TrainOptions

PROBE_CLOUDS = 400  # clean and as many adversarial ones, of each split, for a fresh discriminator


class TrainingPanel(Workspace):
    """Train on the open dataset, one run after the other; follow, compare, resume, load or probe any run."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        tip = "End now; the weights so far are kept and can be loaded"
        super().__init__(store, jobs, name="training", icon="train", stop_tip=tip, parent=parent)
        self._folder: Path | None = None
        """Of the training that was begun last."""
        self._queue: list[Plan] = []
        self.cancel = button(
            "Cancel", "close", self._cancel, tip="End now; the folder stays and can be resumed from its last full epoch"
        )
        self.queue = button("Queue", "plus", self._add_to_queue, tip="Train with these options once this one has ended")
        self.resume = button("Resume", "play", self._resume_selected, tip="Go on with the selected run")
        self.probe = button(
            "Fresh discriminator",
            "evaluate",
            self._probe,
            tip="Can a new discriminator tell this run's latents of clean "
            "and adversarial clouds apart? 50 % is what a coin has",
        )
        self.load = button("Load this model", "plus", self._load_selected, role="primary")
        self.status.setText("Choose a regime in the options (F9) and train. The window stays free while it runs.")
        self.curves = RunCurves()
        self.runs = RunList()
        self.runs.runsSelected.connect(self._show_selected)
        self.runs.loadRequested.connect(lambda run: self.modelReady.emit(run.folder))
        self.runs.resumeRequested.connect(self._resume)
        self.runs.optionsRequested.connect(lambda run: self.take_options(run.folder))
        self.runs.removalRequested.connect(self._take_out_of_queue)
        self.runs.failed.connect(self.failed)
        self.runs.info.connect(self.info)

        # so that twelve runs are not a strip of three under the curves
        content = Splitter(Qt.Orientation.Vertical, "training-runs", {self.curves: 3, self.runs: 2})
        self._lay_out(content, 300, self.queue, self.cancel, self.load, self.resume, self.probe)
        store.datasetChanged.connect(self._update)
        self._update()

    @property
    def start_text(self) -> str:
        dataset = self._store.dataset
        return f"Train on {shortened(dataset.card.name, 24)}" if dataset is not None else "Train"

    @property
    def has_result(self) -> bool:
        return False

    def build_forms(self) -> None:
        from app.shell.forms import OptionsForm
        from core.training import TrainOptions

        self.form = OptionsForm(TrainOptions)
        self.model_forms: dict[str, OptionsForm[Options]] = {}
        """Of each architecture that was chosen; that of the present one is shown, and the others keep their values."""
        self._model_title = Label(role="section")
        self._model_title.setContentsMargins(theme.SPACE_S, 0, 0, 0)
        self._forms = QWidget()
        theme.set_role(self._forms, "content")
        column = QVBoxLayout(self._forms)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.form)
        column.addWidget(self._model_title)
        self._model_form_area = QVBoxLayout()
        column.addLayout(self._model_form_area)
        column.addStretch(1)
        self._form_area.setWidget(self._forms)
        self.form.changed.connect(self._show_model_form)
        self.form.changed.connect(self.choicesChanged)
        self._show_model_form()
        self.runs.begin()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def close_threads(self) -> bool:
        self._queue.clear()
        return self.runs.close_worker()

    def _show_model_form(self) -> None:
        from app.shell.forms import OptionsForm, align_fields
        from core.models import ARCHITECTURES

        options = self.form.value()
        if options is not None:
            if options.model not in self.model_forms:
                self.model_forms[options.model] = OptionsForm(ARCHITECTURES[options.model][1])
                self.model_forms[options.model].changed.connect(self._update)
                self.model_forms[options.model].changed.connect(self.choicesChanged)
                self._model_form_area.addWidget(self.model_forms[options.model])
                align_fields(self.form, *self.model_forms.values())
            self._model_title.setText(f"Options of {options.model}")
            for name, form in self.model_forms.items():
                form.setVisible(name == options.model)
        self._update()

    @property
    def options(self) -> TrainOptions | None:
        """The options in the forms, None while a field is invalid."""
        options = self.form.value()
        model_options = self.model_forms[options.model].value() if options is not None else None
        if options is None or model_options is None:
            return None
        return type(options).model_validate(options.model_dump() | {"model_options": model_options.model_dump()})

    def take_options(self, folder: Path) -> None:
        """Fill in the options of the run in ``folder``."""
        from core.models import ARCHITECTURES
        from core.training import stored_options

        try:
            options = stored_options(folder)
            if options.model not in ARCHITECTURES:
                raise ValueError(f"{folder.name} is a run of {options.model}, which takes images: use commands for it.")
        except (OSError, ValueError) as error:
            self._refuse(error_message(error))
            return
        self.form.set_value(options)
        kind = ARCHITECTURES[options.model][1]
        self.model_forms[options.model].set_value(kind.model_validate(options.model_options))
        self.status.setText(f"The options are those of {folder.name}.")

    @property
    def forms(self) -> Mapping[str, OptionsForm[Any]]:
        if self._form_area.widget() is None:
            return {}
        return {"training": self.form, **{f"model {name}": form for name, form in self.model_forms.items()}}

    # --- trainings, one after the other ---

    def begin(self) -> None:
        """Start a training with the form's options in a new folder."""
        if self.job is None and (plan := self._chosen()) is not None:
            self._start(plan)

    def _chosen(self) -> Plan | None:
        """A training with the form's options on the open dataset; None while a field is invalid."""
        dataset = self._store.dataset
        if dataset is None or self._form_area.widget() is None or (options := self.options) is None:
            return None
        taken = {*(plan.folder for plan in self._queue), *([self._folder] if self._folder else [])}  # not yet there
        folder = settings.new_folder(settings.runs_dir(), f"{dataset.card.name}-{options.regime}", taken)
        return plan_new(folder, options, dataset, self._store.data_root)

    def commands(self) -> list[str]:
        from core.commands.words import train_line

        plan, dataset = self._chosen(), self._store.dataset
        assert plan is not None
        assert dataset is not None
        return [train_line(plan.options, dataset.card, self._store.data_root, plan.folder)]

    def _add_to_queue(self) -> None:
        if (plan := self._chosen()) is not None:
            self._queue.append(plan)
            self._show_queue()

    def _take_out_of_queue(self, run: RunSummary) -> None:
        self._queue = [plan for plan in self._queue if plan.folder != run.folder]
        self._show_queue()

    def _show_queue(self) -> None:
        self.runs.set_queued([plan.summary for plan in self._queue])

    def _start(self, plan: Plan, *, select: bool = True) -> None:
        from core.training import remember_run_folder

        self._folder, cancel = plan.folder, Cancel()
        remember_run_folder(plan.folder.parent)
        self.status.setText("Preparing…")
        job = self._jobs.submit(f"training {plan.options.regime}", lambda: plan.work(cancel), cancel, unit="clouds")
        job.events.connect(self._on_events)
        self._track(job, self._on_finished, self._on_stopped, self._on_failed)
        if select:
            self.runs.select(plan.folder)

    def _cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()

    def _resume_selected(self) -> None:
        self._resume(self.runs.selected[0])

    def _resume(self, run: RunSummary) -> None:
        """Go on with a run, on the dataset that it was begun on; behind the training that runs, if there is one."""
        try:
            plan = plan_resume(run.folder, self._store.dataset, self._store.data_root)
        except (OSError, ValueError) as error:
            self._refuse(error_message(error))
            return
        if self.job is None:
            self._start(plan)
        elif all(each.folder != run.folder for each in self._queue):
            self._queue.append(plan)
            self._show_queue()
            self.info.emit(f"{run.title} goes on once the present training has ended.")

    # --- the model of a run ---

    def _load_selected(self) -> None:
        self.modelReady.emit(self.runs.selected[0].folder)

    def _probe(self) -> None:
        """Fit a fresh discriminator on the latents of the ended run's model."""
        from core.evaluation.accuracy import EvaluationOptions
        from core.evaluation.probe import probe
        from core.models.checkpoints import load_model, resolve_model
        from core.training import stored_options

        dataset, folder, cancel = self._store.dataset, self.runs.selected[0].folder, Cancel()
        if dataset is None or self.job is not None:
            return
        try:
            options = stored_options(folder)
        except (OSError, ValueError) as error:
            self._refuse(error_message(error))
            return
        chosen = EvaluationOptions(
            clouds=PROBE_CLOUDS, points=min(options.points, dataset.split("test").points.shape[1])
        )

        def work() -> Iterator[Event]:
            model = load_model(resolve_model(folder))
            if model.card.fingerprint != dataset.card.fingerprint:
                raise ValueError(f"The run was trained on {model.card.dataset}: open that dataset first.")
            return probe(model.module, dataset, options.attack, chosen, options.discriminator_width, cancel)

        self._track(
            self._jobs.submit("fitting a fresh discriminator", work, cancel, unit="clouds"),
            self._on_probed,
            lambda _: self._show_ended("Stopped before the discriminator was fitted."),
            self._show_ended,
        )

    def _on_probed(self, rates: Mapping[str, Rate]) -> None:
        from core.evaluation.probe import MODES

        parts = []
        for mode, rate in rates.items():
            low, high = (100 * limit for limit in rate.interval)
            parts.append(f"{100 * rate.value:.1f} % ({low:.1f} to {high:.1f} %) in {MODES[mode]}")
        count = next(iter(rates.values())).n
        self._show_ended(
            f"A fresh discriminator is right about {'; '.join(parts)}; of {count:,} latents of clean and adversarial "
            "test clouds; a coin about 50 %."
        )

    # --- what happens to a training ---

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Note(text):
                    self.status.setText(text)
                    self.runs.refresh()  # the first one comes once its folder is there
                case Epoch(index, total):
                    self.status.setText(f"Epoch {index} of {total} done.")
                    self.runs.refresh()

    def _on_finished(self, run: RunResult) -> None:
        self._show_ended(f"Finished. Best epoch: {run.best_epoch}. Kept in {run.folder}.")

    def _on_stopped(self, run: RunResult | None) -> None:
        from core.training import run_exists

        if run is not None:
            self._show_ended(f"Stopped and kept. Best epoch: {run.best_epoch}. Kept in {run.folder}.")
        elif self._folder is not None and run_exists(self._folder):
            self._show_ended(f"Cancelled. What was finished is in {self._folder} and can be resumed.")
        else:
            self._show_ended("Cancelled before anything was trained.")

    def _on_failed(self, _: str) -> None:
        self._show_ended("It has ended early.")

    def _show_ended(self, message: str) -> None:
        self.job = None
        self.status.setText(message)
        self.runs.refresh()
        QTimer.singleShot(0, self, self._start_next)  # once it is shown how this one has ended
        self._update()

    def _start_next(self) -> None:
        """Start the first training of the queue; what the last one said stays."""
        if self._queue and self.job is None:
            plan, error = self._queue.pop(0), self.error.text()
            follow = [run.folder for run in self.runs.selected] in ([], [self._folder])
            self._show_queue()
            self._start(plan, select=follow)
            self.show_error(error)

    # --- what is shown ---

    def _show_selected(self, runs: Sequence[RunSummary]) -> None:
        self.curves.show_runs(runs)
        self._update()

    def _update(self, *_: object) -> None:
        super()._update()
        running, selected = self.job is not None, self.runs.selected
        run = selected[0] if len(selected) == 1 else None
        self.resume.setVisible(not running and run is not None and run.can_go_on)
        self.load.setVisible(run is not None and run.has_model)
        self.probe.setVisible(not running and run is not None and run.has_model and run.of_clouds)
        self.cancel.setVisible(running)
        self.cancel.setEnabled(self.job is not None and self.job.status is not Status.STOPPING)
        self.queue.setVisible(running)
        self.queue.setEnabled(self.can_start)
