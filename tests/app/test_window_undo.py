"""Undo and redo: choices and steps of the attack, in the order in which they were made."""

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.shell import settings
from core.clouds.frames import AS_IT_IS
from core.datasets.shapes16 import make_shape

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def undo(person):
    """Undo, with nothing to take back."""
    history = person.window.undo
    person.wait_until(lambda: person.window.session._saved is not None, "the start")
    person.wait_for_scene()
    history.begin()
    return history


def settle(person, undo, what):
    """Wait until a choice is remembered, and the scene is its own."""
    person.wait_until(lambda: not undo._timer.isActive() and undo.next_undo == what, what or "nothing to take back")
    return person.wait_for_scene()


def at(person, step):
    person.wait_until(lambda: person.store.scene.step == person.store.position == step, f"step {step}")


def test_each_choice_is_taken_back_and_made_again_in_its_order(person, undo):
    actions, store = person.window.actions_, person.store
    assert not actions["undo"].isEnabled()
    assert not actions["redo"].isEnabled()
    first, model = store.cloud, store.primary
    person.press(Qt.Key.Key_PageDown, CTRL)
    settle(person, undo, "shape")
    second = store.cloud
    person.press_slider(0.1)
    for epsilon in (0.14, 0.2, 0.22):
        person.drag_slider(epsilon)
    dragged = person.release_slider().epsilon
    settle(person, undo, "epsilon")
    person.choose(person.window.attack.preset, "BIM")
    settle(person, undo, "attack")
    person.store.set_primary(person.store.models[1].name)
    settle(person, undo, "attacked model")
    assert actions["undo"].text() == "Undo attacked model"

    person.press(Qt.Key.Key_Z, CTRL)
    settle(person, undo, "attack")
    assert store.primary == model
    person.press(Qt.Key.Key_Z, CTRL)
    assert settle(person, undo, "epsilon").setup.attack.total_steps == 1
    assert person.window.attack.preset.currentText() == "FGSM"
    person.press(Qt.Key.Key_Z, CTRL)
    assert settle(person, undo, "shape").epsilon == person.window.attack.epsilon.value == 0.1
    person.press(Qt.Key.Key_Z, CTRL)
    assert settle(person, undo, "").setup.cloud.name == first.name
    assert not actions["undo"].isEnabled()
    person.press(Qt.Key.Key_Z, CTRL)

    for what in ("shape", "epsilon", "attack", "attacked model"):
        assert actions["redo"].text() == f"Redo {what}"
        person.press(Qt.Key.Key_Z, CTRL | SHIFT)
        scene = settle(person, undo, what)
    assert scene.setup.cloud.name == second.name
    assert scene.epsilon == dragged
    assert person.window.attack.preset.currentText() == "BIM"
    assert not actions["redo"].isEnabled()


def test_a_choice_after_undo_leaves_nothing_to_make_again(person, undo):
    for key in (Qt.Key.Key_PageDown, Qt.Key.Key_PageDown):
        person.press(key, CTRL)
        settle(person, undo, "shape")
    person.press(Qt.Key.Key_Z, CTRL)
    settle(person, undo, "shape")
    assert undo.next_redo == "shape"
    person.choose(person.window.attack.preset, "BIM")
    settle(person, undo, "attack")
    assert undo.next_redo == ""


def test_steps_are_taken_back_one_by_one_and_computed_once(person, undo):
    person.choose_pgd()
    settle(person, undo, "attack")
    person.press(Qt.Key.Key_N, SHIFT)
    at(person, 3)
    person.press(Qt.Key.Key_R)
    at(person, 0)
    assert undo.next_undo == "step"
    person.press(Qt.Key.Key_Z, CTRL)
    at(person, 3)
    person.press(Qt.Key.Key_Z, CTRL)
    at(person, 4)
    assert undo.next_undo == "attack"
    person.press(Qt.Key.Key_Z, CTRL | SHIFT)
    at(person, 3)
    person.wait_for_scene()
    assert len(person.store.history) == 5


def test_what_was_played_is_taken_back_together(person, undo):
    person.choose_pgd()
    settle(person, undo, "attack")
    person.press(Qt.Key.Key_N, SHIFT)
    person.press(Qt.Key.Key_N, SHIFT)
    at(person, 2)
    before = len(undo._past)
    person.press(Qt.Key.Key_P)
    person.wait_until(
        lambda: not person.window.playback.playing and person.store.scene.step == 4, "the end of the play"
    )
    assert len(undo._past) == before + 1
    person.press(Qt.Key.Key_Z, CTRL)
    at(person, 2)


def test_a_model_that_was_unloaded_is_not_attacked_again(person, undo):
    person.store.set_primary(person.store.models[1].name)
    settle(person, undo, "attacked model")
    gone = person.shipped[0].name
    person.store.remove_model(gone)
    person.wait_for_scene()
    settle(person, undo, "shown verdicts")
    person.press(Qt.Key.Key_Z, CTRL)
    settle(person, undo, "")
    assert person.store.primary == person.store.models[0].name != gone
    assert not person.window.actions_["undo"].isEnabled()


def test_a_turn_of_a_file_is_taken_back_for_its_folder_too(person, undo, tmp_path):
    file = tmp_path / "chair.npy"
    np.save(file, np.asarray(make_shape("chair", [0, 0])))
    person.window.opener.open_path(file)
    person.wait_until(lambda: person.store.source is not None, "the file")
    settle(person, undo, "shape")
    before = person.store.cloud.points
    person.press(Qt.Key.Key_U, SHIFT)
    settle(person, undo, "up axis")
    assert not np.array_equal(person.store.cloud.points, before)
    person.press(Qt.Key.Key_Z, CTRL)
    settle(person, undo, "shape")
    assert np.array_equal(person.store.cloud.points, before)
    assert settings.orientation_of(tmp_path) == person.store.files[0].orientation == AS_IT_IS
    person.store.remove_file(file)


def test_undo_ends_the_playing(person, undo):
    person.choose_pgd(steps=20)
    settle(person, undo, "attack")
    person.press(Qt.Key.Key_P)
    person.wait_until(lambda: person.store.position == 3, "some steps")
    person.press(Qt.Key.Key_Z, CTRL)
    assert not person.window.playback.playing
    person.wait_for_scene()
