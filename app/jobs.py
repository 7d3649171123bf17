"""Background work: the only file that starts threads.

A ``Job`` runs one of core's generators in a thread, a ``JobList`` holds the running and the queued jobs, and a
``LatestRequestWorker`` computes only the newest of many requests, for a slider. All signals arrive in the GUI thread.
"""

import itertools
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from PySide6.QtCore import QDeadlineTimer, QEventLoop, QObject, Qt, QThread, QTimer, Signal

from app.shell.notify import error_message
from app.shell.progress import Meter, Status
from core.events import Cancel, Done, Event, Note, Progress, Step
from core.runtime.allocator import give_back_freed_memory

STACK_BYTES = 16 * 2**20  # mesh readers and deep autograd graphs overflow the default stack of some platforms
EVENTS_INTERVAL_MS = 33  # interval at which the events of a job are delivered
MAX_PENDING_EVENTS = 5000  # undelivered events of a job; without a limit a fast job would fill the memory

_log = logging.getLogger(__name__)

Work = Callable[[], Iterator[Event]]


class Job(QThread):
    """One long operation in its own thread.

    Exactly one of ``finished_ok``, ``failed`` and ``stopped`` is emitted, after the last ``events``.

    Parameters
    ----------
    title : what is being done, as shown on the screen: "training defense".
    work : makes the generator; called in the job's thread.
    cancel : the token that ``work`` checks; requested by ``stop_and_keep``.
    unit : what ``Progress`` counts: "clouds", "iterations".
    immediate : starts at once instead of waiting in the queue, because a person waits for its result.
    keeps_partial : whether ``stop_and_keep`` delivers a partial result; otherwise it cancels.
    silent : whether the job strip does not report its end, because the person did not start it or chose another.
    """

    events = Signal(list)  # the events since the last emission, in order, Done included
    finished_ok = Signal(object)  # the complete result
    failed = Signal(str, str)  # error message for the person, traceback for the log
    stopped = Signal(object)  # the partial result; None after cancel()
    changed = Signal()  # status, text or meter

    def __init__(
        self,
        title: str,
        work: Work,
        cancel: Cancel,
        unit: str = "",
        *,
        immediate: bool = False,
        keeps_partial: bool = True,
        silent: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.title, self.unit = title, unit
        self.immediate, self.keeps_partial, self.silent = immediate, keeps_partial, silent
        self.status = Status.QUEUED
        self.text = ""  # of the last Progress or Note
        self.meter = Meter()
        self.suspended = False  # whether a pause or hold has taken effect: the thread waits between two events
        self._work, self._cancel = work, cancel
        self._holds = 0
        self._may_run = threading.Event()  # cleared while paused or held
        self._may_run.set()
        self._discard = False
        self._seconds = 0.0  # of work, without the time spent suspended
        self._queue: deque[tuple[float, Event]] = deque()
        self._free_slots = threading.Semaphore(MAX_PENDING_EVENTS)
        self._done_event: Done | None = None
        self._error: tuple[str, str] | None = None
        self._timer = QTimer(self, interval=EVENTS_INTERVAL_MS)
        self._timer.timeout.connect(self._deliver_events)
        self.finished.connect(self._on_finished)
        self.setStackSize(STACK_BYTES)

    def begin(self) -> None:
        """Start a queued job."""
        if self.status is Status.QUEUED:
            self._set_status(Status.RUNNING)
            self._timer.start()
            self.start()

    def pause(self) -> None:
        """Suspend the job after its current step, until ``resume``."""
        if self.status is Status.RUNNING:
            self._set_status(Status.PAUSED)

    def resume(self) -> None:
        if self.status is Status.PAUSED:
            self._set_status(Status.RUNNING)

    def hold(self) -> None:
        """Suspend the job until ``release_hold`` was called as often as ``hold``; independent of ``pause``."""
        self._holds += 1
        self._update_may_run()

    def release_hold(self) -> None:
        self._holds -= 1
        self._update_may_run()

    def stop_and_keep(self) -> None:
        """End early; ``stopped`` delivers the partial result."""
        self._cancel.request()
        if self.keeps_partial:
            self._request_end()
        else:
            self.cancel()

    def cancel(self) -> None:
        """End after the current step and drop the result."""
        self._discard = True
        self._free_slots.release()
        self._request_end()

    def _request_end(self) -> None:
        if self.status is Status.QUEUED:
            self._on_finished()
        elif not self.status.ended:
            self._set_status(Status.STOPPING)

    def _set_status(self, status: Status) -> None:
        self.status = status
        self._update_may_run()
        self.changed.emit()

    def _update_may_run(self) -> None:
        if self.status is Status.STOPPING or (self.status is not Status.PAUSED and self._holds == 0):
            self._may_run.set()
        else:
            self._may_run.clear()

    def run(self) -> None:
        try:
            events = self._work()
            try:
                self._iterate(events)
            finally:
                if hasattr(events, "close"):
                    events.close()
                del events
                give_back_freed_memory()
        except BaseException as error:  # whatever ends the thread has to be reported, SystemExit too
            _log.exception("%s failed", self.title)
            self._error = error_message(error), traceback.format_exc()

    def _iterate(self, events: Iterator[Event]) -> None:
        while True:
            if not self._may_run.is_set():
                self.suspended = True
                self._may_run.wait()
                self.suspended = False
            self._free_slots.acquire()
            if self._discard:
                return
            start = time.monotonic()
            event = next(events, None)
            self._seconds += time.monotonic() - start
            if event is None:
                return
            self._queue.append((self._seconds, event))

    def _deliver_events(self) -> None:
        batch = [self._queue.popleft() for _ in range(len(self._queue))]
        for at, event in batch:
            match event:
                case Progress(done, total, text):
                    self.meter.add(done, total, at)
                    self.text = text
                case Step(index, total):
                    self.meter.add(index, total, at)
                case Note(text):
                    self.text = text
                case Done():
                    self._done_event = event
        if batch:
            self._free_slots.release(len(batch))
            self.events.emit([event for _, event in batch])
            self.changed.emit()

    def _on_finished(self) -> None:
        self.wait()
        self._timer.stop()
        if self._discard:
            self._queue.clear()
        else:
            self._deliver_events()
        value = self._done_event.value if self._done_event is not None else None
        if self._error is not None:
            self.status = Status.FAILED
            self.failed.emit(*self._error)
        elif self._discard:
            self.status = Status.CANCELLED
            self.stopped.emit(None)
        elif self._cancel.requested if self._done_event is None else not self._done_event.complete:
            self.status = Status.STOPPED
            self.stopped.emit(value)
        else:
            self.status = Status.DONE
            self.finished_ok.emit(value)
        del self._work, self._done_event  # a reference to the ended job must not keep its data alive
        self.changed.emit()


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
        **options: bool,
    ) -> Job:
        """Queue a job, with the options of ``Job``, and start it as soon as one more may run.

        What is connected right away misses no event.
        """
        job = Job(title, work, cancel, unit, **options, parent=self)
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

    def close(self, seconds: float = 10.0) -> bool:
        """Ask every job to stop and keep its partial result, and wait; the window repaints but takes no input.

        No other job starts from now on.

        Returns whether all have ended. No thread is ever killed: if one still runs, end the process with ``os._exit``.
        """
        self._closed = True
        for job in reversed(self.jobs.copy()):  # the queued ones first, so that none of them starts
            job.stop_and_keep()
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


class LatestRequestWorker(QThread):
    """Computes only the newest of many requests, for a slider.

    There is at most one waiting request for each key: a newer one replaces it. A result is delivered even while a
    newer request waits (a moving slider would show nothing otherwise), but never after a newer result of its key and
    never after ``discard``.
    """

    ready = Signal(object, int, object)  # key, request_id, value
    failed = Signal(object, int, str, str)  # key, request_id, error message for the person, traceback for the log
    idle = Signal()  # every request has been answered
    _result_ready = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Condition()
        self._request_ids = itertools.count(1)
        self._requests: dict[Hashable, tuple[int, Callable[..., Any], tuple[Any, ...]]] = {}
        self._results: dict[Hashable, tuple[int, Any, tuple[str, str] | None]] = {}
        self._discarded: dict[Hashable, int] = {}  # results up to this request_id are not delivered
        self._busy = self._closed = False
        self._result_ready.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self.setStackSize(STACK_BYTES)

    def submit(self, key: Hashable, function: Callable[..., Any], *args: Any) -> int:
        """Request ``function(*args)``; returns the id that ``ready`` or ``failed`` will carry. Later ids are larger."""
        with self._lock:
            request_id = next(self._request_ids)
            self._requests[key] = request_id, function, args
            self._lock.notify()
        if not self._closed:
            self.start()
        return request_id

    def discard(self, key: Hashable) -> None:
        """Deliver no result for the requests made so far under this key."""
        with self._lock:
            self._discarded[key] = next(self._request_ids)
            self._requests.pop(key, None)

    def close(self, seconds: float = 10.0) -> bool:
        """Deliver nothing more and wait for the running request. Returns whether the thread has ended."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        return self.wait(QDeadlineTimer(round(seconds * 1000)))

    def run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._requests or self._closed)
                if self._closed:
                    return
                key = next(iter(self._requests))
                request_id, function, args = self._requests.pop(key)
                self._busy = True
            value, error = None, None
            try:
                value = function(*args)
            except BaseException as caught:
                _log.exception("%s failed", key)
                error = error_message(caught), traceback.format_exc()
            with self._lock:
                self._results[key] = request_id, value, error
                self._busy = False
            del function, args, value  # or the last clouds would be kept alive while no request comes
            self._result_ready.emit()

    def _deliver(self) -> None:
        with self._lock:
            results, self._results = self._results, {}
        for key, (request_id, value, error) in results.items():
            if self._closed or request_id <= self._discarded.get(key, 0):
                continue
            if error is None:
                self.ready.emit(key, request_id, value)
            else:
                self.failed.emit(key, request_id, *error)
        if results and not (self._busy or self._requests or self._closed):
            self.idle.emit()
