"""Status, speed and remaining time of a long operation."""

from collections import deque
from enum import StrEnum


class Status(StrEnum):
    """What a job is doing, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (Status.DONE, Status.STOPPED, Status.CANCELLED, Status.FAILED)


class Meter:
    """Speed and remaining time, from the reports of the last ``WINDOW`` seconds of work.

    A report with another total, or with less done than before, starts a new measurement.
    """

    WINDOW = 30.0

    def __init__(self) -> None:
        self.done = self.total = 0
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, done: int, total: int, at: float) -> None:
        """Report that ``done`` of ``total`` items were finished after ``at`` seconds of work."""
        if total != self.total or done < self.done:
            self._samples.clear()
        self.done, self.total = done, total
        if len(self._samples) > 1 and at - self._samples[-2][0] < 0.1:
            self._samples.pop()  # keep at most ten a second
        self._samples.append((at, done))
        while len(self._samples) > 2 and at - self._samples[1][0] >= self.WINDOW:
            self._samples.popleft()

    @property
    def fraction(self) -> float | None:
        """0 to 1; None before the first report."""
        return min(1.0, self.done / self.total) if self.total > 0 else None

    @property
    def rate(self) -> float | None:
        """Items per second; None until two reports are a quarter of a second apart."""
        if len(self._samples) < 2:
            return None
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end - start >= 0.25 and after > before else None

    @property
    def seconds_left(self) -> float | None:
        """Remaining seconds of work; None while the rate is unknown."""
        return None if self.rate is None else (self.total - self.done) / self.rate
