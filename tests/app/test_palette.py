"""The command palette finds and runs actions."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QListWidget, QMainWindow

from app.shell import theme
from app.shell.actions import ACTIONS, build
from app.shell.palette import command_palette
from app.shell.search import SearchPopup, score


@pytest.fixture
def called():
    return []


@pytest.fixture
def window(qtbot, called):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(900, 560)
    window.made = build(window, {info.key: lambda *_, key=info.key: called.append(key) for info in ACTIONS})
    window.show()
    return window


@pytest.fixture
def palette(window, qtbot):
    palette = command_palette(window, window.made)
    palette.popup()
    qtbot.waitUntil(palette.isVisible)
    return palette


def field(palette):
    return palette.findChild(QLineEdit)


def rows(palette):
    found = palette.findChild(QListWidget)
    return [found.item(row).text() for row in range(found.count())]


def test_that_it_opens_with_every_action_and_the_cursor_in_the_field(palette, window):
    assert len(rows(palette)) == sum(info.kind != "submenu" for info in ACTIONS)
    assert window.geometry().contains(palette.geometry().topLeft())
    assert field(palette).hasFocus()


def test_that_enter_runs_the_best_match_and_closes(palette, qtbot, called):
    qtbot.keyClicks(field(palette), "vec")
    assert rows(palette)[0] == "View: Vectors"
    qtbot.keyClick(field(palette), Qt.Key.Key_Return)
    assert called == ["vectors"]
    assert not palette.isVisible()


@pytest.mark.parametrize(
    ("letters", "first"),
    [
        ("step b", "Attack: Step back"),
        ("res", "Attack: Reset"),
        ("dark", "View: Dark theme"),
        ("opv", "View: Only the pair view"),
        ("eps", "Attack: Go to epsilon"),
        ("opfi", "File: Open file…"),
        ("next", "Attack: Next shape"),
    ],
)
def test_that_a_few_letters_find_the_action(palette, qtbot, letters, first):
    qtbot.keyClicks(field(palette), letters)
    assert rows(palette)[0] == first


def test_that_arrow_keys_choose_another_match(palette, qtbot, called):
    qtbot.keyClicks(field(palette), "e")
    third = rows(palette)[2]
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up):
        qtbot.keyClick(field(palette), key)
    qtbot.keyClick(field(palette), Qt.Key.Key_Enter)
    text = {info.key: f"{info.menu}: {info.text}" for info in ACTIONS}
    assert [text[key] for key in called] == [third]


def test_that_a_click_runs_an_action(palette, qtbot, called):
    found = palette.findChild(QListWidget)
    qtbot.keyClicks(field(palette), "overlay")
    qtbot.mouseClick(found.viewport(), Qt.MouseButton.LeftButton, pos=found.visualItemRect(found.item(0)).center())
    assert called == ["overlay"]


def test_that_escape_closes_and_runs_nothing(palette, qtbot, called):
    qtbot.keyClicks(field(palette), "quit")
    qtbot.keyClick(palette, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert not called


def test_that_a_disabled_action_is_shown_and_cannot_be_run(window, qtbot, called):
    window.made["stop_job"].setEnabled(False)
    palette = command_palette(window, window.made)
    palette.popup()
    qtbot.keyClicks(field(palette), "stop and keep")
    assert rows(palette)[0] == "Jobs: Stop and keep"
    qtbot.keyClick(field(palette), Qt.Key.Key_Return)
    assert not called
    assert palette.isVisible()


def test_that_a_query_without_match_lists_nothing_and_enter_does_nothing(palette, qtbot, called):
    qtbot.keyClicks(field(palette), "zzzqx")
    assert rows(palette) == []
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(field(palette), key)
    assert not called


def test_that_a_closed_palette_is_deleted(palette, window, qtbot):
    palette.close()
    qtbot.waitUntil(lambda: window.findChildren(SearchPopup) == [])


@given(st.text("abc ", max_size=6), st.text("abc ", max_size=12))
def test_that_exactly_the_texts_with_the_letters_in_order_match(letters, text):
    rest = iter(text)
    assert (score(letters, text) > -inf) == all(letter in rest for letter in letters.replace(" ", ""))


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_that_the_palette_looks_as_it_should_in_both_schemes(qapp, window, qtbot, shot, scheme):
    theme.apply(qapp, scheme)
    for key in ("stop_job", "step_back"):
        window.made[key].setEnabled(False)
    palette = command_palette(window, window.made)
    palette.popup()
    qtbot.keyClicks(field(palette), "st")
    shot(palette, f"palette-{scheme}")
