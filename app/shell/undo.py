"""Going back through what was chosen: shape, attack, epsilon, models, and the step that is shown."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from app.jobs import JobList
from app.stage.attack import AttackPanel
from app.stage.controller import AttackController
from app.stage.orientation import OrientationController
from app.stage.playback import Playback
from app.store import FileSource, Store

if TYPE_CHECKING:
    from core.attacks import Attack
    from core.clouds import Cloud

SETTLED_MS = 300
"""Time without a change after which it is one choice: all that a click or a drag has changed."""
MOST = 100
"""Most choices that can be taken back."""


class _Choices(NamedTuple):
    """What can be taken back."""

    cloud: Cloud | None
    source: FileSource | None
    preset: str
    attack: Attack | None
    target: int | None
    seed: int
    epsilon: float
    attacked: str
    shown: frozenset[str]
    step: int

    def differences(self, other: _Choices) -> list[str]:
        """In words, what would change."""
        name, other_name = (
            (each.source and each.source.path, each.cloud and each.cloud.name) for each in (self, other)
        )
        turns = [each.source and each.source.orientation for each in (self, other)]
        classes = [each.cloud and each.cloud.class_name for each in (self, other)]
        same_shape = name == other_name
        different = {
            "shape": not same_shape,
            "up axis": same_shape and turns[0] != turns[1],
            "true class": same_shape and classes[0] != classes[1],
            "attack": (self.preset, self.target) != (other.preset, other.target)
            or (self.attack and self.attack.at(0.0)) != (other.attack and other.attack.at(0.0)),
            "seed": self.seed != other.seed,
            "epsilon": self.epsilon != other.epsilon,
            "attacked model": self.attacked != other.attacked,
            "shown verdicts": self.shown != other.shown,
        }
        return [name for name, changed in different.items() if changed]


class UndoHistory(QObject):
    """Takes choices back and makes them again.

    Steps of the attack are choices too, one each, or all those that were played together.
    """

    changed = Signal()
    """What can be taken back or made again."""

    def __init__(
        self,
        store: Store,
        jobs: JobList,
        controller: AttackController,
        playback: Playback,
        attack: AttackPanel,
        orientation: OrientationController,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._store, self._jobs, self._controller, self._playback = store, jobs, controller, playback
        self._attack, self._orientation = attack, orientation
        self._past: deque[_Choices] = deque(maxlen=MOST)
        self._future: list[_Choices] = []
        self._present: _Choices | None = None
        """What was chosen last; None until ``begin``."""
        self._applying = self._begins_anew = False
        self._timer = QTimer(self, singleShot=True, interval=SETTLED_MS)
        self._timer.timeout.connect(self._on_settled)
        store.datasetChanged.connect(self._on_dataset)
        for signal in (store.cloudChanged, store.modelsChanged, store.attackChanged, store.epsilonChanged):
            signal.connect(self._timer.start)
        controller.busyChanged.connect(self._on_busy)
        controller.stateShown.connect(self._on_step)
        playback.playingChanged.connect(lambda playing: None if playing else self._on_step())

    def begin(self) -> None:
        """Take what is chosen now as the beginning."""
        self._timer.stop()
        self._applying = self._begins_anew = False
        self._past.clear()
        self._future.clear()
        self._present = self._chosen()
        self.changed.emit()

    @property
    def next_undo(self) -> str:
        """In a few words, what ``undo`` changes; empty if there is nothing to take back."""
        return self._name(self._past[-1]) if self._past else ""

    @property
    def next_redo(self) -> str:
        """In a few words, what ``redo`` changes; empty if nothing was taken back."""
        return self._name(self._future[-1]) if self._future else ""

    def undo(self) -> None:
        self._go(self._past, self._future)

    def redo(self) -> None:
        self._go(self._future, self._past)

    # --- internals ---

    def _go(self, source: deque[_Choices] | list[_Choices], back: deque[_Choices] | list[_Choices]) -> None:
        """Choose the last of ``source`` that still can be chosen, and put what was chosen to ``back``."""
        self._on_settled()
        present = self._present
        while source and present is not None:
            wanted = self._possible(source.pop(), present)
            if wanted.differences(present) or wanted.step != present.step:
                back.append(present)
                self._apply(wanted)
                return
        self.changed.emit()

    def _possible(self, choices: _Choices, present: _Choices) -> _Choices:
        """``choices`` without models that were unloaded meanwhile."""
        names = {model.name for model in self._store.models}
        attacked = choices.attacked if choices.attacked in names else present.attacked
        return choices._replace(attacked=attacked, shown=choices.shown & names)

    def _on_dataset(self) -> None:
        """Shapes of another dataset, or of this one turned, are no choice to go back to."""
        self._begins_anew = True
        self._timer.start()

    def _name(self, choices: _Choices) -> str:
        assert self._present is not None
        return " and ".join(self._present.differences(choices)[:2]) or "step"

    def _chosen(self) -> _Choices:
        store = self._store
        return _Choices(
            store.cloud,
            store.source,
            store.preset,
            store.attack,
            store.target,
            store.seed,
            store.epsilon,
            store.primary,
            store.shown,
            store.position,
        )

    def _on_settled(self) -> None:
        """Remember what has been chosen; a step that was shown by it is none of its own."""
        if self._jobs.held:  # the slider is being dragged
            self._timer.start()
            return
        self._timer.stop()
        chosen, present = self._chosen(), self._present
        if present is None:
            return
        if self._begins_anew:
            self._begins_anew = False
            self.begin()
            return
        if chosen.differences(present) and not self._applying:
            self._remember(present)
        self._present, self._applying = chosen, False
        self.changed.emit()

    def _on_busy(self, busy: bool) -> None:
        """An attack has ended: it shows its last step, which nobody has chosen."""
        if not busy and self._present is not None:
            self._present = self._present._replace(step=self._store.position)

    def _on_step(self) -> None:
        """Remember that another step is shown, unless the attack is being played, or is one of another choice."""
        present = self._present
        if present is None or self._playback.playing or self._timer.isActive():
            return
        if self._store.position != present.step:
            if not self._applying:
                self._remember(present)
            self._present, self._applying = self._chosen(), False
            self.changed.emit()

    def _remember(self, choices: _Choices) -> None:
        self._past.append(choices)
        self._future.clear()

    def _apply(self, wanted: _Choices) -> None:
        """Choose ``wanted``; the steps of another attack than the shown one are made again, up to the last."""
        present, self._present, self._applying = self._present, wanted, True
        assert present is not None
        self._playback.stop()
        different = wanted.differences(present)
        if not different:
            self._applying = self._controller.seek(wanted.step)
        else:
            store = self._store
            if "up axis" in different and wanted.source is not None:
                self._orientation.restore(wanted.source)
            elif {"shape", "true class"} & set(different):
                store.set_cloud(wanted.cloud, wanted.source)
            store.set_primary(wanted.attacked)
            store.set_shown_models(wanted.shown)
            if wanted.attack is not None:
                self._attack.restore(wanted.preset, wanted.attack, wanted.target, wanted.seed, wanted.epsilon)
            self._timer.start()
        self.changed.emit()
