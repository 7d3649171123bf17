"""Confusion matrices: colours, sizes, and the cells that are meant by a click or a key."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.shell import theme
from app.views.matrix import SMALLEST, MatrixView
from tests.app.looking import pixels, tooltip, where
from tests.app.mouse import move_mouse

CLASSES = ["bag", "cap", "chair"]
CLEAN = np.diag([4, 5, 6])
MOVED = np.array([[4, 0, 0], [2, 1, 2], [0, 6, 0]])


@pytest.fixture
def view(qtbot):
    view = MatrixView()
    qtbot.addWidget(view)
    view.resize(600, 260)
    with qtbot.waitExposed(view):
        view.show()
    view.set_matrices(CLASSES, CLEAN, MOVED)
    QApplication.processEvents()
    return view


def cells(view):
    return view.widget()


def colour_at(view, side, row, column):
    corner = cells(view).cell(side, row, column).topLeft() + QPoint(3, 3)
    return pixels(cells(view))[corner.y(), corner.x()].astype(int)


def test_the_larger_the_share_the_stronger_the_colour_of_the_side(view):
    for side, colour in enumerate((theme.DARK.clean, theme.DARK.adv)):
        assert abs(colour_at(view, side, 0, 0) - colour.getRgb()[:3]).max() <= 2, "a whole row in one cell"
        assert where(cells(view), colour, 2).any()
    full, part, none = (colour_at(view, 1, *cell).sum() for cell in ((0, 0), (1, 0), (0, 1)))
    assert full > part > none


def test_a_click_means_a_cell_that_holds_clouds(view):
    seen = []
    view.picked.connect(lambda *what: seen.append(what))
    for what in ((1, 2, 1), (0, 0, 1), (0, 2, 2)):
        place = cells(view).cell(*what).center()
        move_mouse(cells(view), place)
        QTest.mouseClick(cells(view), Qt.MouseButton.LeftButton, pos=place)
    assert seen == [(1, 2, 1), (0, 2, 2)]


def test_the_tooltip_tells_count_and_share(view):
    assert tooltip(cells(view), cells(view).cell(1, 1, 2).center()) == "cap → chair: 2 of 5 clouds (40.0 %)"
    assert tooltip(cells(view), QPoint(2, 2)) == ""


def test_arrows_go_from_cell_to_cell_and_over_into_the_other_matrix(view, qtbot):
    seen = []
    view.picked.connect(lambda *what: seen.append(what))
    view.activateWindow()
    cells(view).setFocus()
    qtbot.waitUntil(cells(view).hasFocus)
    keys = Qt.Key
    for key in (keys.Key_Return, keys.Key_Down, keys.Key_Right, keys.Key_Return, keys.Key_Right, keys.Key_Right):
        QTest.keyClick(cells(view), key)
    QTest.keyClick(cells(view), keys.Key_Return)
    QTest.keyClick(cells(view), keys.Key_Up)
    QTest.keyClick(cells(view), keys.Key_Up)
    QTest.keyClick(cells(view), keys.Key_Return)
    assert seen == [(0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 0, 0)]


def test_forty_classes_are_scrolled_not_shrunk_away(view):
    view.set_matrices([f"class {k}" for k in range(40)], np.eye(40, dtype=int), np.eye(40, dtype=int))
    QApplication.processEvents()
    assert cells(view).cell(0, 0, 0).width() == SMALLEST
    assert view.verticalScrollBar().maximum() > 0
    assert cells(view).rect().contains(cells(view).cell(1, 39, 39))


def test_right_verdicts_are_told_to_a_screen_reader(view):
    assert view.accessibleDescription() == "clean: 15 of 15 clouds right; adversarial: 5 of 15 clouds right"
