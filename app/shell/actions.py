"""The table of all actions, from which menus, buttons, shortcuts, command palette and help are made.

Shortcuts that are single letters work in the whole window except in a text field, which receives the letter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from typing import Literal

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from app.shell import icons
from app.shell.plain_text import set_tooltip
from app.workspaces.registry import WORKSPACES, action_key

SIDES = ("Front", "Back", "Left", "Right", "Top", "Bottom")
"""Viewpoints with a key of their own, from 1."""

Kind = Literal["command", "toggle", "choice", "submenu"]


@dataclass(frozen=True)
class ActionInfo:
    """One action.

    The handler of a command or a choice is called without arguments, that of a toggle with the new state (bool), and
    that of a submenu with its QMenu, which it fills, each time the submenu is about to open.
    """

    key: str
    menu: str
    group: str
    """Groups of a menu are separated by a line; of the choices in a group exactly one is checked."""
    text: str
    tip: str
    shortcut: str = ""
    icon: str = ""
    kind: Kind = "command"


ACTIONS: tuple[ActionInfo, ...] = (
    ActionInfo("open_file", "File", "open", "Open file…", "Open a point cloud or a mesh.", "Ctrl+O", "open"),
    ActionInfo(
        "open_folder",
        "File",
        "open",
        "Open folder…",
        "Open a folder of clouds, or one of class folders as a dataset.",
        "Ctrl+Shift+O",
        "folder",
    ),
    ActionInfo("open_run", "File", "open", "Open run…", "Load the model of a training run.", "Ctrl+Shift+R"),
    ActionInfo("recent", "File", "open", "Open recent", "Files and runs opened last.", kind="submenu"),
    ActionInfo(
        "export_clouds",
        "File",
        "export",
        "Export clouds…",
        "Save the clean and the adversarial cloud.",
        "Ctrl+S",
        "save",
    ),
    ActionInfo(
        "export_picture",
        "File",
        "export",
        "Export picture…",
        "Save the pair view, or as PDF or SVG a figure of both clouds and all confidences.",
        "Ctrl+E",
        "export",
    ),
    ActionInfo("quit", "File", "quit", "Quit", "Close Pointward; jobs are stopped and keep what they have.", "Ctrl+Q"),
    ActionInfo("undo", "Edit", "history", "Undo", "Take back the last choice or attack step.", "Ctrl+Z"),
    ActionInfo("redo", "Edit", "history", "Redo", "Choose again what was taken back.", "Ctrl+Shift+Z"),
    ActionInfo(
        "copy_numbers",
        "Edit",
        "copy",
        "Copy numbers",
        "Copy verdicts and distances as a table.",
        "Ctrl+Shift+C",
        "copy",
    ),
    ActionInfo(
        "copy_picture",
        "Edit",
        "copy",
        "Copy picture",
        "Copy both clouds as a picture, twice as large as on the screen.",
        "Ctrl+Alt+C",
        "copy",
    ),
    ActionInfo(
        "copy_command",
        "Edit",
        "copy",
        "Copy as command",
        "Copy the command line of the shown workspace: this attack, training, evaluation, map or transfer.",
        "Ctrl+Shift+L",
        "copy",
    ),
    *(
        ActionInfo(
            action_key(info.key), "View", "workspace", info.title, info.tip, f"Ctrl+{place}", info.icon, "choice"
        )
        for place, info in enumerate(WORKSPACES, start=1)
    ),
    ActionInfo("library", "View", "drawer", "Library", "Show or hide the shapes.", "F8", "library", "toggle"),
    ActionInfo("options", "View", "drawer", "Options", "Show or hide the options here.", "F9", "settings", "toggle"),
    ActionInfo(
        "next_part", "View", "part", "Go to next part", "Put the keyboard into the next part of the window.", "F6"
    ),
    ActionInfo(
        "previous_part", "View", "part", "Go to previous part", "Put the keyboard into the part before it.", "Shift+F6"
    ),
    ActionInfo(
        "overlay", "View", "pair", "Overlay", "Draw the clean points in the adversarial view.", "O", "overlay", "toggle"
    ),
    ActionInfo("vectors", "View", "pair", "Vectors", "Draw how each point was moved.", "V", "vectors", "toggle"),
    ActionInfo(
        "gradients",
        "View",
        "pair",
        "Gradients",
        "Colour points by the gradient of the loss; points that the model does not see are faint.",
        "G",
        "gradient",
        "toggle",
    ),
    ActionInfo(
        "critical",
        "View",
        "pair",
        "Critical points",
        "Colour points by the number of channels whose maximum they attain in the attacked model.",
        "K",
        "critical",
        "toggle",
    ),
    ActionInfo("link_cameras", "View", "camera", "Link cameras", "Turn both views together.", "L", "link", "toggle"),
    ActionInfo(
        "reset_camera", "View", "camera", "Reset cameras", "Look from the first direction again.", "Ctrl+0", "camera"
    ),
    *(
        ActionInfo(
            f"look_{name.lower()}", "View", "viewpoint", name, f"Look at both shapes: {name.lower()}.", str(place)
        )
        for place, name in enumerate(SIDES, start=1)
    ),
    ActionInfo(
        "orthographic", "View", "viewpoint", "Orthographic", "Draw without perspective.", "Shift+O", kind="toggle"
    ),
    ActionInfo(
        "all_classes",
        "View",
        "window",
        "All classes",
        "Show the confidence in every class, not only the top six.",
        "C",
        kind="toggle",
    ),
    ActionInfo(
        "maximise_work",
        "View",
        "window",
        "More space for the work",
        "Leave epsilon and the verdicts, in one line.",
        "F10",
        kind="toggle",
    ),
    ActionInfo(
        "focus_pair",
        "View",
        "window",
        "Only the pair view",
        "Leave the two clouds, the slider and the verdicts.",
        "F11",
        kind="toggle",
    ),
    ActionInfo("reset_layout", "View", "window", "Reset layout", "Put every panel back in its first place."),
    ActionInfo("theme_system", "View", "theme", "Theme of the system", "Follow the desktop.", kind="choice"),
    ActionInfo("theme_dark", "View", "theme", "Dark theme", "Light on dark.", icon="moon", kind="choice"),
    ActionInfo("theme_light", "View", "theme", "Light theme", "Dark on light.", icon="sun", kind="choice"),
    ActionInfo("play", "Attack", "steps", "Play / pause", "Step until the attack is finished.", "P", "play"),
    ActionInfo("step", "Attack", "steps", "Step", "Make one step of the attack.", "N", "step"),
    ActionInfo("step_back", "Attack", "steps", "Step back", "Show the step before.", "Shift+N", "step-back"),
    ActionInfo("reset", "Attack", "steps", "Reset", "Go back to the clean cloud.", "R", "reset"),
    ActionInfo(
        "run_to_end",
        "Attack",
        "steps",
        "Run to end",
        "Make all remaining steps at once.",
        "Ctrl+Return",
        "skip-forward",
    ),
    ActionInfo(
        "previous_shape", "Attack", "shape", "Previous shape", "Attack the shape before.", "Ctrl+PgUp", "chevron-up"
    ),
    ActionInfo("next_shape", "Attack", "shape", "Next shape", "Attack the shape after.", "Ctrl+PgDown", "chevron-down"),
    ActionInfo(
        "next_up_axis", "Attack", "orientation", "Next up axis", "Say that the next axis of the file points up.", "U"
    ),
    ActionInfo("turn_shape", "Attack", "orientation", "Turn by 90°", "Turn the file about its up axis.", "Shift+U"),
    ActionInfo("choose_target", "Attack", "target", "Choose target…", "Choose the class the attack is to reach.", "T"),
    ActionInfo("focus_epsilon", "Attack", "target", "Go to epsilon", "Put the keyboard on the epsilon slider.", "E"),
    ActionInfo(
        "compare_attacks",
        "Attack",
        "compare",
        "Compare attacks…",
        "Make several attacks on this shape, and list what each did.",
        "A",
        "attack",
    ),
    ActionInfo(
        "layers",
        "Attack",
        "compare",
        "Layers…",
        "Show at which layer of the attacked model clean and adversarial activations part.",
        "W",
        "train",
    ),
    ActionInfo(
        "pause_job", "Jobs", "job", "Pause / resume", "Pause or resume the job in the strip.", "Ctrl+J", "pause"
    ),
    ActionInfo(
        "stop_job", "Jobs", "job", "Stop and keep", "End the job in the strip and keep its partial result.", "", "stop"
    ),
    ActionInfo("cancel_job", "Jobs", "job", "Cancel…", "End the job in the strip and drop its result.", "", "close"),
    ActionInfo(
        "find_action", "Help", "find", "Find an action…", "Type a few letters of what to do.", "Ctrl+Shift+P", "search"
    ),
    ActionInfo("first_steps", "Help", "learn", "First steps", "Three things to try first.", "F1", "help"),
    ActionInfo("shortcuts", "Help", "learn", "Shortcuts", "Every key on one page.", "Ctrl+/"),
    ActionInfo("show_log", "Help", "state", "Log", "What has happened so far.", "Ctrl+L"),
    ActionInfo(
        "diagnostics", "Help", "state", "Diagnostics…", "Versions, device and folders, ready to copy.", "", "info"
    ),
    ActionInfo("about", "Help", "about", "About Pointward", "Version, licence and sources."),
)

GESTURES: tuple[tuple[str, str], ...] = (
    ("Drag", "Turn both shapes."),
    ("Shift+drag", "Move them."),
    ("Wheel", "Come nearer or go away."),
    ("Double click", "Look from the first direction again."),
    ("Arrows", "Turn the shapes, or change epsilon, whichever has the focus."),
    ("Hold B", "Show the clean cloud in place of the adversarial one."),
    ("Click on the circle, or double click, of a model", "Attack it. Its box shows its verdict, its name its classes."),
    ("Enter, Space, Menu key", "In the list of models: attack, show the verdict, more."),
    ("Page Up, Page Down", "Show the previous or next cloud of a cell in the Transfer workspace."),
    ("Enter, Delete", "In the list of runs: load the model, move to the trash. Delete takes a file out of My files."),
    ("Drop files or a folder", "Open them."),
)
"""Mouse and key gestures of the pair view and the slider, for the shortcut page."""


def build(window: QMainWindow, handlers: Mapping[str, Callable[..., object]]) -> dict[str, QAction]:
    """Create all actions, add them to the window's menus, and connect each to the handler with its key.

    Raises
    ------
    ValueError
        If an action has no handler, or a handler no action.
    """
    keys = [info.key for info in ACTIONS]
    for key in handlers:
        if key not in keys:
            close = get_close_matches(key, keys, 1)
            raise ValueError(f'there is no action "{key}"' + (f'; did you mean "{close[0]}"?' if close else ""))
    missing = [key for key in keys if key not in handlers]
    if missing:
        raise ValueError(f"these actions have no handler: {', '.join(missing)}")

    menus: dict[str, QMenu] = {}
    choices: dict[str, QActionGroup] = {}
    actions: dict[str, QAction] = {}
    last_group: dict[str, str] = {}
    for info in ACTIONS:
        if info.menu not in menus:
            menus[info.menu] = window.menuBar().addMenu(f"&{info.menu}")
            menus[info.menu].setToolTipsVisible(True)
        menu = menus[info.menu]
        if last_group.setdefault(info.menu, info.group) != info.group:
            menu.addSeparator()
            last_group[info.menu] = info.group
        action = (
            _submenu(menu, info, handlers[info.key])
            if info.kind == "submenu"
            else _action(menu, info, handlers[info.key])
        )
        if info.kind == "choice":
            choices.setdefault(info.group, QActionGroup(window)).addAction(action)
        action.setObjectName(info.key)
        actions[info.key] = action
    return actions


def _action(menu: QMenu, info: ActionInfo, handler: Callable[..., object]) -> QAction:
    action = menu.addAction(info.text)
    action.setCheckable(info.kind in ("toggle", "choice"))
    if info.kind == "toggle":
        action.triggered.connect(lambda checked: handler(checked))
    else:
        action.triggered.connect(lambda _checked: handler())
    if info.shortcut:
        action.setShortcut(QKeySequence(info.shortcut))
    if info.icon:
        icons.set_icon(action, info.icon)
    set_tooltip(action, info.tip + (f" ({_native(info.shortcut)})" if info.shortcut else ""))
    action.setStatusTip(info.tip)
    return action


def _submenu(menu: QMenu, info: ActionInfo, handler: Callable[..., object]) -> QAction:
    submenu = menu.addMenu(info.text)
    submenu.aboutToShow.connect(lambda: handler(submenu))
    return submenu.menuAction()


def _native(shortcut: str) -> str:
    return QKeySequence(shortcut).toString(QKeySequence.SequenceFormat.NativeText)


def shortcut_page() -> str:
    """All shortcuts and gestures by menu, as HTML."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for info in ACTIONS:
        if info.shortcut:
            rows.setdefault(info.menu, []).append((_native(info.shortcut), f"{info.text.rstrip('…')}: {info.tip}"))
    rows["Mouse and slider"] = list(GESTURES)
    parts = []
    for title, lines in rows.items():
        parts.append(f'<tr><td colspan="2"><br><b>{escape(title)}</b></td></tr>')
        parts += [
            f"<tr><td><tt>{escape(keys)}</tt>&nbsp;&nbsp;</td><td>{escape(text)}</td></tr>" for keys, text in lines
        ]
    return f'<table cellspacing="2" cellpadding="2">{"".join(parts)}</table>'
