"""The Train workspace: the options of a training, its curves while it runs, and what can be done with its run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.jobs import JobList
from app.shell import settings, theme
from app.shell.progress import Status
from app.shell.widgets import Label, button
from app.store import Store
from app.views.curves import CurveView, Style
from app.workspaces.base import Workspace
from core.events import Cancel, Epoch, Event, Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.shell.forms import OptionsForm
    from core.evaluation.accuracy import Rate
    from core.options import Options
    from core.training import RunResult, TrainOptions

PROBE_CLOUDS = 400  # clean and as many adversarial ones, of each split, for a fresh discriminator
LOSSES: dict[str, tuple[str, str, Style]] = {
    "loss_clean": ("clean", "clean", "solid"),
    "loss_adversarial": ("adversarial", "adv", "solid"),
}
ACCURACIES: dict[str, tuple[str, str, Style]] = {
    "validation_clean": ("val.", "clean", "solid"),
    "validation_adversarial": ("val. adv.", "adv", "solid"),
    "accuracy_clean": ("train", "clean", "dash"),
    "accuracy_adversarial": ("train adv.", "adv", "dash"),
    "discriminator_accuracy": ("discr.", "muted", "dot"),
}
"""Metric of the training engine -> name in the legend, colour, line style. A line appears with its first value."""


class TrainingPanel(Workspace):
    """Train a model on the open dataset; pause, stop, cancel or resume the run; load or probe its model."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        tip = "End now; the weights so far are kept and can be loaded"
        super().__init__(store, jobs, name="training", icon="train", stop_tip=tip, parent=parent)
        self._folder: Path | None = None
        self._resumable: Path | None = None
        """Folder of a run that was ended early and can be resumed."""
        self.cancel = button(
            "Cancel", "close", self._cancel, tip="End now; the folder stays and can be resumed from its last full epoch"
        )
        self.resume = button("Resume", "play", self._resume, tip="Go on with the run that was ended early")
        self.probe = button(
            "Fresh discriminator",
            "evaluate",
            self._probe,
            tip="Can a new discriminator tell this run's latents of clean "
            "and adversarial clouds apart? 50 % is what a coin has",
        )
        self.load = button("Load this model", "plus", lambda: self.modelReady.emit(self._folder), role="primary")
        self.status.setText("Choose a regime and press Train. The window stays free while it runs.")
        self.loss = CurveView(
            "Epoch", "Loss", y_unit="nat", integer_x=True, empty="The loss of every epoch appears here."
        )
        self.accuracy = CurveView(
            "Epoch",
            "Accuracy",
            y_unit="%",
            integer_x=True,
            y_range=(0, 100),
            empty="The accuracy of every epoch appears here.",
        )

        plots = QWidget()
        row = QHBoxLayout(plots)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_M)
        row.addWidget(self.loss, 1)
        row.addWidget(self.accuracy, 1)
        self._lay_out(plots, 300, self.resume, self.cancel, self.load, self.probe)
        store.datasetChanged.connect(self._update)
        self._update()

    @property
    def can_start(self) -> bool:
        return self._store.dataset is not None and self._form_area.widget() is not None and self.options is not None

    @property
    def start_text(self) -> str:
        return "Train"

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
        self._show_model_form()

    def _show_model_form(self) -> None:
        from app.shell.forms import OptionsForm
        from core.models import ARCHITECTURES

        options = self.form.value()
        if options is not None:
            if options.model not in self.model_forms:
                self.model_forms[options.model] = OptionsForm(ARCHITECTURES[options.model][1])
                self.model_forms[options.model].changed.connect(self._update)
                self._model_form_area.addWidget(self.model_forms[options.model])
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

    def begin(self, folder: Path | None = None, *, resume: bool = False) -> None:
        """Start a training with the form's options in a new folder, or resume the run in ``folder``."""
        from core.training import train

        options, dataset = self.options, self._store.dataset
        if options is None or dataset is None or self.job is not None:
            return
        self._folder = folder or settings.new_folder(settings.runs_dir(), f"{dataset.card.name}-{options.regime}")
        target, root, cancel = self._folder, self._store.data_root, Cancel()

        self._drawn_metrics: set[str] = set()
        for view in (self.loss, self.accuracy):
            view.clear()
        self._resumable = None
        self.status.setText("Preparing…")
        job = self._jobs.submit(
            f"training {options.regime}",
            lambda: train(dataset, options, target, cancel, resume=resume, data_root=root),
            cancel,
            unit="clouds",
        )
        job.events.connect(self._on_events)
        self._track(job, self._on_finished, self._on_stopped, self._on_failed)

    def _cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()

    def _resume(self) -> None:
        self.begin(self._resumable, resume=True)

    def _probe(self) -> None:
        """Fit a fresh discriminator on the latents of the ended run's model."""
        from core.evaluation.accuracy import EvaluationOptions
        from core.evaluation.probe import probe
        from core.models.checkpoints import load_model, resolve_model
        from core.training import stored_options

        dataset, folder, cancel = self._store.dataset, self._folder, Cancel()
        if dataset is None or folder is None or self.job is not None:
            return
        options = stored_options(folder)
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

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Note(text):
                    self.status.setText(text)
                case Epoch(index, total, metrics):
                    for view, table, scale in ((self.loss, LOSSES, 1), (self.accuracy, ACCURACIES, 100)):
                        for key in table.keys() & metrics.keys():
                            name, colour, style = table[key]
                            if key in self._drawn_metrics:
                                view.append(name, index, scale * metrics[key])
                            else:
                                view.set_series(name, [index], [scale * metrics[key]], colour, style)
                                self._drawn_metrics.add(key)
                    self.status.setText(f"Epoch {index} of {total} done.")

    def _on_finished(self, run: RunResult) -> None:
        self._show_ended(f"Finished. Best epoch: {run.best_epoch}. Kept in {run.folder}.")

    def _on_stopped(self, run: RunResult | None) -> None:
        self._resumable = self._resumable_folder()
        if run is None:
            left = f"Cancelled. What was finished is in {self._resumable} and can be resumed."
            self._show_ended(left if self._resumable else "Cancelled before anything was trained.")
            self._folder = None
        else:
            self._show_ended(f"Stopped and kept. Best epoch: {run.best_epoch}. Kept in {run.folder}.")
        self._update()

    def _on_failed(self, _: str) -> None:
        self._resumable = self._resumable_folder()  # after an invalid option, for example, the run can still be resumed
        self._folder = None
        self._show_ended("It has ended early.")

    def _resumable_folder(self) -> Path | None:
        """The run's folder if it can be resumed, else None."""
        from core.training import run_exists

        return self._folder if self._folder is not None and run_exists(self._folder) else None

    def _show_ended(self, message: str) -> None:
        self.job = None
        self.status.setText(message)
        self._update()

    def _update(self, *_: object) -> None:
        super()._update()
        running = self.job is not None
        self.resume.setVisible(not running and self._resumable is not None)
        for widget in (self.load, self.probe):
            widget.setVisible(not running and self._folder is not None)
        self.cancel.setVisible(running)
        self.cancel.setEnabled(self.job is not None and self.job.status is not Status.STOPPING)
        if self._form_area.widget() is not None:
            self._forms.setEnabled(not running)
