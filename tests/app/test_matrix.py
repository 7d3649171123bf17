"""Confusion matrices: colours, sizes, and selecting cells by mouse and keys."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.shell import theme
from app.views.matrix import MIN_CELL, MatrixView
from tests.app.inspection import pixels, tooltip, where
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


def test_a_larger_share_has_a_stronger_colour(view):
    for side, colour in enumerate((theme.DARK.clean, theme.DARK.adv)):
        assert abs(colour_at(view, side, 0, 0) - colour.getRgb()[:3]).max() <= 2, "a whole row in one cell"
        assert where(cells(view), colour, 2).any()
    full, part, none = (colour_at(view, 1, *cell).sum() for cell in ((0, 0), (1, 0), (0, 1)))
    assert full > part > none


def test_a_click_selects_a_cell_that_is_not_empty(view):
    seen = []
    view.picked.connect(lambda *what: seen.append(what))
    for what in ((1, 2, 1), (0, 0, 1), (0, 2, 2)):
        place = cells(view).cell(*what).center()
        move_mouse(cells(view), place)
        QTest.mouseClick(cells(view), Qt.MouseButton.LeftButton, pos=place)
    assert seen == [(1, 2, 1), (0, 2, 2)]


def test_the_tooltip_has_count_and_share(view):
    assert tooltip(cells(view), cells(view).cell(1, 1, 2).center()) == "cap → chair: 2 of 5 clouds (40.0 %)"
    assert tooltip(cells(view), QPoint(2, 2)) == ""


def test_the_text_of_the_current_cell_has_the_space_up_to_the_next_matrix_or_the_edge(view, qtbot):
    view.resize(900, 300)
    view.activateWindow()
    cells(view).setFocus()
    qtbot.waitUntil(cells(view).hasFocus)
    QApplication.processEvents()
    for _ in range(3):
        QTest.keyClick(cells(view), Qt.Key.Key_Right)
    assert cells(view)._current[0] == 1
    title, edge = cells(view).title(1), cells(view)._matrix(1).right()
    beside = pixels(cells(view)).astype(int)[: title.height(), edge + 2 :]
    assert abs(beside - theme.DARK.canvas.getRgb()[:3]).max() > 60, "it goes on beyond the matrix of three classes"


def test_arrow_keys_move_between_cells_and_into_the_other_matrix(view, qtbot):
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


def test_forty_classes_can_be_scrolled_at_the_smallest_cell_size(view):
    view.set_matrices([f"class {k}" for k in range(40)], np.eye(40, dtype=int), np.eye(40, dtype=int))
    QApplication.processEvents()
    assert cells(view).cell(0, 0, 0).width() == MIN_CELL
    assert view.verticalScrollBar().maximum() > 0
    assert cells(view).rect().contains(cells(view).cell(1, 39, 39))


def test_numbers_of_right_predictions_are_in_the_accessible_description(view):
    assert view.accessibleDescription() == "clean: 15 of 15 clouds right; adversarial: 5 of 15 clouds right"


@pytest.fixture
def many(view):
    """Forty classes in little more space than the work has in a window of 1280 x 720."""
    rng = np.random.default_rng(0)
    view.resize(820, 560)
    view.set_matrices([f"class {k}" for k in range(40)], np.diag(rng.integers(1, 90, 40)), rng.integers(0, 9, (40, 40)))
    QApplication.processEvents()
    return view


def test_of_forty_classes_one_matrix_is_whole_with_both_axes_named_and_totals(many):
    painted = cells(many)
    assert painted.single
    assert many.viewport().size() == painted.size(), "nothing has to be scrolled"
    assert painted._columns_named
    area, canvas = painted._matrix(0), theme.DARK.canvas.getRgb()[:3]
    picture = pixels(painted).astype(int)
    for row in range(40):
        top, height = area.top() + row * painted._cell, painted._cell
        for part in (picture[top : top + height, : area.left()], picture[top : top + height, area.right() + 2 :]):
            assert abs(part - canvas).max() > 60, "the name of the class, and how many of it are right"
    assert abs(picture[:, :2] - canvas).max() <= 2, "no name is cut off"


def test_of_forty_long_names_those_of_the_columns_are_shortened_where_the_work_is_low(many):
    painted = cells(many)
    many.resize(820, 520)
    many.set_matrices([f"a class of a long name {k}" for k in range(40)], np.eye(40, dtype=int), np.eye(40, dtype=int))
    QApplication.processEvents()
    assert many.viewport().size() == painted.size(), "nothing has to be scrolled"
    area, canvas = painted._matrix(0), theme.DARK.canvas.getRgb()[:3]
    below = pixels(painted).astype(int)[area.bottom() + 3 :, area.left() : area.right()]
    for column in range(40):
        assert abs(below[:, column * painted._cell :][:, : painted._cell] - canvas).max() > 60, "it has a name"
    assert abs(below[-2:] - canvas).max() <= 2, "no name is cut off"


def test_the_other_matrix_is_shown_by_a_click_on_its_name_and_by_keys(many):
    painted = cells(many)
    assert painted.shown_sides == (0,)
    place = painted.title(1).center()
    move_mouse(painted, place)
    QTest.mouseClick(painted, Qt.MouseButton.LeftButton, pos=place)
    assert painted.shown_sides == (1,)
    assert where(painted, theme.DARK.adv, 40).any()
    painted.setFocus()
    for _ in range(painted._current[2] + 1):
        QTest.keyClick(painted, Qt.Key.Key_Left)
    assert painted.shown_sides == (0,)
    assert painted._current[2] == 39
    many.resize(1600, 760)
    QApplication.processEvents()
    assert painted.shown_sides == (0, 1)
