"""An attack of several steps, gone through with keys, buttons, play and the scrubber."""

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QSlider, QToolButton

from tests.app.studio_window import person, seat, shapes

__all__ = ["person", "seat", "shapes"]

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def at(person, step):
    person.until(lambda: person.store.scene.step == step == person.store.position, f"step {step}")
    return person.store.scene


def test_an_attack_is_stepped_and_scrubbed_with_keys(person):
    end = person.choose_pgd()
    person.press(Qt.Key.Key_R)
    assert at(person, 0).distances.linf == 0
    person.press(Qt.Key.Key_N)
    first = at(person, 1)
    assert 0 < first.distances.linf < 0.1
    person.press(Qt.Key.Key_N)
    at(person, 2)
    person.press(Qt.Key.Key_N, SHIFT)
    assert np.array_equal(at(person, 1).points, first.points)
    person.press(Qt.Key.Key_Return, CTRL)
    assert np.array_equal(at(person, 4).points, end.points)
    person.press(Qt.Key.Key_N)
    at(person, 5)  # more steps than planned go on
    assert "step 5/5" in person.window.attack._steps.text()


def test_undo_takes_a_step_back_and_redo_only_goes_where_one_has_been(person):
    person.choose_pgd()
    person.press(Qt.Key.Key_Z, CTRL)
    at(person, 3)
    person.press(Qt.Key.Key_Z, CTRL | SHIFT)
    at(person, 4)
    person.press(Qt.Key.Key_Z, CTRL | SHIFT)
    QApplication.processEvents()
    person.settle()
    assert len(person.store.history) == 5


def test_play_goes_from_the_clean_cloud_to_the_end(person):
    person.choose_pgd()
    steps = []
    connection = person.store.sceneChanged.connect(lambda scene: steps.append(scene.step))
    person.press(Qt.Key.Key_P)
    assert person.window.studio.playing
    person.until(lambda: not person.window.studio.playing, "the end of the play")
    person.store.sceneChanged.disconnect(connection)
    assert steps == [0, 1, 2, 3, 4]


def test_a_reset_right_after_a_step_is_not_overtaken_by_it(person):
    person.choose_pgd()
    person.press(Qt.Key.Key_N)
    person.press(Qt.Key.Key_R)
    at(person, 0)
    person.settle()
    at(person, 0)


def test_play_pauses(person):
    person.choose_pgd(steps=40)
    person.press(Qt.Key.Key_P)
    person.until(lambda: person.store.scene.step == 2, "two steps")
    person.press(Qt.Key.Key_P)
    assert not person.window.studio.playing
    person.settle()
    assert person.store.scene.step < 10


def test_the_scrubber_goes_to_any_step(person):
    person.choose_pgd()
    scrub = person.named(QSlider, "Steps of the attack")
    assert (scrub.minimum(), scrub.maximum(), scrub.value()) == (0, 4, 4)
    scrub.setFocus()
    QTest.keyClick(scrub, Qt.Key.Key_Left)
    QTest.keyClick(scrub, Qt.Key.Key_Left)
    at(person, 2)
    QTest.keyClick(scrub, Qt.Key.Key_Home)
    at(person, 0)


def test_the_buttons_of_the_strip_step_the_attack(person):
    person.choose_pgd()
    buttons = {
        button.defaultAction().objectName(): button
        for button in person.window.attack.findChildren(QToolButton)
        if button.defaultAction() is not None
    }
    person.click(buttons["reset"])
    at(person, 0)
    person.click(buttons["step"])
    at(person, 1)
    person.click(buttons["run_to_end"])
    at(person, 4)
    person.click(buttons["step_back"])
    at(person, 3)
