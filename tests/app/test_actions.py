"""The action table and what is built from it."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QLineEdit, QMainWindow

from app.shell import icons
from app.shell.actions import ACTIONS, GESTURES, build, shortcut_page


class Calls(list):
    """Handlers for all actions that record their calls."""

    def handlers(self):
        return {info.key: self._note(info.key) for info in ACTIONS}

    def _note(self, key):
        return lambda *arguments: self.append((key, *arguments))


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def window(qtbot, calls):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(700, 300)
    window.actions_by_key = build(window, calls.handlers())
    window.setCentralWidget(QLineEdit())
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.setFocus()
    return window


def test_that_keys_and_shortcuts_are_unique_and_every_text_is_there():
    keys = [info.key for info in ACTIONS]
    assert len(set(keys)) == len(keys)
    sequences = [QKeySequence(info.shortcut).toString() for info in ACTIONS if info.shortcut]
    assert len(set(sequences)) == len(sequences)
    assert "" not in sequences  # each is a sequence Qt understands
    for info in ACTIONS:
        assert info.text[0].isupper()
        assert info.tip.endswith(".")


def test_that_every_icon_exists(qapp):
    for info in ACTIONS:
        if info.icon:
            assert not icons.icon(info.icon).isNull()


def test_that_every_action_calls_its_handler(window, calls):
    for info in ACTIONS:
        calls.clear()
        action = window.actions_by_key[info.key]
        if info.kind == "submenu":
            action.menu().aboutToShow.emit()
            assert calls == [(info.key, action.menu())]
        else:
            action.trigger()
            assert calls == ([(info.key, True)] if info.kind == "toggle" else [(info.key,)])


def test_that_every_shortcut_works_in_the_window(window, calls, qtbot):
    for info in ACTIONS:
        if info.shortcut:
            calls.clear()
            keys = QKeySequence(info.shortcut)[0]
            qtbot.keyClick(window, keys.key(), keys.keyboardModifiers())
            assert [call[0] for call in calls] == [info.key]


def test_that_a_text_field_receives_letters_instead_of_shortcuts(window, calls, qtbot):
    field = window.centralWidget()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    qtbot.keyClicks(field, "onverplc")
    qtbot.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not calls


def test_that_a_missing_handler_is_named(qtbot, calls):
    handlers = calls.handlers()
    del handlers["step"], handlers["reset"]
    window = QMainWindow()
    qtbot.addWidget(window)
    with pytest.raises(ValueError, match="these actions have no handler: step, reset"):
        build(window, handlers)


def test_that_a_misspelt_handler_is_answered_with_the_likely_key(qtbot, calls):
    window = QMainWindow()
    qtbot.addWidget(window)
    with pytest.raises(ValueError, match=r'no action "vektors"; did you mean "vectors"\?'):
        build(window, {**calls.handlers(), "vektors": print})


def test_that_menus_have_their_order_and_separators_between_groups(window):
    bar = window.menuBar().actions()
    menus = [action.menu() for action in bar]
    assert [menu.title() for menu in menus] == ["&File", "&Edit", "&View", "&Attack", "&Jobs", "&Help"]
    for menu, name in zip(menus, ("File", "Edit", "View", "Attack", "Jobs", "Help"), strict=True):
        infos = [info for info in ACTIONS if info.menu == name]
        groups = list(dict.fromkeys(info.group for info in infos))
        assert [info.group for info in infos] == sorted((info.group for info in infos), key=groups.index)
        assert sum(action.isSeparator() for action in menu.actions()) == len(groups) - 1


def test_that_one_theme_is_checked_at_a_time(window):
    themes = [window.actions_by_key[key] for key in ("theme_system", "theme_dark", "theme_light")]
    themes[1].trigger()
    themes[2].trigger()
    assert [action.isChecked() for action in themes] == [False, False, True]


def test_that_the_handler_of_a_toggle_gets_its_new_state(window, calls):
    window.actions_by_key["vectors"].trigger()
    window.actions_by_key["vectors"].trigger()
    assert calls == [("vectors", True), ("vectors", False)]


def test_that_the_shortcut_page_lists_every_key_and_gesture():
    page = shortcut_page()
    for info in ACTIONS:
        if info.shortcut:
            assert info.tip in page
    for keys, text in GESTURES:
        assert keys in page
        assert text in page
    assert "Mouse" in page
