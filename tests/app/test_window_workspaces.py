"""Workspaces, drawers and the Stage in the window, by mouse and keys; what is kept until the next start."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QSplitter

from app.shell import theme
from app.shell.library import WIDTH as LIBRARY_WIDTH
from app.shell.main_area import DRAWERS_OPEN_FROM
from app.stage.stage import COLUMN_WIDTHS, Arrangement
from app.views.chips import VerdictChips
from app.views.model_list import ModelRow
from app.workspaces.registry import ATTACK, WORKSPACES, action_key
from tests.app.inspection import where
from tests.app.window_fixtures import LEFT, SIZE, open_window
from tests.pixels.pictures import pixels

WORKS = [info.key for info in WORKSPACES if info.key != ATTACK]


@pytest.fixture(autouse=True)
def first_sizes(request):
    yield
    if "shared_window" in request.fixturenames:
        window = request.getfixturevalue("shared_window").window
        window.resize(*SIZE)
        window.actions_["reset_layout"].trigger()
        QApplication.processEvents()


def resize(person, width, height):
    person.window.resize(width, height)
    person.wait_until(lambda: person.window.width() == width and person.window.height() == height, "the new size")
    person.window.actions_["reset_layout"].trigger()
    QApplication.processEvents()


def drag_handle(splitter, index, by):
    """Drag a handle of a splitter by some pixels with the mouse."""
    handle = splitter.handle(index)
    start = QPoint(handle.width() // 2, handle.height() // 2)
    QTest.mousePress(handle, LEFT, pos=start)
    QTest.mouseMove(handle, start + QPoint(by, 0))
    QTest.mouseRelease(handle, LEFT, pos=start + QPoint(by, 0))
    QApplication.processEvents()


def views(person):
    return person.window.pair.clean, person.window.pair.adversarial


def visible(person):
    area = person.window.area
    parts = {"rail": area.rail, "library": area.library, "work": area.work, "models": area.stage.models}
    parts |= {"pair": area.stage.pair, "slider": area.stage.strip.epsilon, "chips": area.stage.chips}
    return {name for name, widget in parts.items() if widget.isVisible()}


def test_each_workspace_is_shown_by_its_button_and_its_key(person):
    for place, info in enumerate(WORKSPACES, start=1):
        person.press(Qt.Key(Qt.Key.Key_0 + place), Qt.KeyboardModifier.ControlModifier)
        assert person.window.area.workspace == info.key
        checked = [each.key for each in WORKSPACES if person.window.actions_[action_key(each.key)].isChecked()]
        assert checked == [info.key]
        panel = person.window.workspaces.get(info.key)
        assert person.window.area.work.isVisible() == (panel is not None)
        assert panel is None or panel.isVisible()
    for info in WORKSPACES:
        person.show_workspace(info.key)


def test_the_stage_keeps_camera_epsilon_and_verdicts_when_the_workspace_changes(person):
    person.press_slider(0.1)
    person.drag_slider(0.2)
    scene = person.release_slider()
    QTest.keyClick(person.window.pair.clean, Qt.Key.Key_Left)
    cameras = [view.camera() for view in views(person)]
    for key in (*WORKS, ATTACK):
        person.show_workspace(key)
        QApplication.processEvents()
        assert person.store.scene is scene
        assert [view.camera() for view in views(person)] == cameras
        assert person.window.attack.epsilon.value == person.store.epsilon == scene.epsilon
        assert person.window.attack.epsilon.isVisible()
        assert all(view.isVisible() for view in views(person))


def test_the_slider_attacks_beside_the_work(person):
    person.show_workspace("latents")
    person.press_slider(0.1)
    person.drag_slider(0.25)
    scene = person.release_slider()
    assert scene.epsilon == pytest.approx(0.25, abs=0.01)


def test_the_stage_fills_the_window_in_attack_and_is_a_column_beside_the_work(person):
    area = person.window.area
    assert area.stage.arrangement is Arrangement.WIDE
    assert visible(person) == {"rail", "library", "models", "pair", "slider"}
    for key in WORKS:
        person.show_workspace(key)
        QApplication.processEvents()
        assert area.stage.arrangement is Arrangement.COLUMN
        assert visible(person) == {"rail", "work", "models", "pair", "slider"}
        assert area.work.mapToGlobal(QPoint(0, 0)).x() < area.stage.mapToGlobal(QPoint(0, 0)).x()
        assert area.work.height() == area.stage.height()


def test_options_and_steps_of_the_attack_have_a_row_each_where_one_is_too_narrow(person):
    strip, wide = person.window.attack, person.window.attack.height()
    person.show_workspace("train")
    person.wait_until(lambda: strip.height() > wide, "two rows")
    assert strip.preset.mapTo(strip, QPoint(0, strip.preset.height())).y() <= strip.steps.y() + strip._options.y()
    assert strip.steps.height() >= strip.steps.sizeHint().height()
    person.show_workspace(ATTACK)
    person.wait_until(lambda: strip.height() == wide, "one row again")


def test_the_width_of_the_stage_is_dragged_limited_and_kept_for_each_workspace(person):
    area = person.window.area
    person.show_workspace("train")
    before = area.stage.width()
    drag_handle(area._parts, 2, -100)
    assert area.stage.width() == pytest.approx(before + 100, abs=3)
    person.press(Qt.Key.Key_F9)  # the options need space, too
    drag_handle(area._parts, 2, -1000)
    widest = area.stage.width()
    assert widest == COLUMN_WIDTHS[1]
    person.show_workspace("latents")
    QApplication.processEvents()
    assert area.stage.width() == pytest.approx(before, abs=3)
    drag_handle(area._parts, 2, 1000)
    assert area.stage.width() == COLUMN_WIDTHS[0]
    person.show_workspace("train")
    QApplication.processEvents()
    assert area.stage.width() == pytest.approx(widest, abs=3)
    for key in (Qt.Key.Key_F10, Qt.Key.Key_F11):
        person.press(key)
        person.press(key)
        QApplication.processEvents()
        assert area.stage.width() == pytest.approx(widest, abs=3)


def test_a_larger_window_gives_its_space_to_the_pair_in_attack_and_to_the_work_elsewhere(person):
    area, models = person.window.area, person.window.stage.models
    pair, side = person.window.pair.width(), models.width()
    person.window.resize(SIZE[0] + 200, SIZE[1])
    person.wait_until(lambda: person.window.pair.width() != pair, "the larger window")
    assert person.window.pair.width() == pytest.approx(pair + 200, abs=3)
    assert models.width() == pytest.approx(side, abs=3)
    person.show_workspace("train")
    QApplication.processEvents()
    work, stage = area.work.width(), area.stage.width()
    person.window.resize(*SIZE)
    person.wait_until(lambda: area.work.width() != work, "the smaller window")
    assert area.work.width() == pytest.approx(work - 200, abs=3)
    assert area.stage.width() == pytest.approx(stage, abs=3)


def test_the_drawers_open_and_close_by_key_and_button_for_each_workspace(person):
    window, area = person.window, person.window.area
    options = window.workspaces["train"]._form_area
    person.press(Qt.Key.Key_F8)
    assert not area.library.isVisible()
    assert not window.actions_["options"].isEnabled(), "the Stage alone has no options"
    person.show_workspace("train")
    assert options.isVisible()
    person.press(Qt.Key.Key_F9)
    assert not options.isVisible()
    person.press(Qt.Key.Key_F8)
    assert area.library.isVisible()
    person.show_workspace("evaluate")
    assert not area.library.isVisible()
    assert window.workspaces["evaluate"]._form_area.isVisible()
    person.show_workspace("train")
    assert not options.isVisible()
    person.click(area.rail.button(window.actions_["options"]))
    person.click(area.rail.button(window.actions_["library"]))
    assert options.isVisible()
    assert not area.library.isVisible()


def test_a_narrow_window_starts_with_closed_drawers(person):
    resize(person, DRAWERS_OPEN_FROM - 1, 800)
    assert "library" not in visible(person)
    person.show_workspace("train")
    assert not person.window.workspaces["train"]._form_area.isVisible()


def test_a_narrow_window_has_space_for_one_drawer(person):
    resize(person, 1280, 720)
    for key in WORKS:
        person.show_workspace(key)
        for drawer, other in ((Qt.Key.Key_F8, "options"), (Qt.Key.Key_F9, "library")):
            person.press(drawer)
            QApplication.processEvents()
            assert not person.window.actions_[other].isChecked()
            area = person.window.area
            assert area.work.width() >= person.window.workspaces[key].minimumSizeHint().width()
            assert area.stage.width() >= COLUMN_WIDTHS[0]
            assert area.work.mapTo(area, QPoint(area.work.width(), 0)).x() <= area.stage.mapTo(area, QPoint()).x()
            assert area.stage.mapTo(area, QPoint(area.stage.width(), 0)).x() <= area.width()


def test_what_was_open_stays_open_in_a_smaller_window(person):
    person.window.resize(1300, 800)
    QApplication.processEvents()
    person.press(Qt.Key.Key_F11)
    person.press(Qt.Key.Key_F11)
    assert "library" in visible(person)


def test_a_stage_that_was_not_dragged_has_its_share_of_any_window(person):
    resize(person, 1280, 720)
    person.show_workspace("latents")
    QApplication.processEvents()
    assert person.window.stage.width() == pytest.approx(380, abs=3)
    person.window.resize(*SIZE)
    QApplication.processEvents()
    person.show_workspace("train")
    person.show_workspace("latents")
    QApplication.processEvents()
    assert person.window.stage.width() == pytest.approx(0.297 * SIZE[0], abs=3)


def test_f10_leaves_a_line_of_the_stage_under_the_work(person, shot):
    person.press(Qt.Key.Key_F10)
    assert person.window.stage.arrangement is Arrangement.WIDE, "there is no work to give the space to"
    person.show_workspace("latents")
    panel, stage = person.window.workspaces["latents"], person.window.stage
    person.press(Qt.Key.Key_F10)
    QApplication.processEvents()
    assert visible(person) == {"rail", "work", "slider", "chips"}
    assert stage.height() < 90
    assert panel.width() == stage.width()
    person.press_slider(0.1)
    person.drag_slider(0.2)
    person.release_slider()
    shot(person.window, "window-maximised")
    person.press(Qt.Key.Key_F10)
    QApplication.processEvents()
    assert stage.arrangement is Arrangement.COLUMN
    assert stage.height() == person.window.area.work.height()


def test_f11_leaves_the_pair_view_the_slider_and_the_verdicts(person, shot):
    for workspace in (ATTACK, "train"):
        person.show_workspace(workspace)
        before = visible(person)
        person.press(Qt.Key.Key_F11)
        QApplication.processEvents()
        assert visible(person) == {"pair", "slider", "chips"}
        assert not person.window.attack.preset.isVisible()
        assert not person.window.actions_["choose_target"].isEnabled()
        assert person.window.pair.width() > 0.98 * person.window.width()
        shot(person.window, "window-only-pair")
        person.press(Qt.Key.Key_F11)
        QApplication.processEvents()
        assert visible(person) == before
    person.press(Qt.Key.Key_F11)
    person.press(Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert {"rail", "work"} <= visible(person), "a workspace that is asked for is shown"
    assert not person.window.actions_["focus_pair"].isChecked()


@pytest.mark.usefixtures("gl")
def test_both_shapes_are_drawn_wherever_they_are(person):
    for workspace, keys in ((ATTACK, ()), ("train", ()), ("train", (Qt.Key.Key_F11,))):
        person.show_workspace(workspace)
        for key in keys:
            person.press(key)
        QApplication.processEvents()
        for view, colour in zip(views(person), (theme.current().clean, theme.current().adv), strict=True):
            assert where(view, colour, 60).sum() > 100


def test_at_the_smallest_size_the_work_is_large_and_the_whole_stage_in_sight(person, shot):
    resize(person, 1280, 720)
    for key in WORKS:
        person.show_workspace(key)
        QApplication.processEvents()
        work, stage = person.window.area.work, person.window.stage
        assert work.width() >= 800
        assert work.height() >= 600
        assert stage.width() == pytest.approx(380, abs=3)
        for part in (stage.pair, stage.strip.epsilon, stage.models, stage.verdict):
            corner = part.mapTo(stage, QPoint(part.width(), part.height()))
            assert corner.x() <= stage.width(), part
            assert corner.y() <= stage.height() or part is stage.verdict, "it scrolls"
        assert stage.pair.views.height() >= 150
        shot(person.window, f"window-small-{key}")
    plot = person.window.workspaces["latents"].map._plot
    person.show_workspace("latents")
    QApplication.processEvents()
    assert min(plot.width(), plot.height()) >= 520


def test_the_layout_is_reset(person):
    window, area = person.window, person.window.area
    window.pair.views.setSizes([100, 900])
    side = window.stage.side.width()
    assert side == pytest.approx(340, abs=3)
    drag_handle(area._parts, 2, 60)
    drag_handle(window.stage._parts, 1, -60)
    assert window.library.width() > 280
    assert window.stage.side.width() == pytest.approx(side + 60, abs=3)
    panel = person.show_workspace("train")
    runs = panel.runs.height()
    content = panel.findChild(QSplitter, "training-runs")
    content.setSizes([content.height(), 0])
    assert panel.runs.height() < runs - 50
    drag_handle(area._parts, 2, -100)
    person.press(Qt.Key.Key_F8)
    person.press(Qt.Key.Key_F11)
    assert not window.attack.preset.isVisible()
    window.actions_["reset_layout"].trigger()
    QApplication.processEvents()
    assert visible(person) == {"rail", "work", "models", "pair", "slider"}
    assert not window.actions_["focus_pair"].isChecked()
    left, right = window.pair.views.sizes()
    assert abs(left - right) <= 1
    assert panel.runs.height() == pytest.approx(runs, abs=2)
    assert area.stage.width() == pytest.approx(0.297 * window.width(), abs=3)
    person.show_workspace(ATTACK)
    QApplication.processEvents()
    assert window.stage.side.width() == pytest.approx(side, abs=3)
    assert window.library.width() == pytest.approx(LIBRARY_WIDTH, abs=3)


def test_workspace_widths_and_drawers_are_there_at_the_next_start(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        drag_handle(person.window.area._parts, 2, 60)
        drag_handle(person.window.stage._parts, 1, -60)
        library, side = person.window.library.width(), person.window.stage.side.width()
        person.show_workspace("latents")
        QApplication.processEvents()
        drag_handle(person.window.area._parts, 2, -80)
        person.press(Qt.Key.Key_F9)
        width = person.window.stage.width()
    with open_window(shapes, tmp_path) as person:
        window = person.window
        assert window.area.workspace == "latents"
        assert window.workspaces["latents"].isVisible()
        assert not window.workspaces["latents"]._form_area.isVisible()
        assert window.stage.width() == pytest.approx(width, abs=3)
        person.show_workspace(ATTACK)
        QApplication.processEvents()
        assert window.library.width() == pytest.approx(library, abs=3)
        assert window.stage.side.width() == pytest.approx(side, abs=3)
        person.press(Qt.Key.Key_F8)
    with open_window(shapes, tmp_path) as person:
        assert not person.window.library.isVisible()


@pytest.mark.long
def test_a_saved_workspace_that_is_unknown_is_ignored(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        person.show_workspace("train")
    path = tmp_path / "settings.ini"
    text = path.read_text()
    assert "train" in text
    path.write_text(text.replace("train", "tea"))
    with open_window(shapes, tmp_path) as person:
        assert person.window.area.workspace == ATTACK


# --- chips --------------------------------------------------------------------------------------------------------


def chip(title, fooled):
    return ModelRow(title, title, False, True, True, "chair", "table", fooled)


def test_chips_tell_the_verdicts_and_count_those_without_space(qtbot, monkeypatch):
    chips, shown = VerdictChips(), []
    qtbot.addWidget(chips)
    chips.set_rows([chip(f"model {index}", index % 2 == 0) for index in range(5)])
    chips.resize(2000, 24)
    assert len(chips.boxes) == 5
    chips.resize(500, 24)
    assert 0 < len(chips.boxes) < 5
    assert chips.boxes[-1].right() < 500
    assert chips.accessibleDescription().count("chair → table") == 5
    monkeypatch.setattr("app.views.chips.show_tooltip", lambda _place, text, _widget: shown.append(text))
    QApplication.sendEvent(chips, QHelpEvent(QEvent.Type.ToolTip, QPoint(1, 1), QPoint(1, 1)))
    assert shown[0].splitlines() == [f"model {index}: chair → table" for index in range(5)]


def test_a_fooled_model_has_an_orange_chip(qtbot):
    chips = VerdictChips()
    qtbot.addWidget(chips)
    chips.resize(300, 24)
    counts = []
    for fooled in (False, True):
        chips.set_rows([chip("simple", fooled)])
        orange = np.array(theme.current().adv.getRgb()[:3])
        picture = pixels(chips.grab().toImage())[..., :3].astype(int)
        counts.append((abs(picture - orange).max(-1) < 60).sum())
    assert counts[0] == 0
    assert counts[1] > 100
