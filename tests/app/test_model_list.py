"""The list of models: its rows, what they show and say, and what clicks and keys ask for."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.shell import theme
from app.views.model_list import BAR_WIDTH, MOST_ROWS, ROW_HEIGHT, ModelListView, ModelRow
from tests.app.inspection import tooltip
from tests.pixels.pictures import pixels

LEFT = Qt.MouseButton.LeftButton


def row(name, **values):
    return ModelRow(name, f"the {name}", **{"attacked": False, "shown": True, "fits": True} | values)


ROWS = (
    row("a", attacked=True, clean="chair", adversarial="table", fooled=True, before=0.9, after=0.25),
    row("b", clean="chair", adversarial="chair", before=0.75, after=0.5),
    row("c", shown=False),
    row("d", shown=False, fits=False),
)


@pytest.fixture
def view(qtbot):
    made = ModelListView()
    qtbot.addWidget(made)
    made.asked = []
    for signal in ("attackRequested", "shownToggled", "currentModelChanged"):
        getattr(made, signal).connect(lambda *values, signal=signal: made.asked.append((signal, *values)))
    made.resize(320, 200)
    made.set_rows(ROWS)
    made.show()
    return made


def colours(view, colour):
    """(height, width) where the picture has about this colour."""
    picture = pixels(view.viewport().grab().toImage())[..., :3].astype(int)
    return abs(picture - np.array(colour.getRgb()[:3])).max(-1) < 40


def line(view, name):
    top = view.mark_boxes(name)[0].top()
    return slice(top, top + ROW_HEIGHT)


def test_the_bars_are_as_long_as_the_confidence_in_the_true_class(view):
    now = theme.current()
    for name, before, after in (("a", 0.9, 0.25), ("b", 0.75, 0.5)):
        edge = view.mark_boxes(name)[1].left()
        right = slice(edge - BAR_WIDTH - 2, edge)
        lengths = [colours(view, shade)[line(view, name), right].sum(1).max() for shade in (now.clean, now.adv)]
        assert lengths[0] / lengths[1] == pytest.approx(before / after, rel=0.12)
    assert not colours(view, now.clean)[line(view, "c")].any()


def test_a_fooled_model_has_an_orange_verdict(view):
    middle = slice(view.width() // 3, view.width() // 2 + 40)
    assert colours(view, theme.current().adv)[line(view, "a"), middle].sum() > 30
    assert colours(view, theme.current().adv)[line(view, "b"), middle].sum() == 0


def test_marks_ask_to_attack_and_to_show_and_the_name_only_opens(view):
    view.asked.clear()
    for name in "bcd":
        for mark in view.mark_boxes(name):
            QTest.mouseClick(view.viewport(), LEFT, pos=mark.center())
    asked = [each for each in view.asked if each[0] != "currentModelChanged"]
    assert asked == [
        ("attackRequested", "b"),
        ("shownToggled", "b", False),
        ("attackRequested", "c"),
        ("shownToggled", "c", True),
        ("attackRequested", "d"),
    ]
    view.asked.clear()
    QTest.mouseClick(view.viewport(), LEFT, pos=view.mark_boxes("b")[0].center() + QPoint(50, 0))
    assert view.asked == [("currentModelChanged", "b")]
    QTest.mouseDClick(view.viewport(), LEFT, pos=view.mark_boxes("c")[0].center() + QPoint(50, 0))
    assert ("attackRequested", "c") in view.asked


def test_a_double_click_on_a_circle_attacks_its_model_alone_though_rows_move(view):
    def attack(name):
        first = next(row for row in view.rows if row.name == name)
        view.set_rows((first, *(row for row in view.rows if row.name != name)))

    view.attackRequested.connect(attack)
    view.asked.clear()
    place = view.mark_boxes("c")[0].center()
    QTest.mouseClick(view.viewport(), LEFT, pos=place)
    QTest.mouseDClick(view.viewport(), LEFT, pos=place)
    QTest.mouseRelease(view.viewport(), LEFT, pos=place)
    assert [each for each in view.asked if each[0] == "attackRequested"] == [("attackRequested", "c")]


def test_a_press_beside_a_mark_is_no_click_on_it(view):
    view.asked.clear()
    circle = view.mark_boxes("b")[0].center()
    QTest.mousePress(view.viewport(), LEFT, pos=circle + QPoint(50, 0))
    QTest.mouseRelease(view.viewport(), LEFT, pos=circle)
    assert "attackRequested" not in [each[0] for each in view.asked]


def test_keys_move_attack_and_show(view):
    view.setFocus()
    view.asked.clear()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Up, Qt.Key.Key_Space):
        QTest.keyClick(view, key)
    assert view.asked == [
        ("currentModelChanged", "b"),
        ("shownToggled", "b", False),
        ("attackRequested", "b"),
        ("currentModelChanged", "a"),
    ], "the attacked one can't be hidden"


def test_the_current_model_stays_the_same_when_the_order_changes(view):
    view.set_current("b")
    view.asked.clear()
    view.set_rows((ROWS[1], ROWS[0], *ROWS[2:]))
    assert view.current == "b"
    assert view.asked == []
    view.set_rows((ROWS[0], ROWS[2]))
    assert view.current == "a"
    assert view.asked == [("currentModelChanged", "a")]


def test_new_values_repaint_the_rows(view):
    before = pixels(view.viewport().grab().toImage())
    view.set_rows((ROWS[0]._replace(after=0.8), *ROWS[1:]))
    assert (pixels(view.viewport().grab().toImage()) != before).any()
    assert view.current == "a"


def test_twelve_rows_fit_and_more_are_scrolled(view, qtbot):
    for count in (1, MOST_ROWS, MOST_ROWS + 3):
        view.set_rows([row(f"m{place}") for place in range(count)])
        view.show()
        scrolls = count > MOST_ROWS
        qtbot.waitUntil(lambda: (view.verticalScrollBar().maximum() > 0) == scrolls, timeout=60_000)  # noqa: B023
        assert view.viewport().height() >= ROW_HEIGHT * min(count, MOST_ROWS)


def test_each_row_is_told_in_words(view):
    assert tooltip(view.viewport(), view.mark_boxes("a")[0].center() + QPoint(50, 0)).splitlines() == [
        "the a, attacked",
        "chair → table",
        "confidence in the true class 0.9000 → 0.2500",
    ]
    assert "class of the clean cloud 0.9" in ROWS[0]._replace(labelled=False).text
    marks = {name: [tooltip(view.viewport(), mark.center()) for mark in view.mark_boxes(name)] for name in "abd"}
    assert marks["a"] == ["The attacked model", "The attacked model's verdict is always shown"]
    assert marks["b"] == ["Attack this model", "Show this model's verdict"]
    assert marks["d"][1] == "This model knows other classes than the attacked one"
    spoken = view.model().index(3, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "the d, knows other classes than the attacked model"


def test_without_models_nothing_is_current(view):
    view.set_rows(())
    assert view.current == ""
    QTest.keyClick(view, Qt.Key.Key_Return)
