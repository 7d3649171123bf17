"""The command palette: finds an action by a few letters of its text, and triggers it."""

from collections.abc import Mapping

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from app.shell.actions import ACTIONS
from app.shell.search import Entry, SearchPopup


def command_palette(window: QWidget, actions: Mapping[str, QAction]) -> SearchPopup:
    """A popup with all actions of the table, which triggers the one that is chosen."""
    entries = [
        Entry(
            info.key,
            info.text,
            actions[info.key].shortcut().toString(QKeySequence.SequenceFormat.NativeText),
            tip=info.tip,
            icon=actions[info.key].icon(),
            enabled=actions[info.key].isEnabled(),
            group=info.menu,
        )
        for info in ACTIONS
        if info.kind != "submenu"
    ]
    popup = SearchPopup(window, entries, "Find an action…", "Actions")
    popup.chosen.connect(lambda key: actions[key].trigger())
    return popup
