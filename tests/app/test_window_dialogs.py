"""Every dialog and popup with the keyboard alone: what it is called, where Tab goes, and what Escape and Enter do."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QFileDialog, QToolButton, QWidget
from shiboken6 import isValid

from app.shell.importing import OptionsDialog
from app.shell.notify import ask
from core.models.importers import ImportOptions
from tests.app.window_fixtures import Person

Open = Callable[[Person], object]
Check = Callable[[QWidget], None]


def action(key: str) -> Open:
    return lambda person: person.window.actions_[key].trigger()


def click(kind: type[QWidget], name: str) -> Open:
    return lambda person: person.click(person.find(kind, name))


def choose_of_model(text: str) -> Open:
    """Choose an entry of the context menu of the attacked model."""

    def choose(person: Person) -> None:
        menu = person.window.stage.models.menu(person.store.primary)
        next(each for each in menu.actions() if each.text() == text).trigger()
        menu.deleteLater()

    return choose


DIALOGS: dict[str, Open] = {
    "First steps": action("first_steps"),
    "Shortcuts": action("shortcuts"),
    "About Pointward": action("about"),
    "Diagnostics": action("diagnostics"),
    "Compare attacks": action("compare_attacks"),
    "Layers": action("layers"),
    "Log": action("show_log"),
    "Find an action": action("find_action"),
    "simple": choose_of_model("Card…"),
    "Rename": choose_of_model("Rename…"),
    "Import best.pth": lambda person: OptionsDialog(
        person.window, "Import best.pth", "16 classes.", ImportOptions(name="best"), lambda _: None
    ).open(),
    "Pointward": lambda person: ask(person.window, "Stop it?", "It can go on.", "Stop", "Stay"),
    "Find an attack": lambda person: person.window.attack.preset.showPopup(),
    "Options of the attack": click(QToolButton, "Options of the attack"),
    "Budget in other units": click(QToolButton, "Budget in other units"),
}
"""How each is opened, by its title."""

ENTER_CLOSES = DIALOGS.keys() - {"Compare attacks", "Layers", "Log", "Options of the attack", "Budget in other units"}


def with_dialog(person: Person, name: str, check: Check) -> None:
    """Open a dialog and check it while it is open; some are opened by functions that return once they are closed."""
    errors: list[BaseException | None] = []

    def look() -> None:
        others = [each for each in QApplication.topLevelWidgets() if each.isVisible() and each is not person.window]
        if not others:
            QTimer.singleShot(5, look)
            return
        (dialog,) = others
        try:
            if QApplication.activePopupWidget() is None:
                dialog.activateWindow()
                person.wait_until(dialog.isActiveWindow, "the dialog to become active")
            check(dialog)
            errors.append(None)
        except BaseException as error:
            errors.append(error)
        finally:
            if isValid(dialog):
                dialog.close()

    QTimer.singleShot(0, look)
    DIALOGS[name](person)
    person.wait_until(lambda: errors, "the dialog")
    if errors[0] is not None:
        raise errors[0]


def focused() -> QWidget:
    widget = QApplication.focusWidget()
    assert widget is not None
    return widget


def spoken(widget: QWidget) -> str:
    """What a screen reader says of a widget, apart from its value."""
    if isinstance(widget, QComboBox):  # Qt tells that of its label elsewhere, and here its value
        return widget.accessibleName()
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)


def stops(dialog: QWidget) -> set[QWidget]:
    """All that Tab has to reach."""
    tab = Qt.FocusPolicy.TabFocus.value
    return {
        each
        for each in dialog.findChildren(QWidget)
        if each.isVisible() and each.isEnabled() and each.focusPolicy().value & tab and each.focusProxy() is None
    }


def comes_before(first: QWidget, second: QWidget) -> bool:
    """Whether one reads it first: it is above the other, or left of it in the same row."""
    a, b = (QRect(each.mapToGlobal(QPoint()), each.size()) for each in (first, second))
    same_column = a.left() <= b.right() and b.left() <= a.right()
    same_row = a.top() <= b.bottom() and b.top() <= a.bottom()
    return (same_column and a.bottom() < b.top()) or (same_row and a.right() < b.left())


def in_reading_order(widgets: list[QWidget]) -> bool:
    return not any(
        comes_before(later, widget) for place, widget in enumerate(widgets) for later in widgets[place + 1 :]
    )


@pytest.mark.parametrize("name", DIALOGS)
def test_it_has_a_title_every_field_a_name_tab_goes_as_one_reads_and_escape_closes_it(person, name):
    def check(dialog):
        assert dialog.windowTitle() == name
        for more in dialog.findChildren(QToolButton):
            if more.text() == "More options" and more.isVisible():
                person.click(more)
        QApplication.processEvents()  # lays it out
        assert dialog.screen().availableGeometry().contains(dialog.geometry())
        expected, first = stops(dialog), focused()
        assert first in expected, "the keyboard is in it from the beginning"
        assert [type(each).__name__ for each in expected if not spoken(each)] == []
        order = [first]
        while len(order) <= len(expected):
            QTest.keyClick(focused(), Qt.Key.Key_Tab)
            if focused() is first:
                break
            order.append(focused())
        assert set(order) == expected
        assert any(in_reading_order(order[place:] + order[:place]) for place in range(len(order)))
        QTest.keyClick(focused(), Qt.Key.Key_Escape)
        assert not isValid(dialog) or not dialog.isVisible()

    with_dialog(person, name, check)


@pytest.mark.parametrize("name", DIALOGS)
def test_enter_does_what_is_usual_there(person, name, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([], ""))  # what the first action opens

    def check(dialog):
        QTest.keyClick(focused(), Qt.Key.Key_Return)
        assert (not isValid(dialog) or not dialog.isVisible()) == (name in ENTER_CLOSES)

    with_dialog(person, name, check)
    if name == "Compare attacks":
        (job,) = person.window.jobs.jobs
        assert job.title == "comparing 6 attacks"
        job.cancel()
