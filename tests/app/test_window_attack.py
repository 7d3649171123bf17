"""Attacking in the window: the slider, the choice of the attack, and its options."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDoubleSpinBox,
    QLineEdit,
    QListWidget,
    QStyle,
    QStyleOptionComboBox,
    QWidget,
)

from app.shell.search import SearchPopup
from app.views.groove import RADII
from core.attacks import PRESETS, preset
from tests.app import inspection
from tests.app.mouse import move_mouse
from tests.app.window_fixtures import LEFT
from tests.pixels.pictures import pixels


def seen(view):
    return pixels(view.grab().toImage())


def bars(person):
    return inspection.pixels(person.window.stage.verdict.view._bars)


# --- the start ----------------------------------------------------------------------------------------------------


def test_the_three_shipped_models_give_their_verdicts(person):
    names = {model.name for model in person.store.models}
    assert names == {"pointnet-simple", "pointnet-adversarial", "pointnet-defense"}
    scene = person.wait_for_scene()
    assert len(scene.clean_confidence) == len(scene.adversarial_confidence) == 3
    rows = person.window.stage.models.list.rows
    assert [row.title for row in rows] == [model.card.title for model in person.store.models]
    for row, clean, adversarial in zip(rows, scene.clean_confidence, scene.adversarial_confidence, strict=True):
        assert row.clean == scene.setup.classes[clean.argmax()]
        assert row.adversarial == scene.setup.classes[adversarial.argmax()]
        assert (row.before, row.after) == pytest.approx((clean[scene.label], adversarial[scene.label]))
    assert "CPU" in person.window.menu_corner.device.text() or "GPU" in person.window.menu_corner.device.text()


# --- the slider ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gl")
def test_a_drag_of_epsilon_changes_the_adversarial_picture_and_the_bars_and_nothing_else(person, shot):
    clean, adversarial = person.window.pair.clean, person.window.pair.adversarial
    person.press_slider(0.02)
    person.drag_slider(0.021)
    still, moved, painted = seen(clean), seen(adversarial), bars(person)
    drawn = []
    clean.painted.connect(lambda: drawn.append("clean"))
    adversarial.painted.connect(lambda: drawn.append("adversarial"))
    scene = person.drag_slider(0.25)
    assert person.window.attack.epsilon.value == pytest.approx(0.25, abs=0.002)
    assert person.store.epsilon == person.window.attack.epsilon.value == scene.epsilon
    assert np.array_equal(seen(clean), still)
    assert (seen(adversarial) != moved).any(axis=2).mean() > 0.02
    assert set(drawn) == {"adversarial"}
    assert (bars(person) != painted).any()
    shot(person.window, "window")
    scene = person.release_slider()
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
    person.press_slider(0.1)
    person.drag_slider(0.2)
    person.release_slider()
    assert pair.adversarial.camera() == pair.clean.camera() == turned
    person.window.actions_["reset_camera"].trigger()
    assert pair.clean.camera() != turned


def test_a_typed_epsilon_is_attacked(person):
    number = person.find(QDoubleSpinBox, "Epsilon in unit-sphere radii")
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, "0.043")
    QTest.keyClick(number, Qt.Key.Key_Return)
    scene = person.wait_for_scene()
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
    assert person.wait_for_scene().epsilon == 0.11
    QTest.keyClick(person.groove, Qt.Key.Key_Home)
    assert person.wait_for_scene().distances.linf == 0
    QTest.keyClick(person.groove, Qt.Key.Key_End)
    assert person.wait_for_scene().epsilon == RADII.highest


def test_an_iterative_attack_is_rescaled_during_the_drag_and_run_after_the_release(person):
    person.choose_pgd()
    view = person.window.pair.adversarial
    person.press_slider(0.1)
    scene = person.drag_slider(0.15)
    assert not scene.exact
    assert "rescaled" in view._stale
    scene = person.release_slider()
    assert scene.exact
    assert scene.step == 4
    assert view._stale is None


def test_frames_are_shown_while_the_slider_moves_without_pause(person):
    """Also on a slow machine: the newest finished frame is shown although the handle has moved on."""
    shown, places, go = set(), iter(np.tile(np.linspace(0.05, 0.25, 40), 50)), QTimer(interval=2)
    go.timeout.connect(lambda: move_mouse(person.groove, person.groove_position(next(places))))
    person.press_slider(0.1)
    connection = person.store.sceneChanged.connect(lambda scene: shown.add(scene.epsilon))
    go.start()
    person.wait_until(lambda: len(shown) > 3, "frames while the slider moves")
    go.stop()
    person.store.sceneChanged.disconnect(connection)
    person.release_slider()


def test_a_drag_from_epsilon_zero_shows_a_perturbation(person):
    QTest.keyClick(person.groove, Qt.Key.Key_Home)
    person.wait_for_scene()
    person.press_slider(0.0)
    assert person.drag_slider(0.2).distances.linf == pytest.approx(person.store.epsilon, abs=1e-5)
    person.release_slider()


def test_the_groove_shows_the_outcome_of_all_models_over_epsilon(person):
    person.wait_until(lambda: person.store.outcome is not None, "the outcome curve")
    outcome = person.store.outcome
    assert outcome.confidence.shape == (3, len(outcome.epsilons))
    assert outcome.epsilons[0] == 0
    assert outcome.epsilons[-1] == pytest.approx(RADII.highest)
    assert person.groove._outcome is not None
    assert not person.groove._note


def test_the_groove_keeps_a_curve_that_holds_for_all_epsilons_and_marks_a_rescaled_one(person):
    person.wait_until(lambda: person.store.outcome is not None, "the outcome curve")
    before = person.store.outcome
    person.press_slider(0.1)
    person.drag_slider(0.2)
    person.release_slider()
    assert person.store.outcome is before
    person.choose_pgd(steps=3)
    person.wait_until(lambda: person.store.outcome is not None, "the outcome curve of PGD")
    assert person.groove._note == "the attack's result, rescaled"
    shown = person.store.cloud
    person.store.set_cloud(None)
    person.wait_until(lambda: person.store.scene is None, "an empty window")
    assert person.groove._outcome is None
    person.store.set_cloud(shown)
    person.wait_for_scene()


def test_another_variant_or_goal_keeps_the_other_options(person):
    panel = person.window.attack
    person.choose_pgd(steps=4)
    for combo, text in ((panel._goal, "towards lamp"), (panel._variant, "per point L2"), (panel._goal, "untargeted")):
        person.choose(combo, text)
        attack = person.wait_for_scene().setup.attack
        assert (attack.steps, attack.restarts) == (4, 0)
    assert (attack.direction, attack.constraint) == ("per-point", "per-point-l2")


def test_options_are_used_only_after_a_pause_in_typing(person):
    panel, attacks = person.window.attack, []
    person.choose_pgd(steps=4)
    person.store.attackChanged.connect(attacks.append)
    steps = panel._form.findChild(QWidget, "steps")
    steps.setFocus()
    steps.selectAll()
    QTest.keyClicks(steps, "20000")
    person.wait_until(lambda: not panel._typing_timer.isActive(), "a pause")
    assert attacks == [], "2, 20, 200 and 2,000 were only typed on the way"
    person.store.attackChanged.disconnect(attacks.append)
    steps.selectAll()
    QTest.keyClicks(steps, "3")
    person.wait_until(lambda: person.wait_for_scene().setup.attack.steps == 3, "three steps")


def test_a_failed_attack_on_the_next_shape_clears_the_verdicts(person, monkeypatch):
    def fail(*_):
        raise MemoryError

    person.wait_until(lambda: person.store.outcome is not None, "the outcome curve")
    with monkeypatch.context() as patch:
        patch.setattr("core.live.attack", fail)
        person.window.library.move_by(1)
        person.wait_until(lambda: person.store.scene is None, "the failure")
    (text,) = person.pop_errors()
    assert "memory" in text
    for view in (person.window.pair.clean, person.window.pair.adversarial):
        assert view.accessibleDescription() == ""
    assert person.window.pair.adversarial._stale is None
    assert person.groove._outcome is None
    person.window.library.move_by(-1)
    person.wait_for_scene()


# --- which attack -------------------------------------------------------------------------------------------------


def test_bim_uses_the_whole_budget_at_any_epsilon(person):
    person.choose(person.window.attack.preset, "BIM")
    person.wait_for_scene()
    person.press_slider(0.1)
    person.drag_slider(0.25)
    assert person.release_slider().distances.linf == pytest.approx(person.store.epsilon, abs=1e-5)


@pytest.mark.parametrize("reading", ["raw gradient", "raw, batch mean", "per point L2", "global L2"])
def test_every_variant_gives_another_perturbation(person, reading):
    sign = person.wait_for_scene().points
    person.choose(person.window.attack._variant, reading)
    scene = person.wait_for_scene()
    assert not np.array_equal(scene.points, sign)
    if reading == "per point L2":
        assert scene.distances.per_point_l2 == pytest.approx(0.1, abs=1e-5)
    if reading == "global L2":
        assert scene.distances.rmse == pytest.approx(0.1, abs=1e-5)


def test_a_targeted_attack_raises_the_confidence_in_the_target_class(person):
    QTest.keyClick(person.groove, Qt.Key.Key_Home)
    for _ in range(5):
        QTest.keyClick(person.groove, Qt.Key.Key_Right)  # so little that one step goes the right way
    scene = person.wait_for_scene()
    person.press(Qt.Key.Key_T)
    goal = person.window.attack._goal
    assert goal.view().isVisible()
    goal.hidePopup()
    person.choose(goal, "towards guitar")
    aimed = person.wait_for_scene()
    guitar = person.store.classes.index("guitar")
    assert aimed.setup.target == guitar
    assert aimed.adversarial_confidence[0, guitar] > scene.adversarial_confidence[0, guitar]
    assert "target" in person.window.stage.verdict.view._mark_legend.text()
    reached = aimed.adversarial_confidence[0].argmax() == guitar
    said = person.window.pair.adversarial.accessibleDescription()
    assert said.endswith("target guitar reached" if reached else "target guitar not reached")
    person.choose(goal, "untargeted")
    assert np.allclose(person.wait_for_scene().points, scene.points)


def test_an_option_in_the_popup_changes_the_attack_and_keeps_the_slider(person):
    panel = person.window.attack
    person.press_slider(0.1)
    person.drag_slider(0.2)
    person.release_slider()
    stands = person.store.epsilon
    person.type_option(panel._form, "steps", "3")
    scene = person.wait_for_scene()
    assert scene.step == 3
    assert scene.epsilon == stands
    assert panel._form.findChild(QWidget, "epsilon") is None, "it has a place of its own, under the curve"


def test_the_options_open_in_a_popup(person):
    panel = person.window.attack
    person.click(panel._more)
    assert panel._form.isVisible()
    person.type_option(panel._form, "steps", "2")
    person.wait_until(lambda: person.wait_for_scene().step == 2, "two steps")
    QTest.keyClick(panel._form.findChild(QWidget, "steps"), Qt.Key.Key_Escape)
    assert not panel._form.isVisible()


def test_in_a_small_window_preset_variant_and_goal_are_not_elided_and_all_verdicts_fit(person):
    panel, size = person.window.attack, person.window.size()
    person.window.resize(1280, 720)
    try:
        for preset, goal in (("FGSM", "untargeted"), ("PGD", "towards pistol")):
            person.choose(panel.preset, preset)
            person.choose(panel._goal, goal)
            person.wait_for_scene()
            QApplication.processEvents()
            for combo in (panel.preset, panel._variant, panel._goal):
                option = QStyleOptionComboBox()
                combo.initStyleOption(option)
                field = combo.style().subControlRect(
                    QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, combo
                )
                assert combo.fontMetrics().horizontalAdvance(combo.currentText()) <= field.width()
        models = person.window.stage.models.list
        assert models.verticalScrollBar().maximum() == 0
        assert models.visibleRegion().boundingRect().height() == models.height()
    finally:
        person.window.resize(size)


def test_a_wrong_option_is_explained_beside_its_field_and_changes_nothing(person):
    before = person.wait_for_scene().setup.attack
    form = person.window.attack._form
    person.type_option(form, "steps", "0")
    assert form.value() is None
    assert person.wait_for_scene().setup.attack == before
    person.type_option(form, "steps", "1")
    assert form.value() is not None


def test_the_objective_in_the_popup_and_the_goal_in_the_strip_agree(person):
    panel = person.window.attack
    goal = panel._form.findChild(QWidget, "goal")
    goal.setFocus()
    QTest.keyClick(goal, Qt.Key.Key_Down)
    assert person.wait_for_scene().setup.attack.goal == "targeted"
    assert panel._goal.currentData() is not None
    goal.setFocus()
    QTest.keyClick(goal, Qt.Key.Key_Up)
    assert person.wait_for_scene().setup.attack.goal == "untargeted"
    assert panel._goal.currentData() is None


def test_a_failed_attack_gives_one_message_and_clears_the_scene(person, monkeypatch):
    def fail(*_):
        raise ValueError("the gradient is not finite; try another shape")

    with monkeypatch.context() as patch:
        patch.setattr("core.live.attack", fail)
        person.window.attack.epsilon.setValue(0.2)
        person.window.controller.release(0.2)
        person.wait_until(lambda: person.messages(), "the message")
        assert person.pop_errors() == ["The gradient is not finite; try another shape."]
        assert person.store.scene is None
        assert not person.groove.isEnabled()
        assert not person.window.controller.busy
    person.window.controller.release(0.2)
    assert person.wait_for_scene().epsilon == 0.2


def test_an_attack_is_found_by_what_it_does(person):
    panel = person.window.attack
    person.click(panel.preset)
    popup = person.window.findChild(SearchPopup)
    person.wait_until(popup.isVisible, "the list of attacks")
    field = popup.findChild(QLineEdit)
    assert popup.findChild(QListWidget).count() == len(PRESETS)
    QTest.keyClicks(field, "momentum iter")
    QTest.keyClicks(field, "\b" * 13)
    QTest.keyClicks(field, "kurakin")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert panel.preset.currentText() == "BIM"
    scene = person.wait_for_scene()
    assert scene.setup.attack == preset("bim", epsilon=person.window.store.epsilon)
    assert person.window.findChild(SearchPopup) is None or not person.window.findChild(SearchPopup).isVisible()


@pytest.mark.usefixtures("gl")
def test_a_key_colours_the_points_by_the_gradient_and_says_how_many_have_none(person, shot):
    view = person.window.pair.adversarial
    person.choose_pgd()
    by_displacement = pixels(view.grab().toImage())
    person.press(Qt.Key.Key_G)
    person.wait_until(lambda: person.store.scene.gradient is not None, "the gradients")
    person.wait_for_scene()
    shot(person.window, "window-gradients")
    none = int((person.store.scene.gradient == 0).sum())
    assert 0.3 < none / 1024 < 1
    assert view._corner_note() == f"no gradient at {none} of 1,024"
    person.press(Qt.Key.Key_R)
    person.wait_until(lambda: person.store.scene.step == 0, "the clean cloud")
    assert person.store.scene.gradient is not None, "stepping shows those of each step"
    person.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    person.wait_until(lambda: person.store.scene.step == 4, "the last step")
    person.press(Qt.Key.Key_G)
    person.wait_until(lambda: view._corner_note() == "", "the displacements")
    assert np.array_equal(pixels(view.grab().toImage()), by_displacement)


def test_colours_of_displacements_keep_one_scale_while_the_slider_is_held(person):
    view, limits = person.window.pair.adversarial, []
    person.press_slider(0.05)
    for epsilon in (0.08, 0.15, 0.29, 0.02):
        person.drag_slider(epsilon)
        limits.append(view._limits)
    assert len(set(limits)) == 1
    longest = np.linalg.norm(person.store.scene.points - person.store.scene.origin, axis=1).max()
    assert limits[0][1] >= longest * 0.29 / 0.02, "nothing is beyond its end"
    person.release_slider()
    assert view._limits[1] < limits[0][1], "afterwards it is that of the picture"
