"""The strip at the lower edge of the window: the current job, its progress, and buttons to pause, stop or cancel it."""

from PySide6.QtCore import QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QProgressBar, QSizePolicy, QToolButton

from app.jobs import Job, JobList
from app.shell import icons, theme
from app.shell.notify import STRIP_HEIGHT, ask
from app.shell.plain_text import button_text, set_tooltip
from app.shell.progress import Status
from app.shell.widgets import Label, keep_space, tool_button
from core.runtime.text import printable

REFRESH_MS = 250  # numbers that change more often cannot be read
MIN_TEXT_WIDTH, BAR_WIDTH = 360, 140
ENDINGS = {
    Status.DONE: "is finished.",
    Status.STOPPED: "was stopped; what it had is kept.",
    Status.CANCELLED: "was cancelled.",
    Status.FAILED: "failed; the log has the details.",
}


def time_left(seconds: float) -> str:
    """The remaining time in words, rounded coarsely because it is an estimate."""
    minutes = round(seconds / 60)
    if seconds < 1:
        return "almost done"
    if seconds < 90:
        return f"{seconds:.0f} s left"
    if minutes < 90:
        return f"{minutes} min left"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes / 1440:.0f} days left"


def rate(pieces: float, unit: str) -> str:
    """Items per second with three significant digits, or seconds per item if that is more than one."""
    if pieces < 1:
        return f"{1 / pieces:#.3g} s each"
    return f"{pieces:,.0f} {unit}/s" if pieces >= 99.95 else f"{pieces:#.3g} {unit}/s"


class JobStrip(QFrame):
    """One row for the current job, and a menu of the others. Its layout stays the same when jobs or numbers change."""

    ended = Signal(str)
    """How a job has ended that a person may have left to itself."""
    changed = Signal()
    """Another job is shown, or it has another status."""

    def __init__(self, jobs: JobList) -> None:
        super().__init__()
        self._jobs = jobs
        self._chosen: Job | None = None
        self._last_message = "No job is running."
        self.setFixedHeight(STRIP_HEIGHT)
        self._text = Label()
        self._text.setMinimumWidth(MIN_TEXT_WIDTH)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._bar = QProgressBar(textVisible=False)
        self._bar.setAccessibleName("Progress of the job")
        self._bar.setFixedWidth(BAR_WIDTH)
        self._percent = self._number("100\u2009%")
        self._rate = self._number("1,000 iterations/s")
        self._left = self._number("23 h 59 min left")
        self._more = tool_button(role="flat")
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more.setMenu(QMenu(self._more))
        self._more.menu().aboutToShow.connect(self._list_jobs)
        self._pause = tool_button("Resume", "play", role="flat")
        self._stop = tool_button("Stop and keep", "stop", role="flat", tip="End now and keep what there is")
        self._cancel = tool_button(icon="close", role="flat", tip="End now and drop the result", name="Cancel")
        self._pause.clicked.connect(self.pause)
        self._stop.clicked.connect(self.stop)
        self._cancel.clicked.connect(self.cancel)

        row = QHBoxLayout(self)
        row.setContentsMargins(theme.SPACE_M, 0, theme.SPACE_S, 0)
        row.setSpacing(theme.SPACE_S)
        numbers = (self._bar, self._percent, self._rate, self._left)
        buttons = (self._more, self._pause, self._stop, self._cancel)
        row.addWidget(self._text, 1)
        for widget in (*numbers, *buttons):
            keep_space(widget)
            row.addWidget(widget)
        self._job_widgets = (*numbers, *buttons[1:])
        self._pause.setFixedWidth(self._pause.sizeHint().width())

        self._timer = QTimer(self, interval=REFRESH_MS)
        self._timer.timeout.connect(self._show)
        jobs.added.connect(self._show)
        jobs.removed.connect(self._on_removed)
        self._show()

    @property
    def message_place(self) -> QRect:
        """Where messages are shown, in pixels of the window: over all but the buttons of the job."""
        return QRect(self.mapTo(self.window(), QPoint()), QSize(self._pause.x() - theme.SPACE_S, self.height()))

    @property
    def current(self) -> Job | None:
        """The job that is shown: chosen from the menu, else an immediate one, else the oldest."""
        if self._chosen in self._jobs.jobs:
            return self._chosen
        return next(iter(sorted(self._jobs.jobs, key=lambda job: not job.immediate)), None)

    @property
    def can_pause(self) -> bool:
        """Whether the current job can be paused or resumed."""
        return self.current is not None and self.current.status in (Status.RUNNING, Status.PAUSED)

    @property
    def can_end(self) -> bool:
        """Whether there is a job that is not about to end."""
        return self.current is not None and self.current.status is not Status.STOPPING

    @property
    def can_keep(self) -> bool:
        """Whether the current job can end with a partial result."""
        return self.can_end and self.current is not None and self.current.keeps_partial

    def pause(self) -> None:
        """Pause or resume the current job."""
        if (job := self.current) is not None:
            (job.resume if job.status is Status.PAUSED else job.pause)()
            self._show()

    def stop(self) -> None:
        """End the current job and keep its partial result."""
        if (job := self.current) is not None:
            job.stop_and_keep()
            self._show()

    def cancel(self) -> None:
        """End the current job and drop its result; asks first if it has started."""
        job = self.current
        lost = "Its result is dropped; files that it has finished stay."
        if job is not None and (
            job.status is Status.QUEUED or ask(self.window(), f"Cancel {job.title}?", lost, "Cancel it", "Go on")
        ):
            job.cancel()
            self._show()

    def _number(self, widest: str) -> Label:
        """A label for changing digits, as wide as the text ``widest``."""
        label = Label()
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        label.setFont(theme.tabular())
        label.setFixedWidth(label.fontMetrics().horizontalAdvance(widest))
        return label

    def _list_jobs(self) -> None:
        """Fill the menu with the other jobs."""
        menu = self._more.menu()
        menu.clear()
        for job in self._jobs.jobs:
            if job is not self.current:
                menu.addAction(button_text(_status_line(job)), lambda job=job: self._choose(job))

    def _choose(self, job: Job) -> None:
        self._chosen = job
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_text()

    def _on_removed(self, job: Job) -> None:
        if not job.silent:
            self._last_message = f"{job.title[:1].upper()}{job.title[1:]} {ENDINGS[job.status]}"
            if not job.immediate:
                self.ended.emit(self._last_message)
        self._show()

    def _show(self) -> None:
        job, others = self.current, len(self._jobs.jobs) - 1
        for widget in self._job_widgets:
            widget.setVisible(job is not None and (job.keeps_partial or widget is not self._stop))
        self._more.setVisible(others > 0)
        self._more.setText(f"+{max(1, others)} more")
        self._show_text()
        self.changed.emit()
        if job is None:
            self._timer.stop()
            return
        self._timer.start()
        meter, running = job.meter, job.status is Status.RUNNING
        share = meter.fraction
        unknown = share is None and running
        self._bar.setRange(0, 0 if unknown else 1000)
        self._bar.setValue(round(1000 * (share or 0)))
        self._percent.setText("" if share is None else f"{100 * share:.0f}\u2009%")
        self._rate.setText("" if meter.rate is None or not running else rate(meter.rate, job.unit))
        self._left.setText("" if meter.seconds_left is None or not running else time_left(meter.seconds_left))
        self._show_pause(job.status is Status.PAUSED)
        self._pause.setEnabled(self.can_pause)
        for button in (self._stop, self._cancel):
            button.setEnabled(self.can_end)

    def _show_text(self) -> None:
        text = printable(self._last_message if self.current is None else _status_line(self.current))
        width = max(MIN_TEXT_WIDTH, self._text.width())
        self._text.setText(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width))
        set_tooltip(self._text, text)

    def _show_pause(self, paused: bool) -> None:
        if paused != (self._pause.text() == "Resume"):
            self._pause.setText("Resume" if paused else "Pause")
            icons.set_icon(self._pause, "play" if paused else "pause")


def _status_line(job: Job) -> str:
    """Title and state of a job; "pausing" and "stopping" while its current step still runs."""
    words = {
        Status.QUEUED: "waits for its turn",
        Status.PAUSED: "paused" if job.suspended else "pausing…",
        Status.STOPPING: "stopping…",
    }.get(job.status, job.text)
    return f"{job.title} · {words}" if words else job.title
