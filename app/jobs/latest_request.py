"""A thread that computes only the newest of many requests."""

import itertools
import logging
import threading
import traceback
from collections.abc import Callable, Hashable
from typing import Any

from PySide6.QtCore import QDeadlineTimer, QObject, Qt, QThread, Signal

from app.jobs.job import STACK_BYTES
from app.shell.notify import error_message

_log = logging.getLogger(__name__)


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
