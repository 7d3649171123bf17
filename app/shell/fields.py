"""Editors of single values: each reads and writes a Python value and tells when the person changed it."""

import math
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QToolButton,
    QWidget,
)

from app.shell import theme

UNSET = "not set"


class CheckBox(QCheckBox):
    """Yes or no."""

    def __init__(self) -> None:
        super().__init__()
        self.edited = self.clicked

    def read(self) -> bool:
        return self.isChecked()

    def write(self, value: bool | None) -> None:
        self.setChecked(bool(value))


class ComboBox(QComboBox):
    """One of a few values, None among them if it may be left open."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        super().__init__()
        self._values = values
        self.edited = self.activated
        words = {None: UNSET, True: "yes", False: "no"}
        self.addItems([words[v] if v is None or isinstance(v, bool) else str(v).replace("_", " ") for v in values])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(5)

    def read(self) -> Any:
        return self._values[self.currentIndex()] if self.currentIndex() >= 0 else None

    def write(self, value: Any) -> None:
        self.setCurrentIndex(self._values.index(value) if value in self._values else -1)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()


class TextBox(QLineEdit):
    """A line of text; an empty one is None if it may be left open."""

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


class PathBox(QWidget):
    """A path, typed or chosen."""

    def __init__(self, optional: bool) -> None:
        super().__init__()
        self._text = TextBox(optional)
        self.setFocusProxy(self._text)
        self.edited, self.read, self.write = self._text.textChanged, self._text.read, self._text.write
        choose = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        choose.setAccessibleName("Choose a path")
        theme.set_icon(choose, "folder")
        menu = QMenu(choose)
        menu.addAction("File…", lambda: self._take(QFileDialog.getOpenFileName(self, "Choose a file")[0]))
        menu.addAction("Folder…", lambda: self._take(QFileDialog.getExistingDirectory(self, "Choose a folder")))
        choose.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._text)
        row.addWidget(choose)

    def _take(self, path: str) -> None:
        if path:
            self._text.setText(path)


class NumberBox(QAbstractSpinBox):
    """A whole or a real number in any notation, exactly as typed; wrong ones are left for the form to explain.

    The arrows change the second significant digit, so that 0.001 goes to 0.0011 and 1024 to 1124.
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
        suffix = QLabel(unit)
        suffix.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.role(suffix, "caption")
        room = suffix.sizeHint().width() + theme.SPACE_XS if unit else 0
        self.lineEdit().setTextMargins(0, 0, room, 0)
        self.setMinimumWidth(72 + room)
        inside = QHBoxLayout(self.lineEdit())
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(suffix, alignment=Qt.AlignmentFlag.AlignRight)

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
            moved: float = value + steps * max(1, round(step) if value else 1)
        else:
            moved = float(f"{value + steps * step:.12g}")
        moved = moved if self._low is None else max(moved, self._low)
        moved = moved if self._high is None else min(moved, self._high)
        self.write(int(moved) if self._whole else moved)

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
