"""Actions that can do nothing now are disabled, in menus, on buttons and in the palette, and only those."""

import threading

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit

from app.shell import jobstrip
from app.shell.search import SearchPopup
from app.shell.window import Window
from core.datasets.shapes16 import make_shape
from core.events import Cancel, Done, Progress
from tests.app.test_window_library import drop

STEPS = ("play", "step", "step_back", "reset", "run_to_end")
OF_A_SCENE = (
    *("export_clouds", "copy_numbers", "copy_command", "focus_epsilon", "compare_attacks", "layers"),
    *STEPS,
)
JOB = ("pause_job", "stop_job", "cancel_job")


def enabled(person, *keys):
    return {key for key in keys if person.window.actions_[key].isEnabled()}


def wait_until_enabled(person, keys, among):
    person.wait_until(lambda: enabled(person, *among) == set(keys), f"{keys} among {among}")


def test_steps_are_there_as_far_as_the_attack_has_steps(person):
    person.choose_pgd(steps=3)
    wait_until_enabled(person, {"play", "step", "step_back", "reset"}, STEPS)
    person.press(Qt.Key.Key_R)
    wait_until_enabled(person, {"play", "step", "run_to_end"}, STEPS)
    person.press(Qt.Key.Key_N)
    wait_until_enabled(person, STEPS, STEPS)
    person.press(Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    wait_until_enabled(person, {"play", "step", "run_to_end"}, STEPS)
    person.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    wait_until_enabled(person, {"play", "step", "step_back", "reset"}, STEPS)
    person.wait_for_scene()


def test_without_a_model_nothing_is_offered_that_needs_one(person):
    wait_until_enabled(person, set(OF_A_SCENE) - {"run_to_end"}, OF_A_SCENE)
    for model in person.store.models:
        person.store.remove_model(model.name)
    person.wait_until(lambda: person.store.scene is None, "the models to be gone")
    assert enabled(person, *OF_A_SCENE, "choose_target") == set()
    others = ("open_file", "library", "next_shape", "show_log", "overlay", "export_picture", "copy_picture")
    assert enabled(person, *others) == set(others)


def test_another_shape_is_offered_only_if_the_list_has_one(person):
    keys = ("previous_shape", "next_shape")
    assert enabled(person, *keys) == set(keys)
    search = person.window.library._search
    QTest.keyClicks(search, "no such shape")
    assert enabled(person, *keys) == set()
    search.clear()
    assert enabled(person, *keys) == set(keys)


def test_only_a_file_can_be_turned(person, tmp_path):
    keys = ("next_up_axis", "turn_shape")
    assert enabled(person, *keys) == set()
    np.save(tmp_path / "mug.npy", np.asarray(make_shape("mug", [0, 0])))
    drop(person, tmp_path / "mug.npy")
    wait_until_enabled(person, keys, keys)
    person.wait_for_scene()
    person.store.remove_file(tmp_path / "mug.npy")
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    wait_until_enabled(person, (), keys)
    person.wait_for_scene()


def test_a_job_can_be_paused_and_ended_while_there_is_one(person, monkeypatch):
    monkeypatch.setattr(jobstrip, "ask", lambda *_: True)
    cancel, gate = Cancel(), threading.Event()

    def work():
        yield Progress(0, 1)
        gate.wait(60)
        yield Done(None, complete=not cancel.requested)

    assert enabled(person, *JOB) == set()
    job = person.window.jobs.submit("counting", work, cancel)
    wait_until_enabled(person, JOB, JOB)
    person.window.actions_["pause_job"].trigger()
    assert enabled(person, *JOB) == set(JOB), "a paused job goes on by the same action"
    person.window.actions_["stop_job"].trigger()
    assert enabled(person, *JOB) == set(), "it is about to end"
    gate.set()
    person.wait_until(lambda: job not in person.window.jobs.jobs, "the end of the job")
    job = person.window.jobs.submit("looking", work, cancel, keeps_partial=False)
    wait_until_enabled(person, {"pause_job", "cancel_job"}, JOB)
    person.window.actions_["cancel_job"].trigger()
    person.wait_until(lambda: job not in person.window.jobs.jobs, "the end of the job")
    assert enabled(person, *JOB) == set()


def test_what_is_seen_in_the_pair_view_alone_is_not_offered_without_it(person):
    keys = (
        "overlay",
        "gradients",
        "look_front",
        "reset_camera",
        "library",
        "options",
        "maximise_work",
        "choose_target",
    )
    assert enabled(person, *keys) == set(keys) - {"options", "maximise_work"}
    person.show_workspace("evaluate")
    assert enabled(person, *keys) == set(keys)
    person.press(Qt.Key.Key_F10)
    assert enabled(person, *keys) == {"options", "maximise_work"}
    person.window.actions_["maximise_work"].trigger()
    assert enabled(person, *keys) == set(keys)


def test_the_palette_dims_what_can_do_nothing_and_does_not_run_it(person):
    assert not person.window.actions_["pause_job"].isEnabled()
    person.press(Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    palette = next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, SearchPopup))
    QTest.keyClicks(palette.findChild(QLineEdit), "pause / resume")
    assert palette._list.item(0).text().endswith("Pause / resume")
    assert not palette._list.item(0).flags() & Qt.ItemFlag.ItemIsEnabled
    QTest.keyClick(palette.findChild(QLineEdit), Qt.Key.Key_Return)
    palette.close()


def test_before_anything_is_loaded_nothing_is_offered_that_needs_it():
    window = Window()
    keys = (*OF_A_SCENE, *JOB, "undo", "redo", "next_shape", "next_up_axis", "turn_shape", "choose_target")
    assert [key for key in keys if window.actions_[key].isEnabled()] == []
    assert all(window.actions_[key].isEnabled() for key in ("open_file", "find_action", "show_log", "quit"))
    window.close()
    window.deleteLater()
