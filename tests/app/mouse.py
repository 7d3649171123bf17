"""A pointer whose moves have arrived."""

from PySide6.QtCore import QDeadlineTimer, QEvent, QObject, QPoint
from PySide6.QtGui import QCursor, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget


def move_mouse(widget: QWidget, to: QPoint) -> None:
    """Move the pointer to a place of ``widget`` and see that the move was told.

    ``QTest.mouseMove`` asks the screen to put the pointer there and does not wait until the screen says so. A pointer
    that is there already tells nothing, so it goes the last pixel anew.
    """
    target = widget.mapToGlobal(to)
    if QCursor.pos() == target:
        _arrive(widget, to + QPoint(1, 0))
    _arrive(widget, to)


def _arrive(widget: QWidget, to: QPoint) -> None:
    seen = _Arrival(widget.mapToGlobal(to))
    app = QApplication.instance()
    app.installEventFilter(seen)
    try:
        QTest.mouseMove(widget, to)
        deadline = QDeadlineTimer(5000)
        while not seen.arrived and not deadline.hasExpired():
            QTest.qWait(1)
    finally:
        app.removeEventFilter(seen)
    assert seen.arrived, f"the pointer did not reach {to} of {widget}"


class _Arrival(QObject):
    def __init__(self, target: QPoint) -> None:
        super().__init__()
        self.arrived = False
        self._target = target

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            self.arrived |= event.globalPosition().toPoint() == self._target
        return False
