"""Toasts, the log, unexpected errors and questions."""

import logging
import sys
import threading
from itertools import pairwise

import pytest
from PySide6.QtCore import QRect, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMainWindow, QMessageBox, QPlainTextEdit, QPushButton, QToolButton

from app.shell import theme
from app.shell.log import LOG_LINES, LogPanel
from app.shell.notify import (
    FADE_MS,
    MAX_TOASTS,
    STRIP_HEIGHT,
    ExceptionHook,
    Severity,
    Toast,
    Toasts,
    ask,
    error_message,
)


@pytest.fixture
def window(qtbot):
    window = QMainWindow()
    window.resize(900, 600)
    qtbot.addWidget(window)
    window.show()
    return window


@pytest.fixture
def toasts(window):
    return Toasts(window, lambda: QRect(0, window.height() - STRIP_HEIGHT, window.width(), STRIP_HEIGHT))


def texts(toasts):
    return [toast.message[1] for toast in toasts.visible]


def named(toast, text):
    return next(each for each in toast.findChildren(QToolButton) if each.text() == text)


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_that_a_message_appears_over_the_job_strip_and_over_nothing_else(window, toasts, qtbot):
    toasts.show(Severity.OK, "The figure was saved as map.pdf.")
    (toast,) = toasts.visible
    assert toast.isVisible()
    assert window.rect().contains(toast.geometry())
    assert toast.geometry().top() >= window.height() - STRIP_HEIGHT
    assert toast.accessibleName() == "The figure was saved as map.pdf."


def test_that_only_the_newest_three_stay(window, toasts, qtbot):
    for index in range(5):
        toasts.show(Severity.ERROR, f"File {index} has no points. Choose another one.")
    assert len(toasts.visible) == MAX_TOASTS
    assert texts(toasts)[0].startswith("File 2")
    qtbot.waitUntil(lambda: len(window.findChildren(Toast)) == MAX_TOASTS)
    places = [toast.geometry() for toast in toasts.visible]
    assert all(left.right() < right.left() for left, right in pairwise(places))
    assert {place.height() for place in places} == {STRIP_HEIGHT}


def test_that_a_repeated_message_is_counted_not_stacked(toasts, shot, window, qtbot):
    for _ in range(3):
        toasts.show(Severity.WARNING, "The slider is faster than this model.")
    (toast,) = toasts.visible
    assert any(label.text() == "×3" for label in toast.findChildren(type(toast._count)))


def test_that_its_icon_follows_the_scheme(toasts, qapp):
    toasts.show(Severity.ERROR, "It went wrong.")
    (toast,) = toasts.visible
    dark = toast._icon.pixmap().toImage()
    theme.apply(qapp, "light")
    assert toast._icon.pixmap().toImage() != dark
    theme.apply(qapp, "dark")
    assert toast._icon.pixmap().toImage() == dark


def test_that_the_same_text_with_another_severity_is_another_message(toasts):
    toasts.show(Severity.INFO, "Stopped.")
    toasts.show(Severity.ERROR, "Stopped.")
    assert len(toasts.visible) == 2


def test_that_closing_a_message_removes_it_and_the_others_close_the_gap(toasts, window, qtbot):
    for index in range(2):
        toasts.show(Severity.ERROR, f"Message {index}.")
    first, second = toasts.visible
    place = first.geometry()
    click(qtbot, first.findChild(QToolButton))
    assert texts(toasts) == ["Message 1."]
    assert second.geometry().topLeft() == place.topLeft()
    qtbot.waitUntil(lambda: window.findChildren(Toast) == [second])


def test_that_every_message_closes_by_itself_unless_the_mouse_is_over_it(toasts, qtbot):
    toasts.show(Severity.INFO, "Saved.")
    toasts.show(Severity.ERROR, "Not saved.")
    info, error = toasts.visible
    assert error._timer.interval() > info._timer.interval()
    info.enterEvent(None)
    assert not info._timer.isActive()
    info.leaveEvent(None)
    assert info._timer.isActive()
    info._timer.timeout.emit()
    assert texts(toasts) == ["Not saved."]
    error._timer.timeout.emit()
    assert texts(toasts) == []


def test_that_it_waits_while_the_keyboard_is_on_its_button(toasts, window, qtbot):
    toasts.show(Severity.OK, "Training is finished.", ("Load this model", print))
    (toast,) = toasts.visible
    window.activateWindow()
    toast.findChild(QToolButton).setFocus()
    qtbot.waitUntil(lambda: toast.isAncestorOf(QApplication.focusWidget() or window))
    toast._timer.timeout.emit()
    assert toasts.visible == [toast]


def test_that_an_error_stays_unread_until_it_is_closed_or_looked_up(toasts, qtbot):
    counts = []
    toasts.unreadChanged.connect(counts.append)
    for text in ("First.", "Second.", "Second.", "Third."):
        toasts.show(Severity.ERROR, text)
    toasts.show(Severity.INFO, "Saved.")
    assert toasts.unread == ["First.", "Second.", "Third."]
    toasts.visible[0]._timer.timeout.emit()
    assert len(toasts.unread) == 3
    click(qtbot, toasts.visible[0].findChild(QToolButton))
    assert toasts.unread == ["First.", "Second."]
    toasts.mark_read()
    assert counts[-1] == 0


def test_that_a_short_message_leaves_its_space_to_a_long_one(window, toasts, qtbot):
    toasts.show(Severity.OK, "Saved.")
    toasts.show(Severity.INFO, "The models that come with the program for modelnet16 are in the list, as they were.")
    short, long = toasts.visible
    assert short.width() < 150
    assert not any(toast._text.text().endswith("…") for toast in (short, long))


def test_that_a_long_message_is_one_line_and_all_of_it_under_the_mouse(window, toasts, qtbot):
    text = "The file has a line with two columns; three numbers are needed in each. " * 4
    toasts.show(Severity.INFO, text.strip())
    (toast,) = toasts.visible
    assert toast.height() == STRIP_HEIGHT
    assert toast._text.text().endswith("…")
    toast.enterEvent(None)
    assert toast._text.text() == text.strip()
    assert STRIP_HEIGHT < toast.height() < 160
    assert toast.geometry().bottom() == window.height() - 1
    toast.leaveEvent(None)
    assert toast.height() == STRIP_HEIGHT


def test_that_the_button_calls_its_handler_and_closes_the_message(toasts, qtbot):
    opened = []
    toasts.show(Severity.OK, "Training is finished.", ("Load this model", lambda: opened.append(1)))
    click(qtbot, named(toasts.visible[0], "Load this model"))
    assert opened == [1]
    assert not toasts.visible


def test_that_messages_stay_in_their_row_when_the_window_is_resized(window, toasts, qtbot):
    toasts.show(Severity.ERROR, "Here.")
    (toast,) = toasts.visible
    window.resize(1200, 700)
    qtbot.waitUntil(lambda: toast.geometry().bottom() == window.rect().bottom())
    assert window.rect().contains(toast.geometry())


def test_that_a_very_long_message_is_cut_and_complete_in_the_log(window, toasts, qtbot):
    panel = LogPanel(window)
    text = "The file is wrong. " * 200
    toasts.show(Severity.ERROR, text)
    assert toasts.visible[0].height() == STRIP_HEIGHT
    qtbot.waitUntil(lambda: text.strip() in panel.text)


def test_that_markup_in_a_message_is_shown_as_it_is(window, toasts, qtbot):
    toasts.show(Severity.ERROR, "<b>cloud</b> & <img src=x>")
    assert toasts.visible[0]._text.text() == "<b>cloud</b> & <img src=x>"


# --- the log ------------------------------------------------------------------------------------------------------


def test_that_records_of_any_thread_reach_the_log(qtbot):
    panel = LogPanel()
    qtbot.addWidget(panel)
    thread = threading.Thread(target=lambda: logging.getLogger("core.clouds.files").error("line 7 has two columns"))
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: "ERROR core.clouds.files: line 7 has two columns" in panel.text)


def test_that_the_log_keeps_its_last_thousand_lines(qtbot):
    panel = LogPanel()
    qtbot.addWidget(panel)
    for index in range(LOG_LINES + 200):
        logging.getLogger("test").warning("line %d", index)
    lines = panel.text.splitlines()
    assert len(lines) == LOG_LINES
    assert lines[-1].endswith(f"line {LOG_LINES + 199}")


def test_that_the_log_can_be_copied(qtbot):
    panel = LogPanel()
    qtbot.addWidget(panel)
    logging.getLogger("test").warning("copy me")
    click(qtbot, panel.findChild(QPushButton))
    assert "copy me" in QGuiApplication.clipboard().text()


def test_that_the_log_can_be_read_but_not_written(qtbot):
    panel = LogPanel()
    qtbot.addWidget(panel)
    qtbot.keyClicks(panel.findChild(QPlainTextEdit), "hello")
    assert panel.text == ""


def test_that_a_deleted_log_removes_its_handler(qtbot):
    before = logging.getLogger().handlers.copy()
    panel = LogPanel()
    assert len(logging.getLogger().handlers) == len(before) + 1
    panel.deleteLater()
    qtbot.waitUntil(lambda: logging.getLogger().handlers == before)
    logging.getLogger("test").warning("after the deletion")


# --- unexpected errors --------------------------------------------------------------------------------------------


def caught(error):
    try:
        raise error
    except BaseException:
        return sys.exc_info()


def test_that_an_unexpected_error_is_a_sentence_with_a_way_to_its_traceback(window, toasts, qtbot):
    panel, shown = LogPanel(window), []
    report = ExceptionHook(toasts, lambda: shown.append(1))
    report(*caught(KeyError("weights.3")))
    (text,) = texts(toasts)
    assert "KeyError" not in text
    assert "log" in text
    assert "in caught" in panel.text
    assert "KeyError: 'weights.3'" in panel.text
    click(qtbot, named(toasts.visible[0], "Show log"))
    assert shown == [1]


def test_that_an_error_in_another_thread_is_shown_in_the_window(toasts, qtbot):
    report = ExceptionHook(toasts, lambda: None)
    thread = threading.Thread(target=lambda: report(*caught(ValueError("points is empty"))))
    thread.start()
    thread.join()
    assert not toasts.visible  # not touched from a foreign thread
    qtbot.waitUntil(lambda: texts(toasts) == ["Points is empty."])


def test_that_control_c_quits_without_a_message(toasts, monkeypatch, capsys):
    quits = []
    monkeypatch.setattr(QGuiApplication, "quit", lambda: quits.append(1))
    ExceptionHook(toasts, lambda: None)(*caught(KeyboardInterrupt()))
    assert quits == [1]
    assert not toasts.visible


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("line 3: expected 3 columns"), "Line 3: expected 3 columns."),
        (ValueError("Is it a file?"), "Is it a file?"),
        (PermissionError(13, "Permission denied", "/a/b.ply"), "/a/b.ply: permission denied. Check the path"),
        (OSError("read failed"), "Something unexpected went wrong"),
    ],
)
def test_that_every_error_has_a_sentence(error, text):
    assert error_message(error).startswith(text)
    assert error_message(error)[-1] in ".!?"


# --- questions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("press", "answer"),
    [
        (lambda qtbot, box: click(qtbot, next(b for b in box.buttons() if b.text() == "Discard")), True),
        (lambda qtbot, box: click(qtbot, next(b for b in box.buttons() if b.text() == "Keep running")), False),
        (lambda qtbot, box: qtbot.keyClick(box, Qt.Key.Key_Escape), False),
        (lambda qtbot, box: qtbot.keyClick(box, Qt.Key.Key_Return), False),
    ],
)
def test_that_a_question_is_answered_by_its_buttons_and_no_by_escape_and_enter(qtbot, window, press, answer):
    QTimer.singleShot(0, lambda: press(qtbot, QApplication.activeModalWidget()))
    assert ask(window, "Cancel the training?", "Its result is dropped.", "Discard", "Keep running") is answer
    assert not window.findChildren(QMessageBox)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_that_messages_look_as_they_should_in_both_schemes(qtbot, qapp, window, shot, scheme):
    theme.apply(qapp, scheme)
    toasts = Toasts(window, lambda: QRect(0, window.height() - STRIP_HEIGHT, window.width(), STRIP_HEIGHT))
    panel = LogPanel()
    window.setCentralWidget(panel)
    logging.getLogger("core.training").warning("epoch 3: the loss is not finite")
    toasts.show(Severity.ERROR, "bunny.ply: line 7 has two columns; three numbers are needed.", ("Show log", print))
    toasts.show(Severity.WARNING, "The model has 40 classes and the dataset has 16.")
    toasts.show(Severity.WARNING, "The model has 40 classes and the dataset has 16.")
    toasts.show(Severity.OK, "Training is finished: 97.1 % clean, 63.2 % robust accuracy.", ("Load this model", print))
    qtbot.wait(FADE_MS * 2)
    shot(window, f"notify-{scheme}")
