"""The epsilon slider, with a number field; the outcome over epsilon is drawn in its groove."""

from collections.abc import Callable

from PySide6.QtCore import QLocale, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QValidator, QWheelEvent
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSizePolicy, QWidget

from app.shell import theme
from app.shell.plain_text import set_tooltip, show_tooltip
from app.shell.widgets import Label
from app.views.groove import RADII, Groove, OutcomeCurves, Scale

EXTRA_DECIMALS = 3
"""Decimals that the number may have beyond those of the slider's steps."""


AROUND_NUMBER = 44
"""Pixels beside the text of a number field: its margins and its two buttons."""


class NumberField(QDoubleSpinBox):
    """A number field with a decimal point in every locale; a typed comma is replaced by a point.

    Its value changes when a number, in any notation, is finished, by Enter or by leaving the field, and with each step.
    What is no number within the limits changes nothing, and a tooltip says what is accepted.

    Parameters
    ----------
    text : how a value is written.
    """

    def __init__(self, text: Callable[[float], str]) -> None:
        super().__init__()
        self._text = text
        self.setKeyboardTracking(False)
        self.setLocale(QLocale.c())
        self.setFont(theme.tabular())
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._refused = ""
        """What is typed, if it is no number within the limits."""

    def textFromValue(self, value: float) -> str:
        return self._text(value)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        text = text.replace(",", ".")
        number = self._number_in(text)
        accepted = number is not None and self.minimum() <= number <= self.maximum()
        self._refused = "" if accepted else self._typed(text)
        # all can be typed, and is refused when it is finished: Qt would swallow the key without a word
        return (QValidator.State.Acceptable if accepted else QValidator.State.Intermediate), text, position

    def valueFromText(self, text: str) -> float:
        number = self._number_in(text)
        return self.value() if number is None else round(number, self.decimals())

    def fixup(self, text: str) -> str:
        """Say what is accepted; Qt calls it with what is typed, before it shows the last number again."""
        if self._refused:
            low, high = (self._text(limit) for limit in (self.minimum(), self.maximum()))
            said = f"{self._refused} is not accepted, only {low} to {high}{self.suffix()}."
            show_tooltip(self.mapToGlobal(self.rect().bottomLeft()), said, self)
        return text

    def _typed(self, text: str) -> str:
        return text.removesuffix(self.suffix()).strip()

    def _number_in(self, text: str) -> float | None:
        try:
            return float(self._typed(text))
        except ValueError:
            return None

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()  # the panel scrolls


class EpsilonSlider(QWidget):
    """A slider and a number with one value: epsilon, linear from 0 to the end of its scale.

    The slider goes in steps; a typed number may be finer.

    Mouse, keys, wheel and a typed number all emit `pressed`, then `moved` for every new value, then `released` with the
    last one. `setValue` emits nothing.
    """

    pressed = Signal()
    moved = Signal(float)
    released = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._groove = Groove()
        self._number = NumberField(self._text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_S)
        name = Label("ε")
        name.setFixedHeight(theme.CONTROL_HEIGHT)
        name.setBuddy(self._groove)
        layout.addWidget(name, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._groove, 1, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._number, 0, Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusProxy(self._groove)
        self.setAccessibleName("Epsilon")
        self.setScale(RADII)
        self._groove.sliderPressed.connect(self.pressed)
        self._groove.sliderReleased.connect(lambda: self.released.emit(self.value))
        self._groove.valueChanged.connect(self._on_groove_changed)
        self._number.valueChanged.connect(self._on_number_changed)

    @property
    def value(self) -> float:
        """Epsilon, as the number has it."""
        return self._number.value()

    def setValue(self, epsilon: float) -> None:
        """Set handle and number to `epsilon`, clipped to 0 and the maximum, without a signal."""
        with QSignalBlocker(self._groove), QSignalBlocker(self._number):
            self._groove.setValue(round(epsilon / self.scale.step))
            self._number.setValue(epsilon)

    @property
    def scale(self) -> Scale:
        """What epsilon measures, its right end and its steps."""
        return self._groove.scale

    def setScale(self, scale: Scale) -> None:
        """Measure epsilon on another scale; `setValue` is for after it. There is no signal."""
        with QSignalBlocker(self._groove), QSignalBlocker(self._number):
            self._groove.set_scale(scale)
            self._number.setDecimals(scale.decimals + EXTRA_DECIMALS)
            self._number.setSingleStep(scale.step)
            self._number.setMaximum(scale.highest)
            self._number.setSuffix(f" {scale.unit}")
        longest = f"{scale.highest:.{self._number.decimals()}f}{self._number.suffix()}"
        self._number.setMinimumWidth(self._number.fontMetrics().horizontalAdvance(longest) + AROUND_NUMBER)
        self._number.setAccessibleName(f"Epsilon in {scale.words}")
        meaning = ": the cloud's bounding sphere has radius 1" if scale.unit == RADII.unit else ""
        set_tooltip(self._number, f"Epsilon in {scale.words}{meaning}")
        self.setValue(self._groove.value() * scale.step)

    def set_outcome(self, outcome: OutcomeCurves | None, note: str = "") -> None:
        """Draw the outcome over epsilon in the groove, and a note over it.

        The area under the attacked model's curve is filled, in orange where it gives another verdict; vertical lines
        mark the smallest epsilon of each such range, for every model.
        """
        self._groove.set_outcome(outcome, note)

    def _on_groove_changed(self) -> None:
        with QSignalBlocker(self._number):
            self._number.setValue(self._groove.value() * self.scale.step)
        self.moved.emit(self.value)

    def _on_number_changed(self, epsilon: float) -> None:
        self.pressed.emit()
        with QSignalBlocker(self._groove):
            self._groove.setValue(round(epsilon / self.scale.step))
        self.moved.emit(epsilon)
        self.released.emit(epsilon)

    def _text(self, epsilon: float) -> str:
        """With the decimals of the slider's steps, and more only where they are not 0."""
        whole, _, decimals = f"{epsilon:.{self.scale.decimals + EXTRA_DECIMALS}f}".partition(".")
        kept = decimals.rstrip("0").ljust(self.scale.decimals, "0")
        return f"{whole}.{kept}" if kept else whole
