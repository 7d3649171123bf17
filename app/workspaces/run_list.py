"""The list of training runs of this machine, also those of the command line, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QFile, QPoint, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QInputDialog, QMenu, QStackedLayout, QWidget

from app.jobs import LatestRequestWorker
from app.shell import settings
from app.shell.notify import ask, error_message
from app.shell.widgets import Label
from app.views.table import MISSING, Cell, ResultTable
from core.runtime.files import readable

if TYPE_CHECKING:
    from core.training import RunReader, RunSummary

FOLLOW_MS = 2000
"""Interval at which the folders are looked at while the list is shown."""
COLUMNS = {
    "Run": "Its name: that of its folder until it is given one",
    "State": "Running, finished, stopped by a person or an error, interrupted because its process was killed, "
    "damaged, or queued behind the training that runs",
    "Epochs": "Finished epochs, and how many it is to have",
    "Clean %": "Clean accuracy of the best epoch on the validation clouds",
    "Adv. %": "Adversarial accuracy of the best epoch on the validation clouds",
    "Dataset": "What it learns from",
    "Regime": "How it is trained",
    "Model": "Its architecture",
    "Begun": "When it was begun: the time of today, or the day",
}
STATE_COLOURS = {
    "running": "accent",
    "finished": "ok",
    "stopped": "muted",
    "interrupted": "warn",
    "damaged": "bad",
    "queued": "muted",
}


class RunList(QWidget):
    """A table of all runs. While it is visible it looks for changes, in a thread, because a disk can be slow."""

    runsSelected = Signal(list)
    """The selected runs, from top to bottom, after a selection or because one of them has gone on."""
    loadRequested = Signal(object)
    resumeRequested = Signal(object)
    optionsRequested = Signal(object)
    """A run whose options are to be those of the next training."""
    removalRequested = Signal(object)
    """A queued run is not to be trained."""
    failed = Signal(str)
    info = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: tuple[RunSummary, ...] = ()
        self._queued: tuple[RunSummary, ...] = ()
        self._to_select: Path | None = None
        """Folder of a run that is selected once it is there."""
        self._reader: RunReader | None = None
        self._worker = LatestRequestWorker(parent=self)
        self._worker.ready.connect(lambda _key, _number, runs: self._on_read(runs))
        self._timer = QTimer(self, interval=FOLLOW_MS)
        self._timer.timeout.connect(self.refresh)
        self.table = ResultTable(COLUMNS)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names of runs begin with the same day
        self.table.setAccessibleName("Training runs")
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.table.rowsSelected.connect(lambda _: self.runsSelected.emit(self.selected))
        self.table.chosen.connect(lambda folder: self._load(folder))
        trash = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.table, lambda: self.move_to_trash())
        trash.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._empty = Label("No training yet. Choose a regime and train: its run appears here.", "caption", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedLayout(self)
        for page in (self.table, self._empty):
            self._pages.addWidget(page)
        self._pages.setCurrentWidget(self._empty)

    # --- the runs ---

    def begin(self) -> None:
        """Look for runs from now on; core has been imported."""
        from core.training import RunReader

        self._reader = RunReader()
        self.refresh()

    def close_worker(self) -> bool:
        """End the thread. Returns whether it has ended."""
        self._timer.stop()
        return self._worker.close()

    def refresh(self) -> None:
        """Look for changes now."""
        if self._reader is not None:
            self._worker.submit("runs", self._read, self._reader)

    @staticmethod
    def _read(reader: RunReader) -> tuple[RunSummary, ...]:
        from core.training import run_folders

        return reader.read((settings.runs_dir(), *run_folders()))

    def set_queued(self, runs: Sequence[RunSummary]) -> None:
        """Show these runs too, which wait for the training that runs."""
        self._queued = tuple(runs)
        self._show()

    def select(self, folder: Path) -> None:
        """Select the run in ``folder``, as soon as it is there."""
        self._to_select = folder
        self._show()
        self.refresh()

    def _on_read(self, runs: tuple[RunSummary, ...]) -> None:
        if runs != self._runs:
            changed = {run.folder for run in runs} - {run.folder for run in self._runs if run in runs}
            self._runs = runs
            self._show()
            if changed & set(self.table.selected_keys):
                self.runsSelected.emit(self.selected)

    @property
    def runs(self) -> tuple[RunSummary, ...]:
        """All runs, the queued ones first; one that is to be resumed is queued."""
        queued = {run.folder for run in self._queued}
        return (*self._queued, *(run for run in self._runs if run.folder not in queued))

    @property
    def selected(self) -> list[RunSummary]:
        by_folder = {run.folder: run for run in self.runs}
        return [by_folder[folder] for folder in self.table.selected_keys if folder in by_folder]

    def _show(self) -> None:
        self.table.set_rows([(_cells(run), run.folder) for run in self.runs])
        self._pages.setCurrentWidget(self.table if self.runs else self._empty)
        if any(run.folder == self._to_select for run in self._runs):
            self.table.select([self._to_select], self._to_select)
            self._to_select = None

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # --- what a person does ---

    def _show_menu(self, place: QPoint) -> None:
        if self.selected:
            self.menu().popup(self.table.viewport().mapToGlobal(place))

    def menu(self) -> QMenu:
        """The context menu of the selected runs."""
        from core.training import RunState

        runs = self.selected
        run = runs[0] if len(runs) == 1 else None
        menu = QMenu(self)
        menu.aboutToHide.connect(menu.deleteLater)

        def add(text: str, function: Callable[[], object], enabled: bool) -> None:
            menu.addAction(text, function).setEnabled(enabled)

        if run is not None and run.state is RunState.QUEUED:
            add("Take out of the queue", lambda: self.removalRequested.emit(run), True)
            return menu
        add("Load its model", lambda: self.loadRequested.emit(run), run is not None and run.has_model)
        add("Resume", lambda: self.resumeRequested.emit(run), run is not None and run.can_go_on)
        whole = run is not None and run.state is not RunState.DAMAGED
        of_clouds = run is not None and run.of_clouds
        add("Same options again", lambda: self.optionsRequested.emit(run), of_clouds)
        menu.addSeparator()
        still = all(each.state not in (RunState.RUNNING, RunState.QUEUED) for each in runs)
        add("Rename…", self.rename, whole and still)
        add("Open its folder", lambda: _open_folder(runs[0]), run is not None)
        add("Move to the trash…", self.move_to_trash, bool(runs) and still)
        return menu

    def _load(self, folder: object) -> None:
        run = next((each for each in self.runs if each.folder == folder), None)
        if run is not None and run.has_model:
            self.loadRequested.emit(run)

    def rename(self) -> None:
        """Ask for another name of the selected run."""
        from core.training import rename_run

        run = self.selected[0]
        title, accepted = QInputDialog.getText(
            self, "Rename", "Name of the run; without one it is called as its folder:", text=run.title
        )
        if accepted:
            try:
                rename_run(run.folder, title)
            except (OSError, ValueError) as error:
                self.failed.emit(error_message(error))
            self.refresh()

    def move_to_trash(self) -> None:
        """Ask, then move the folders of the selected runs to the trash of the desktop."""
        from core.training import RunState, summarise

        busy = (RunState.RUNNING, RunState.QUEUED)
        runs = [run for run in self.selected if run.state not in busy]
        if not runs:
            return
        what = runs[0].title if len(runs) == 1 else f"{len(runs)} runs"
        kept = "Models that are loaded from there stay in this window until it is closed."
        if not ask(self, f"Move {what} to the trash?", kept, "Move to the trash", "Keep"):
            return
        waiting = {run.folder for run in self._queued}  # the question may have been open for long
        free = [run for run in runs if run.folder not in waiting and summarise(run.folder).state not in busy]
        left = [run for run in runs if run not in free or not QFile.moveToTrash(str(run.folder))]
        if left:
            names = ", ".join(readable(str(run.folder)) for run in left)
            self.failed.emit(
                f"{names} could not be moved to the trash: the folder may be on another disk or protected."
            )
        if len(left) < len(runs):
            self.info.emit(f"Moved {what} to the trash, from where it can be restored.")
        self.refresh()


def _cells(run: RunSummary) -> list[Cell]:
    """A row of the table."""
    state = Cell(str(run.state), str(run.state), STATE_COLOURS[run.state])
    if run.problem:
        rest = len(COLUMNS) - 2
        return [Cell(run.title, run.title), state, Cell(run.problem, None, "bad", rest), *[Cell()] * (rest - 1)]
    begun = run.begun.astimezone() if run.begun is not None else None
    return [
        Cell(run.title, run.title),
        state,
        Cell(f"{len(run.history)} / {run.epochs}", len(run.history)),
        *(_percent(run, name, colour) for name, colour in (("clean", "clean"), ("adversarial", "adv"))),
        *(Cell(text, text) for text in (run.dataset, run.regime, run.model)),
        Cell(day_or_time(begun, datetime.now().astimezone()), begun.timestamp()) if begun is not None else Cell(),
    ]


def _percent(run: RunSummary, name: str, colour: str) -> Cell:
    value = run.best.get(f"validation_{name}")
    return Cell(f"{100 * value:.1f}", value, colour) if value is not None else Cell(MISSING, None, "muted")


def day_or_time(begun: datetime, now: datetime) -> str:
    """The time, if it was today, else the day; the year where it is another than now."""
    if begun.date() == now.date():
        return f"{begun:%H:%M}"
    return f"{begun:%d %b}" if begun.year == now.year else f"{begun:%d %b %Y}"


def _open_folder(run: RunSummary) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(run.folder)))
