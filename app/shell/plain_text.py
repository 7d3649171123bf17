"""Texts with names from outside, such as those of files, classes and models, are shown literally on the screen.

Qt takes some texts for HTML, replaces ``&`` in the texts of buttons and menus, and breaks lines at control characters.
Labels and buttons are created in ``app/shell/widgets.py``, tooltips set by ``set_tooltip`` and ``show_tooltip``.
"""

from html import escape

from PySide6.QtCore import QBuffer, QIODevice, QPoint
from PySide6.QtGui import QAction, QPixmap, QStandardItem, Qt
from PySide6.QtWidgets import QListWidgetItem, QToolTip, QWidget

from core.runtime.text import printable


def multi_line(text: str) -> str:
    """The text made ``printable`` line by line."""
    return "\n".join(map(printable, text.split("\n")))


def button_text(text: str) -> str:
    """A text for a button, a check box or a menu entry, where Qt takes a single ``&`` as the mark of a shortcut."""
    return printable(text).replace("&", "&&")


def title_text(text: str) -> str:
    """A text for the title of a window, where Qt replaces ``[*]``."""
    return printable(text).replace("[*]", "[*][*]")


def tooltip_text(text: str, *, wrap: bool = False) -> str:
    """A text for a tooltip: as HTML if Qt would take it for HTML, or if its lines are to be wrapped."""
    text = multi_line(text).strip("\n")  # which HTML does not keep
    if wrap or Qt.mightBeRichText(text):
        return f'<p style="white-space: pre-wrap; margin: 0">{escape(text)}</p>' if text else ""
    return text


def set_tooltip(target: QWidget | QAction | QListWidgetItem | QStandardItem, text: str, *, wrap: bool = False) -> None:
    """Set a tooltip; ``wrap`` breaks a long text into lines."""
    target.setToolTip(tooltip_text(text, wrap=wrap))


def show_picture_tooltip(position: QPoint, picture: QPixmap | None, text: str, widget: QWidget) -> None:
    """Show a tooltip with a picture before the text; None for no picture."""
    if picture is None or not text:
        show_tooltip(position, text, widget)
        return
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    size, data = picture.deviceIndependentSize().toSize(), bytes(buffer.data().toBase64().data()).decode("ascii")
    image = f'<img src="data:image/png;base64,{data}" width="{size.width()}" height="{size.height()}">'
    words = escape(multi_line(text)).replace("\n", "<br>")
    cells = f'<td>{image}</td><td style="padding-left: 8px; white-space: nowrap">{words}</td>'
    QToolTip.showText(position, f"<table><tr>{cells}</tr></table>", widget)


def show_tooltip(position: QPoint, text: str, widget: QWidget) -> None:
    """Show a tooltip now, at a position of the screen; none for an empty text."""
    QToolTip.showText(position, tooltip_text(text), widget)
