"""Messages in the window: they cover neither the pair view nor the work, and an error can be read after it is gone."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.shell.notify import Severity

LONG = "bunny.ply: line 7 has two columns; three numbers are needed in each line of a text file. "


def place_of(person, part):
    return part.rect().translated(part.mapTo(person.window, QPoint()))


@pytest.mark.parametrize("size", [(1280, 720), (1600, 1000)])
@pytest.mark.parametrize("workspace", ["attack", "evaluate"])
def test_messages_are_over_the_job_strip_alone(person, workspace, size, shot):
    window = person.window
    window.resize(*size)
    person.show_workspace(workspace)
    window.toasts.show(Severity.ERROR, LONG * 2, ("Show log", window.log.open))
    window.toasts.show(Severity.OK, "Saved adversarial.ply and adversarial-clean.ply in /home/me.")
    QApplication.processEvents()
    shot(window, f"messages-{workspace}-{size[0]}")
    strip = place_of(person, window.strip)
    assert len(window.toasts.visible) == 2
    for toast in window.toasts.visible:
        assert strip.contains(toast.geometry())
        assert toast.geometry().right() < place_of(person, window.strip._pause).left()
    assert person.pop_errors() == [LONG * 2]
    window.resize(1600, 1000)


def test_an_error_that_is_gone_is_counted_until_the_log_is_opened(person):
    window = person.window
    errors = window.menu_corner.errors
    assert not errors.isVisible()
    for text in ("The first went wrong.", "The second went wrong."):
        window.toasts.show(Severity.ERROR, text)
    for toast in list(window.toasts.visible):
        toast.dismiss()
    assert errors.isVisible()
    assert errors.text() == "2"
    assert errors.accessibleName() == "2 new errors in the log"
    person.click(errors)
    assert window.log.isVisible()
    assert "The second went wrong." in window.log.text
    assert not errors.isVisible()
    person.wait_until(window.log.isActiveWindow, "the log to be read")
    window.toasts.show(Severity.ERROR, "The third went wrong before their eyes.")
    assert not errors.isVisible()
    window.log.close()


def test_the_button_of_a_message_is_reached_with_the_tab_key_and_it_waits(person):
    window, called = person.window, []
    person.activate()
    window.toasts.show(Severity.OK, "Training is finished.", ("Load it", lambda: called.append(1)))
    (toast,) = window.toasts.visible
    first = window.area.rail.button(window.actions_["workspace_attack"])
    first.setFocus()
    while not toast.isAncestorOf(QApplication.focusWidget()):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Backtab)
        assert QApplication.focusWidget() is not first
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Backtab)
    toast._timer.timeout.emit()
    assert window.toasts.visible == [toast]
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert called == [1]
