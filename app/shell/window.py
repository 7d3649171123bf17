"""The main window: puts the panels together, binds the actions, and shows messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QDialog, QMainWindow, QWidget

from app.jobs import Job, JobList
from app.shell import actions, export, help, icons, settings, theme
from app.shell.availability import Availability
from app.shell.corner import Corner
from app.shell.dropping import DropTarget, Kind
from app.shell.jobstrip import JobStrip
from app.shell.library import LibraryPanel
from app.shell.log import LogPanel
from app.shell.main_area import DRAWERS, MainArea
from app.shell.notify import Severity, Toasts, ask, error_message, tell_desktop
from app.shell.opening import Opener
from app.shell.palette import command_palette
from app.shell.plain_text import set_tooltip, title_text
from app.shell.session import Session
from app.shell.tab_order import move_focus, move_to_part
from app.shell.undo import UndoHistory
from app.stage.attack import AttackPanel
from app.stage.attack_table import AttackTable
from app.stage.controller import AttackController
from app.stage.layers import LayersDialog
from app.stage.orientation import OrientationController
from app.stage.playback import Playback
from app.stage.presenter import PairPresenter
from app.stage.stage import Stage
from app.store import Store
from app.views.pair import PairView
from app.workspaces.base import Workspace
from app.workspaces.registry import WORKSPACES, action_key
from app.workspaces.training import TrainingPanel
from core.clouds.frames import AS_IT_IS, Orientation
from core.datasets import REGISTRY

if TYPE_CHECKING:
    from core.clouds import Cloud
    from core.runtime.startup import Startup

_log = logging.getLogger(__name__)


class Window(QMainWindow):
    """The studio. ``ready`` is emitted once core and the models are loaded and the first shape is being attacked."""

    ready = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Pointward")
        self.setMinimumSize(1280, 720)
        self.resize(1600, 1000)
        self.preferences = settings.load()
        self.store = Store(self)
        self.jobs = JobList(parent=self)
        self.controller = AttackController(self.store, self.jobs, self)
        self.playback = Playback(self.store, self.controller, self)
        self.orientation = OrientationController(self.store, self.jobs, self)
        self.opener = Opener(self.store, self.jobs, self.orientation, self)
        self.toasts = Toasts(self, lambda: self.strip.message_place)
        self.log = LogPanel(self)
        self.log.setWindowFlag(Qt.WindowType.Tool)
        self._paths_to_open: list[Path] = []
        self._orientation_of_paths: Orientation | None = AS_IT_IS
        self.left_thread_running = False
        """After closing: whether a thread did not end in time, so that the process has to end without it."""
        self.actions_ = actions.build(self, self._handlers())

        self.pair = PairView()
        PairPresenter(self.pair, self.store, self.controller)
        clouds = {name: spec.summary for name, spec in REGISTRY.items() if spec.modality == "clouds"}
        self.library = LibraryPanel(self.store, clouds, self.orientation)
        self.attack = AttackPanel(self.store, self.controller, self.actions_)
        self.attack_table = AttackTable(self.store, self.controller, self.jobs, self)
        self.layers = LayersDialog(self.store, self.controller, self)
        self.stage = Stage(self.store, self.pair, self.attack)
        self.workspaces: dict[str, Workspace] = {
            info.key: info.panel(self.store, self.jobs) for info in WORKSPACES if info.panel is not None
        }
        """Those that have work beside the Stage, by key."""
        self.session = Session(self.store, self.jobs, self.opener, self.attack, self.workspaces, self)
        self.undo = UndoHistory(
            self.store, self.jobs, self.controller, self.playback, self.attack, self.orientation, self
        )
        self._lay_out()
        self._connect()
        settings.restore_window(self)
        self.area.show_workspace(self.area.workspace)

    # --- start ---

    def start_loading(self, paths: tuple[Path, ...] = (), orientation: Orientation | None = AS_IT_IS) -> None:
        """Import core and load the shipped models in the background, then open ``paths``.

        ``orientation`` is that of the clouds in these files; None: find it.
        """
        from core.runtime.startup import startup

        self._paths_to_open, self._orientation_of_paths = list(paths), orientation
        self.library.show_placeholder("Loading models…")
        self.opener.submit("loading models", lambda _: startup()).finished_ok.connect(self._on_loaded)

    def _on_loaded(self, start: Startup) -> None:
        self.menu_corner.show_device(start.device, start.read_device)
        self.menuBar().setCornerWidget(self.menu_corner)  # lays it out again
        self.store.set_shipped(start.models)
        for panel in self.workspaces.values():
            panel.build_forms()
        self.attack.load()
        self.store.set_cloud(start.cloud)
        if not start.models:
            self._show_error("No model could be loaded. Train one in the Train workspace, or open a file of weights.")
        self.session.restore(only_models=bool(self._paths_to_open))
        for path in self._paths_to_open:
            self.opener.open_path(path, self._orientation_of_paths)
        self.ready.emit()

    # --- saving ---

    def _export_clouds(self) -> None:
        scene = self.store.scene
        if scene is not None:
            self._save(lambda: export.export_clouds(self, scene, self.store.source))

    def _export_picture(self) -> None:
        store = self.store
        up = "z" if store.dataset is None else store.dataset.card.drawn_up
        self._save(lambda: export.export_picture(self, self.pair.picture, store.scene, up))

    def _copy_command(self) -> None:
        """Copy the command of the workspace that is shown."""
        panel = self.workspaces.get(self.area.workspace)
        if panel is not None:
            panel.copy_command()
        else:
            self._show_info(export.copy_command(self.store))

    def _save(self, work: Callable[[], str | None]) -> None:
        """Run an export, and show its message or its error."""
        try:
            done = work()
        except (OSError, ValueError) as error:
            self._show_error(error_message(error))
        else:
            if done is not None:
                self._show_info(done)

    # --- what is shown ---

    def _train_again(self, folder: Path) -> None:
        """Show the options of a run in the Train workspace."""
        panel = self.workspaces["train"]
        assert isinstance(panel, TrainingPanel)
        self.area.show_workspace("train")
        panel.take_options(folder)

    def _show_dialog(self, dialog: QDialog) -> None:
        """Show a dialog that stays open beside the window."""
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _show_title(self, cloud: Cloud | None) -> None:
        name = cloud.name if cloud is not None else ""
        self.setWindowTitle(title_text(f"{name} – Pointward") if name else "Pointward")

    def _reset_layout(self) -> None:
        settings.clear_window()
        self.area.reset()

    def _save_layout(self) -> None:
        settings.save_window(self)
        self.area.save()
        settings.save(all_classes=self.actions_["all_classes"].isChecked())

    def _set_theme(self, scheme: theme.Scheme) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        theme.apply(application, scheme)
        settings.save(theme=scheme)

    # --- parts ---

    def _lay_out(self) -> None:
        self.strip = JobStrip(self.jobs)
        self.area = MainArea(self.library, self.stage, self.workspaces, self.strip, self.actions_)
        self.setCentralWidget(self.area)
        taking: dict[Kind, QWidget] = {"cloud": self.pair, "model": self.stage.side, "folder": self.library}
        self.drop_target = DropTarget(self, self.opener, self.area, taking)

        self.menu_corner = Corner(self)
        self.menuBar().setCornerWidget(self.menu_corner)
        for key, button in (
            ("vectors", self.pair.vectors),
            ("overlay", self.pair.overlay),
            ("gradients", self.pair.gradients),
            ("critical", self.pair.critical),
            ("link_cameras", self.pair.linked),
        ):
            button.toggled.connect(self.actions_[key].setChecked)
            set_tooltip(button, f"{button.accessibleName()} ({self.actions_[key].shortcut().toString()})")
        self.stage.verdict.view.allShown.connect(self.actions_["all_classes"].setChecked)
        self.stage.verdict.view.set_all(self.preferences.all_classes)
        self.actions_["link_cameras"].setChecked(True)
        self.actions_[f"theme_{self.preferences.theme}"].setChecked(True)

    def _connect(self) -> None:
        store, controller = self.store, self.controller
        store.cloudChanged.connect(self._show_title)
        self.stage.verdict.traces.stepChosen.connect(controller.seek)
        self.pair.colouringChanged.connect(controller.set_colouring)
        controller.failed.connect(self._show_error)
        self.playback.playingChanged.connect(
            lambda playing: icons.set_icon(self.actions_["play"], "pause" if playing else "play")
        )
        opener = self.opener
        opener.preparing.connect(self.library.show_placeholder)
        opener.datasetNotOpened.connect(self.library.refresh)
        self.library.datasetChosen.connect(opener.open_dataset)
        self.library.openClicked.connect(opener.choose_file)
        self.stage.models.defense.failed.connect(self._show_error)
        self.stage.models.optionsRequested.connect(self._train_again)
        self.stage.models.openClicked.connect(opener.choose_file)
        self.orientation.chosen.connect(settings.save_orientation)
        self.orientation.hintFound.connect(self._show_hint)
        self.orientation.datasetTurned.connect(opener.open_dataset)
        self.attack_table.taken.connect(self.attack.take)
        self.strip.ended.connect(self._on_job_ended)
        self.toasts.unreadChanged.connect(self._show_unread)
        self.menu_corner.logRequested.connect(self.log.open)
        self.menu_corner.paletteRequested.connect(self.actions_["find_action"].trigger)
        self.log.opened.connect(self.toasts.mark_read)
        for panel in self.workspaces.values():
            panel.modelReady.connect(opener.open_path)
            panel.cloudMade.connect(self.attack.show_made)
            panel.failed.connect(self._show_error)
            panel.info.connect(self._show_info)
        self.area.arranged.connect(self.toasts.position, Qt.ConnectionType.QueuedConnection)  # once it is laid out
        self.session.restored.connect(self.undo.begin)
        self.undo.changed.connect(self._show_undo)
        self._show_undo()
        Availability(self)
        self.session.saving.connect(self._save_layout)
        self.session.info.connect(self._show_info)
        self.session.watch(self.actions_, self)
        self.drop_target.failed.connect(self._show_error)
        for source in (opener, self.orientation, self.attack_table):
            source.failed.connect(self._show_error)
            source.info.connect(self._show_info)

    def _handlers(self) -> dict[str, Callable[..., object]]:
        """The handler of each action; the panels exist by the time one is triggered."""
        return {
            "open_file": self.opener.choose_file,
            "open_folder": lambda: self.opener.choose_folder("Open a folder of clouds or of class folders"),
            "open_run": lambda: self.opener.choose_folder("Open the folder of a training run"),
            "recent": self.opener.fill_recent,
            "export_clouds": self._export_clouds,
            "export_picture": self._export_picture,
            "quit": self.close,
            "undo": lambda: self.undo.undo(),
            "redo": lambda: self.undo.redo(),
            "copy_picture": lambda: self._save(lambda: export.copy_picture(self.pair.picture(2))),
            "copy_numbers": lambda: self.stage.verdict.copy_numbers(),
            "copy_command": self._copy_command,
            "overlay": lambda on: self.pair.overlay.setChecked(on),
            "vectors": lambda on: self.pair.vectors.setChecked(on),
            "gradients": lambda on: self.pair.gradients.setChecked(on),
            "critical": lambda on: self.pair.critical.setChecked(on),
            "link_cameras": lambda on: self.pair.linked.setChecked(on),
            "reset_camera": lambda: self.pair.reset_cameras(),
            **{f"look_{side.lower()}": lambda side=side: self.pair.look_from(side) for side in actions.SIDES},
            "orthographic": lambda on: self.pair.set_orthographic(on),
            "all_classes": lambda on: self.stage.verdict.view.set_all(on),
            **{action_key(info.key): lambda key=info.key: self.area.show_workspace(key) for info in WORKSPACES},
            **{drawer: lambda on, drawer=drawer: self.area.toggle_drawer(drawer, on) for drawer in DRAWERS},
            "next_part": lambda: move_to_part(self._focus_parts, True),
            "previous_part": lambda: move_to_part(self._focus_parts, False),
            "maximise_work": lambda _: self.area.arrange(),
            "focus_pair": lambda _: self.area.arrange(),
            "reset_layout": self._reset_layout,
            "theme_system": lambda: self._set_theme("system"),
            "theme_dark": lambda: self._set_theme("dark"),
            "theme_light": lambda: self._set_theme("light"),
            "play": self.playback.toggle,
            "step": self.controller.step,
            "step_back": self.playback.step_back,
            "reset": self.playback.reset,
            "run_to_end": self.playback.to_end,
            "previous_shape": lambda: self.library.move_by(-1),
            "next_shape": lambda: self.library.move_by(1),
            "next_up_axis": self.orientation.next_axis,
            "turn_shape": self.orientation.turn,
            "choose_target": lambda: self.attack.choose_target(),
            "focus_epsilon": lambda: self.attack.focus_epsilon(),
            "compare_attacks": lambda: self._show_dialog(self.attack_table),
            "layers": lambda: self._show_dialog(self.layers),
            "pause_job": lambda: self.strip.pause(),
            "stop_job": lambda: self.strip.stop(),
            "cancel_job": lambda: self.strip.cancel(),
            "find_action": lambda: command_palette(self, self.actions_).popup(),
            "first_steps": lambda: help.first_steps(self),
            "shortcuts": lambda: help.shortcuts(self),
            "show_log": self.log.open,
            "diagnostics": lambda: help.diagnostics(self, settings.cache_dir()),
            "about": lambda: help.about(self),
        }

    def _may_stop(self, jobs: Sequence[Job], waiting: int) -> bool:
        """Ask whether to close, while jobs run and ``waiting`` trainings are queued."""
        what = jobs[0].title if len(jobs) == 1 else f"{len(jobs)} jobs"
        kept = "What is finished is kept; a training can be resumed."
        if waiting:
            kept += f" {waiting} queued training{'s are' if waiting > 1 else ' is'} not begun."
        return ask(self, f"Stop {what} and close?", kept, "Stop and keep", "Stay")

    def _show_undo(self) -> None:
        """Say in the menu what Undo and Redo will change."""
        for key, what in (("undo", self.undo.next_undo), ("redo", self.undo.next_redo)):
            self.actions_[key].setText(f"{key.capitalize()} {what}".rstrip())

    def _show_hint(self, text: str) -> None:
        """Tell of a file that lies, unless the library is open, which has the hint and a button."""
        if not self.library.isVisible():
            self.toasts.show(Severity.INFO, f"{text}.", ("Turn it", self.orientation.follow_hint))

    def _show_unread(self, count: int) -> None:
        """Count the errors at the top right, unless the log is being read, which has them."""
        if count and self.log.isActiveWindow():
            self.toasts.mark_read()
        else:
            self.menu_corner.show_errors(count)

    def _on_job_ended(self, text: str) -> None:
        if self.isVisible() and not self.isActiveWindow():
            tell_desktop(self, text)

    def _show_info(self, text: str) -> None:
        self.toasts.show(Severity.INFO, text)

    def _show_error(self, text: str) -> None:
        self.toasts.show(Severity.ERROR, text)

    # --- Qt ---

    @property
    def _focus_parts(self) -> tuple[QWidget, ...]:
        return (*self.area.tab_order, self.menu_corner, *self.toasts.visible)

    def focusNextPrevChild(self, forward: bool) -> bool:
        return move_focus(self._focus_parts, forward)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask first if that ends what the person has started."""
        running = [job for job in self.jobs.jobs if not (job.immediate or job.status.ended)]
        waiting = sum(panel.waiting for panel in self.workspaces.values())
        if running and self.isVisible() and not self._may_stop(running, waiting):
            event.ignore()
            return
        self.session.close()
        ended = [
            self.controller.close(),
            self.layers.close_threads(),
            self.jobs.close(),
            *(each.close_threads() for each in self.workspaces.values()),
        ]
        self.left_thread_running = not all(ended)
        super().closeEvent(event)
