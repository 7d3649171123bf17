"""Editors of single values. Each has ``read`` and ``write`` for a Python value, and the signal ``edited``."""

import math
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QToolButton,
    QWidget,
)

from app.shell import theme
from app.shell.widgets import ElidedComboBox, Label, tool_button

UNSET = "not set"


class CheckBox(QCheckBox):
    """Editor of a bool."""

    def __init__(self) -> None:
        super().__init__()
        self.edited = self.clicked

    def read(self) -> bool:
        return self.isChecked()

    def write(self, value: bool | None) -> None:
        self.setChecked(bool(value))


class ComboBox(ElidedComboBox):
    """Editor of one of a few values; None may be one of them. As wide as its longest text where there is space."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        super().__init__()
        self._values = values
        self.edited = self.activated
        words = {None: UNSET, True: "yes", False: "no"}
        self.addItems([words[v] if v is None or isinstance(v, bool) else str(v).replace("_", " ") for v in values])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)

    def sizeHint(self) -> QSize:
        return QComboBox.sizeHint(self)

    def read(self) -> Any:
        return self._values[self.currentIndex()] if self.currentIndex() >= 0 else None

    def write(self, value: Any) -> None:
        self.setCurrentIndex(self._values.index(value) if value in self._values else -1)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class TextBox(QLineEdit):
    """Editor of a line of text; empty means None if the value is optional."""

    def __init__(self, optional: bool) -> None:
        super().__init__()
        self._optional = optional
        self.edited = self.textEdited
        if optional:
            self.setPlaceholderText(UNSET)

    def read(self) -> str | None:
        return None if self._optional and not self.text() else self.text()

    def write(self, value: str | Path | None) -> None:
        self.setText("" if value is None else str(value))
        self.setCursorPosition(0)  # a long text is read from its beginning


class PathBox(QWidget):
    """Editor of a path, typed or chosen in a dialog."""

    def __init__(self, optional: bool) -> None:
        super().__init__()
        self._text = TextBox(optional)
        self.setFocusProxy(self._text)
        self.edited, self.read, self.write = self._text.textChanged, self._text.read, self._text.write
        choose = tool_button(icon="folder", name="Choose a path")
        choose.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(choose)
        menu.addAction("File…", lambda: self._set_path(QFileDialog.getOpenFileName(self, "Choose a file")[0]))
        menu.addAction("Folder…", lambda: self._set_path(QFileDialog.getExistingDirectory(self, "Choose a folder")))
        choose.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._text)
        row.addWidget(choose)

    def _set_path(self, path: str) -> None:
        if path:
            self._text.setText(path)


class NumberBox(QAbstractSpinBox):
    """Editor of an int or a float in any notation. The text stays as typed; the form explains an invalid one.

    Arrow keys change the second significant digit: 0.001 becomes 0.0011, and 1024 becomes 1124.
    """

    def __init__(
        self, *, whole: bool, low: float | None, high: float | None, optional: bool = False, unit: str = ""
    ) -> None:
        super().__init__()
        self._whole, self._low, self._high, self._optional = whole, low, high, optional
        self.edited = self.lineEdit().textChanged
        self.lineEdit().setPlaceholderText(UNSET if optional else "")
        self.lineEdit().setFont(theme.tabular())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(theme.CONTROL_HEIGHT)
        suffix = Label(unit, "caption")
        suffix.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        unit_width = suffix.sizeHint().width() + theme.SPACE_XS if unit else 0
        self.lineEdit().setTextMargins(0, 0, unit_width, 0)
        self.setMinimumWidth(72 + unit_width)
        row = QHBoxLayout(self.lineEdit())
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(suffix, alignment=Qt.AlignmentFlag.AlignRight)

    def read(self) -> int | float | str | None:
        text = self.lineEdit().text().strip()
        if not text and self._optional:
            return None
        try:
            number = float(text.replace(",", "."))
            if not math.isfinite(number):
                return "not finite"
            return int(text) if self._whole else number
        except ValueError:
            return text

    def write(self, value: float | None) -> None:
        if value is None:
            self.lineEdit().clear()
        else:
            short = f"{value:.10g}"
            self.lineEdit().setText(short if float(short) == value and not self._whole else repr(value))

    def stepBy(self, steps: int) -> None:
        value = self.read()
        if isinstance(value, str | None):
            value = self._low or 0
        if value == 0:
            step = 10.0 ** (math.floor(math.log10(self._high)) - 2) if self._high else 0.01
        else:
            towards_zero = (steps < 0) == (value > 0)
            step = 10.0 ** (math.floor(math.log10(abs(value) * (1 - 1e-9 * towards_zero))) - 1)
        if self._whole:
            changed: float = value + steps * max(1, round(step) if value else 1)
        else:
            changed = float(f"{value + steps * step:.12g}")
        changed = changed if self._low is None else max(changed, self._low)
        changed = changed if self._high is None else min(changed, self._high)
        self.write(int(changed) if self._whole else changed)

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        flags, value = QAbstractSpinBox.StepEnabledFlag.StepNone, self.read()
        number = value if isinstance(value, int | float) else None
        if number is None or self._high is None or number < self._high:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
        if number is None or self._low is None or number > self._low:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        return flags

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        return QValidator.State.Acceptable, text, position

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


Editor = CheckBox | ComboBox | TextBox | PathBox | NumberBox
