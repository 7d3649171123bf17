"""The strip under the pair view: which attack, how far it has come, and the epsilon slider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from app.shell import theme
from app.shell.parts import Choice
from app.stage.outcomes import EPSILON_MAX
from app.stage.studio import Studio
from app.store import Store
from app.views.epsilon import EpsilonSlider
from app.views.groove import Outcome

if TYPE_CHECKING:
    from core import live
    from core.attacks import Attack

TRANSPORT = ("reset", "step_back", "step", "play", "run_to_end")
"""Keys of the actions shown as buttons."""
TYPED_MS = 400  # after the last key in the options: half a number is no wish

READINGS = {
    "sign": "sign",
    "raw": "raw gradient",
    "raw-mean": "raw, batch mean",
    "per-point": "per point L2",
    "l2": "global L2",
}


class AttackPanel(QWidget):
    """Preset, reading, target, transport, scrubber and epsilon. Enabled once models and core are loaded."""

    def __init__(
        self, store: Store, studio: Studio, actions: dict[str, QAction], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._store, self._studio = store, studio
        self.preset = _combo("Attack")
        self._reading = _combo("Reading of epsilon")
        self._truth = _combo("True class")
        self._truth.setToolTip("What the opened shape is; while that is unknown, the attack leaves the model's verdict")
        self._truth.activated.connect(self._choose_truth)
        self._goal = _combo("Goal")
        self._more = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        theme.set_icon(self._more, "settings")
        self._more.setToolTip("All other options of the attack")
        self._more.setAccessibleName("Options of the attack")
        self._typed = QTimer(self, singleShot=True, interval=TYPED_MS)
        self._typed.timeout.connect(self._choose_options)
        self._steps = QLabel("step 0/0")
        self._steps.setFont(theme.tabular())
        self._scrub = QSlider(Qt.Orientation.Horizontal)
        self._scrub.setAccessibleName("Steps of the attack")
        self._scrub.setToolTip("Go to any step of the attack")
        self._scrub.setMinimumWidth(48)
        self._scrub.setMaximumWidth(160)
        self._scrub.setRange(0, 0)
        self._scrub.valueChanged.connect(studio.seek)
        self.epsilon = EpsilonSlider()
        self.epsilon.setMaximum(EPSILON_MAX)
        self.epsilon.setValue(store.epsilon)
        self.epsilon.pressed.connect(studio.press)
        self.epsilon.moved.connect(studio.drag)
        self.epsilon.released.connect(studio.release)

        first = QHBoxLayout()
        first.setSpacing(theme.SPACE_S)
        for widget in (self.preset, self._reading, self._truth, self._goal, self._more):
            first.addWidget(widget)
        first.addStretch(0)
        for key in TRANSPORT:
            button = QToolButton(autoRaise=True)
            button.setDefaultAction(actions[key])
            first.addWidget(button)
        first.addWidget(self._scrub, 1)
        first.addWidget(self._steps)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_S, theme.SPACE_M, theme.SPACE_S)
        column.setSpacing(theme.SPACE_XS)
        column.addLayout(first)
        column.addWidget(self.epsilon)
        self.setEnabled(False)

        store.epsilonChanged.connect(self.epsilon.setValue)
        store.historyChanged.connect(self._show_history)
        store.outcomeChanged.connect(self._show_outcome)
        store.modelsChanged.connect(self._show_goals)
        store.sceneChanged.connect(self._show_scene)
        store.cloudChanged.connect(lambda _: self._show_truth())

    def load(self, preset: str) -> None:
        """Fill the choices from core, which is loaded by now, and choose ``preset``."""
        from app.shell.forms import OptionsForm
        from core.attacks import PRESETS, Attack, Direction

        for name, sentence in PRESETS.items():
            self.preset.addItem(name.upper(), name)
            self.preset.setItemData(self.preset.count() - 1, sentence, Qt.ItemDataRole.ToolTipRole)
        for reading in get_args(Direction):
            self._reading.addItem(READINGS[reading], reading)
        self._reading.setToolTip(Attack.model_fields["direction"].description or "")
        self._form = OptionsForm(Attack, without=("epsilon",))
        action = QWidgetAction(self)
        action.setDefaultWidget(self._form)
        self._more.addAction(action)
        self.preset.setCurrentIndex(max(0, self.preset.findData(preset)))
        self.preset.currentIndexChanged.connect(self._choose)
        self._reading.currentIndexChanged.connect(self._adjust)
        self._goal.currentIndexChanged.connect(self._adjust)
        self._form.changed.connect(self._typed.start)
        self._show_goals()
        self._choose()
        self.setEnabled(True)

    def focus_epsilon(self) -> None:
        self.epsilon.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def choose_target(self) -> None:
        if self._goal.isVisible():
            self._goal.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self._goal.showPopup()

    def _choose(self) -> None:
        """A preset was chosen: the options start from it."""
        from core.attacks import preset

        self._put(preset(self.preset.currentData(), epsilon=self._store.epsilon, **self._named()))

    def _adjust(self) -> None:
        """Another reading or goal was chosen: the other options stay as they are."""
        from core.attacks import BUDGET

        attack = self._form.value() or self._store.attack
        changes = self._named()
        if changes["direction"] != attack.direction:
            changes["constraint"] = BUDGET[changes["direction"]]
        self._put(attack.model_copy(update={"epsilon": self._store.epsilon, **changes}))

    def _named(self) -> dict[str, Any]:
        """The options that are chosen in the strip."""
        objective = "untargeted" if self._goal.currentData() is None else "targeted"
        return {"direction": self._reading.currentData(), "objective": objective}

    def _put(self, attack: Attack) -> None:
        self._typed.stop()
        with QSignalBlocker(self._form):
            self._form.set_value(attack)
        self._store.set_attack(self.preset.currentData(), attack, self._goal.currentData())

    def _choose_options(self) -> None:
        """An option was edited: the preset keeps its name, the strip follows."""
        attack = self._form.value()
        if attack is None:
            return
        targeted = attack.objective == "targeted"
        with QSignalBlocker(self._reading), QSignalBlocker(self._goal):
            self._reading.setCurrentIndex(self._reading.findData(attack.direction))
            self._goal.setCurrentIndex(max(1, self._goal.currentIndex()) if targeted else 0)
        self._store.set_attack(self.preset.currentData(), attack, self._goal.currentData())

    def _show_goals(self) -> None:
        self._show_truth()
        wanted = [("untargeted", None)]
        wanted += [(f"towards {name}", index) for index, name in enumerate(self._store.classes)]
        if [self._goal.itemText(i) for i in range(self._goal.count())] == [text for text, _ in wanted]:
            return
        with QSignalBlocker(self._goal):
            self._goal.clear()
            for text, target in wanted:
                self._goal.addItem(text, target)
        if self._store.target is not None:
            self._adjust()  # the class that was wanted is not among these

    def _choose_truth(self, index: int) -> None:
        cloud = self._store.cloud
        if cloud is not None:
            self._store.set_cloud(
                replace(cloud, class_name=self._store.classes[index - 1] if index else None), self._store.source
            )

    def _show_truth(self) -> None:
        """The classes to choose from, for shapes that came without one."""
        cloud = self._store.cloud
        self._truth.setVisible(cloud is not None and cloud.label is None)
        self._truth.clear()
        self._truth.addItems(["true class unknown", *(f"true class: {name}" for name in self._store.classes)])
        if cloud is not None and cloud.class_name in self._store.classes:
            self._truth.setCurrentIndex(1 + self._store.classes.index(cloud.class_name))

    def _show_history(self) -> None:
        last = max(0, len(self._store.history) - 1)
        with QSignalBlocker(self._scrub):
            self._scrub.setRange(0, last)
            self._scrub.setValue(self._store.position)
        self._scrub.setEnabled(last > 0)
        planned = self._store.attack.total_steps if self._store.attack is not None else 0
        total = max(last, planned)
        self._steps.setText(f"step {self._store.position}/{total}")
        self._steps.setMinimumWidth(self._steps.fontMetrics().horizontalAdvance(f"step {total}/{total}"))

    def _show_scene(self, scene: live.Scene | None) -> None:
        self.epsilon.setEnabled(scene is not None)

    def _show_outcome(self, outcome: live.Outcome | None) -> None:
        if outcome is None:
            self.epsilon.set_outcome(None, "the outcome over epsilon follows the attack" if self._store.scene else "")
            return
        setup = outcome.scene.setup
        names = tuple(model.card.title for model in setup.models)
        label = setup.classes[outcome.scene.label]
        drawn = Outcome(outcome.epsilons, outcome.confidence, outcome.wrong, names, setup.primary, label)
        self.epsilon.set_outcome(drawn, "" if outcome.exact else "the attack's result, rescaled")


def _combo(name: str) -> QComboBox:
    combo = Choice()
    combo.setAccessibleName(name)
    return combo
