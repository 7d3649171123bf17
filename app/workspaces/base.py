"""Base class of the workspaces: options in a drawer, one job at a time with its buttons, and its result."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.jobs import Job, JobList
from app.shell import export, icons, theme
from app.shell.notify import error_message
from app.shell.progress import Status
from app.shell.widgets import Label, Splitter, button, swap_visible, tool_button
from app.store import Store

if TYPE_CHECKING:
    from app.shell.forms import OptionsForm


COPY_TIP = "Copy as command: the command line that does what is chosen here"
COPY_HEIGHT = 16  # in pixels, hardly more than the line beside it: the work needs all the height there is


class Workspace(QWidget):
    """The head that all workspaces share: start, pause, stop, export, the mark of a stale result, status and error.

    A subclass gives the content, the commands, what is chosen, and the properties ``start_text``, ``has_result`` and
    ``is_stale``, and calls `_update` when one of them may have changed.

    Parameters
    ----------
    name : of the splitter in the saved layout.
    icon : of the button that starts the job.
    stop_tip : what is kept by ``Stop and keep``.
    stale : what to do about a result that does not belong to the settings any more.
    """

    failed = Signal(str)
    info = Signal(str)
    choicesChanged = Signal()
    """What ``saved_choices`` returns may be another."""
    jobChanged = Signal()
    """Another job has started, or the job has another status."""
    modelReady = Signal(object)
    """Folder (Path) of a run whose model is to be loaded."""
    cloudMade = Signal(object, object, str, object, object)
    """To be shown on the Stage: a clean cloud, adversarial points (N, 3), the preset and the attack that made them, and
    models, the attacked one first."""

    def __init__(
        self,
        store: Store,
        jobs: JobList,
        *,
        name: str,
        icon: str,
        stop_tip: str,
        stale: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._store, self._jobs, self._name = store, jobs, name
        self.job: Job | None = None
        self._form_area = QScrollArea(widgetResizable=True)
        self._form_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._form_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its fields take the focus, and scroll it
        self.start = button("Start", icon, lambda: self.begin(), role="primary")
        self.pause = button("Pause", "pause", self._pause)
        self.stop = button("Stop and keep", "stop", self._stop, tip=stop_tip)
        self.export = button("Export", "export", lambda: None)
        self.copy = tool_button(icon="copy", role="small", tip=COPY_TIP, name="Copy as command")
        self.copy.setFixedHeight(COPY_HEIGHT)
        self.copy.clicked.connect(self.copy_command)
        self.stale = Label(stale, "chip-warn")
        self.status = Label(role="caption", wrap=True)
        self.error = Label(role="error", wrap=True)
        for widget in (self.stop, self.stale, self.error):
            widget.hide()

    # --- what a subclass says of itself ---

    @abstractmethod
    def _chosen(self) -> object | None:
        """What the job would be started with now; None while something is missing or invalid."""

    @property
    def is_chosen(self) -> bool:
        """Whether all is chosen that the job, or a command, needs."""
        return self._chosen() is not None

    @property
    def can_start(self) -> bool:
        """Whether the job can be started."""
        return self.is_chosen

    @property
    @abstractmethod
    def start_text(self) -> str:
        """Text of the button that starts the job."""

    @property
    @abstractmethod
    def has_result(self) -> bool:
        """Whether there is something to export."""

    @property
    def is_stale(self) -> bool:
        """Whether what is shown belongs to other settings than those that are chosen."""
        return False

    @abstractmethod
    def build_forms(self) -> None:
        """Make the forms; core has been imported by now."""

    @abstractmethod
    def begin(self) -> None:
        """Start the job."""

    @abstractmethod
    def commands(self) -> list[str]:
        """The command line that does what is chosen, or one for each model.

        Raises
        ------
        ValueError
            If no command does it; a sentence says why.
        """

    @property
    def not_in_commands(self) -> str:
        """What is chosen and no command does, as an end of the sentence that the commands are on the clipboard."""
        return ""

    @property
    def waiting(self) -> int:
        """Number of jobs that begin once the present one has ended."""
        return 0

    def close_threads(self) -> bool:
        """Begin nothing more, and end the threads that are not jobs. Returns whether they have ended."""
        return True

    # --- layout ---

    def _lay_out(self, content: QWidget, form_width: int, *more: QPushButton) -> None:
        """Put the options beside the head, with ``more`` buttons, and the content."""
        self._form_area.setMinimumWidth(form_width)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_S)
        for widget in (self.start, self.pause, self.stop, *more, self.export, self.stale):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        self._right = QWidget()
        column = QVBoxLayout(self._right)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_M, theme.SPACE_S)
        column.setSpacing(theme.SPACE_S)
        column.addLayout(buttons)
        said = QHBoxLayout()  # with the button that has no space beside the others in a narrow window
        said.addWidget(self.status, 1)
        said.addWidget(self.copy, alignment=Qt.AlignmentFlag.AlignTop)
        column.addLayout(said)
        column.addWidget(self.error)
        column.addWidget(content, 1)
        self._parts = Splitter(Qt.Orientation.Horizontal, self._name, {self._form_area: 0, self._right: 1})
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._parts)
        self.jobChanged.connect(self._update)

    @property
    def needed_width(self) -> int:
        """Smallest width in pixels at which neither options nor content are cut off."""
        options = self._form_area.minimumWidth() + self._parts.handleWidth() if not self._form_area.isHidden() else 0
        content = self._right.layout()
        assert content is not None
        content.invalidate()  # while it is hidden, Qt has the width of buttons that are hidden by now
        return options + content.totalMinimumSize().width()

    def reset_sizes(self) -> None:
        """Give the options and the parts of the work the sizes of the first start."""
        for each in self.findChildren(Splitter):
            each.reset_sizes()

    def set_exports(self, exports: dict[str, Callable[[], None]]) -> None:
        """Fill the menu of the export button: text -> what it does."""
        menu = QMenu(self.export)
        for text, function in exports.items():
            menu.addAction(text, function)
        self.export.setMenu(menu)

    def show_options(self, on: bool) -> None:
        """Open or close the drawer with the options."""
        self._form_area.setVisible(on)

    # --- choices that outlive the window ---

    @property
    def forms(self) -> Mapping[str, OptionsForm[Any]]:
        """The forms by name, in the order in which they are restored."""
        return {}

    def saved_choices(self) -> dict[str, Any]:
        """What is chosen here, in the types of JSON; without what is invalid at the moment."""
        values = {name: form.value() for name, form in self.forms.items()}
        return {name: value.model_dump(mode="json") for name, value in values.items() if value is not None}

    def restore_choices(self, saved: Mapping[str, Any]) -> None:
        """Choose again what ``saved_choices`` has returned at another time; what does not fit any more is left out."""
        for name in saved:
            if (form := self.forms.get(name)) is not None:
                form.restore(saved[name])

    # --- the job ---

    def _track(
        self,
        job: Job,
        finished: Callable[..., object],
        stopped: Callable[..., object],
        failed: Callable[[str], object],
    ) -> None:
        """Make a submitted job the job of this workspace until it ends, and connect its signals."""
        self.job = job
        self.show_error("")
        job.changed.connect(self.jobChanged)
        job.finished_ok.connect(finished)
        job.stopped.connect(stopped)
        job.failed.connect(lambda message, _: self._on_job_failed(failed, message))
        self.jobChanged.emit()

    def _on_job_failed(self, failed: Callable[[str], object], message: str) -> None:
        failed(message)
        self.show_error(message)
        self.failed.emit(message)

    def _pause(self) -> None:
        if self.job is not None:
            (self.job.resume if self.job.status is Status.PAUSED else self.job.pause)()

    def _stop(self) -> None:
        if self.job is not None:
            self.job.stop_and_keep()

    # --- what is shown ---

    def show_error(self, text: str) -> None:
        """Show what went wrong until the next job starts; an empty text removes it."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def _refuse(self, text: str) -> None:
        """Say why the job was not started."""
        self.show_error(text)
        self.failed.emit(text)

    def _update(self, *_: object) -> None:
        running, status = self.job is not None, None if self.job is None else self.job.status
        swap_visible(*((self.start, self.pause) if running else (self.pause, self.start)))
        self.start.setText(self.start_text)
        self.start.setEnabled(self.can_start)
        self.pause.setEnabled(status in (Status.RUNNING, Status.PAUSED))
        self.pause.setText("Resume" if status is Status.PAUSED else "Pause")
        icons.set_icon(self.pause, "play" if status is Status.PAUSED else "pause")
        self.stop.setVisible(running)
        self.stop.setEnabled(status is not Status.STOPPING)
        self.stop.setText("Stopping…" if status is Status.STOPPING else "Stop and keep")
        self.export.setVisible(self.export.menu() is not None)
        self.export.setEnabled(self.has_result and not running)
        self.copy.setEnabled(self.is_chosen)
        self.stale.setVisible(self.is_stale)

    def copy_command(self) -> None:
        """Put what ``commands`` returns on the clipboard, or say why there is no command."""
        if self.is_chosen:
            self.info.emit(export.copy_lines(self.commands, self.not_in_commands))

    def _export(self, title: str, name: str, endings: str, write: Callable[[Path], None]) -> None:
        """Ask for a file and write it; report the result or the error."""
        try:
            message = export.save_as(self, title, name, f"Files ({endings})", write)
        except (OSError, ValueError) as error:
            self.failed.emit(error_message(error))
        else:
            if message is not None:
                self.info.emit(message)
