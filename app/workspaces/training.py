"""The Train tab: a form from the options, live curves, and the run's end in the person's hands."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.jobs import JobList, Status
from app.shell import settings, theme
from app.shell.parts import button, trade_places
from app.store import Store
from app.views.curves import CurveView
from app.workspaces.jobpanel import JobPanel
from core.events import Cancel, Epoch, Event, Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.evaluation.accuracy import Rate
    from core.training import RunResult, TrainOptions

PROBED = 400  # clouds of each kind, of train and of test, for a fresh discriminator
LOSSES = {"loss_clean": ("clean", "clean", "solid"), "loss_adversarial": ("adversarial", "adv", "solid")}
ACCURACIES = {
    "validation_clean": ("val.", "clean", "solid"),
    "validation_adversarial": ("val. adv.", "adv", "solid"),
    "accuracy_clean": ("train", "clean", "dash"),
    "accuracy_adversarial": ("train adv.", "adv", "dash"),
    "discriminator_accuracy": ("discr.", "muted", "dot"),
}
"""Metric of the engine -> short name in the plot's key, colour, line. A line appears with its first value."""


class TrainingPanel(JobPanel):
    """Train a model on the open dataset in the background, watch it, keep it, load it."""

    modelReady = Signal(object)
    """Folder of a finished run that is to be loaded (a Path)."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        super().__init__(store, jobs, parent)
        self._folder: Path | None = None
        self._left: Path | None = None
        """Folder of a run that was ended early."""
        self.start = button("Train", "train", self.begin, role="primary")
        self.pause = button("Pause", "pause", self._pause)
        self.stop = button(
            "Stop and keep", "stop", self._stop, tip="End now; the weights so far are kept and can be loaded"
        )
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
            "Epoch", "Loss", y_unit="nat", counted=True, empty="The loss of every epoch appears here."
        )
        self.accuracy = CurveView(
            "Epoch",
            "Accuracy",
            y_unit="%",
            counted=True,
            y_range=(0, 100),
            empty="The accuracy of every epoch appears here.",
        )

        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_S)
        for made in (self.start, self.resume, self.pause, self.stop, self.cancel, self.load, self.probe):
            buttons.addWidget(made)
        buttons.addWidget(self.status, 1)
        plots = QWidget()
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_M)
        row.addWidget(self.loss, 1)
        row.addWidget(self.accuracy, 1)
        column = QVBoxLayout(plots)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_S, theme.SPACE_M, theme.SPACE_S)
        column.addLayout(buttons)
        column.addLayout(row, 1)
        self._lay_out("training", 300, plots)
        for changed in (self.jobChanged, store.datasetChanged):
            changed.connect(self._show)
        self._show()

    def fill(self) -> None:
        """Make the form; core's options are loaded by now."""
        from app.shell.forms import OptionsForm
        from core.training import TrainOptions

        self.form = OptionsForm(TrainOptions)
        self._form_place.setWidget(self.form)
        self._show()

    @property
    def options(self) -> TrainOptions | None:
        """What the form holds, None while a field is wrong (the form says which)."""
        value: TrainOptions | None = self.form.value()
        return value

    def begin(self, folder: Path | None = None, *, resume: bool = False) -> None:
        """Train with the options of the form, into a fresh folder, or go on with the run in ``folder``."""
        from core.training import train

        options, dataset = self.options, self._store.dataset
        if options is None or dataset is None or self.job is not None:
            return
        self._folder = folder or _fresh_folder(f"{dataset.card.name}-{options.regime}")
        target, root, cancel = self._folder, self._store.data_root, Cancel()

        self._lines: set[str] = set()
        for view in (self.loss, self.accuracy):
            view.clear()
        self._left = None
        self.status.setText("Preparing…")
        job = self._jobs.submit(
            f"training {options.regime}",
            lambda: train(dataset, options, target, cancel, resume=resume, data_root=root),
            cancel,
            unit="clouds",
        )
        job.events.connect(self._watch)
        self._take(job, self._finished, self._stopped, self._refused)

    def _cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()

    def _resume(self) -> None:
        self.begin(self._left, resume=True)

    def _probe(self) -> None:
        """Fit a fresh discriminator on the latents of the run that has ended."""
        from core.evaluation.accuracy import EvaluationOptions
        from core.evaluation.probe import probe
        from core.models.checkpoints import load_model, resolve_model
        from core.training import stored_options

        dataset, folder, cancel = self._store.dataset, self._folder, Cancel()
        if dataset is None or folder is None or self.job is not None:
            return
        options = stored_options(folder)
        chosen = EvaluationOptions(clouds=PROBED, points=min(options.points, dataset.split("test").points.shape[1]))

        def work() -> Iterator[Event]:
            model = load_model(resolve_model(folder))
            if model.card.fingerprint != dataset.card.fingerprint:
                raise ValueError(f"The run was trained on {model.card.dataset}: open that dataset first.")
            return probe(model.module, dataset, options.attack, chosen, options.discriminator_width, cancel)

        self._take(
            self._jobs.submit("fitting a fresh discriminator", work, cancel, unit="clouds"),
            self._probed,
            lambda _: self._end("Stopped before the discriminator was fitted."),
            lambda sentence, _: self._end(sentence),
        )

    def _probed(self, rates: Mapping[str, Rate]) -> None:
        from core.evaluation.probe import MODES

        parts = []
        for mode, rate in rates.items():
            low, high = (100 * limit for limit in rate.interval)
            parts.append(f"{100 * rate.value:.1f} % ({low:.1f} to {high:.1f} %) in {MODES[mode]}")
        count = next(iter(rates.values())).n
        self._end(
            f"A fresh discriminator is right about {'; '.join(parts)}; of {count:,} latents of clean and adversarial "
            "test clouds; a coin about 50 %."
        )

    def _pause(self) -> None:
        if self.job is not None:
            (self.job.resume if self.job.status is Status.PAUSED else self.job.pause)()

    def _watch(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Note(text):
                    self.status.setText(text)
                case Epoch(index, total, metrics):
                    for view, table, scale in ((self.loss, LOSSES, 1), (self.accuracy, ACCURACIES, 100)):
                        for key in table.keys() & metrics.keys():
                            name, colour, style = table[key]
                            if key in self._lines:
                                view.append(name, index, scale * metrics[key])
                            else:
                                view.set_series(name, [index], [scale * metrics[key]], colour, style)
                                self._lines.add(key)
                    self.status.setText(f"Epoch {index} of {total} done.")

    def _finished(self, run: RunResult) -> None:
        self._end(f"Finished. Best epoch: {run.best_epoch}. Kept in {run.folder}.")

    def _stopped(self, run: RunResult | None) -> None:
        self._left = self._begun()
        if run is None:
            left = f"Cancelled. What was finished is in {self._left} and can be resumed."
            self._end(left if self._left else "Cancelled before anything was trained.")
            self._folder = None
        else:
            self._end(f"Stopped and kept. Best epoch: {run.best_epoch}. Kept in {run.folder}.")
        self._show()

    def _refused(self, sentence: str, _: str) -> None:
        self._left = self._begun()  # as after a wrong option, which can be set right
        self._folder = None
        self._end(sentence)
        self.failed.emit(sentence)

    def _begun(self) -> Path | None:
        """The folder, if there is a run to resume in it."""
        from core.training import run_exists

        return self._folder if self._folder is not None and run_exists(self._folder) else None

    def _end(self, sentence: str) -> None:
        self.job = None
        self.status.setText(sentence)
        self._show()

    def _show(self, *_: object) -> None:
        running = self.job is not None
        stopping = self.job is not None and self.job.status is Status.STOPPING
        trade_places(*((self.start, self.pause) if running else (self.pause, self.start)))
        self.start.setEnabled(self._store.dataset is not None and self._form_place.widget() is not None)
        self.resume.setVisible(not running and self._left is not None)
        for made in (self.load, self.probe):
            made.setVisible(not running and self._folder is not None)
        for made in (self.stop, self.cancel):
            made.setVisible(running)
            made.setEnabled(not stopping)
        if self.job is not None:
            self.pause.setEnabled(self.job.status in (Status.RUNNING, Status.PAUSED))
            paused = self.job.status is Status.PAUSED
            self.pause.setText("Resume" if paused else "Pause")
            theme.set_icon(self.pause, "play" if paused else "pause")
            self.stop.setText("Stopping…" if stopping else "Stop and keep")
        if self._form_place.widget() is not None:
            self.form.setEnabled(not running)


def _fresh_folder(name: str) -> Path:
    """For a new run, named by the moment it begins; two that begin in one second get different names."""
    first = settings.runs_dir() / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
    later = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], later) if not folder.exists())
