"""The jobs of the window: which of them run, and in which order the others start."""

from PySide6.QtCore import QEventLoop, QObject, QTimer, Signal

from app.jobs.job import Job, Work
from app.shell.progress import Status
from core.events import Cancel


class JobList(QObject):
    """The running and queued jobs, in the order of submission.

    Parameters
    ----------
    max_running : how many may run at a time; paused and immediate ones do not count.
    """

    added = Signal(object)
    removed = Signal(object)  # the job has ended
    emptied = Signal()

    def __init__(self, *, max_running: int = 2, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs: list[Job] = []
        self._last_ended: Job | None = None  # kept: it must not be deleted inside its own signal
        self._max_running, self._holds, self._closed = max_running, 0, False

    def submit(
        self,
        title: str,
        work: Work,
        cancel: Cancel,
        unit: str = "",
        step_unit: str = "",
        **options: bool,
    ) -> Job:
        """Queue a job, with the options of ``Job``, and start it as soon as one more may run.

        What is connected right away misses no event.
        """
        job = Job(title, work, cancel, unit, step_unit, **options, parent=self)
        for _ in range(self._holds):
            job.hold()
        self.jobs.append(job)
        job.changed.connect(self._schedule)
        if self._closed:
            job.cancel()
        self._schedule()
        self.added.emit(job)
        return job

    def hold_all(self) -> None:
        """Suspend every job, including those submitted later, until ``release_all``."""
        self._holds += 1
        for job in self.jobs:
            job.hold()

    def release_all(self) -> None:
        self._holds -= 1
        for job in self.jobs:
            job.release_hold()

    @property
    def held(self) -> bool:
        """Whether all jobs are suspended."""
        return self._holds > 0

    def close(self, seconds: float = 10.0) -> bool:
        """Ask every job to stop and keep its partial result, and wait; the window repaints but takes no input.

        No other job starts from now on.

        Returns whether all have ended. No thread is ever killed: if one still runs, end the process with ``os._exit``.
        """
        self._closed = True
        for job in reversed(self.jobs.copy()):  # the queued ones first, so that none of them starts
            job.stop_and_keep()
        self._schedule()  # the window may be closed by what follows the end of a job, before the list is told of it
        if self.jobs:
            loop = QEventLoop()
            self.emptied.connect(loop.quit)
            QTimer.singleShot(round(seconds * 1000), loop, loop.quit)
            loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return not self.jobs

    def _schedule(self) -> None:
        ended = [job for job in self.jobs if job.status.ended]
        self.jobs = [job for job in self.jobs if not job.status.ended]
        for job in ended:
            job.setParent(None)
            self._last_ended = job
            self.removed.emit(job)
        busy = sum(job.status in (Status.RUNNING, Status.STOPPING) and not job.immediate for job in self.jobs)
        waiting = [job for job in self.jobs if job.status is Status.QUEUED]
        next_jobs = [job for job in waiting if not job.immediate][: max(0, self._max_running - busy)]
        for job in (*(job for job in waiting if job.immediate), *next_jobs):
            job.begin()
        if ended and not self.jobs:
            self.emptied.emit()
