import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QToolButton
from pytestqt.qtbot import QtBot

from app.shell import theme
from app.views.confidence import HEADER_HEIGHT, ROW_HEIGHT, ConfidenceView
from app.views.confidence_table import ConfidenceTable
from tests.app.inspection import tooltip, where

CLASSES = [f"class {k}" for k in range(16)]


def sure(*winners: tuple[int, float]) -> np.ndarray:
    """(16,) confidences: some classes have given ones, the others share the rest."""
    row = np.full(16, (1 - sum(value for _, value in winners)) / (16 - len(winners)))
    for k, value in winners:
        row[k] = value
    return row


@pytest.fixture
def view(qtbot: QtBot) -> ConfidenceView:
    view = ConfidenceView()
    qtbot.addWidget(view)
    view.resize(340, 300)
    with qtbot.waitExposed(view):
        view.show()
    return view


def rows(view: ConfidenceView) -> list[str]:
    """The classes that have a row, from top to bottom, according to the tooltips."""
    bars = view.findChild(QAbstractScrollArea).viewport()
    tips = [tooltip(bars, QPoint(130, y)) for y in range(HEADER_HEIGHT + ROW_HEIGHT // 2, bars.height(), ROW_HEIGHT)]
    return [tip.splitlines()[0] for tip in tips if tip]


def test_bars_are_as_long_as_the_confidences(view: ConfidenceView) -> None:
    clean, adversarial = [0.8, 0.15, 0.05], [0.25, 0.6, 0.15]
    view.set_verdicts(["chair", "table", "lamp"], clean, adversarial, 0, None)
    for colour, values in ((theme.DARK.clean, clean), (theme.DARK.adv, adversarial)):
        lengths = where(view, colour)[HEADER_HEIGHT:].sum(axis=1)
        lengths = lengths[np.flatnonzero(np.diff(lengths, prepend=0) > 0)]  # the first line of each bar
        np.testing.assert_allclose(lengths / lengths.sum(), values, atol=0.01)


def test_the_true_class_comes_first_and_the_rest_by_confidence(view: ConfidenceView) -> None:
    view.set_verdicts(CLASSES, sure((9, 0.6), (4, 0.3)), None, 7, None)
    assert rows(view)[:3] == ["class 7", "class 9", "class 4"]
    assert len(rows(view)) == 6


def test_rows_stay_where_they_are_during_a_drag(view: ConfidenceView) -> None:
    clean = sure((4, 0.9))
    view.set_verdicts(CLASSES, clean, sure((4, 0.9)), 4, None)
    before = rows(view)
    view.set_verdicts(CLASSES, clean, sure((before_last(before), 0.7)), 4, None)
    assert rows(view) == before
    view.set_verdicts(CLASSES, clean, sure((15, 0.7)), 4, None)
    dragged = rows(view)
    assert "class 15" in dragged
    assert sum(a != b for a, b in zip(before, dragged, strict=True)) == 1, "only the newcomer's row has changed"
    view.sort_rows()
    assert rows(view)[:2] == ["class 4", "class 15"]


def before_last(names: list[str]) -> int:
    return CLASSES.index(names[-2])


def test_another_cloud_sorts_the_rows_again(view: ConfidenceView) -> None:
    view.set_verdicts(CLASSES, sure((4, 0.9)), None, 4, None)
    view.set_verdicts(CLASSES, sure((11, 0.6), (12, 0.3)), None, 11, None)
    assert rows(view)[:2] == ["class 11", "class 12"]


def test_a_click_shows_all_classes_which_can_be_scrolled(view: ConfidenceView, qtbot: QtBot) -> None:
    view.set_verdicts(CLASSES, sure((9, 0.9)), None, 9, None)
    button = view.findChild(QToolButton)
    assert button.text() == "show all 16"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert rows(view)[:7] == ["class 9", *CLASSES[:6]], "the true class first, as before"
    bars = view.findChild(QAbstractScrollArea)
    bars.setFocus()
    for _ in range(40):
        qtbot.keyClick(bars, Qt.Key.Key_Down)
    assert bars.verticalScrollBar().value() == bars.verticalScrollBar().maximum() > 0
    bars.verticalScrollBar().setValue(2 * ROW_HEIGHT)
    assert rows(view)[0] == "class 1"
    bars.verticalScrollBar().setValue(0)
    view.set_verdicts(CLASSES, sure((9, 0.9)), sure((14, 0.8)), 9, None)
    assert "class 14" in rows(view)[:6], "a new prediction is not below what can be seen"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert len(rows(view)) == 6


def test_hovering_shows_exact_numbers(view: ConfidenceView) -> None:
    view.set_verdicts(["chair", "table"], [0.91236, 0.08764], [0.3, 0.7], 0, None)
    bars = view.findChild(QAbstractScrollArea).viewport()
    assert tooltip(bars, QPoint(200, HEADER_HEIGHT + 5)) == "chair\nclean 0.9124\nadversarial 0.3000"
    assert tooltip(bars, QPoint(200, 10)) == ""
    assert tooltip(bars, QPoint(20, HEADER_HEIGHT + 5)) == ""


def test_the_predictions_are_in_the_accessible_description(view: ConfidenceView) -> None:
    view.set_verdicts(["chair", "table"], [0.9, 0.1], [0.3, 0.7], 0, 1)
    assert view.accessibleName()
    assert view.accessibleDescription() == "clean chair 0.90 correct, adversarial table 0.70 wrong"


def test_without_verdicts_the_view_says_what_to_do(view: ConfidenceView) -> None:
    assert "confidence in each class" in view.accessibleDescription()
    view.set_verdicts(["chair"], [1.0], None, 0, None)
    assert where(view, theme.DARK.clean).any()
    view.set_verdicts(["chair"], None, None, 0, None)
    assert not where(view, theme.DARK.clean).any()
    assert "confidence in each class" in view.accessibleDescription()


def test_the_colours_follow_the_theme(view: ConfidenceView, qapp: QApplication) -> None:
    view.set_verdicts(["chair", "table"], [0.9, 0.1], [0.3, 0.7], 0, None)
    theme.apply(qapp, "light")
    for colour in (theme.LIGHT.clean, theme.LIGHT.adv):
        assert where(view, colour)[HEADER_HEIGHT:].any()


@pytest.mark.parametrize(
    ("clean", "true_class", "words"),
    [
        ([0.9, 0.1, 0.0], 0, r"clean confidences have shape \(3,\); \(2,\)"),
        ([np.nan, 0.1], 0, "not finite"),
        ([0.9, 0.1], 2, "true class 2 is not one of the 2 classes"),
    ],
)
def test_inconsistent_arguments_are_an_error(clean: list, true_class: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ConfidenceTable(["chair", "table"], clean, None, true_class)


@given(st.integers(0, 2**32 - 1), st.integers(0, 15))
def test_kept_rows_contain_every_predicted_class_and_the_true_class(seed: int, true_class: int) -> None:
    generator = np.random.default_rng(seed)
    clean, first, then = generator.dirichlet(np.full(16, 0.2), 3)
    start = ConfidenceTable(CLASSES, clean, first, true_class).top(6)
    now = ConfidenceTable(CLASSES, clean, then, true_class)
    kept = now.keep_rows(start)
    assert len(set(kept)) == 6
    assert {true_class, *now.predicted.values()} <= set(kept)
    assert all(a == b for a, b in zip(start, kept, strict=True) if b in start)


@given(st.integers(0, 2**32 - 1), st.integers(0, 15), st.integers(0, 15))
def test_true_predicted_and_target_class_always_have_rows(seed: int, true_class: int, target: int) -> None:
    generator = np.random.default_rng(seed)
    clean, first, then = generator.dirichlet(np.full(16, 0.2), 3)
    start = ConfidenceTable(CLASSES, clean, first, true_class)
    rows = start.top(6)
    assert len(set(rows)) == 6
    assert {true_class, *start.predicted.values()} <= set(rows)
    aimed = ConfidenceTable(CLASSES, clean, then, true_class, target)
    for shown in (aimed.top(6), aimed.keep_rows(rows)):
        assert {true_class, target, *aimed.predicted.values()} <= set(shown)
        assert len(set(shown)) == 6
