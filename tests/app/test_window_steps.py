"""Stepping through an attack with keys, buttons, playing and the step slider."""

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QSlider, QToolButton

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def at(person, step):
    person.wait_until(lambda: person.store.scene.step == step == person.store.position, f"step {step}")
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
    bar = person.window.attack.steps
    assert bar.step.text() == f"step {bar.scrubber.best}/{max(4, bar.scrubber.best)}", "the best of all five"


def test_loss_and_rmse_are_drawn_over_the_steps_and_a_click_goes_to_one(person):
    traces = person.window.stage.verdict.traces
    assert not traces.isVisible(), "FGSM has one step"
    end = person.choose_pgd()
    assert traces.isVisible()
    assert traces.accessibleDescription().startswith(f"loss {end.loss:#.3g} nat, RMSE 0.0")
    person.click(traces, QPoint(round(traces.width() / 4), traces.height() - 20))
    middle = at(person, 2)
    assert traces.accessibleDescription().startswith(f"loss {middle.loss:#.3g} nat")
    person.press(Qt.Key.Key_N)
    at(person, 3)


def test_play_goes_from_the_clean_cloud_to_the_end(person):
    person.choose_pgd()
    steps = []
    connection = person.store.sceneChanged.connect(lambda scene: steps.append(scene.step))
    person.press(Qt.Key.Key_P)
    assert person.window.playback.playing
    person.wait_until(lambda: not person.window.playback.playing, "the end of the play")
    person.store.sceneChanged.disconnect(connection)
    assert steps == [0, 1, 2, 3, 4]


def test_a_reset_cancels_a_pending_step(person):
    person.choose_pgd()
    person.press(Qt.Key.Key_N)
    person.press(Qt.Key.Key_R)
    at(person, 0)
    person.wait_for_scene()
    at(person, 0)


def test_play_pauses(person):
    person.choose_pgd(steps=40)
    person.press(Qt.Key.Key_P)
    person.wait_until(lambda: person.store.scene.step == 2, "two steps")
    person.press(Qt.Key.Key_P)
    assert not person.window.playback.playing
    person.wait_for_scene()
    assert person.store.scene.step < 10


def test_the_scrubber_goes_to_any_step(person):
    person.choose_pgd()
    scrub = person.find(QSlider, "Steps of the attack")
    assert (scrub.minimum(), scrub.maximum(), scrub.value()) == (0, 4, 4)
    scrub.setFocus()
    QTest.keyClick(scrub, Qt.Key.Key_Left)
    QTest.keyClick(scrub, Qt.Key.Key_Left)
    at(person, 2)
    QTest.keyClick(scrub, Qt.Key.Key_Home)
    at(person, 0)


def test_steps_are_counted_from_each_start_and_the_best_iterate_is_marked(person, shot):
    person.choose_pgd()
    bar, panel = person.window.attack.steps, person.window.attack
    person.type_option(panel._form, "restarts", "2")
    end = person.wait_for_scene()
    assert len(person.store.history) == 13
    assert bar.scrubber.starts == (4, 8)
    best = bar.scrubber.best
    assert end.points.tobytes() == person.store.history[best].current[0].numpy().tobytes()
    shown = {"step": f"step {(best - 1) % 4 + 1}/4", "start": f"start {(best - 1) // 4 + 1}/3"}
    assert bar.step.text() == shown["step"]
    assert bar.start.text() == ("" if best == 12 else "best, ") + shown["start"]
    assert ("best of all iterates" in bar.step.toolTip()) == (best != 12)
    shot(person.window, "steps")
    bar.scrubber.setFocus()
    for step, (text, start) in {5: ("step 1/4", "start 2/3"), 4: ("step 4/4", "start 1/3")}.items():
        while bar.scrubber.value() != step:
            QTest.keyClick(bar.scrubber, Qt.Key.Key_Left)
        at(person, step)
        assert (bar.step.text(), bar.start.text(), bar.scrubber.best) == (text, start, None)


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
