"""Attacks whose epsilon has another unit, and an attack that the program does not come with, in the window."""

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from tests.app.window_fixtures import Person, open_window
from tests.new_attack import NAME, add_attack


@pytest.fixture(scope="module")
def shared_window(shapes, tmp_path_factory) -> Iterator[Person]:
    """A window that was opened after an attack had been added."""
    folder = tmp_path_factory.mktemp("added")
    with pytest.MonkeyPatch.context() as patch:
        add_attack(folder, patch)
        with open_window(shapes, folder) as person:
            yield person


def test_a_new_file_and_row_are_in_the_chooser_with_a_form_of_their_own(person):
    panel = person.window.attack
    person.choose(panel.preset, NAME.upper())
    scene = person.wait_for_scene()
    assert type(scene.setup.attack).__name__ == "LiftAttack"
    assert scene.distances.linf == pytest.approx(0.75 * person.store.epsilon, abs=1e-5)
    assert not panel._variant.isVisible(), "it knows no variants of FGSM"
    shown = panel._form._form
    assert shown.findChild(QWidget, "part") is not None
    assert shown.findChild(QWidget, "optimiser") is None
    person.type_option(shown, "part", "0.5")
    assert person.wait_for_scene().distances.linf == pytest.approx(0.5 * person.store.epsilon, abs=1e-5)
    person.choose(panel.preset, "FGSM")
    assert person.wait_for_scene().distances.linf == pytest.approx(person.store.epsilon, abs=1e-5)


def test_the_slider_measures_what_epsilon_of_the_attack_does(person):
    panel = person.window.attack
    person.choose(panel.preset, "ROTATE-Z")
    scene = person.wait_for_scene()
    assert (scene.epsilon, person.store.epsilon, panel.epsilon.value) == (30.0, 30.0, 30.0)
    assert panel.epsilon._number.text() == "30 °"
    assert "at epsilon 30 °" in scene.caption
    radii = np.linalg.norm(scene.setup.cloud.points, axis=1)
    np.testing.assert_allclose(np.linalg.norm(scene.points, axis=1), radii, atol=1e-5)
    person.press_slider(30.0)
    turned = person.drag_slider(90.0)
    np.testing.assert_allclose(np.linalg.norm(turned.points, axis=1), radii, atol=1e-5)
    assert not turned.exact
    person.release_slider()
    person.wait_until(lambda: person.store.outcome is not None, "the outcome over epsilon")
    assert person.store.outcome.epsilons[-1] == 180.0
    person.choose(panel.preset, "DROP")
    scene = person.wait_for_scene()
    assert panel.epsilon._number.text() == "10.0 %"
    assert len(np.unique(scene.points, axis=0)) >= 0.9 * len(np.unique(scene.setup.cloud.points, axis=0)) - 1
    person.choose(panel.preset, "FGSM")
    assert person.wait_for_scene().epsilon == 0.1
    assert panel.epsilon._number.text() == "0.100 r"


def test_another_transform_in_the_form_measures_epsilon_anew(person):
    panel = person.window.attack
    person.choose(panel.preset, "TWIST")
    person.wait_for_scene()
    box = panel._form._form.findChild(QWidget, "transform")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)  # taper
    scene = person.wait_for_scene()
    assert scene.setup.attack.transform == "taper"
    assert (panel.epsilon._number.text(), scene.epsilon) == ("30.0 %", 30.0)


def test_added_points_are_shown_and_the_clean_cloud_stays(person):
    panel = person.window.attack
    person.choose(panel.preset, "ADD")
    person.type_option(panel._form._form, "steps", "3")
    scene = person.wait_for_scene()
    clean = scene.setup.cloud.points
    assert len(scene.points) == len(clean) + len(clean) // 10
    assert np.array_equal(scene.points[: len(clean)], clean)
    assert np.array_equal(person.window.pair.clean.points, clean)
    view = person.window.pair.adversarial
    assert len(view.points) == len(view._origin) == len(view._values) == len(scene.points)
    person.press_slider(10.0)
    fewer = person.drag_slider(5.0)
    assert (fewer.displacement > 0).sum() <= len(clean) // 20
    person.release_slider()
    assert len(person.wait_for_scene().points) == len(clean) + int(person.store.epsilon * len(clean) / 100 + 1e-9)


def test_another_direction_keeps_a_constraint_that_is_not_its_own(person):
    panel = person.window.attack
    for name, constraint in (("SI-ADV", "tangent-l2"), ("ADD", "none")):
        person.choose(panel.preset, name)
        person.type_option(panel._form._form, "steps", "2")
        person.choose(panel._variant, "sign")
        attack = person.wait_for_scene().setup.attack
        assert (attack.direction, attack.constraint, attack.steps) == ("sign", constraint, 2)
        assert panel._form.value() is not None


@pytest.mark.long
def test_the_next_start_shows_the_attack_at_an_epsilon_of_its_own_unit(shapes, tmp_path):
    with open_window(shapes, tmp_path) as own:
        own.window.attack.epsilon.setValue(0.2)
        own.window.controller.release(0.2)
        own.choose(own.window.attack.preset, "ROTATE")
        own.wait_for_scene()
    with open_window(shapes, tmp_path) as own:
        assert own.wait_for_scene().setup.attack.transform == "rotate"
        assert own.store.epsilon == 30.0
        own.choose(own.window.attack.preset, "FGSM")
        assert own.wait_for_scene().epsilon == 0.1
