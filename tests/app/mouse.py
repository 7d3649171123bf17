"""Moving the mouse pointer, and waiting for the event."""

from PySide6.QtCore import QDeadlineTimer, QEvent, QObject, QPoint
from PySide6.QtGui import QCursor, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget


def move_mouse(widget: QWidget, to: QPoint) -> None:
    """Move the pointer to a position of ``widget``, and wait for the mouse event.

    ``QTest.mouseMove`` only requests the move. A pointer that is already there causes no event, so it is first moved
    one pixel away.
    """
    target = widget.mapToGlobal(to)
    if QCursor.pos() == target:
        _move_and_wait(widget, to + QPoint(1, 0))
    _move_and_wait(widget, to)


def _move_and_wait(widget: QWidget, to: QPoint) -> None:
    arrival = _Arrival(widget.mapToGlobal(to))
    app = QApplication.instance()
    app.installEventFilter(arrival)
    try:
        QTest.mouseMove(widget, to)
        deadline = QDeadlineTimer(5000)
        while not arrival.arrived and not deadline.hasExpired():
            QTest.qWait(1)
    finally:
        app.removeEventFilter(arrival)
    assert arrival.arrived, f"the pointer did not reach {to} of {widget}"


class _Arrival(QObject):
    def __init__(self, target: QPoint) -> None:
        super().__init__()
        self.arrived = False
        self._target = target

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            self.arrived |= event.globalPosition().toPoint() == self._target
        return False
