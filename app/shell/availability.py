"""Which actions can do something now: the others are disabled, in menus, on buttons and in the palette."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.shell.actions import SIDES

if TYPE_CHECKING:
    from app.shell.window import Window
    from core.live import Scene

OF_THE_PAIR = (
    *("overlay", "vectors", "gradients", "critical", "link_cameras", "reset_camera", "orthographic"),
    *(f"look_{side.lower()}" for side in SIDES),
)
"""Keys of the actions whose effect is seen in the pair view alone."""


class Availability(QObject):
    """Enables the actions of a window while they can do something; those without a rule always can."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._actions, self._rules = window.actions_, _rules(window)
        store = window.store
        for changed in (
            *(panel.choicesChanged for panel in window.workspaces.values()),
            store.datasetChanged,
            store.cloudChanged,
            store.modelsChanged,
            store.attackChanged,
            store.historyChanged,
            window.controller.busyChanged,
            window.playback.playingChanged,
            window.orientation.changed,
            window.library.shapes.modelReset,
            window.strip.changed,
            window.undo.changed,
            window.area.arranged,
        ):
            changed.connect(self._update)
        self._has_scene = False
        store.sceneChanged.connect(self._on_scene)
        self._update()

    def _on_scene(self, scene: Scene | None) -> None:
        """There is a new scene with each move of the slider, but only the first and the end of all matter."""
        if (scene is not None) != self._has_scene:
            self._has_scene = scene is not None
            self._update()

    def _update(self, *_: object) -> None:
        for key, can in self._rules.items():
            self._actions[key].setEnabled(can())


def _rules(window: Window) -> dict[str, Callable[[], bool]]:
    """Whether an action can do something, by its key."""
    store, area, strip = window.store, window.area, window.strip
    playback, orientation, undo = window.playback, window.orientation, window.undo

    def attacked() -> bool:
        return store.scene is not None

    def shown() -> bool:
        return store.cloud is not None

    def can_turn() -> bool:
        return orientation.has_subject and orientation.expected is not None

    def has_work() -> bool:
        return area.has_work and not area.only_pair

    def has_command() -> bool:
        panel = window.workspaces.get(area.workspace)
        return attacked() if panel is None else panel.is_chosen

    def shows_all_of_the_stage() -> bool:
        return not (area.only_pair or area.maximised)

    return {
        "export_clouds": attacked,
        "export_picture": shown,
        "undo": lambda: bool(undo.next_undo),
        "redo": lambda: bool(undo.next_redo),
        "copy_numbers": attacked,
        "copy_picture": shown,
        "copy_command": has_command,
        "library": shows_all_of_the_stage,
        "options": has_work,
        "maximise_work": has_work,
        **{key: lambda: not area.maximised for key in OF_THE_PAIR},
        "all_classes": shows_all_of_the_stage,
        "play": lambda: playback.playing or playback.can_seek,
        "step": lambda: playback.can_step,
        "step_back": lambda: playback.can_seek and store.position > 0,
        "reset": lambda: playback.can_seek and store.position > 0,
        "run_to_end": lambda: playback.can_seek and (window.controller.made_elsewhere or not playback.at_end),
        "previous_shape": lambda: window.library.can_move,
        "next_shape": lambda: window.library.can_move,
        "next_up_axis": can_turn,
        "turn_shape": can_turn,
        "choose_target": lambda: shows_all_of_the_stage() and store.attack is not None and bool(store.classes),
        "focus_epsilon": attacked,
        "compare_attacks": attacked,
        "layers": attacked,
        "pause_job": lambda: strip.can_pause,
        "stop_job": lambda: strip.can_keep,
        "cancel_job": lambda: strip.can_end,
    }
