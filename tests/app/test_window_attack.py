"""The main job, as a person does it: move epsilon, choose another attack, and watch."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDoubleSpinBox, QStyle, QStyleOptionComboBox, QWidget

from app.stage.outcomes import EPSILON_MAX
from tests.app import looking
from tests.app.mouse import move_mouse
from tests.app.studio_window import LEFT, person, seat, shapes
from tests.pixels.pictures import pixels

__all__ = ["person", "seat", "shapes"]


def seen(view):
    return pixels(view.grab().toImage())


def bars(person):
    return looking.pixels(person.window.verdict.view._bars)


# --- the start -------------------------------------------------------------------------------------------------------


def test_the_three_shipped_models_give_their_verdicts(person):
    names = {model.name for model in person.store.models}
    assert names == {"pointnet-simple", "pointnet-adversarial", "pointnet-defense"}
    scene = person.settle()
    assert len(scene.clean) == len(scene.adversarial) == 3
    spoken = person.window.verdict.view.accessibleDescription()
    assert all(model.card.title in spoken for model in person.store.models)
    assert "CPU" in person.window.device.text() or "GPU" in person.window.device.text()


# --- the slider ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gl")
def test_a_drag_of_epsilon_changes_the_adversarial_picture_and_the_bars_and_nothing_else(person, shot):
    clean, adversarial = person.window.pair.clean, person.window.pair.adversarial
    person.take(0.02)
    person.pull(0.021)
    still, moved, painted = seen(clean), seen(adversarial), bars(person)
    drawn = []
    clean.painted.connect(lambda: drawn.append("clean"))
    adversarial.painted.connect(lambda: drawn.append("adversarial"))
    scene = person.pull(0.25)
    assert person.window.attack.epsilon.value == pytest.approx(0.25, abs=0.002)
    assert person.store.epsilon == person.window.attack.epsilon.value == scene.epsilon
    assert np.array_equal(seen(clean), still)
    assert (seen(adversarial) != moved).any(axis=2).mean() > 0.02
    assert set(drawn) == {"adversarial"}
    assert (bars(person) != painted).any()
    shot(person.window, "window")
    scene = person.let_go()
    assert scene.distances.linf == pytest.approx(person.window.attack.epsilon.value, abs=1e-5)
    assert np.array_equal(seen(clean), still)


@pytest.mark.usefixtures("gl")
def test_the_cameras_stay_linked_after_a_drag_in_one_view(person):
    pair = person.window.pair
    before, start = seen(pair.clean), pair.adversarial.rect().center()
    QTest.mousePress(pair.adversarial, LEFT, pos=start)
    for step in (10, 30, 60):
        move_mouse(pair.adversarial, start + QPoint(step, step // 2))
        QApplication.processEvents()
    QTest.mouseRelease(pair.adversarial, LEFT, pos=start + QPoint(60, 30))
    turned = pair.adversarial.camera()
    assert turned == pair.clean.camera()
    assert (seen(pair.clean) != before).any()
    person.take(0.1)
    person.pull(0.2)
    person.let_go()
    assert pair.adversarial.camera() == pair.clean.camera() == turned
    person.window.actions_["reset_camera"].trigger()
    assert pair.clean.camera() != turned


def test_a_typed_epsilon_is_attacked(person):
    number = person.named(QDoubleSpinBox, "Epsilon in unit-sphere radii")
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, "0.043")
    QTest.keyClick(number, Qt.Key.Key_Return)
    scene = person.settle()
    assert scene.epsilon == person.store.epsilon == 0.043
    assert scene.distances.linf == pytest.approx(0.043, abs=1e-5)


def test_arrow_keys_move_epsilon_by_a_thousandth_and_a_page_by_ten(person):
    person.press(Qt.Key.Key_E)
    assert person.groove.hasFocus()
    QTest.keyClick(person.groove, Qt.Key.Key_Right)
    assert person.store.epsilon == 0.101
    QTest.keyClick(person.groove, Qt.Key.Key_PageUp)
    assert person.store.epsilon == 0.111
    QTest.keyClick(person.groove, Qt.Key.Key_Left)
    assert person.settle().epsilon == 0.11
    QTest.keyClick(person.groove, Qt.Key.Key_Home)
    assert person.settle().distances.linf == 0
    QTest.keyClick(person.groove, Qt.Key.Key_End)
    assert person.settle().epsilon == EPSILON_MAX


def test_an_attack_of_several_steps_is_only_rescaled_while_held_and_run_when_let_go(person):
    person.choose_pgd()
    view = person.window.pair.adversarial
    person.take(0.1)
    scene = person.pull(0.15)
    assert not scene.exact
    assert "rescaled" in view._stale
    scene = person.let_go()
    assert scene.exact
    assert scene.step == 4
    assert view._stale is None


def test_a_slider_that_never_rests_shows_pictures_on_its_way(person):
    """However slow the machine: the newest frame that is ready is shown, though the handle is farther by then."""
    shown, places, go = set(), iter(np.tile(np.linspace(0.05, 0.25, 40), 50)), QTimer(interval=2)
    go.timeout.connect(lambda: move_mouse(person.groove, person.place_of(next(places))))
    person.take(0.1)
    connection = person.store.sceneChanged.connect(lambda scene: shown.add(scene.epsilon))
    go.start()
    person.until(lambda: len(shown) > 3, "frames while the slider moves")
    go.stop()
    person.store.sceneChanged.disconnect(connection)
    person.let_go()


def test_epsilon_moved_from_the_clean_end_shows_a_perturbation(person):
    QTest.keyClick(person.groove, Qt.Key.Key_Home)
    person.settle()
    person.take(0.0)
    assert person.pull(0.2).distances.linf == pytest.approx(person.store.epsilon, abs=1e-5)
    person.let_go()


def test_the_groove_shows_where_the_models_change_their_minds(person):
    person.until(lambda: person.store.outcome is not None, "the outcome curve")
    outcome = person.store.outcome
    assert outcome.confidence.shape == (3, len(outcome.epsilons))
    assert outcome.epsilons[0] == 0
    assert outcome.epsilons[-1] == pytest.approx(EPSILON_MAX)
    assert person.groove._outcome is not None
    assert not person.groove._note


def test_the_groove_keeps_its_curve_for_another_epsilon_of_one_step_and_says_when_it_is_only_rescaled(person):
    person.until(lambda: person.store.outcome is not None, "the outcome curve")
    before = person.store.outcome
    person.take(0.1)
    person.pull(0.2)
    person.let_go()
    assert person.store.outcome is before
    person.choose_pgd(steps=3)
    person.until(lambda: person.store.outcome is not None, "the outcome curve of PGD")
    assert person.groove._note == "the attack's result, rescaled"
    shown = person.store.cloud
    person.store.set_cloud(None)
    person.until(lambda: person.store.scene is None, "an empty window")
    assert person.groove._outcome is None
    person.store.set_cloud(shown)
    person.settle()


def test_another_reading_or_goal_keeps_the_other_options(person):
    panel = person.window.attack
    person.choose_pgd(steps=4)
    for combo, text in ((panel._goal, "towards lamp"), (panel._reading, "per point L2"), (panel._goal, "untargeted")):
        person.choose(combo, text)
        attack = person.settle().setup.attack
        assert (attack.steps, attack.restarts) == (4, 0)
    assert (attack.direction, attack.constraint) == ("per-point", "per-point-l2")


def test_half_a_number_in_the_options_is_no_wish(person):
    panel, begun = person.window.attack, []
    person.choose_pgd(steps=4)
    person.store.attackChanged.connect(begun.append)
    steps = panel._form.findChild(QWidget, "steps")
    steps.setFocus()
    steps.selectAll()
    QTest.keyClicks(steps, "20000")
    person.until(lambda: not panel._typed.isActive(), "a pause")
    assert begun == [], "2, 20, 200 and 2,000 were on the way to a wrong number"
    person.store.attackChanged.disconnect(begun.append)
    steps.selectAll()
    QTest.keyClicks(steps, "3")
    person.until(lambda: person.settle().setup.attack.steps == 3, "three steps")


def test_an_attack_that_fails_leaves_no_other_shapes_verdict(person, monkeypatch):
    def fail(*_):
        raise MemoryError

    person.until(lambda: person.store.outcome is not None, "the outcome curve")
    with monkeypatch.context() as patch:
        patch.setattr("core.live.attack", fail)
        person.window.library.move_by(1)
        person.until(lambda: person.store.scene is None, "the failure")
    (text,) = person.complaints()
    assert "memory" in text
    for view in (person.window.pair.clean, person.window.pair.adversarial):
        assert view.accessibleDescription() == ""
    assert person.window.pair.adversarial._stale is None
    assert person.groove._outcome is None
    person.window.library.move_by(-1)
    person.settle()


# --- which attack ----------------------------------------------------------------------------------------------------


def test_bim_spends_the_whole_budget_wherever_the_slider_stands(person):
    person.choose(person.window.attack.preset, "BIM")
    person.settle()
    person.take(0.1)
    person.pull(0.25)
    assert person.let_go().distances.linf == pytest.approx(person.store.epsilon, abs=1e-5)


@pytest.mark.parametrize("reading", ["raw gradient", "raw, batch mean", "per point L2", "global L2"])
def test_every_reading_of_epsilon_is_another_attack(person, reading):
    sign = person.settle().points
    person.choose(person.window.attack._reading, reading)
    scene = person.settle()
    assert not np.array_equal(scene.points, sign)
    if reading == "per point L2":
        assert scene.distances.per_point_l2 == pytest.approx(0.1, abs=1e-5)
    if reading == "global L2":
        assert scene.distances.rmse == pytest.approx(0.1, abs=1e-5)


def test_a_target_class_is_marked_and_approached(person):
    QTest.keyClick(person.groove, Qt.Key.Key_Home)
    for _ in range(5):
        QTest.keyClick(person.groove, Qt.Key.Key_Right)  # so little that one step goes the right way
    scene = person.settle()
    person.press(Qt.Key.Key_T)
    goal = person.window.attack._goal
    assert goal.view().isVisible()
    goal.hidePopup()
    person.choose(goal, "towards guitar")
    aimed = person.settle()
    guitar = person.store.classes.index("guitar")
    assert aimed.setup.target == guitar
    assert aimed.adversarial[0, guitar] > scene.adversarial[0, guitar]
    assert "target" in person.window.verdict.view._legend.text()
    person.choose(goal, "untargeted")
    assert np.allclose(person.settle().points, scene.points)


def test_an_option_in_the_popup_changes_the_attack_and_keeps_the_slider(person):
    panel = person.window.attack
    person.take(0.1)
    person.pull(0.2)
    person.let_go()
    stands = person.store.epsilon
    person.type_option(panel._form, "steps", "3")
    scene = person.settle()
    assert scene.step == 3
    assert scene.epsilon == stands
    assert panel._form.findChild(QWidget, "epsilon") is None, "it has a place of its own, under the curve"


def test_the_options_open_in_a_popup(person):
    panel = person.window.attack

    def edit():
        try:
            assert panel._form.isVisible()
            person.type_option(panel._form, "steps", "2")
        finally:
            if (popup := QApplication.activePopupWidget()) is not None:
                popup.close()

    QTimer.singleShot(0, edit)
    person.click(panel._more)
    person.until(lambda: person.settle().step == 2, "two steps")
    assert not panel._form.isVisible()


def test_a_small_window_names_the_attack_and_its_goal_in_full_and_shows_all_three_verdicts(person):
    panel, size = person.window.attack, person.window.size()
    person.window.resize(1280, 720)
    try:
        for preset, goal in (("FGSM", "untargeted"), ("PGD", "towards pistol")):
            person.choose(panel.preset, preset)
            person.choose(panel._goal, goal)
            person.settle()
            QApplication.processEvents()
            for combo in (panel.preset, panel._reading, panel._goal):
                option = QStyleOptionComboBox()
                combo.initStyleOption(option)
                field = combo.style().subControlRect(
                    QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, combo
                )
                assert combo.fontMetrics().horizontalAdvance(combo.currentText()) <= field.width()
        assert person.window.verdict.view._bars.horizontalScrollBar().maximum() == 0
    finally:
        person.window.resize(size)


def test_a_wrong_option_is_explained_beside_its_field_and_changes_nothing(person):
    before = person.settle().setup.attack
    form = person.window.attack._form
    person.type_option(form, "steps", "0")
    assert form.value() is None
    assert person.settle().setup.attack == before
    person.type_option(form, "steps", "1")
    assert form.value() is not None


def test_the_objective_in_the_popup_and_the_goal_in_the_strip_agree(person):
    panel = person.window.attack
    objective = panel._form.findChild(QWidget, "objective")
    objective.setFocus()
    QTest.keyClick(objective, Qt.Key.Key_Down)
    assert person.settle().setup.attack.objective == "targeted"
    assert panel._goal.currentData() is not None
    objective.setFocus()
    QTest.keyClick(objective, Qt.Key.Key_Up)
    assert person.settle().setup.attack.objective == "untargeted"
    assert panel._goal.currentData() is None


def test_an_attack_that_fails_is_one_sentence_and_shows_no_verdict_of_another(person, monkeypatch):
    def fail(*_):
        raise ValueError("the gradient is not finite; try another shape")

    with monkeypatch.context() as patch:
        patch.setattr("core.live.attack", fail)
        person.window.attack.epsilon.setValue(0.2)
        person.window.studio.release(0.2)
        person.until(lambda: person.said(), "the message")
        assert person.complaints() == ["The gradient is not finite; try another shape."]
        assert person.store.scene is None
        assert not person.groove.isEnabled()
        assert not person.window.studio.busy
    person.window.studio.release(0.2)
    assert person.settle().epsilon == 0.2
