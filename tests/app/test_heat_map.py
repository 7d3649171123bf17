"""The map of rates: its cells are painted, legible, and reached by mouse and keys."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.shell import theme
from app.views.heat_map import HeatMap
from app.views.painting import blend, ink
from tests.app.inspection import pixels, tooltip

NAN = float("nan")
RATES = np.array([[0.0, 0.5, NAN], [NAN, 0.25, 1.0]])
VOID = np.array([[False, False, False], [True, False, False]])


@pytest.fixture
def heat_map(qtbot):
    view = HeatMap("surrogate", "victim")
    view.resize(700, 300)
    view.set_rates(("a", "b"), ("b", "c", "d"), RATES, VOID, {(0, 1): "half of them"})
    with qtbot.waitExposed(view):
        view.show()
    qtbot.addWidget(view)
    return view


def corner(view, row, column):
    """Colour near a corner of a cell, where no text is."""
    box = view.cell(row, column)
    return tuple(pixels(view)[box.top() + 5, box.left() + 5])


def test_a_cell_is_the_more_orange_the_higher_its_rate(heat_map):
    heat_map.clearFocus()
    now = theme.current()

    def distance(colour):
        return abs(np.subtract(colour, now.adv.getRgb()[:3], dtype=int)).sum()

    by_rate = [corner(heat_map, *place) for place in ((0, 0), (1, 1), (0, 1), (1, 2))]
    assert sorted(by_rate, key=distance, reverse=True) == by_rate
    assert distance(by_rate[-1]) <= 3
    assert corner(heat_map, 1, 0) == now.window.getRgb()[:3], "no rate is painted where there never will be one"
    box = heat_map.cell(1, 0)
    inside = pixels(heat_map)[box.top() + 2 : box.bottom() - 2, box.left() + 2 : box.right() - 2]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) > 1, "but a line that says so"
    assert corner(heat_map, 0, 2) not in (now.window.getRgb()[:3], by_rate[0]), "nor is it a rate where there is none"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_rate_is_legible(scheme):
    theme.apply(QApplication.instance(), scheme)
    now = theme.current()
    grounds = [blend(now.window, now.adv, share) for share in np.linspace(0.08, 1, 200)]
    assert min(theme.contrast(ink(ground), ground) for ground in grounds) >= 4.5
    assert blend(now.window, now.adv, 0.0) == now.window
    assert blend(now.window, now.adv, 1.0).name() == now.adv.name()


def test_keys_move_between_cells_and_pick_those_with_a_rate(heat_map):
    picked, moved, paged = [], [], []
    heat_map.picked.connect(lambda *place: picked.append(place))
    heat_map.moved.connect(lambda *place: moved.append(place))
    heat_map.paged.connect(paged.append)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Return, Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Right):
        QTest.keyClick(heat_map, key)
    QTest.keyClick(heat_map, Qt.Key.Key_Space)
    assert moved == [(0, 0), (1, 0), (1, 1)], "it stays within the map"
    assert picked == [(0, 0), (1, 1)], "an empty cell is not picked"
    QTest.keyClick(heat_map, Qt.Key.Key_PageDown)
    QTest.keyClick(heat_map, Qt.Key.Key_PageUp)
    assert paged == [1, -1]


def test_a_click_picks_a_cell_and_others_names_forget_it(heat_map):
    picked = []
    heat_map.picked.connect(lambda *place: picked.append(place))
    QTest.mouseClick(heat_map, Qt.MouseButton.LeftButton, pos=heat_map.cell(1, 2).center())
    QTest.mouseClick(heat_map, Qt.MouseButton.LeftButton, pos=heat_map.cell(0, 2).center())
    assert picked == [(1, 2)]
    assert heat_map.selected == (1, 2)
    assert tooltip(heat_map, heat_map.cell(0, 1).center()) == "half of them"
    assert "a → c 50" in heat_map.accessibleDescription()
    heat_map.set_rates(("a",), ("b",), np.array([[0.5]]), np.array([[False]]), {})
    assert (heat_map.current, heat_map.selected) == ((0, 0), None)


def test_long_names_stand_upright_where_there_is_space(heat_map, shot):
    names = tuple(f"pointnet-transform-{number}" for number in range(9))
    rates = np.linspace(0, 1, 36).reshape(4, 9)
    heat_map.set_rates(("one", "two", "three", "four"), names, rates, np.zeros((4, 9), np.bool_), {})
    heat_map.resize(700, 160)
    assert heat_map.cell(3, 8).bottom() <= 160
    heat_map.resize(700, 400)
    shot(heat_map, "heat-map")
    assert heat_map.cell(0, 0).top() > 100
    assert heat_map.cell(3, 8).bottom() <= 400
