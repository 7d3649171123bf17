"""One of core's generators of events, run in a thread of its own."""

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator

from PySide6.QtCore import QObject, QThread, QTimer, Signal

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
    unit : what ``Progress`` counts: "clouds", "parts".
    step_unit : what ``Step`` counts, where it is not that.
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
        step_unit: str = "",
        *,
        immediate: bool = False,
        keeps_partial: bool = True,
        silent: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.title, self.unit = title, unit
        self._units = {Progress: unit, Step: step_unit or unit}
        self.immediate, self.keeps_partial, self.silent = immediate, keeps_partial, silent
        self.status = Status.QUEUED
        self.text = ""  # of the last Progress or Note, until the next Step
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
            self.unit = self._units.get(type(event), self.unit)
            match event:
                case Progress(done, total, text):
                    self.meter.add(done, total, at)
                    self.text = text
                case Step(index, total):
                    self.meter.add(index, total, at)
                    self.text = ""  # what was noted before the first step is over
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
