"""The row of the library to choose which axis of a file or folder points up."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import ElidedComboBox, Label, add_item, button, tool_button
from app.stage.orientation import OrientationController
from core.clouds.frames import AXES, Axis

AUTO = "auto"
AS_IN_FILE = "up as it is"
CHOICE_MS = 300  # a choice counts after this time: the arrow keys go through all axes, and turning a folder takes long


class OrientationPanel(QWidget):
    """Choose the up axis and a turn about it; shows a hint if the attacked model is surer of another orientation."""

    def __init__(self, controller: OrientationController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.up = ElidedComboBox()
        self.up.setAccessibleName("Axis that points up")
        for axis in (None, *AXES):
            add_item(self.up, _shown(axis), axis)
        add_item(
            self.up, "find up", AUTO, tip="Try the 24 right-angled turns and take the one that the model knows best"
        )
        self._choice_timer = QTimer(self, singleShot=True, interval=CHOICE_MS)
        self._choice_timer.timeout.connect(self._choose)
        self.up.activated.connect(lambda _: self._choice_timer.start())
        self.turn = tool_button("90°", "reset", tip="Turn by 90° about the up axis", name="Turn by 90°")
        self.turn.clicked.connect(lambda: controller.turn())
        self.state = Label(role="caption", wrap=True)
        self.follow = button("Turn it", "", controller.follow_hint, tip="Put that axis up")
        row, below = QHBoxLayout(), QHBoxLayout()
        for box in (row, below):
            box.setSpacing(theme.SPACE_XS)
        row.addWidget(self.up, 1)
        row.addWidget(self.turn)
        below.addWidget(self.state, 1)
        below.addWidget(self.follow)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_XS)
        column.addLayout(row)
        column.addLayout(below)
        controller.changed.connect(self._update)
        self._update()

    def _choose(self) -> None:
        up = self.up.currentData()
        if up == AUTO:
            self._controller.find()
        else:
            self._controller.choose(up)

    def _update(self) -> None:
        controller, orientation = self._controller, self._controller.orientation
        self.setVisible(controller.has_subject)
        if not self._choice_timer.isActive():
            self.up.setCurrentIndex(self.up.findData(AUTO if controller.finding else orientation.up))
        what = "file" if controller.dataset is None else "folder"
        expected, hint = controller.expected, controller.hint
        for widget in (self.up, self.turn):
            widget.setEnabled(expected is not None)
        set_tooltip(self.up, f"Which axis of the {what} points up; remembered for its folder")
        if expected is None:
            text = "The attacked model does not say which axis it expects up."
        elif controller.busy:
            text = "Looking which way is up…"
        elif hint is not None:
            text = f"{controller.hint_text(hint)}."
        elif orientation.given:
            text = _shown(orientation.up) + (f" turned to {_shown(expected)}" if orientation.up != expected else "")
            text += f", then by {orientation.turn:g}°." if orientation.turn else "."
        else:
            text = f"The model expects {_shown(expected)}."
        self.state.setText(text)
        theme.set_role(self.state, "warning" if hint is not None else "caption")
        self.follow.setVisible(hint is not None)


def _shown(axis: Axis | None) -> str:
    """Name of the orientation with this axis up; None: as the file has it."""
    return AS_IN_FILE if axis is None else f"{axis} up".replace("-", "−")
