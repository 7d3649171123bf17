"""Seeded random use of the window: no exception, no warning of Qt, no memory that is not given back.

``make monkey ACTIONS=6000`` makes more of it; a run that fails is repeated by its seed.
"""

import gc
import os
import random
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMenu,
    QWidget,
)
from shiboken6 import isValid

from app.views.view3d import View3D
from tests.app.window_fixtures import open_window

ACTIONS = int(os.environ.get("MONKEY_ACTIONS", "300"))
SEED = int(os.environ.get("MONKEY_SEED", "0"))
WARM = 0.3
"""Share of the actions after which memory is measured first: caches are full by then."""
MOST_GROWTH = 150e6
"""Most bytes by which the process may grow afterwards; a leaked cloud or scene on each action would be more."""
LEFT_OUT = ("quit", "open_file", "open_folder", "open_run", "export_clouds", "export_picture")
"""Actions that close the window, or open a dialog of the system."""
KEYS = [
    *(Qt.Key(ord(letter)) for letter in "OVGLCPNRTEABU123456"),
    *(Qt.Key.Key_Tab, Qt.Key.Key_Return, Qt.Key.Key_Escape, Qt.Key.Key_Space, Qt.Key.Key_Delete, Qt.Key.Key_Home),
    *(Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp),
]
MODIFIERS = [Qt.KeyboardModifier.NoModifier] * 4 + [
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
]


class Monkey:
    """Does one random thing at a time in the window of a person."""

    def __init__(self, person, seed: int) -> None:
        self.person, self.window, self.random = person, person.window, random.Random(seed)
        self.log: list[str] = []

    def act(self) -> None:
        deeds: list[tuple[int, Callable[[], None]]] = [
            (4, self.trigger), (6, self.click), (4, self.press), (3, self.drag_slider), (2, self.choose_entry),
            (2, self.type_number), (2, self.turn_view), (1, self.resize),
        ]  # fmt: skip
        (deed,) = self.random.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])
        deed()
        for _ in range(self.random.choice((0, 1, 1, 3))):
            QTest.qWait(15)

    def note(self, what: str) -> None:
        self.log.append(what)

    def trigger(self) -> None:
        key = self.random.choice([key for key in self.window.actions_ if key not in LEFT_OUT])
        action = self.window.actions_[key]
        if action.isEnabled() and action.menu() is None:
            self.note(f"action {key}")
            action.trigger()

    def widgets(self, kind: type[QWidget]) -> list[QWidget]:
        return [each for each in self.window.findChildren(kind) if each.isVisible() and each.isEnabled()]

    def click(self) -> None:
        found = self.widgets(QAbstractButton) + self.widgets(QAbstractItemView)
        target = self.random.choice(found)
        if isinstance(target, QAbstractButton):
            self.note(f"click {target.text() or target.accessibleName()!r}")
            QTest.mousePress(target, Qt.MouseButton.LeftButton)
            if isValid(target):  # such as the button of a message that goes at this moment
                QTest.mouseRelease(target, Qt.MouseButton.LeftButton)
            return
        area = target.viewport()
        place = QPoint(self.random.randrange(max(1, area.width())), self.random.randrange(max(1, area.height())))
        double = self.random.random() < 0.2
        self.note(f"{'double ' * double}click into {target.accessibleName() or type(target).__name__}")
        deed = QTest.mouseDClick if double else QTest.mouseClick
        loop = QEventLoop()  # as in the program: what a click closes is deleted once it is over, not in the midst of it
        QTimer.singleShot(0, lambda: deed(area, Qt.MouseButton.LeftButton, pos=place))
        QTimer.singleShot(30, loop.quit)
        loop.exec()

    def press(self) -> None:
        key, modifier = self.random.choice(KEYS), self.random.choice(MODIFIERS)
        target = QApplication.focusWidget() or self.window
        self.note(f"key {key.name} {modifier.name}")
        if not (key == Qt.Key.Key_O and modifier is Qt.KeyboardModifier.ControlModifier):  # the dialog of the system
            QTest.keyClick(target, key, modifier)

    def drag_slider(self) -> None:
        if self.person.groove.isEnabled() and self.person.groove.isVisible():
            highest = self.window.attack.epsilon.scale.highest
            places = [highest * self.random.random() for _ in range(4)]
            self.note("drag epsilon")
            self.person.press_slider(places[0])
            for epsilon in places[1:]:
                QTest.mouseMove(self.person.groove, self.person.groove_position(epsilon))
                QApplication.processEvents()
            QTest.mouseRelease(
                self.person.groove, Qt.MouseButton.LeftButton, pos=self.person.groove_position(places[-1])
            )

    def choose_entry(self) -> None:
        combos = self.widgets(QComboBox)
        if combos:
            combo = self.random.choice(combos)
            assert isinstance(combo, QComboBox)
            if combo.count():
                entry = self.random.randrange(combo.count())
                self.note(f"{combo.accessibleName() or combo.objectName()}: {combo.itemText(entry)}")
                if not (self.window.library.isAncestorOf(combo) and combo.itemText(entry) in ("folder", "modelnet40")):
                    combo.setCurrentIndex(entry)

    def type_number(self) -> None:
        fields = self.widgets(QLineEdit) + self.widgets(QAbstractSpinBox)
        if fields:
            field, text = self.random.choice(fields), self.random.choice(("1", "16", "0.05", "-3", "99999", "x", ""))
            self.note(f"type {text!r} into {field.accessibleName() or field.objectName()}")
            field.setFocus()
            field.selectAll()
            QTest.keyClicks(field, text)
            QTest.keyClick(field, Qt.Key.Key_Return)

    def turn_view(self) -> None:
        for view in self.widgets(View3D)[:1]:
            middle = view.rect().center()
            self.note("turn the shape")
            QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=middle)
            QTest.mouseMove(view, middle + QPoint(self.random.randrange(-90, 90), self.random.randrange(-90, 90)))
            QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=middle)

    def resize(self) -> None:
        self.note("resize")
        self.window.resize(self.random.randrange(1280, 1800), self.random.randrange(720, 1100))


def close_dialogs() -> None:
    """Close whatever waits for an answer."""
    if isinstance(popup := QApplication.activePopupWidget(), QMenu):
        popup.close()
    if isinstance(dialog := QApplication.activeModalWidget(), QDialog):
        dialog.reject()


def used() -> int:
    """Bytes of memory in use; Linux only."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.long
def test_random_use_ends_well(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_, **__: ([], ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: "")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("another name", True))
    with open_window(shapes, tmp_path) as person:
        person.window.workspaces["train"].form.restore({"clouds": 16, "points": 32, "epochs": 3})
        timer = QTimer(interval=50)
        timer.timeout.connect(close_dialogs)
        timer.start()
        monkey, before = Monkey(person, SEED), 0
        try:
            for number in range(ACTIONS):
                monkey.act()
                if number == round(WARM * ACTIONS):
                    before = used()
            for job in list(person.window.jobs.jobs):
                job.cancel()
            person.wait_until(lambda: not person.window.jobs.jobs, "the end of all jobs", 120)
        finally:
            print("\n".join(monkey.log[-40:]))  # of a run that fails
            timer.stop()
        person.close_messages()
        assert used() - before < MOST_GROWTH
