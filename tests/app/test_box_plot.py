"""Box plots: what is drawn, and selecting values by mouse and keys."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsView, QLabel

from app.shell import theme
from app.views.box_plot import OFFSET, Box, BoxPlotView
from tests.app.inspection import tooltip, where
from tests.app.mouse import move_mouse

CLEAN = np.array([0.5, 0.9, 0.92, 0.94, 0.95, 0.96, 0.98])  # the first is an outlier
MOVED = np.linspace(0.2, 0.6, 9)


@pytest.fixture
def view(qtbot):
    view = BoxPlotView()
    qtbot.addWidget(view)
    view.resize(600, 300)
    with qtbot.waitExposed(view):
        view.show()
    view.set_boxes(["first", "second"], [CLEAN, CLEAN - 0.3], [MOVED, []], "Confidence")
    QApplication.processEvents()
    return view


def plot(view):
    return view.findChild(QGraphicsView)


def place(view, group, side, value):
    """Position of a value in the viewport."""
    plane = plot(view)
    return plane.mapFromScene(plane.box.mapViewToScene(QPointF(group + (2 * side - 1) * OFFSET, value)))


def click(view, at):
    move_mouse(plot(view).viewport(), at)
    QTest.mouseClick(plot(view).viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_quartiles_whiskers_and_outliers_follow_tukey():
    box = Box(0.0, CLEAN)
    low, middle, high = np.percentile(CLEAN, (25, 50, 75))
    assert box.ends == pytest.approx((0.9, low, middle, high, 0.98))
    np.testing.assert_array_equal(box.outliers, [0])
    assert box.inside()[0] == 3, "the median itself"
    assert set(box.inside()) == {2, 3, 4}


def test_clean_boxes_are_left_and_blue_adversarial_ones_right_and_orange(view):
    clean, moved = (
        where(plot(view).viewport(), colour, 60).any(axis=0) for colour in (theme.DARK.clean, theme.DARK.adv)
    )
    left, right = (place(view, 0, side, 0.5).x() for side in (0, 1))
    assert clean[left - 5 : left + 6].any()
    assert not moved[left - 5 : left + 6].any()
    assert moved[right - 5 : right + 6].any()
    assert not where(plot(view).viewport(), theme.DARK.adv, 60)[:, place(view, 1, 1, 0.5).x()].any(), "it has no value"


def test_seven_names_are_beside_each_other_and_broken_or_shortened_to_the_width_of_their_boxes(view):
    names = [
        "simple",
        "adversarial training",
        "defense, thirty epochs",
        "pgd",
        "incomparably robust",
        "a b c d e f g",
        "x",
    ]
    view.set_boxes(names, 7 * [CLEAN], 7 * [MOVED], "Confidence")
    for width in (900, 500):
        view.resize(width, 300)
        QApplication.processEvents()
        axis, metrics = plot(view).bottom, QFontMetrics(theme.font(theme.CAPTION_PX))
        (captions,) = axis._tickLevels
        room = place(view, 1, 0, 0.5).x() - place(view, 0, 0, 0.5).x()
        for (group, caption), name in zip(captions, names, strict=True):
            *lines, count = caption.split("\n")
            assert count == "n = 7, 9"
            assert len(lines) <= 2
            assert max(map(metrics.horizontalAdvance, lines)) <= room
            assert " ".join(lines) == name or "…" in caption
            text = where(plot(view).viewport(), theme.DARK.muted, 40)[place(view, 0, 0, 0).y() + 12 :]
            middle = (place(view, group, 0, 0.5).x() + place(view, group, 1, 0.5).x()) // 2
            assert text[:, middle - room // 2 : middle + room // 2].any(), f"{name} at {width}"


def test_whisker_rule_and_numbers_of_clouds_are_shown(view):
    assert "1.5 interquartile" in view.findChild(QLabel).text()
    assert "n = 7" in view.accessibleDescription()
    assert "n = 9" in view.accessibleDescription()
    said = tooltip(plot(view).viewport(), place(view, 0, 0, 0.94))
    assert said.startswith("first, clean\nmedian 0.94")
    assert "1 outliers" in said


def test_a_click_selects_the_values_of_a_box_or_an_outlier(view):
    seen = []
    view.picked.connect(lambda *what: seen.append(what))
    click(view, place(view, 0, 1, 0.38))
    click(view, place(view, 0, 0, 0.5))
    click(view, place(view, 1, 0, 0.2))
    assert [what[:2] for what in seen] == [(0, 1), (0, 0), (1, 0)]
    assert set(seen[0][2]) == {2, 3, 4, 5, 6}
    assert seen[0][2][0] == 4
    assert list(seen[1][2]) == list(seen[2][2]) == [0]
    click(view, QPoint(place(view, 0, 0, 0.0).x(), place(view, 0, 0, 0.2).y()))
    assert len(seen) == 3, "there is nothing"


def test_arrow_keys_choose_a_box_and_enter_selects_it(view, qtbot):
    seen = []
    view.picked.connect(lambda *what: seen.append(what[:2]))
    view.activateWindow()
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Right, Qt.Key.Key_Space):
        QTest.keyClick(view, key)
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert seen == [(0, 0), (0, 1), (1, 0), (0, 0)]


def test_the_axis_covers_values_beyond_0_and_1(view):
    view.set_boxes(["first"], [np.linspace(-4, 12, 9)], [MOVED], "Logits")
    QApplication.processEvents()
    (_, _), (low, high) = plot(view).box.viewRange()
    assert low < -4
    assert high > 12
