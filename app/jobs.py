"""Background work: the only file that knows threads.

A ``Job`` runs one of core's generators to its end, a ``JobList`` holds the running and the waiting ones, and
``Latest`` computes the newest of many requests, for a slider. All their signals arrive in the GUI thread.
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

from app.shell.notify import sentence
from app.shell.progress import Meter, Status
from core.events import Cancel, Done, Event, Note, Progress, Step
from core.runtime.allocator import give_back_freed_memory

STACK_BYTES = 16 * 2**20  # mesh readers and deep autograd graphs overflow what a secondary thread gets elsewhere
DRAIN_MS = 33
AHEAD = 5000  # events a job may be ahead of the window; without a limit a fast job would never be caught up with

_log = logging.getLogger(__name__)

Work = Callable[[], Iterator[Event]]


class Job(QThread):
    """One long operation in a thread of its own.

    Exactly one of ``finished_ok``, ``failed`` and ``stopped`` is emitted, after the last ``events``.

    Parameters
    ----------
    title : what is being done, in the words of the person: "training defense".
    work : makes the generator; called in the job's thread.
    cancel : the token that ``work`` looks at; requested by ``stop_and_keep``.
    unit : what a piece of ``Progress`` is: "clouds", "iterations".
    brief : a person waits for it, so it starts at once, beside the others.
    keeps : whether a part of it is worth keeping.
    """

    events = Signal(list)  # the events since the last time, in order, Done included
    finished_ok = Signal(object)  # the complete result
    failed = Signal(str, str)  # a sentence for the person, a traceback for the log
    stopped = Signal(object)  # the partial result; None after cancel()
    changed = Signal()  # status, text or meter

    def __init__(
        self,
        title: str,
        work: Work,
        cancel: Cancel,
        unit: str = "",
        *,
        brief: bool = False,
        keeps: bool = True,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.title, self.unit, self.brief, self.keeps = title, unit, brief, keeps
        self.status = Status.QUEUED
        self.text = ""  # of the last Progress or Note
        self.meter = Meter()
        self.resting = False  # whether a pause or hold has taken effect: the step under way is over
        self._work, self._cancel = work, cancel
        self._holds = 0
        self._go = threading.Event()  # cleared while paused or held
        self._go.set()
        self._discard = False
        self._seconds = 0.0  # of work, rests not counted
        self._queue: deque[tuple[float, Event]] = deque()
        self._room = threading.Semaphore(AHEAD)
        self._done: Done | None = None
        self._error: tuple[str, str] | None = None
        self._timer = QTimer(self, interval=DRAIN_MS)
        self._timer.timeout.connect(self._drain)
        self.finished.connect(self._finish)
        self.setStackSize(STACK_BYTES)

    def begin(self) -> None:
        """Start a queued job."""
        if self.status is Status.QUEUED:
            self._become(Status.RUNNING)
            self._timer.start()
            self.start()

    def pause(self) -> None:
        """Rest after the step under way, until ``resume``."""
        if self.status is Status.RUNNING:
            self._become(Status.PAUSED)

    def resume(self) -> None:
        if self.status is Status.PAUSED:
            self._become(Status.RUNNING)

    def hold(self) -> None:
        """Rest until there were as many ``release_hold`` as ``hold``; independent of the person's pause."""
        self._holds += 1
        self._gate()

    def release_hold(self) -> None:
        self._holds -= 1
        self._gate()

    def stop_and_keep(self) -> None:
        """End early and keep what there is; ``stopped`` brings it."""
        self._cancel.request()
        if self.keeps:
            self._end()
        else:
            self.cancel()

    def cancel(self) -> None:
        """End at the next step and drop the result."""
        self._discard = True
        self._room.release()
        self._end()

    def _end(self) -> None:
        if self.status is Status.QUEUED:
            self._finish()
        elif not self.status.ended:
            self._become(Status.STOPPING)

    def _become(self, status: Status) -> None:
        self.status = status
        self._gate()
        self.changed.emit()

    def _gate(self) -> None:
        if self.status is Status.STOPPING or (self.status is not Status.PAUSED and self._holds == 0):
            self._go.set()
        else:
            self._go.clear()

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
        except BaseException as error:  # whatever ends the thread has to reach the person, SystemExit too
            _log.exception("%s failed", self.title)
            self._error = sentence(error), traceback.format_exc()

    def _iterate(self, events: Iterator[Event]) -> None:
        while True:
            if not self._go.is_set():
                self.resting = True
                self._go.wait()
                self.resting = False
            self._room.acquire()
            if self._discard:
                return
            start = time.monotonic()
            event = next(events, None)
            self._seconds += time.monotonic() - start
            if event is None:
                return
            self._queue.append((self._seconds, event))

    def _drain(self) -> None:
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
                    self._done = event
        if batch:
            self._room.release(len(batch))
            self.events.emit([event for _, event in batch])
            self.changed.emit()

    def _finish(self) -> None:
        self.wait()
        self._timer.stop()
        if self._discard:
            self._queue.clear()
        else:
            self._drain()
        value = self._done.value if self._done is not None else None
        if self._error is not None:
            self.status = Status.FAILED
            self.failed.emit(*self._error)
        elif self._discard:
            self.status = Status.CANCELLED
            self.stopped.emit(None)
        elif self._cancel.requested if self._done is None else not self._done.complete:
            self.status = Status.STOPPED
            self.stopped.emit(value)
        else:
            self.status = Status.DONE
            self.finished_ok.emit(value)
        del self._work, self._done  # who holds the job afterwards does not hold what it worked on
        self.changed.emit()


class JobList(QObject):
    """The jobs that run or wait, in the order they came.

    Parameters
    ----------
    max_running : how many may run at a time; a paused or brief one does not count.
    """

    added = Signal(object)
    removed = Signal(object)  # the job has ended
    emptied = Signal()

    def __init__(self, *, max_running: int = 2, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs: list[Job] = []
        self._last: Job | None = None  # may not die inside its own signal, so it lives until the next one ends
        self._max_running, self._holds, self._closed = max_running, 0, False

    def submit(
        self, title: str, work: Work, cancel: Cancel, unit: str = "", *, brief: bool = False, keeps: bool = True
    ) -> Job:
        """Start a job as soon as there is room for it; no signal is missed by who connects at once."""
        job = Job(title, work, cancel, unit, brief=brief, keeps=keeps, parent=self)
        for _ in range(self._holds):
            job.hold()
        self.jobs.append(job)
        job.changed.connect(self._tidy)
        if self._closed:
            job.cancel()
        self._tidy()
        self.added.emit(job)
        return job

    def hold_all(self) -> None:
        """Let every job rest, those to come included, until ``release_all``."""
        self._holds += 1
        for job in self.jobs:
            job.hold()

    def release_all(self) -> None:
        self._holds -= 1
        for job in self.jobs:
            job.release_hold()

    def close(self, seconds: float = 10.0) -> bool:
        """Ask every job to stop and keep what it has, and wait; the window is painted meanwhile, but takes no input.

        No other job starts from now on.

        Returns whether all have ended. No thread is ever killed: if one runs on, leave the process with ``os._exit``.
        """
        self._closed = True
        for job in reversed(self.jobs.copy()):  # the waiting ones first, so that none of them starts
            job.stop_and_keep()
        if self.jobs:
            loop = QEventLoop()
            self.emptied.connect(loop.quit)
            QTimer.singleShot(round(seconds * 1000), loop, loop.quit)
            loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return not self.jobs

    def _tidy(self) -> None:
        ended = [job for job in self.jobs if job.status.ended]
        self.jobs = [job for job in self.jobs if not job.status.ended]
        for job in ended:
            job.setParent(None)
            self._last = job
            self.removed.emit(job)
        busy = sum(job.status in (Status.RUNNING, Status.STOPPING) and not job.brief for job in self.jobs)
        waiting = [job for job in self.jobs if job.status is Status.QUEUED]
        turn = [job for job in waiting if not job.brief][: max(0, self._max_running - busy)]
        for job in (*(job for job in waiting if job.brief), *turn):
            job.begin()
        if ended and not self.jobs:
            self.emptied.emit()


class Latest(QThread):
    """Computes the newest of many requests, for a slider.

    Each key is a mailbox of one slot: a newer request takes the place of a waiting one, nothing queues. A result is
    delivered even while a newer request waits (a moving slider would show nothing otherwise), but never after a
    newer result of its key and never after ``forget``.
    """

    ready = Signal(object, int, object)  # key, serial, value
    failed = Signal(object, int, str, str)  # key, serial, a sentence for the person, a traceback for the log
    idle = Signal()  # everything asked for has been delivered
    _wake = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Condition()
        self._serials = itertools.count(1)
        self._requests: dict[Hashable, tuple[int, Callable[..., Any], tuple[Any, ...]]] = {}
        self._results: dict[Hashable, tuple[int, Any, tuple[str, str] | None]] = {}
        self._forgotten: dict[Hashable, int] = {}  # results up to this serial are stale
        self._busy = self._closed = False
        self._wake.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self.setStackSize(STACK_BYTES)

    def submit(self, key: Hashable, function: Callable[..., Any], *args: Any) -> int:
        """Ask for ``function(*args)``; returns the serial that ``ready`` or ``failed`` will carry, rising by age."""
        with self._lock:
            serial = next(self._serials)
            self._requests[key] = serial, function, args
            self._lock.notify()
        if not self._closed:
            self.start()
        return serial

    def forget(self, key: Hashable) -> None:
        """Drop what waits, runs or is about to be delivered for this key: its subject is gone."""
        with self._lock:
            self._forgotten[key] = next(self._serials)
            self._requests.pop(key, None)

    def close(self, seconds: float = 10.0) -> bool:
        """Deliver nothing more, and wait for what is running. Returns whether it has ended."""
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
                serial, function, args = self._requests.pop(key)
                self._busy = True
            value, error = None, None
            try:
                value = function(*args)
            except BaseException as caught:
                _log.exception("%s failed", key)
                error = sentence(caught), traceback.format_exc()
            with self._lock:
                self._results[key] = serial, value, error
                self._busy = False
            del function, args, value  # or the last clouds would be kept alive while the slider rests
            self._wake.emit()

    def _deliver(self) -> None:
        with self._lock:
            results, self._results = self._results, {}
        for key, (serial, value, error) in results.items():
            if self._closed or serial <= self._forgotten.get(key, 0):
                continue
            if error is None:
                self.ready.emit(key, serial, value)
            else:
                self.failed.emit(key, serial, *error)
        if results and not (self._busy or self._requests or self._closed):
            self.idle.emit()
