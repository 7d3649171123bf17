"""The window as a whole: its actions, themes, sizes, keyboard, memory and start."""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QPushButton,
    QRadioButton,
    QScrollBar,
    QTabBar,
    QTextBrowser,
    QWidget,
)

from app.shell import jobstrip, settings, theme
from app.shell.actions import ACTIONS
from app.shell.application import make
from app.shell.notify import ExceptionHook
from app.shell.search import SearchPopup
from app.shell.window import Window
from app.views.cloud import CloudView
from app.workspaces.registry import WORKSPACES
from core.datasets import REGISTRY
from core.datasets.shapes16 import make_shape
from core.events import Cancel, Done, Progress
from tests.app.test_window_library import drop
from tests.app.window_fixtures import Person, open_window, small_spec
from tests.pixels.pictures import pixels

INPUTS = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, CloudView)


def inputs(person):
    """All visible widgets that take input, without the child widgets of spin boxes, combo boxes and tabs."""
    parts = (QAbstractSpinBox, QComboBox, QTabBar, QLineEdit)
    return [
        widget
        for widget in person.window.findChildren(QWidget)
        if isinstance(widget, INPUTS)
        and widget.isVisible()
        and not isinstance(widget, QScrollBar)
        and not isinstance(widget.parent(), parts)
    ]


def close_popups():
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QDialog | SearchPopup) and widget.isVisible():
            widget.close()
    if (popup := QApplication.activePopupWidget()) is not None:
        popup.close()
    QApplication.processEvents()


def brightness(person):
    return pixels(person.window.grab().toImage()).mean()


# --- actions ------------------------------------------------------------------------------------------------------


def give_it_something_to_do(person, key, tmp_path):
    """Open a file, show work beside the Stage, start a job or go to another step, whichever an action needs."""
    if key in ("next_up_axis", "turn_shape"):
        np.save(tmp_path / "mug.npy", np.asarray(make_shape("mug", [0, 0])))
        drop(person, tmp_path / "mug.npy")
        person.wait_until(lambda: person.store.source is not None, "the file")
        person.wait_for_scene()
    elif key.endswith("_job"):
        cancel = Cancel()

        def work():
            while not cancel.requested:
                yield Progress(0, 1)
            yield Done(None, complete=False)

        person.window.jobs.submit("counting", work, cancel)
    elif key in ("step_back", "reset"):
        person.window.actions_["step"].trigger()
    else:
        person.show_workspace("train")
    action = person.window.actions_[key]
    person.wait_until(action.isEnabled, f"{key} to be possible")


def test_every_action_can_be_triggered_without_an_error(person, tmp_path, monkeypatch):
    monkeypatch.setattr(jobstrip, "ask", lambda *_: True)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([], ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "saved.png"), ""))
    actions, undo = person.window.actions_, person.window.undo
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)  # so that there is a choice to take back
    person.wait_until(lambda: undo.next_undo == "shape", "the choice")
    for info in ACTIONS:
        if info.key == "redo":
            person.wait_until(lambda: undo.next_redo and person.settled(), "what was taken back")
        if info.key in ("quit", "export_clouds"):  # they have tests of their own
            continue
        action = actions[info.key]
        if not action.isEnabled():
            give_it_something_to_do(person, info.key, tmp_path)
        if info.kind == "submenu":
            action.menu().aboutToShow.emit()
        for _ in range(2 if info.kind == "toggle" else 1):
            action.trigger()
            close_popups()
        person.wait_until(person.settled, f"the end of {info.key}")
        assert person.pop_errors() == [], info.key
    assert (tmp_path / "saved.png").is_file()
    person.window.log.close()
    actions["theme_dark"].trigger()
    for source in person.store.files:
        person.store.remove_file(source.path)
    for job in list(person.window.jobs.jobs):
        job.cancel()
    person.wait_until(lambda: not person.window.jobs.jobs, "the end of the jobs")


@pytest.mark.parametrize(("key", "letters"), [("vectors", "vectors"), ("overlay", "overl")])
def test_a_button_of_the_pair_view_has_a_menu_entry_a_shortcut_and_a_palette_entry(person, key, letters):
    button, action = getattr(person.window.pair, key), person.window.actions_[key]
    person.press(Qt.Key.Key_V if key == "vectors" else Qt.Key.Key_O)
    assert button.isChecked()
    assert action.isChecked()
    person.click(button)
    assert not action.isChecked()
    person.press(Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    palette = next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, SearchPopup))
    field = palette.findChild(QLineEdit)
    QTest.keyClicks(field, letters)
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert button.isChecked()
    person.click(button)
    close_popups()


def test_about_tells_the_version(person):
    person.window.actions_["about"].trigger()
    dialog = next(each for each in person.window.findChildren(QDialog) if each.windowTitle() == "About Pointward")
    assert f"Pointward {version('pointward')}" in dialog.findChild(QTextBrowser).toPlainText()
    dialog.close()


def test_the_first_steps_open_by_their_key_name_keys_that_there_are_and_close_by_escape(person):
    person.press(Qt.Key.Key_F1)
    dialog = next(each for each in person.window.findChildren(QDialog) if each.windowTitle() == "First steps")
    person.wait_until(dialog.isActiveWindow, "the first steps")
    text = dialog.findChild(QTextBrowser).toPlainText()
    assert "Drag epsilon" in text
    actions = {info.shortcut: info.key for info in ACTIONS}
    named = {letter: actions.get(letter) for letter in re.findall(r"\b[A-Z]\b", text)}
    assert named == {"R": "reset", "N": "step", "P": "play"}
    workspaces = re.findall(r"the (\w+)\s+workspace", text)
    assert workspaces
    assert set(workspaces) <= {info.title for info in WORKSPACES}
    gone = []
    dialog.destroyed.connect(lambda: gone.append(dialog))
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    person.wait_until(lambda: gone, "the end of the dialog")
    person.activate()


def test_the_diagnostics_are_copied_as_they_are_shown(person):
    QGuiApplication.clipboard().setText("before")
    person.window.actions_["diagnostics"].trigger()
    dialog = next(each for each in person.window.findChildren(QDialog) if each.windowTitle() == "Diagnostics")
    person.click(next(each for each in dialog.findChildren(QPushButton) if each.text() == "Copy"))
    copied = QGuiApplication.clipboard().text()
    assert copied == dialog.findChild(QTextBrowser).toPlainText().strip()
    assert {"pointward", "python", "devices"} <= json.loads(copied).keys()
    dialog.close()
    person.activate()


def test_a_file_is_opened_through_the_menu_by_keys(person, tmp_path, monkeypatch):
    np.save(tmp_path / "mug.npy", np.asarray(make_shape("mug", [0, 0])))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(tmp_path / "mug.npy")], ""))
    person.press(Qt.Key.Key_F, Qt.KeyboardModifier.AltModifier)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    while menu.activeAction() is not person.window.actions_["open_file"]:
        QTest.keyClick(menu, Qt.Key.Key_Down)
    QTest.keyClick(menu, Qt.Key.Key_Return)
    person.wait_until(lambda: person.store.source is not None, "the file")
    assert person.wait_for_scene().setup.cloud.name == "mug"
    person.store.remove_file(tmp_path / "mug.npy")


def test_a_key_shows_all_classes_in_the_confidence_bars(person):
    view = person.window.stage.verdict.view
    person.press(Qt.Key.Key_C)
    assert len(view._bars._rows) == 16
    person.press(Qt.Key.Key_C)
    assert len(view._bars._rows) == 6


# --- looks --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gl")
def test_the_theme_changes_in_the_whole_window(person, shot):
    actions, dark = person.window.actions_, brightness(person)
    canvas = pixels(person.window.pair.clean.grab().toImage())[-1, -1]
    actions["theme_light"].trigger()
    assert theme.current() is theme.LIGHT
    assert brightness(person) > dark + 100
    assert (pixels(person.window.pair.clean.grab().toImage())[-1, -1] > canvas + 100).all()
    shot(person.window, "window-light")
    assert settings.load().theme == "light"
    actions["theme_dark"].trigger()
    assert brightness(person) == pytest.approx(dark, abs=2)


@pytest.mark.parametrize("workspace", [info.key for info in WORKSPACES])
def test_every_input_has_an_accessible_name(person, workspace):
    person.show_workspace(workspace)
    QApplication.processEvents()
    names = {}
    for widget in inputs(person):
        interface = QAccessible.queryAccessibleInterface(widget)
        names[widget] = interface.text(QAccessible.Text.Name)
    assert len(names) > 30
    assert [widget for widget, name in names.items() if not name.strip()] == []


@pytest.mark.parametrize("workspace", [info.key for info in WORKSPACES])
def test_every_input_is_reached_with_the_tab_key(person, workspace):
    person.show_workspace(workspace)
    QApplication.processEvents()
    person.window.pair.clean.setFocus()
    first, reached = QApplication.focusWidget(), set()
    for _ in range(300):
        reached.add(QApplication.focusWidget())
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        if QApplication.focusWidget() is first:
            break
    assert QApplication.focusWidget() is first, "the focus never comes round"
    missed = [
        widget
        for widget in inputs(person)
        if widget.isEnabled()
        and widget not in reached
        and not any(child in reached for child in widget.findChildren(QLineEdit))
        and not (isinstance(widget, QRadioButton) and not widget.isChecked())  # arrow keys go there
    ]
    assert missed == []


# --- start and end ------------------------------------------------------------------------------------------------


def test_choices_are_restored_at_the_next_start(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        person.choose(person.window.attack.preset, "BIM")
        person.window.controller.release(0.07)
        person.press(Qt.Key.Key_C)
        person.wait_for_scene()
    with open_window(shapes, tmp_path) as person:
        assert person.window.attack.preset.currentText() == "BIM"
        assert person.wait_for_scene().epsilon == person.window.attack.epsilon.value == 0.07
        assert person.window.actions_["all_classes"].isChecked()
        assert len(person.window.stage.verdict.view._bars._rows) == 16


def test_the_window_opens_with_damaged_settings_and_weights(shapes, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "index.json").write_text('{"pointnet-simple.safetensors": {"dataset": "shapes16", "sha256": "0"}}')
    (weights / "pointnet-simple.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr("core.models.checkpoints.WEIGHTS", weights)
    monkeypatch.setitem(REGISTRY, "shapes16", small_spec(shapes))
    Path(settings.create().fileName()).write_bytes(b"\x00\xff[General]\nlibrary_width=many\n")
    window = Window()
    person = Person(window)
    window.show()
    window.start_loading()
    person.wait_until(lambda: person.messages(), "a word about the models")
    person.wait_until(lambda: any("Train one" in text for text in person.messages()), "what to do")
    assert window.store.models == ()
    assert len(window.pair.clean.points) > 0
    person.wait_until(lambda: window.jobs.jobs == [] or window.store.dataset is not None, "the rest")
    person.close()


def test_quit_closes_the_window(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        person.press(Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
        assert person.window.isHidden()
        assert not person.window.controller._worker.isRunning()


def test_the_program_opens_the_files_it_was_given(shapes, tmp_path, monkeypatch):
    cloud = tmp_path / "mine.npy"
    np.save(cloud, np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setitem(REGISTRY, "shapes16", small_spec(shapes))
    _, window = make(["pointward"], (cloud,))
    person = Person(window)
    assert isinstance(sys.excepthook, ExceptionHook)
    person.wait_until(lambda: window.store.cloud is not None and window.store.cloud.name == "mine", "the cloud")
    person.wait_for_scene()
    sys.excepthook(RuntimeError, RuntimeError("no"), None)
    assert any("unexpected" in text for text in person.messages())
    person.close()
