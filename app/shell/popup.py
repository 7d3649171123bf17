"""Small windows that a click beside them or Escape closes: options and numbers behind a button, and lists to search."""

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QWidget

from app.shell import theme
from app.shell.tab_order import move_focus


class Popup(QFrame):
    """A card in front of the window; ``title`` is what a screen reader calls it. Tab goes through it as laid out."""

    def __init__(self, window: QWidget, title: str) -> None:
        super().__init__(window, Qt.WindowType.Popup)
        self.setWindowTitle(title)
        theme.set_role(self, "card")
        self._opener: QWidget | None = None
        """The widget that it was opened from."""

    def open_from(self, opener: QWidget) -> None:
        """Show it beneath a widget, or above where there is too little space, with the focus in it."""
        self._opener = opener
        self.adjustSize()
        self._move_to_opener()
        self.show()
        if self.focusWidget() is None:
            move_focus((self,), True)

    def _move_to_opener(self) -> None:
        opener = self._opener
        if opener is not None:
            right, gap = opener.width() - self.width(), theme.SPACE_XS
            corner = opener.mapToGlobal(QPoint(right, opener.height() + gap))
            screen = opener.screen().availableGeometry()
            if corner.y() + self.height() > screen.bottom():
                above = opener.mapToGlobal(QPoint(right, -self.height() - gap))
                corner = QPoint(above.x(), max(above.y(), screen.top()))
            self.move(corner)

    # --- Qt ---

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay at the widget, also with more rows than it was opened with."""
        super().resizeEvent(event)
        self._move_to_opener()

    def focusNextPrevChild(self, forward: bool) -> bool:
        return move_focus((self,), forward)
