"""The window without a mouse: where the Tab key goes, that one sees where it is, and that nothing hidden takes it."""

from itertools import groupby

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from app.workspaces.registry import ATTACK, WORKSPACES
from tests.pixels.pictures import pixels

KEYS = [info.key for info in WORKSPACES]
MOST_STOPS = 200


def parts(person):
    """The parts of the window by name, in the order in which Tab has to go through them."""
    window, stage = person.window, person.window.stage
    return {
        "rail": window.area.rail,
        "library": window.library,
        "models": stage.side,
        "pair": stage.pair,
        "strip": stage.strip,
        "work": window.area.work,
        "jobs": window.strip,
        "corner": window.menuBar(),
    }


def part_of(person, widget):
    return next(name for name, part in parts(person).items() if part is widget or part.isAncestorOf(widget))


def press_tab(back=False):
    key = Qt.Key.Key_Backtab if back else Qt.Key.Key_Tab
    QTest.keyClick(QApplication.focusWidget(), key)
    focused = QApplication.focusWidget()
    assert focused is not None
    assert focused.isVisible()
    assert focused.isEnabled()
    return focused


def round_trip(back=False):
    """All stops of the Tab key from that after the present one, which is the last."""
    first, stops = QApplication.focusWidget(), []
    while not stops or stops[-1] is not first:
        stops.append(press_tab(back))
        assert len(stops) < MOST_STOPS, "the focus never comes round"
    return stops


def start_at_rail(person, workspace):
    """Click on a workspace, and put the focus on the first button of the rail."""
    person.show_workspace(workspace)
    first = person.window.area.rail.button(person.window.actions_["workspace_attack"])
    first.setFocus()
    return first


def open_drawers(person, on):
    for key in ("library", "options"):
        action = person.window.actions_[key]
        if action.isEnabled() and action.isChecked() != on:
            action.trigger()
    QApplication.processEvents()


@pytest.mark.parametrize("drawers", [True, False])
@pytest.mark.parametrize("workspace", KEYS)
def test_tab_goes_through_the_parts_in_their_order_and_shift_tab_back(person, workspace, drawers):
    start_at_rail(person, workspace)
    open_drawers(person, drawers)
    first = start_at_rail(person, workspace)
    stops = round_trip()
    assert stops[-1] is first
    visited = [part_of(person, stop) for stop in (first, *stops[:-1])]
    expected = [name for name, part in parts(person).items() if name in visited]
    assert [name for name, _ in groupby(visited)] == expected
    assert ("library" in visited) is drawers
    assert ("work" in visited) is (workspace != ATTACK)
    assert {"rail", "models", "pair", "strip", "corner"} <= set(visited)
    assert round_trip(back=True) == [*reversed(stops[:-1]), first]
    open_drawers(person, workspace == ATTACK)


@pytest.mark.parametrize("workspace", KEYS)
def test_f6_goes_from_part_to_part_and_shift_f6_back(person, workspace):
    start_at_rail(person, workspace)
    open_drawers(person, True)
    start_at_rail(person, workspace)
    by_tab = [part for part, _ in groupby(part_of(person, stop) for stop in round_trip()) if part != "rail"]
    start_at_rail(person, workspace)

    def go(modifier=Qt.KeyboardModifier.NoModifier):
        """The parts that have the focus one after the other, up to the rail; jobs come and go meanwhile."""
        visited = []
        while visited[-1:] != ["rail"]:
            QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_F6, modifier)
            visited.append(part_of(person, QApplication.focusWidget()))
            assert len(visited) < MOST_STOPS
        return [part for part in visited[:-1] if part != "jobs"]

    expected = [part for part in by_tab if part != "jobs"]
    assert go() == expected
    assert go(Qt.KeyboardModifier.ShiftModifier) == expected[::-1]
    open_drawers(person, workspace == ATTACK)


def test_a_form_is_gone_through_from_top_to_bottom(person):
    person.show_workspace("train")
    open_drawers(person, True)
    start_at_rail(person, "train")
    panel = person.window.workspaces["train"]
    stops = [stop for stop in round_trip() if panel.form.isAncestorOf(stop)]
    heights = [stop.mapTo(panel.form, QPoint()).y() for stop in stops]
    assert len(stops) > 10
    assert heights == sorted(heights)


# --- that one sees it ---------------------------------------------------------------------------------------------


def picture(person, widget):
    """What is on the screen where a widget is, with what is around it."""
    window = person.window
    corner = widget.mapTo(window, QPoint())
    return pixels(window.grab(QRect(corner, widget.size()).adjusted(-3, -3, 3, 3)).toImage()).astype(int)


@pytest.mark.usefixtures("gl")
@pytest.mark.parametrize(("workspace", "theme"), [*((key, "dark") for key in KEYS), (ATTACK, "light")])
def test_every_stop_shows_that_it_has_the_focus(person, workspace, theme):
    person.window.actions_[f"theme_{theme}"].trigger()
    try:
        start_at_rail(person, workspace)
        open_drawers(person, True)
        start_at_rail(person, workspace)
        unseen = []
        for stop in round_trip():
            if stop.visibleRegion().isEmpty():
                unseen.append(stop)
                continue
            stop.setFocus(Qt.FocusReason.TabFocusReason)
            QApplication.processEvents()
            focused = picture(person, stop)
            person.window.setFocus()
            QApplication.processEvents()
            changed = np.abs(focused - picture(person, stop)).max(axis=-1) > 40
            if changed.sum() < 8:
                unseen.append(stop)
        assert [(type(stop).__name__, stop.accessibleName()) for stop in unseen] == []
    finally:
        person.window.actions_["theme_dark"].trigger()
        open_drawers(person, workspace == ATTACK)


# --- what is hidden -----------------------------------------------------------------------------------------------


def test_a_drawer_that_closes_hands_the_focus_on(person):
    open_drawers(person, True)
    search = person.find(QLineEdit, "Search shapes")
    search.setFocus()
    QTest.keyClick(search, Qt.Key.Key_F8)
    focused = QApplication.focusWidget()
    assert part_of(person, focused) == "models"
    assert focused.isVisible()
    QTest.keyClick(focused, Qt.Key.Key_F8)
    assert person.window.library.isVisible()


@pytest.mark.parametrize(("key", "workspace"), [(Qt.Key.Key_F11, ATTACK), (Qt.Key.Key_F10, "evaluate")])
def test_the_keys_for_more_space_leave_the_focus_on_the_screen(person, key, workspace):
    person.show_workspace(workspace)
    person.window.stage.models.list.setFocus()
    QTest.keyClick(QApplication.focusWidget(), key)
    QApplication.processEvents()
    assert QApplication.focusWidget().isVisible()
    visited = {part_of(person, stop) for stop in round_trip()}
    hidden = {"models", "library"} | ({"rail"} if workspace == ATTACK else {"pair"})
    assert not visited & hidden
    assert "strip" in visited


def test_a_field_far_down_a_form_is_scrolled_into_sight(person):
    person.show_workspace("train")
    open_drawers(person, True)
    panel = person.window.workspaces["train"]
    person.window.resize(1400, 720)
    start_at_rail(person, "train")
    fields: list[QWidget] = [stop for stop in round_trip() if panel.form.isAncestorOf(stop)]
    assert panel._form_area.verticalScrollBar().maximum() > 0
    fields[0].setFocus()
    press_tab(back=True)
    panel._form_area.verticalScrollBar().setValue(panel._form_area.verticalScrollBar().maximum())
    assert press_tab() is fields[0]
    assert not fields[0].visibleRegion().isEmpty()
    person.window.resize(1600, 1000)
