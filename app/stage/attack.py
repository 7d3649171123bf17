"""The strip under the pair view: which attack, how far it has come, and the epsilon slider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import ElidedComboBox, add_item, tool_button
from app.stage.attack_chooser import AttackChooser
from app.stage.attack_options import AttackOptions, OptionsPopup
from app.stage.budget import BudgetButton
from app.stage.controller import AttackController
from app.stage.step_bar import StepBar
from app.store import Store
from app.views.epsilon import EpsilonSlider
from app.views.groove import OutcomeCurves, Scale
from core.datasets.matching import class_index
from core.runtime.text import printable

if TYPE_CHECKING:
    from core import live
    from core.attacks import Attack
    from core.clouds import Cloud
    from core.models.checkpoints import LoadedModel

TYPING_MS = 400  # time after the last key press until edited options are used: a number may be half typed

ONE_ROW_WIDTH = 680
"""Width of the strip in pixels from which options and steps are in one row."""

VARIANT_NAMES = {
    "sign": "sign",
    "raw": "raw gradient",
    "raw-mean": "raw, batch mean",
    "per-point": "per point L2",
    "l2": "global L2",
}


class AttackPanel(QWidget):
    """Preset, variant of FGSM, goal, step buttons, step slider and epsilon. Enabled once core is loaded."""

    def __init__(
        self, store: Store, controller: AttackController, actions: dict[str, QAction], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._store, self._controller = store, controller
        self.preset = AttackChooser()
        self._variant = _combo("Variant of FGSM")
        self._true_class = _combo("True class")
        set_tooltip(
            self._true_class,
            "Class of the opened shape; while it is unknown, the attack moves away from the model's own verdict",
        )
        self._true_class.activated.connect(self._choose_true_class)
        self._goal = _combo("Goal")
        tip = "All other options of the attack"
        self._more = tool_button(icon="settings", tip=tip, name="Options of the attack")
        self._form = AttackOptions()
        popup = OptionsPopup(self._form, self, self._more.accessibleName())
        self._more.clicked.connect(lambda: popup.open_from(self._more))
        self._typing_timer = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._typing_timer.timeout.connect(self._take_form_options)
        self.steps = StepBar(store, controller, actions)
        self.epsilon = EpsilonSlider()
        self.epsilon.setValue(store.epsilon)
        self.epsilon.pressed.connect(controller.press)
        self.epsilon.moved.connect(controller.drag)
        self.epsilon.released.connect(controller.release)

        choices = QHBoxLayout()
        for widget in (self.preset, self._variant, self._goal, self._more):
            choices.addWidget(widget)
        choices.addStretch(0)
        self._options = QWidget()
        self._rows = QBoxLayout(QBoxLayout.Direction.LeftToRight, self._options)
        self._rows.setContentsMargins(0, 0, 0, 0)
        for row in (self._rows, choices):
            row.setSpacing(theme.SPACE_S)
        self._rows.addLayout(choices)
        self._rows.addWidget(self._true_class)
        self._rows.addWidget(self.steps, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_S, theme.SPACE_M, theme.SPACE_S)
        column.setSpacing(theme.SPACE_XS)
        column.addWidget(self._options)
        second = QHBoxLayout()
        second.setSpacing(theme.SPACE_S)
        second.addWidget(self.epsilon)
        second.addWidget(BudgetButton(store, controller), alignment=Qt.AlignmentFlag.AlignTop)
        column.addLayout(second)
        self.setEnabled(False)

        store.epsilonChanged.connect(self.epsilon.setValue)
        store.outcomeChanged.connect(self._show_outcome)
        store.modelsChanged.connect(self._list_goals)
        store.sceneChanged.connect(self._show_scene)
        store.cloudChanged.connect(lambda _: self._list_true_classes())

    def show_options(self, on: bool) -> None:
        """Show options and steps of the attack above the slider, or the slider alone."""
        self._options.setVisible(on)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put options and steps into two rows where one is too narrow for them."""
        super().resizeEvent(event)
        down, right = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        wanted = right if event.size().width() >= ONE_ROW_WIDTH else down
        if wanted != self._rows.direction():
            self._rows.setDirection(wanted)
            self._options.updateGeometry()  # the strip has another height now

    def load(self) -> None:
        """Fill the combo boxes from core, which has been imported by now."""
        from core.attacks import PRESETS, Direction, GradientAttack

        self.preset.fill({name: row.description for name, row in PRESETS.items()})
        for variant in get_args(Direction):
            add_item(self._variant, VARIANT_NAMES[variant], variant)
        set_tooltip(self._variant, GradientAttack.model_fields["direction"].description or "")
        self._form.changed.connect(self._typing_timer.start)
        self._store.attackChanged.connect(self._show_seed)
        self._store.modelsChanged.connect(self._show_seed)
        self.preset.currentIndexChanged.connect(self._choose_preset)
        self._variant.currentIndexChanged.connect(self._change_options)
        self._goal.currentIndexChanged.connect(self._change_options)
        self._list_goals()
        self._choose_preset()
        self.setEnabled(True)

    def focus_epsilon(self) -> None:
        self.epsilon.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def choose_target(self) -> None:
        if self._goal.isVisible():
            self._goal.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self._goal.showPopup()

    def _choose_preset(self) -> None:
        """A preset was chosen: it sets all options but the goal, and epsilon if that has another unit."""
        from core.attacks import preset

        self._set_at_present_epsilon(preset(self.preset.currentData(), goal=self._chosen_goal))

    def take(self, name: str, attack: Attack) -> None:
        """Take over an attack that was made elsewhere, with its options but the goal."""
        with QSignalBlocker(self.preset):
            self.preset.setCurrentIndex(self.preset.findData(name))
        self._set_at_present_epsilon(attack.model_copy(update={"goal": self._chosen_goal}))

    def restore(self, name: str, attack: Attack, target: int | None, seed: int, epsilon: float) -> None:
        """Choose an attack with all its options, as it was chosen at another time."""
        self._form.set_seed(seed)
        with QSignalBlocker(self.preset), QSignalBlocker(self._goal):
            self.preset.setCurrentIndex(self.preset.findData(name))
            self._goal.setCurrentIndex(max(0, self._goal.findData(target)))
        self._set_attack(attack.model_copy(update={"goal": self._chosen_goal}))
        self._store.set_epsilon(min(epsilon, self.epsilon.scale.highest))

    def show_made(
        self, cloud: Cloud, points: NDArray[np.float32], preset: str, attack: Attack, models: tuple[LoadedModel, ...]
    ) -> None:
        """Show what an attack made of a cloud at another time, through the first of these models, and their verdicts.

        The attack is taken over with its epsilon. Its seed is not known.
        """
        self._store.set_primary(self._store.show_models(models)[0])
        self._store.set_cloud(cloud)
        with QSignalBlocker(self.preset), QSignalBlocker(self._goal):
            self.preset.setCurrentIndex(self.preset.findData(preset))
            self._goal.setCurrentIndex(0)
        self._set_attack(attack)
        self._store.set_epsilon(attack.epsilon)
        self._controller.show_made(points)

    def _set_at_present_epsilon(self, attack: Attack) -> None:
        """Set an attack; epsilon stays as it is unless that of this attack has another unit."""
        same_unit = attack.epsilon_scale.unit == self.epsilon.scale.unit
        self._set_attack(attack.at(self._store.epsilon) if same_unit else attack)

    def _change_options(self) -> None:
        """Another variant or goal was chosen: the other options keep their values."""
        from core.attacks import constraint_for

        attack = self._form.value() or self._store.attack
        assert attack is not None
        changes: dict[str, Any] = {"epsilon": self._store.epsilon, "goal": self._chosen_goal}
        direction = self._variant.currentData()
        if direction != getattr(attack, "direction", direction):
            constraint = constraint_for(direction, type(attack), attack.constraint)
            changes |= {"direction": direction, "constraint": constraint}
        self._set_attack(attack.model_copy(update=changes))

    @property
    def _chosen_goal(self) -> str:
        return "untargeted" if self._goal.currentData() is None else "targeted"

    def _set_attack(self, attack: Attack) -> None:
        self._typing_timer.stop()
        self._form.set_value(attack)
        self._use(attack)

    def _take_form_options(self) -> None:
        """An option was edited in the form: the combo boxes show it too; the preset's name stays."""
        attack = self._form.value()
        if attack is not None:
            self._use(attack)

    def _use(self, attack: Attack) -> None:
        """Let this be the chosen attack, with the seed of the form; while that is invalid, with the last."""
        seed = self._store.seed if self._form.seed is None else self._form.seed
        self._show_in_strip(attack)
        self._store.set_attack(self.preset.currentData(), attack, self._goal.currentData(), seed)

    def _show_seed(self) -> None:
        """Offer a seed for what draws random numbers: the attack, or a model that is shown."""
        from core import live

        attack, models = self._store.attack, self._store.verdict_models
        if attack is not None and models:
            self._form.show_seed(live.seed_matters(models, attack))

    def _show_in_strip(self, attack: Attack) -> None:
        """Show the attack's direction and goal in the combo boxes, and give the slider the scale of its epsilon."""
        scale = Scale(**vars(attack.epsilon_scale))
        if scale != self.epsilon.scale:
            self.epsilon.setScale(scale)
            self._store.set_epsilon(min(attack.epsilon, scale.highest))
            self.epsilon.setValue(self._store.epsilon)
        direction = getattr(attack, "direction", None)
        self._variant.setVisible(direction is not None)
        with QSignalBlocker(self._variant), QSignalBlocker(self._goal):
            if direction is not None:
                self._variant.setCurrentIndex(self._variant.findData(direction))
            self._goal.setCurrentIndex(max(1, self._goal.currentIndex()) if attack.goal == "targeted" else 0)

    def _list_goals(self) -> None:
        self._list_true_classes()
        entries: list[tuple[str, int | None]] = [("untargeted", None)]
        entries += [(printable(f"towards {name}"), index) for index, name in enumerate(self._store.classes)]
        if [self._goal.itemText(i) for i in range(self._goal.count())] == [text for text, _ in entries]:
            return
        with QSignalBlocker(self._goal):
            self._goal.clear()
            for text, target in entries:
                add_item(self._goal, text, target)
        if self._store.target is not None:
            self._change_options()  # the target class is not one of the present model

    def _choose_true_class(self, index: int) -> None:
        cloud = self._store.cloud
        if cloud is not None:
            self._store.set_cloud(
                replace(cloud, class_name=self._store.classes[index - 1] if index else None), self._store.source
            )

    def _list_true_classes(self) -> None:
        """Offer the classes for a cloud whose true class is not known."""
        cloud = self._store.cloud
        self._true_class.setVisible(cloud is not None and cloud.label is None)
        self._true_class.clear()
        for text in ("true class unknown", *(f"true class: {name}" for name in self._store.classes)):
            add_item(self._true_class, text)
        if cloud is not None and (index := class_index(cloud.class_name, self._store.classes)) is not None:
            self._true_class.setCurrentIndex(1 + index)

    def _show_scene(self, scene: live.Scene | None) -> None:
        self.epsilon.setEnabled(scene is not None)

    def _show_outcome(self, outcome: live.Outcome | None) -> None:
        if outcome is None:
            self.epsilon.set_outcome(None, "the outcome over epsilon follows the attack" if self._store.scene else "")
            return
        setup = (self._store.scene or outcome.scene).setup  # of the same models, which may have got other titles
        names = tuple(model.card.title for model in setup.models)
        curves = OutcomeCurves(
            outcome.epsilons,
            outcome.confidence,
            outcome.wrong,
            names,
            setup.primary,
            tuple(setup.classes[expected] for expected in outcome.scene.expected),
            min(2, self.epsilon.scale.decimals),
        )
        self.epsilon.set_outcome(curves, "" if outcome.exact else "the attack's result, rescaled")


def _combo(name: str) -> QComboBox:
    combo = ElidedComboBox()
    combo.setAccessibleName(name)
    return combo
