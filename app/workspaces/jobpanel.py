"""What the tabs of the work area share: a form on the left, and beside it what a job makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QScrollArea, QSplitter, QVBoxLayout, QWidget

from app.jobs import Job, JobList
from app.shell import export
from app.shell.notify import sentence
from app.shell.parts import label
from app.store import Store


class JobPanel(QWidget):
    """One job at a time, what it says of itself, and the files that can be made of its result."""

    failed = Signal(str)
    said = Signal(str)
    jobChanged = Signal()
    """The job is another one, or in another state."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store, self._jobs = store, jobs
        self.job: Job | None = None
        self._form_place = QScrollArea(widgetResizable=True)
        self._form_place.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.status = label("", "caption")
        self.status.setWordWrap(True)

    def _lay_out(self, name: str, form_width: int, made: QWidget) -> None:
        """The place of the form beside what is made; ``name`` is what the splitter is remembered by."""
        self._form_place.setMinimumWidth(form_width)
        splitter = QSplitter(Qt.Orientation.Horizontal, objectName=name)
        splitter.addWidget(self._form_place)
        splitter.addWidget(made)
        splitter.setStretchFactor(1, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(splitter)

    def _take(
        self,
        job: Job,
        finished: Callable[..., object],
        stopped: Callable[..., object],
        failed: Callable[[str, str], object],
    ) -> None:
        """Make a job the panel's own until it ends."""
        self.job = job
        job.changed.connect(self.jobChanged)
        job.finished_ok.connect(finished)
        job.stopped.connect(stopped)
        job.failed.connect(failed)
        self.jobChanged.emit()

    def _stop(self) -> None:
        if self.job is not None:
            self.job.stop_and_keep()

    def _save(self, title: str, name: str, endings: str, write: Callable[[Path], None]) -> None:
        """Ask for a file and write it; say what was done or why not."""
        try:
            told = export.save_as(self, title, name, f"Files ({endings})", write)
        except (OSError, ValueError) as error:
            self.failed.emit(sentence(error))
        else:
            if told is not None:
                self.said.emit(told)
