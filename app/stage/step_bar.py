"""The steps of the attack: buttons, a slider over all of them, and which one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, tool_button
from app.stage.controller import AttackController
from app.store import Store
from app.views.scrubber import Scrubber

if TYPE_CHECKING:
    from core.attacks import Attack, State

STEP_ACTIONS = ("reset", "step_back", "step", "play", "run_to_end")
"""Keys of the actions that have buttons here."""
OVER = "The attack is over: what is shown is the best of all iterates, marked on the slider, and not the last"


class StepBar(QWidget):
    """Goes to any step of the attack. Steps are counted from each start, as the option counts them."""

    def __init__(
        self, store: Store, controller: AttackController, actions: dict[str, QAction], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._store = store
        self.step, self.start = Label(), Label(role="caption")
        self.step.setFont(theme.tabular())
        self.scrubber = Scrubber()
        self.scrubber.setAccessibleName("Steps of the attack")
        set_tooltip(self.scrubber, "Go to any step of the attack; lines: further starts; diamond: the best iterate")
        self.scrubber.setMinimumWidth(48)
        self.scrubber.setMaximumWidth(160)
        self.scrubber.setRange(0, 0)
        self.scrubber.valueChanged.connect(controller.seek)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_S)
        for key in STEP_ACTIONS:
            button = tool_button()
            button.setAutoRaise(True)
            button.setDefaultAction(actions[key])
            row.addWidget(button)
        row.addWidget(self.scrubber, 1)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self.step)
        texts.addWidget(self.start)
        row.addLayout(texts)
        self.setMinimumHeight(self.step.sizeHint().height() + self.start.sizeHint().height())  # of both, always
        store.historyChanged.connect(self._show)

    def _show(self) -> None:
        """Show the position; once the attack is over, also which step's iterate is its result."""
        attack, history, position = self._store.attack, self._store.history, self._store.position
        last = max(0, len(history) - 1)
        with QSignalBlocker(self.scrubber):
            self.scrubber.setRange(0, last)
            self.scrubber.setValue(position)
        self.scrubber.setEnabled(last > 0)
        if attack is None or not history:
            self.scrubber.set_marks((), None)
            for label in (self.step, self.start):
                label.setText("")
            return
        best = best_step(history[: position + 1]) if attack.over(history[position]) else None
        self.scrubber.set_marks(range(attack.steps, min(last, attack.total_steps), attack.steps), best)
        shown = position if best is None else best
        step, start = numbered(attack, history[shown].step)
        self.step.setText(step)
        self.start.setText(", ".join(filter(None, ("best" if shown != position else "", start))))
        self.start.setVisible(attack.restarts > 0 or last > 1)
        for label in (self.step, self.start):
            set_tooltip(label, OVER if shown != position else "")
        for label, longest in ((self.step, numbered(attack, history[-1].step)[0]), (self.start, f"best, {start}")):
            label.setMinimumWidth(label.fontMetrics().horizontalAdvance(longest))


def numbered(attack: Attack, step: int) -> tuple[str, str]:
    """Number of a step within its start, and of that start; a step is counted over all, 0 is the clean cloud."""
    start = min(max(step - 1, 0) // attack.steps, attack.restarts)
    of_start = step - attack.steps * start
    text = f"step {of_start:,}/{max(of_start, attack.steps):,}"
    return text, f"start {start + 1}/{1 + attack.restarts}" if attack.restarts else ""


def best_step(states: Sequence[State]) -> int:
    """Index of the state whose iterate is the best of all."""
    newest = states[-1].best_unit_delta
    index = len(states) - 1
    while index > 0 and newest.equal(states[index - 1].best_unit_delta):
        index -= 1
    return index
