"""Base class of the tabs of the work area: a form on the left, the result of a job on the right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from app.jobs import Job, JobList
from app.shell import export
from app.shell.notify import error_message
from app.shell.widgets import Label, splitter
from app.store import Store


class Workspace(QWidget):
    """A form, one job at a time, a line with its status, and the export of its result."""

    failed = Signal(str)
    info = Signal(str)
    jobChanged = Signal()
    """Another job has started, or the job has another status."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store, self._jobs = store, jobs
        self.job: Job | None = None
        self._form_area = QScrollArea(widgetResizable=True)
        self._form_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.status = Label(role="caption", wrap=True)

    def _lay_out(self, name: str, form_width: int, content: QWidget) -> None:
        """Put the form beside the result; ``name`` is that of the splitter in the saved layout."""
        self._form_area.setMinimumWidth(form_width)
        both = splitter(Qt.Orientation.Horizontal, name)
        both.addWidget(self._form_area)
        both.addWidget(content)
        both.setStretchFactor(1, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(both)

    def _track(
        self,
        job: Job,
        finished: Callable[..., object],
        stopped: Callable[..., object],
        failed: Callable[[str, str], object],
    ) -> None:
        """Make a submitted job the job of this tab until it ends, and connect its signals."""
        self.job = job
        job.changed.connect(self.jobChanged)
        job.finished_ok.connect(finished)
        job.stopped.connect(stopped)
        job.failed.connect(failed)
        self.jobChanged.emit()

    def _stop(self) -> None:
        if self.job is not None:
            self.job.stop_and_keep()

    def _export(self, title: str, name: str, endings: str, write: Callable[[Path], None]) -> None:
        """Ask for a file and write it; report the result or the error."""
        try:
            message = export.save_as(self, title, name, f"Files ({endings})", write)
        except (OSError, ValueError) as error:
            self.failed.emit(error_message(error))
        else:
            if message is not None:
                self.info.emit(message)
