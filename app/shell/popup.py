"""Small windows that a click beside them or Escape closes: options and numbers behind a button, and lists to search."""

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtWidgets import QFrame, QStyle, QWidget

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
        """Show it beneath a widget, or above where there is too little space, with the focus in the first field."""
        self.setAttribute(Qt.WidgetAttribute.WA_NoMouseReplay)  # or a click on the widget would open it again
        self._opener = opener
        if (last := self.focusWidget()) is not None:
            last.clearFocus()
        self._fit(opener)
        self.show()
        move_focus((self,), True)

    def _fit(self, opener: QWidget) -> None:
        """Give it the size of its content, or less where the screen has no space for that."""
        gap, screen = theme.SPACE_XS, opener.screen().availableGeometry()
        top, bottom = opener.mapToGlobal(QPoint(0, -gap)), opener.mapToGlobal(QPoint(opener.width(), opener.height()))
        above, below = top.y() - screen.top(), screen.bottom() - bottom.y() - gap
        wanted = self.sizeHint()
        width, height = wanted.width(), min(wanted.height(), max(above, below))
        if height < wanted.height():
            width += self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent, None, self)
        left = max(screen.left(), min(bottom.x(), screen.right()) - width)
        self.setGeometry(left, bottom.y() + gap if height <= below else top.y() - height, width, height)

    # --- Qt ---

    def event(self, event: QEvent) -> bool:
        """Stay at the widget also when more or fewer fields are shown."""
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest and self._opener is not None and self.isVisible():
            self._fit(self._opener)
        return done

    def focusNextPrevChild(self, forward: bool) -> bool:
        return move_focus((self,), forward)
