"""What is below the menu bar: the rail, the library, the work and the Stage, arranged for each workspace."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.shell import settings
from app.shell.jobstrip import JobStrip
from app.shell.library import WIDTH as LIBRARY_WIDTH
from app.shell.library import LibraryPanel
from app.shell.rail import Rail
from app.stage.stage import COLUMN_WIDTHS, UNLIMITED, Arrangement, Stage
from app.workspaces.base import Workspace
from app.workspaces.registry import ATTACK, WORKSPACES, action_key

DRAWERS_OPEN_FROM = 1400
"""Width of the window in pixels from which drawers are open at the first start."""
WORK_PLACE, STAGE_PLACE = 1, 2
"""Among the parts: the library, the work, the Stage."""
STAGE_SHARE = 0.297
"""Of the width, for the Stage beside the work at the first start."""
DRAWERS = ("library", "options")
"""Keys of the actions that open and close a drawer."""


class MainArea(QWidget):
    """Shows one workspace at a time. The Stage is always there, and each workspace keeps its widths and drawers."""

    arranged = Signal()
    """What is shown may be another."""

    def __init__(
        self,
        library: LibraryPanel,
        stage: Stage,
        panels: Mapping[str, Workspace],
        strip: JobStrip,
        actions: Mapping[str, QAction],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.library, self.stage, self.strip, self._panels, self._actions = library, stage, strip, panels, actions
        saved = settings.load()
        self.workspace = saved.workspace if saved.workspace in panels else ATTACK
        self._stage_widths = dict(saved.stage_widths)
        """Of workspaces, where it was dragged."""
        self._library_width = max(saved.library_width, LIBRARY_WIDTH)
        self._open = {"library": dict(saved.library_open), "options": dict(saved.options_open)}
        self._drawers_start_open: bool | None = None
        """Whether there is space for drawers; decided by the width of the window when it is arranged first."""
        stage.set_sizes(saved.stage_parts)
        self.rail = Rail(
            [actions[action_key(info.key)] for info in WORKSPACES], [actions[drawer] for drawer in DRAWERS]
        )
        self.work = QStackedWidget()
        self.work.setAccessibleName("Work area")
        for panel in panels.values():
            self.work.addWidget(panel)
        self._parts = QSplitter(Qt.Orientation.Horizontal)
        self._parts.setChildrenCollapsible(False)
        for part in (library, self.work, stage):
            self._parts.addWidget(part)
        self._parts.splitterMoved.connect(self._on_dragged)
        right = QVBoxLayout()
        right.addWidget(self._parts, 1)
        right.addWidget(strip)
        whole = QHBoxLayout(self)
        whole.addWidget(self.rail)
        whole.addLayout(right, 1)
        for layout in (right, whole):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)

    @property
    def tab_order(self) -> tuple[QWidget, ...]:
        """The parts in the order in which the Tab key goes through them."""
        stage = self.stage
        return self.rail, self.library, stage.side, stage.pair, stage.strip, self.work, self.strip

    @property
    def has_work(self) -> bool:
        """Whether this workspace has something beside the Stage."""
        return self.workspace in self._panels

    @property
    def only_pair(self) -> bool:
        """Whether all but the pair view and the slider is hidden."""
        return self._actions["focus_pair"].isChecked()

    @property
    def maximised(self) -> bool:
        """Whether the work has the space of the pair view, too."""
        return self._actions["maximise_work"].isChecked() and self.has_work and not self.only_pair

    def show_workspace(self, key: str) -> None:
        """Show another workspace; the Stage goes on as it is."""
        self._actions["focus_pair"].setChecked(False)
        self.workspace = key
        if key in self._panels:
            self.work.setCurrentWidget(self._panels[key])
        self.arrange()

    def toggle_drawer(self, drawer: str, on: bool) -> None:
        """Open or close the library or the options, in this workspace; a narrow window has space for one of them."""
        self._open[drawer][self.workspace] = on
        if on and self.window().width() < DRAWERS_OPEN_FROM:
            for other in DRAWERS:
                if other != drawer:
                    self._open[other][self.workspace] = False
        self.arrange()

    def arrange(self) -> None:
        """Show and hide the parts as the workspace, its drawers, and the two actions for more space want it."""
        if self._drawers_start_open is None:
            self._drawers_start_open = self.window().width() >= DRAWERS_OPEN_FROM
        panel, only_pair, maximised = self._panels.get(self.workspace), self.only_pair, self.maximised
        beside = panel is not None and not maximised and not only_pair
        self._actions[action_key(self.workspace)].setChecked(True)
        for drawer in DRAWERS:
            self._actions[drawer].setChecked(self._is_open(drawer))
        self.rail.setVisible(not only_pair)
        self.library.setVisible(self._is_open("library") and not only_pair and not maximised)
        self.work.setVisible(panel is not None and not only_pair)
        if panel is not None:
            panel.show_options(self._is_open("options"))
            self.work.setMinimumWidth(panel.needed_width)  # not that of the widest of all
        self._parts.setOrientation(Qt.Orientation.Vertical if maximised else Qt.Orientation.Horizontal)
        if only_pair:
            self.stage.arrange(Arrangement.PAIR)
        elif maximised:
            self.stage.arrange(Arrangement.BAR)
        else:
            self.stage.arrange(Arrangement.COLUMN if beside else Arrangement.WIDE)
        self._parts.setStretchFactor(WORK_PLACE, 1)
        self._parts.setStretchFactor(STAGE_PLACE, int(not beside and not maximised))
        if maximised:
            self._parts.setSizes([0, UNLIMITED, 0])  # the Stage takes its smallest height
        else:
            self._set_widths(beside)
        self.arranged.emit()

    def reset(self) -> None:
        """Give every part the size and place of the first start."""
        self._stage_widths, self._open = {}, {drawer: {} for drawer in DRAWERS}
        self._library_width, self._drawers_start_open = LIBRARY_WIDTH, None
        for key in ("focus_pair", "maximise_work"):
            self._actions[key].setChecked(False)
        self.stage.reset_sizes()
        for panel in self._panels.values():
            panel.reset_sizes()
        self.arrange()

    def save(self) -> None:
        """Save the workspace, sizes and drawers for the next start."""
        settings.save(
            workspace=self.workspace,
            stage_widths=self._stage_widths,
            stage_parts=self.stage.sizes,
            library_width=self._library_width,
            library_open=self._open["library"],
            options_open=self._open["options"],
        )

    # --- internals ---

    def _is_open(self, drawer: str) -> bool:
        if drawer == "options" and not self.has_work:
            return False
        by_default = bool(self._drawers_start_open) and (drawer == "options" or self.workspace == ATTACK)
        return self._open[drawer].get(self.workspace, by_default)

    def _on_dragged(self, _: int, handle: int) -> None:
        """Keep the width that was given to the Stage beside the work, or to the library."""
        if handle == STAGE_PLACE and self.stage.arrangement is Arrangement.COLUMN:
            self._stage_widths[self.workspace] = self.stage.width()
        elif self.library.isVisible():
            self._library_width = self.library.width()

    def _set_widths(self, beside: bool) -> None:
        whole = self._parts.width()
        library = self._library_width if self.library.isVisibleTo(self) else 0
        low, high = COLUMN_WIDTHS
        share = max(low, min(round(STAGE_SHARE * self.window().width()), high))
        stage = self._stage_widths.get(self.workspace, share) if beside else whole - library
        self._parts.setSizes([library, max(0, whole - library - stage), stage])
