"""The Transfer workspace: adversarial clouds made on surrogates are shown to victims, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from app.jobs import Job, JobList
from app.shell.notify import error_message
from app.shell.plain_text import set_tooltip
from app.store import SPLIT, Store
from app.workspaces import transfer_work
from app.workspaces.base import Workspace
from app.workspaces.transfer_results import Sample, TransferResults
from core.events import Cancel, Event, Note, Progress, Step
from core.runtime.files import readable

if TYPE_CHECKING:
    from app.workspaces.transfer_setup import TransferSetup
    from core.studies.transferability.experiment import Experiment
    from core.studies.transferability.findings import TransferFindings

IDLE_MS = 700
"""Time without a change of the settings after which it is measured how long they will take."""
FORM_WIDTH = 290
DONE = "All of this is done: tick more, change an option, or press New to do it again"


class TransferPanel(Workspace):
    """Choose, run, pause, stop and continue a transfer experiment; look at its cells, its clouds; export it."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        tip = "End now; the same settings go on from there"
        stale = "settings changed – start again"
        super().__init__(store, jobs, name="transfer", icon="play", stop_tip=tip, stale=stale, parent=parent)
        self.setup: TransferSetup | None = None
        self.shown: Experiment | None = None
        """The experiment whose results are shown."""
        self._problem = ""
        """What kept the chosen experiment from being started when that was looked at last."""
        self._timing: Job | None = None
        """Measures how long the chosen experiment will take."""
        self._timed: Experiment | None = None
        """What was, or is being, timed."""
        self.set_exports({"Report": self._write_report, "Figure of the map…": self._export_figure})
        self.results = TransferResults()
        self.results.opened.connect(self._open)
        self._idle = QTimer(self, singleShot=True, interval=IDLE_MS)
        self._idle.timeout.connect(self._measure_time)
        self._lay_out(self.results, FORM_WIDTH)
        self._update()

    @property
    def can_start(self) -> bool:
        chosen = self._chosen()
        return chosen is not None and not self._is_done(chosen)

    def commands(self) -> list[str]:
        from core.commands.words import transfer_line

        chosen, dataset = self._chosen(), self._store.dataset
        assert chosen is not None
        assert dataset is not None
        return [transfer_line(chosen, dataset.card)]

    @property
    def start_text(self) -> str:
        chosen = self._chosen()
        if self.setup is None or not self.setup.goes_on() or (chosen is not None and self._is_done(chosen)):
            return "Start"
        return "Continue"

    @property
    def has_result(self) -> bool:
        return self.results.measures is not None

    @property
    def is_stale(self) -> bool:
        chosen = self._chosen()
        return self.has_result and self.job is None and chosen is not None and not self._shown_is(chosen)

    def _is_done(self, chosen: Experiment) -> bool:
        return self._shown_is(chosen) and self._complete

    def _shown_is(self, chosen: Experiment) -> bool:
        return self.shown is not None and chosen == self.shown

    def build_forms(self) -> None:
        from app.workspaces.transfer_setup import TransferSetup

        self.setup = TransferSetup(self._store)
        self.setup.changed.connect(self._on_settings)
        self.setup.folderChosen.connect(self.open_folder)
        self.setup.failed.connect(self.show_error)
        self._form_area.setWidget(self.setup)
        self._on_settings()

    def saved_choices(self) -> dict[str, Any]:
        return self.setup.saved_choices() if self.setup is not None else {}

    def restore_choices(self, saved: Mapping[str, Any]) -> None:
        if self.setup is not None:
            self.setup.restore_choices(saved)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._idle.start()

    # --- how long it will take ---

    def _on_settings(self) -> None:
        self.show_error("")
        self._idle.start()
        self.choicesChanged.emit()
        self._update()

    def _measure_time(self) -> None:
        """Time a batch of each chosen model, unless that was done for these settings."""
        from core.studies.transferability.estimate import estimate_before_start

        chosen = self._chosen()
        if not self.isVisible() or self.job is not None or chosen is None or self._is_timed(chosen):
            return
        if self._timing is not None:
            self._timing.cancel()
        self._timed, cancel = chosen, Cancel()
        job = self._timing = self._jobs.submit(
            "timing a batch of each model",
            lambda: estimate_before_start(chosen, cancel),
            cancel,
            immediate=True,
            keeps_partial=False,
            silent=True,
        )
        job.finished_ok.connect(lambda seconds: self._on_timed(chosen, seconds))
        job.failed.connect(lambda message, _: self.show_error(message))

    def _is_timed(self, chosen: Experiment) -> bool:
        """Whether the time of an experiment is known or being measured; a new folder makes no difference."""
        return self._timed is not None and (
            chosen == self._timed
            or (not chosen.folder.exists() and replace(chosen, folder=self._timed.folder) == self._timed)
        )

    def _on_timed(self, timed: Experiment, seconds: float) -> None:
        from core.studies.transferability.estimate import duration_text

        self._timing = None
        if self._timed is timed and self.job is None:
            rest = "The rest will take" if timed.folder.exists() else "It will take"
            text = f"{rest} about {duration_text(seconds)} here, by the time of a batch of each model."
            self.status.setText(text if seconds > 0 else "All of it is done.")

    # --- the job ---

    def _chosen(self) -> Experiment | None:
        return None if self.setup is None else self.setup.experiment()

    def begin(self) -> None:
        """Start the chosen experiment, or go on with it."""
        chosen, dataset = self._chosen(), self._store.dataset
        if self.setup is None or chosen is None or dataset is None or self.job is not None:
            return
        if self._timing is not None:
            self._timing.cancel()
        another = self.shown is None or self.shown.protocol_folder != chosen.protocol_folder
        self.shown, self._timed = chosen, None
        if another:
            self.results.set_findings(None)
        fingerprint, cancel = dataset.card.fingerprint, Cancel()
        job = self._jobs.submit(
            "transfer", lambda: transfer_work.run(chosen, fingerprint, cancel), cancel, unit="parts"
        )
        job.events.connect(self._on_events)
        self._track(job, self._on_finished, self._on_stopped, self._on_failed)
        self.status.setText("Preparing…")
        self.setup.begun = chosen
        self.setup.refresh()

    def _on_events(self, events: list[Event]) -> None:
        found = None
        for event in events:
            match event:
                case Step(value=findings):
                    found = findings
                case Progress(text=text) if text:
                    self.status.setText(text)
                case Note(text):
                    self.status.setText(text)
        if found is not None:
            self.results.set_findings(found)

    def _on_finished(self, findings: TransferFindings) -> None:
        assert self.shown is not None
        self._show_ended(findings, f"Done. All of it is in {readable(self.shown.folder)}.")

    def _on_stopped(self, findings: TransferFindings | None) -> None:
        self._show_ended(findings, "Stopped. What is finished is kept; press Continue to go on.")

    def _on_failed(self, _: str) -> None:
        self._show_ended(None, "It has ended early.")

    def _show_ended(self, findings: TransferFindings | None, text: str) -> None:
        self.job = None
        if findings is not None:
            self.results.set_findings(findings)
        self.status.setText(text)
        if self.setup is not None:
            self.setup.refresh()
        self.status.setText(text)
        self._idle.stop()
        self._update()

    # --- an experiment that is there ---

    def open_folder(self, folder: Path) -> None:
        """Show the experiment of a folder, which goes on if it is started; into an empty folder goes a new one."""
        if self.setup is None or self.job is not None:
            return
        try:
            found = self.setup.experiment_in(folder)
        except (OSError, ValueError) as error:
            self.show_error(error_message(error))
            return
        if found is None:
            self.setup.start_in(folder)
            return
        self.setup.show_experiment(found)
        self.shown = found
        missing = [name for name in found.all_models if name not in self.setup.candidates]
        job = self._jobs.submit(
            "reading the experiment", lambda: transfer_work.read(found), Cancel(), immediate=True, keeps_partial=False
        )
        job.finished_ok.connect(lambda findings: self._on_read(found, findings))
        job.failed.connect(lambda message, _: self.show_error(message))
        if missing:
            self.show_error(
                f"Not among the models here: {', '.join(missing)}. Add them, then choose the folder again to go on."
            )

    def _on_read(self, experiment: Experiment, findings: TransferFindings) -> None:
        if experiment is not self.shown:
            return  # another one has been opened or started since
        self.results.set_findings(findings, another=True)
        assert self.results.measures is not None
        done, planned = self.results.measures.progress()
        self.status.setText(f"Opened: {done:,} of {planned:,} cells are done.")
        self._update()

    # --- what becomes of the results ---

    def _open(self, sample: Sample) -> None:
        """Show a sample in the pair view, with the verdicts of its surrogate and its victim."""
        from core.attacks import preset
        from core.studies.transferability.attacking import adversarial_samples
        from core.studies.transferability.protocols import attack_under

        experiment, measures = self.shown, self.results.measures
        assert experiment is not None
        assert measures is not None
        surrogate, attack, victim, place = sample
        if absent := [name for name in (surrogate, victim) if name not in experiment.models]:
            self.show_error(f"Not among the models here: {', '.join(absent)}. Add it, then choose the folder again.")
            return
        try:
            models = experiment.model(surrogate), experiment.model(victim)
            points = adversarial_samples(experiment, surrogate, attack)[place]
            row, data = int(measures.findings.row[place]), experiment.dataset.open()
        except (OSError, ValueError) as error:
            self.show_error(error_message(error))
            return
        name, settled = attack.partition("@")[0], measures.findings.calibration[surrogate]
        cloud = data.cloud(SPLIT, row, experiment.options.points)
        if experiment.of(attack, "control"):
            made_by = preset(name, epsilon=experiment.options.epsilon)
        else:
            made_by = attack_under(experiment.options, experiment.modality, attack, settled)
        self.cloudMade.emit(cloud, np.asarray(points, np.float32), name, made_by, models)

    def _write_report(self) -> None:
        experiment = self.shown
        if experiment is None:
            return
        job = self._jobs.submit(
            "report of the transfer experiment",
            lambda: transfer_work.report(experiment),
            Cancel(),
            immediate=True,
            keeps_partial=False,
        )
        job.finished_ok.connect(lambda page: self._say(f"The report is {readable(page)}."))
        job.failed.connect(lambda message, _: self.show_error(message))

    def _say(self, text: str) -> None:
        self.status.setText(text)
        self.info.emit(text)

    def _export_figure(self) -> None:
        experiment, attack = self.shown, self.results.attack.currentText()
        assert experiment is not None
        self._export(
            "Export figure",
            "transfer.pdf",
            "*.pdf *.svg *.png",
            lambda path: transfer_work.write_figure(path, self.results.figure(), experiment, attack, self._complete),
        )

    @property
    def _complete(self) -> bool:
        """Whether all cells of the shown experiment are there."""
        if self.results.measures is None:
            return False
        done, planned = self.results.measures.progress()
        return done == planned

    # --- the state of the panel ---

    def _update(self, *_: object) -> None:
        super()._update()
        running = self.job is not None
        self.results.set_stale(self.is_stale)
        if self.setup is not None:
            self.setup.setEnabled(not running)
            done = not running and self.is_chosen and not self.can_start
            set_tooltip(self.start, DONE if done else "")
            problem = self.setup.problem
            if not running and (problem or self.status.text() == self._problem):
                self.status.setText(problem)
            self._problem = problem
            self.results.empty.setText(
                problem
                or ("The models are measured and the attacks calibrated first." if running else "")
                or "Tick surrogates, victims and attacks in the options (F9) and press Start. Clouds are attacked "
                "through each surrogate, and each victim says what it sees in them: a cell is how often it is fooled."
            )
