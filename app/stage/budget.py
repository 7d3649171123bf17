"""The budget in other units: what each distance can be within epsilon, and epsilon by any of them."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QWidget

from app.shell import icons, theme
from app.shell.plain_text import set_tooltip
from app.shell.popup import Popup
from app.shell.widgets import Label, number
from app.stage.controller import AttackController
from app.stage.verdict import NUMBERS
from app.store import Store
from app.views.epsilon import NumberField
from app.views.groove import RADII

ROWS = {key: (name, tip, "r") for key, name, tip in NUMBERS if key in ("linf", "per_point_l2", "l2", "rmse")}
ROWS["diameter"] = "ε", "Epsilon in per cent of the diameter of the bounding sphere, which is 2 radii", "%"
TITLE = "Budget in other units"
PRECISION = 6  # decimals of an epsilon that is computed from another unit


class BudgetButton(QToolButton):
    """Opens the converter beneath or above itself; disabled where epsilon bounds no distance, which its tip says."""

    def __init__(self, store: Store, controller: AttackController) -> None:
        super().__init__()
        self._store = store
        self.setAccessibleName(TITLE)
        icons.set_icon(self, "convert")
        self.clicked.connect(lambda: BudgetPopup(store, controller, self.window()).open_from(self))
        for changed in (store.attackChanged, store.cloudChanged):
            changed.connect(self._update)
        self._update()

    def _update(self) -> None:
        reason = _why_not(self._store)
        self.setEnabled(not reason)
        set_tooltip(self, reason or "The budget in other units: L∞, L2, RMSE, per cent of the diameter")


class BudgetPopup(Popup):
    """The largest value of each distance within the budget; typing one sets epsilon. It is deleted when it closes."""

    def __init__(self, store: Store, controller: AttackController, window: QWidget) -> None:
        super().__init__(window, TITLE)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._store, self._controller = store, controller
        self._fields: dict[str, NumberField] = {}
        self._notes: dict[str, QLabel] = {}
        self._points = Label(role="caption")
        self._factors: dict[str, float] = {}
        """What each field shows, in units of epsilon."""
        grid = QGridLayout(self)
        grid.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_M, theme.SPACE_M)
        grid.setHorizontalSpacing(theme.SPACE_M)
        grid.setVerticalSpacing(theme.SPACE_XS)
        grid.addWidget(Label(TITLE, "title"), 0, 0, 1, 3)
        grid.addWidget(self._points, 1, 0, 1, 3)
        for row, (key, (name, tip, unit)) in enumerate(ROWS.items(), start=2):
            title, field, note = Label(name), NumberField(number), Label(role="caption")
            title.setBuddy(field)
            field.setDecimals(12)
            field.setStepType(NumberField.StepType.AdaptiveDecimalStepType)
            field.setSuffix(f" {unit}")
            field.setMinimumWidth(112)
            field.setAccessibleName(tip)
            for widget in (title, field):
                set_tooltip(widget, tip)
            field.valueChanged.connect(partial(self._take, key))
            self._fields[key], self._notes[key] = field, note
            parts: tuple[QWidget, ...] = (title, field, note)
            for column, part in enumerate(parts):
                grid.addWidget(part, row, column)
        for changed in (store.attackChanged, store.cloudChanged, store.epsilonChanged):
            changed.connect(self._show)
        self._show()

    def _take(self, key: str, value: float) -> None:
        """Set epsilon so that this distance can be so large; a text that was not changed sets nothing."""
        factor = self._factors[key]
        if number(value) != number(self._store.epsilon * factor):
            self._controller.release(round(min(value / factor, RADII.highest), PRECISION))
        self._show()

    def _show(self) -> None:
        from core.attacks.budget import largest_distances

        attack, cloud = self._store.attack, self._store.cloud
        if attack is None or cloud is None or _why_not(self._store):
            self.close()  # what is open has changed meanwhile
            return
        points = len(cloud.points)
        tangent = {"tangent": "linf", "tangent-l2": "per_point_l2"}
        bounded = tangent.get(attack.constraint, attack.constraint.replace("-", "_"))
        self._factors = (largest_distances(attack.constraint, points) or {}) | {"diameter": 50.0}
        self._points.setText(f"Largest values within ε; {points:,} points, in radii of the bounding sphere")
        exact = {bounded: "bounded by ε", "diameter": "of the diameter"}
        for key, factor in self._factors.items():
            highest = factor * RADII.highest
            with QSignalBlocker(self._fields[key]):
                self._fields[key].setMaximum(max(highest, float(f"{highest:.3g}")))  # also as it is written
                self._fields[key].setValue(factor * self._store.epsilon)
            self._notes[key].setText(exact.get(key, "at most"))


def _why_not(store: Store) -> str:
    """Why the budget has no other units, in one sentence; empty if it has."""
    attack = store.attack
    if attack is None or store.cloud is None:
        return "There is no attack on a shape yet"
    if attack.epsilon_scale.unit != RADII.unit:
        return f"Epsilon of this attack is in {attack.epsilon_scale.words}, which is no distance"
    if attack.constraint == "none":
        return "Epsilon of this attack bounds no distance: it scales the perturbation"
    return ""
