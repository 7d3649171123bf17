import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSlider, QApplication, QDoubleSpinBox, QToolTip, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.shell import theme
from app.views.epsilon import EpsilonSlider
from app.views.groove import CURVE_HEIGHT, MARGIN, RADII, OutcomeCurves, Scale
from tests.app.inspection import pixels, tooltip, where
from tests.app.mouse import move_mouse

EPSILONS = np.linspace(0, 0.3, 31)
CONFIDENCE = np.array([np.linspace(1, 0, 31), np.linspace(1, 0.6, 31)])
WRONG = np.array([EPSILONS > 0.145, np.zeros(31, bool)])
RIGHT_AGAIN = np.array([np.abs(EPSILONS - 0.125) < 0.028, EPSILONS > 0.295])
"""First model: wrong in one range and right again; second model: wrong only at the end."""


def outcome(wrong: np.ndarray = WRONG) -> OutcomeCurves:
    return OutcomeCurves(EPSILONS, CONFIDENCE, wrong, ("simple", "defense"), 0, ("chair", "chair"))


class SignalLog:
    """The signals of a slider in their order."""

    def __init__(self, slider: EpsilonSlider) -> None:
        self.signals: list = []
        slider.pressed.connect(lambda: self.signals.append("pressed"))
        slider.moved.connect(lambda value: self.signals.append(value))
        slider.released.connect(lambda value: self.signals.append(("released", value)))

    def read(self) -> list:
        signals, self.signals = self.signals, []
        return signals


@pytest.fixture
def slider(qtbot: QtBot) -> EpsilonSlider:
    window = QWidget()
    layout = QVBoxLayout(window)
    slider = EpsilonSlider()
    elsewhere = QWidget(focusPolicy=Qt.FocusPolicy.StrongFocus)
    layout.addWidget(slider)
    layout.addWidget(elsewhere)
    qtbot.addWidget(window)
    window.resize(640, 120)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    elsewhere.setFocus()
    slider.window_kept_alive = window
    return slider


@pytest.fixture
def groove(slider: EpsilonSlider) -> QAbstractSlider:
    return slider.findChild(QAbstractSlider)


@pytest.fixture
def number(slider: EpsilonSlider) -> QDoubleSpinBox:
    return slider.findChild(QDoubleSpinBox)


def place(groove: QAbstractSlider, epsilon: float, maximum: float = 0.3) -> QPoint:
    """Position of an epsilon in the groove."""
    return QPoint(round(MARGIN + (groove.width() - 2 * MARGIN) * epsilon / maximum), CURVE_HEIGHT // 2)


def turn(widget: QWidget, notches: int) -> QWheelEvent:
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle, widget.mapToGlobal(middle), QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)
    return event


def test_the_handle_follows_a_drag(slider: EpsilonSlider, groove: QAbstractSlider, number: QDoubleSpinBox) -> None:
    log = SignalLog(slider)
    QTest.mousePress(groove, Qt.MouseButton.LeftButton, pos=place(groove, 0.05))
    for epsilon in (0.1, 0.15, 0.2):
        move_mouse(groove, place(groove, epsilon))
    QTest.mouseRelease(groove, Qt.MouseButton.LeftButton, pos=place(groove, 0.2))
    signals = log.read()
    assert signals[0] == "pressed"
    assert signals[-1] == ("released", slider.value)
    assert signals[1:-1] == pytest.approx([0.05, 0.1, 0.15, 0.2], abs=0.001)
    assert number.value() == slider.value == signals[-2]
    handle = np.flatnonzero(where(groove, theme.DARK.text)[CURVE_HEIGHT // 2])
    assert handle.mean() == pytest.approx(place(groove, slider.value).x(), abs=1)


def test_a_click_jumps_and_a_drag_beyond_the_ends_stays_inside(slider: EpsilonSlider, groove: QAbstractSlider) -> None:
    QTest.mouseClick(groove, Qt.MouseButton.LeftButton, pos=place(groove, 0.25))
    assert slider.value == pytest.approx(0.25, abs=0.001)
    QTest.mousePress(groove, Qt.MouseButton.LeftButton, pos=place(groove, 0.25))
    move_mouse(groove, QPoint(groove.width() + 200, 5))
    assert slider.value == 0.3
    move_mouse(groove, QPoint(-200, 5))
    QTest.mouseRelease(groove, Qt.MouseButton.LeftButton, pos=QPoint(-200, 5))
    assert slider.value == 0.0
    QTest.mouseClick(groove, Qt.MouseButton.RightButton, pos=place(groove, 0.25))
    assert slider.value == 0.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (Qt.Key.Key_Left, 0.099),
        (Qt.Key.Key_Right, 0.101),
        (Qt.Key.Key_PageDown, 0.09),
        (Qt.Key.Key_PageUp, 0.11),
        (Qt.Key.Key_Home, 0.0),
        (Qt.Key.Key_End, 0.3),
    ],
    ids=lambda value: value.name if isinstance(value, Qt.Key) else "",
)
def test_keys_step_page_and_go_to_the_ends(
    slider: EpsilonSlider, groove: QAbstractSlider, key: Qt.Key, value: float
) -> None:
    slider.setValue(0.1)
    log = SignalLog(slider)
    groove.setFocus()
    QTest.keyClick(groove, key)
    assert log.read() == ["pressed", value, ("released", value)]


def test_the_wheel_changes_only_a_focused_widget(
    slider: EpsilonSlider, groove: QAbstractSlider, number: QDoubleSpinBox
) -> None:
    slider.setValue(0.1)
    log = SignalLog(slider)
    for widget in (groove, number):
        assert not turn(widget, 1).isAccepted(), "the panel around it scrolls"
    assert log.read() == []
    for widget in (groove, number):
        widget.setFocus()
        turn(widget, 1)
        assert slider.value > 0.1
        assert log.read() == ["pressed", slider.value, ("released", slider.value)]
        slider.setValue(0.1)


def test_a_number_can_be_typed(slider: EpsilonSlider, number: QDoubleSpinBox) -> None:
    log = SignalLog(slider)
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, "0.063")
    assert log.read() == [], "half a number is no value"
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert log.read() == ["pressed", 0.063, ("released", 0.063)]
    assert number.text() == "0.063 r"


def test_a_decimal_comma_is_accepted(slider: EpsilonSlider, number: QDoubleSpinBox) -> None:
    number.setFocus()
    for text in ("0,05", "0.05"):
        slider.setValue(0.2)
        number.selectAll()
        QTest.keyClicks(number, text)
        QTest.keyClick(number, Qt.Key.Key_Return)
        assert (slider.value, number.text()) == (0.05, "0.050 r")


def test_a_typed_number_may_be_finer_than_the_sliders_steps(
    slider: EpsilonSlider, groove: QAbstractSlider, number: QDoubleSpinBox
) -> None:
    log = SignalLog(slider)
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, "0.018042")
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert log.read() == ["pressed", 0.018042, ("released", 0.018042)]
    assert number.text() == "0.018042 r"
    assert number.lineEdit().width() >= number.fontMetrics().horizontalAdvance("0.018042 r")
    groove.setFocus()
    QTest.keyClick(groove, Qt.Key.Key_Right)
    assert (slider.value, number.text()) == (0.019, "0.019 r")


@pytest.mark.parametrize("typed", ["5e-2", "5E-2", ".05", "0.0500000000001"])
def test_a_number_may_be_in_any_notation(slider: EpsilonSlider, number: QDoubleSpinBox, typed: str) -> None:
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, typed)
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert (slider.value, number.text()) == (0.05, "0.050 r")


@pytest.mark.parametrize("typed", ["0.5", "-1", "12", "1e-", "0.1.2", "nan", "ten"])
def test_what_is_no_number_of_the_scale_is_refused_with_what_is_accepted(
    slider: EpsilonSlider, number: QDoubleSpinBox, typed: str
) -> None:
    slider.setValue(0.1)
    moved: list[float] = []
    slider.moved.connect(moved.append)
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, typed)
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert (slider.value, moved) == (0.1, [])
    assert number.text() == "0.100 r"
    assert QToolTip.text() == f"{typed} is not accepted, only 0.000 to 0.300 r."
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert slider.value == 0.1


def test_setting_the_value_from_code_emits_no_signal(slider: EpsilonSlider, number: QDoubleSpinBox) -> None:
    log = SignalLog(slider)
    slider.setValue(0.1234)
    assert slider.value == number.value() == 0.1234
    slider.setValue(7.0)
    assert slider.value == 0.3
    assert log.read() == []


@pytest.mark.parametrize(
    ("scale", "text", "key", "page"),
    [
        (Scale("°", "degrees", 180.0, 1.0), "30 °", 31.0, 40.0),
        (Scale("%", "per cent of the points", 50.0, 0.1), "30.0 %", 30.1, 31.0),
    ],
)
def test_epsilon_of_another_unit_has_its_own_steps_end_and_words(
    slider: EpsilonSlider,
    groove: QAbstractSlider,
    number: QDoubleSpinBox,
    scale: Scale,
    text: str,
    key: float,
    page: float,
) -> None:
    log = SignalLog(slider)
    slider.setValue(0.3)
    slider.setScale(scale)
    slider.setValue(30.0)
    assert log.read() == [], "set from code"
    assert (slider.value, number.text()) == (30.0, text)
    assert number.accessibleName() == f"Epsilon in {scale.words}"
    assert f"ε = {30:.{scale.decimals}f} {scale.words}" in tooltip(groove, place(groove, 30.0, scale.highest))
    assert "diameter" not in tooltip(groove, place(groove, 30.0, scale.highest))
    groove.setFocus()
    QTest.keyClick(groove, Qt.Key.Key_Right)
    assert slider.value == key
    slider.setValue(30.0)
    QTest.keyClick(groove, Qt.Key.Key_PageUp)
    assert slider.value == page
    QTest.keyClick(groove, Qt.Key.Key_End)
    assert slider.value == scale.highest == number.value()
    slider.setScale(RADII)
    slider.setValue(0.1)
    assert number.text() == "0.100 r"


def test_the_groove_is_orange_where_the_verdict_is_another(slider: EpsilonSlider, groove: QAbstractSlider) -> None:
    slider.set_outcome(outcome(RIGHT_AGAIN))
    slider.setValue(0.3)
    picture = pixels(groove).astype(int)
    warmth = picture[4, :, 0] - picture[4, :, 2]  # red over blue, near the upper edge
    first, last = place(groove, 0.095).x(), place(groove, 0.155).x()
    assert (warmth[place(groove, 0.01).x() : first - 1] < 0).all()
    assert (warmth[first + 1 : last - 1] > 0).all()
    assert (warmth[last + 1 : place(groove, 0.28).x()] < 0).all()
    tick = np.flatnonzero(where(groove, theme.DARK.adv)[4])
    assert tick == pytest.approx([first], abs=1)


def test_a_groove_without_outcome_shows_a_note(slider: EpsilonSlider, groove: QAbstractSlider) -> None:
    slider.set_outcome(outcome())
    curve = pixels(groove)
    slider.set_outcome(None)
    empty = pixels(groove)
    slider.set_outcome(None, "computing the outcome over ε")
    assert (curve != empty).any()
    assert (pixels(groove) != empty).any()
    assert groove.accessibleDescription() == "computing the outcome over ε"


def test_a_note_is_painted_over_the_curve_and_part_of_the_tooltip(
    slider: EpsilonSlider, groove: QAbstractSlider
) -> None:
    slider.set_outcome(outcome())
    plain = pixels(groove)
    slider.set_outcome(outcome(), "the attack's result, rescaled")
    assert (pixels(groove) != plain).any()
    assert "the attack's result, rescaled" in tooltip(groove, place(groove, 0.1)).splitlines()
    assert groove.accessibleDescription().startswith("the attack's result, rescaled; simple, another verdict")


def test_hovering_shows_both_units_and_every_model(slider: EpsilonSlider, groove: QAbstractSlider) -> None:
    slider.set_outcome(outcome())
    lines = tooltip(groove, place(groove, 0.0)).splitlines()
    assert lines[0] == "ε = 0.000 unit-sphere radii"
    assert tooltip(groove, place(groove, 0.3)).splitlines()[1] == "15.00\u2009% of the diameter"
    assert lines[2:] == ["simple: chair 1.00, another verdict at 0.15 to 0.30", "defense: chair 1.00"]
    slider.set_outcome(outcome(RIGHT_AGAIN))
    found = tooltip(groove, place(groove, 0.2)).splitlines()[2:]
    assert [line.partition(", ")[2] for line in found] == ["another verdict at 0.10 to 0.15", "another verdict at 0.30"]


def test_a_screen_reader_finds_a_slider(slider: EpsilonSlider, groove: QAbstractSlider) -> None:
    slider.set_outcome(outcome())
    slider.setValue(0.063)
    reader = QAccessible.queryAccessibleInterface(groove)
    assert reader.role() == QAccessible.Role.Slider
    assert reader.valueInterface().currentValue() == 63
    assert reader.text(QAccessible.Text.Description) == "simple, another verdict at 0.15 to 0.30"


def test_the_colours_follow_the_theme(slider: EpsilonSlider, groove: QAbstractSlider, qapp: QApplication) -> None:
    slider.set_outcome(outcome())
    theme.apply(qapp, "light")
    assert where(groove, theme.LIGHT.adv).any()
    assert not where(groove, theme.DARK.adv).any()


@pytest.mark.parametrize(
    ("confidence", "wrong", "primary", "words"),
    [
        (CONFIDENCE[:, :5], WRONG, 0, r"confidences \(2, 5\)"),
        (CONFIDENCE, WRONG[:1], 0, r"verdicts \(1, 31\)"),
        (CONFIDENCE, WRONG, 2, "model 2 is not one of the 2 models"),
    ],
)
def test_inconsistent_arguments_are_an_error(
    confidence: np.ndarray, wrong: np.ndarray, primary: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        OutcomeCurves(EPSILONS, confidence, wrong, ("simple", "defense"), primary, ("chair", "chair"))
