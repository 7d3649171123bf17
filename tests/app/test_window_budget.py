"""The budget in other units: a button beside epsilon, and the numbers behind it."""

import math
from dataclasses import asdict

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDoubleSpinBox, QToolButton, QToolTip

from app.stage.budget import BudgetPopup
from app.stage.verdict import NUMBERS
from tests.app.window_fixtures import Person

TIPS = {key: tip for key, _, tip in NUMBERS}
ROOT = math.sqrt(3 * 1024)


@pytest.fixture
def button(person: Person) -> QToolButton:
    return person.find(QToolButton, "Budget in other units")


def opened(person: Person, button: QToolButton) -> BudgetPopup:
    person.click(button)
    popup = person.window.findChild(BudgetPopup)
    person.wait_until(popup.isVisible, "the converter")
    return popup


def field(popup: BudgetPopup, key: str) -> QDoubleSpinBox:
    start = TIPS.get(key, "Epsilon in per cent")
    return next(each for each in popup.findChildren(QDoubleSpinBox) if each.accessibleName().startswith(start))


def typed(popup: BudgetPopup, key: str, text: str) -> None:
    box = field(popup, key)
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def closed(person: Person, popup: BudgetPopup) -> None:
    QTest.keyClick(popup.focusWidget() or popup, Qt.Key.Key_Escape)
    person.wait_until(lambda: not person.window.findChildren(BudgetPopup), "the converter to close")


def test_the_budget_of_a_box_is_shown_in_every_unit(person, button, shot):
    popup = opened(person, button)
    texts = {key: field(popup, key).text() for key in ("linf", "per_point_l2", "l2", "rmse", "diameter")}
    assert texts == {
        "linf": "0.100 r", "per_point_l2": "0.173 r", "l2": "5.54 r", "rmse": "0.100 r", "diameter": "5.00 %",
    }  # fmt: skip
    shot(popup, "budget")
    closed(person, popup)


@pytest.mark.parametrize(
    ("key", "text", "epsilon"),
    [
        ("linf", "0.04", 0.04),
        ("per_point_l2", "0,05", 0.05 / math.sqrt(3)),
        ("l2", "1", 1 / ROOT),
        ("rmse", "0.0125", 0.0125),
        ("diameter", "2.5", 0.05),
    ],
)
def test_a_number_typed_in_any_unit_is_attacked_at_that_epsilon(person, button, key, text, epsilon):
    popup = opened(person, button)
    typed(popup, key, text)
    scene = person.wait_for_scene()
    assert scene.epsilon == person.window.attack.epsilon.value == round(epsilon, 6)
    assert field(popup, "l2").value() == pytest.approx(epsilon * ROOT, rel=1e-3)
    if key != "diameter":
        assert asdict(scene.distances)[key] <= float(text.replace(",", ".")) * (1 + 1e-4)
    closed(person, popup)


def test_enter_in_an_unchanged_field_changes_nothing_and_an_arrow_key_steps(person, button):
    popup = opened(person, button)
    box = field(popup, "l2")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert person.store.epsilon == 0.1, "5.54 is only what can be read of it"
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert person.store.epsilon == pytest.approx((0.1 * ROOT + 0.1) / ROOT, abs=1e-6)
    person.wait_for_scene()
    closed(person, popup)


def test_more_than_the_slider_offers_is_refused_with_what_is_accepted(person, button):
    popup = opened(person, button)
    typed(popup, "l2", "99999")
    assert QToolTip.text() == "99999 is not accepted, only 0 to 16.6 r."
    assert person.store.epsilon == 0.1
    typed(popup, "l2", "16.6")
    assert person.wait_for_scene().epsilon == pytest.approx(0.3, rel=0.005)
    closed(person, popup)


def test_other_constraints_have_other_numbers(person, button):
    person.choose(person.window.attack._variant, "per point L2")
    person.wait_for_scene()
    popup = opened(person, button)
    typed(popup, "rmse", "0.05")
    assert person.wait_for_scene().epsilon == pytest.approx(0.05 * math.sqrt(3), abs=1e-6)
    assert field(popup, "l2").value() == pytest.approx(0.05 * ROOT, rel=1e-4)
    closed(person, popup)
    person.choose(person.window.attack._variant, "global L2")
    person.wait_for_scene()
    popup = opened(person, button)
    typed(popup, "l2", "2")
    scene = person.wait_for_scene()
    assert scene.setup.attack.constraint == "rmse"
    assert scene.distances.l2 == pytest.approx(2, rel=1e-3)
    closed(person, popup)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("ROTATE", "is in degrees"), ("DROP", "is in per cent of the points"), ("", "bounds no distance")],
)
def test_an_epsilon_that_is_no_distance_has_no_other_units(person, button, name, reason):
    panel = person.window.attack
    if name:
        person.choose(panel.preset, name)
    else:
        person.choose(panel._variant, "raw gradient")
    person.wait_for_scene()
    assert not button.isEnabled()
    assert reason in button.toolTip()
    person.choose(panel.preset, "PGD")
    person.wait_for_scene()
    assert button.isEnabled()
