"""Where the keyboard goes: with Tab through the parts of the window in their order, and within each as it is laid out;
with F6 from part to part.

Qt's own order is that in which the widgets were made, which no person can foresee: forms are made last of all.
"""

from collections.abc import Iterator, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLayout, QScrollArea, QSplitter, QWidget


def move_focus(parts: Sequence[QWidget], forward: bool) -> bool:
    """Give the focus to the next widget that can have it, or to the one before; after the last comes the first.

    Returns whether there is any. The present focus may be in a widget that was just hidden or disabled.
    """
    focused = QApplication.focusWidget()
    widgets = [widget for part in parts for widget in _as_laid_out(part, focused)]
    step = 1 if forward else -1
    start = widgets.index(focused) if focused in widgets else -1 if forward else len(widgets)
    for distance in range(1, len(widgets) + 1):
        widget = widgets[(start + step * distance) % len(widgets)]
        if _can_have_focus(widget):
            widget.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
            _scroll_to(widget)
            return True
    return False


def move_to_part(parts: Sequence[QWidget], forward: bool) -> None:
    """Give the focus to the first widget that can have it in the next part that has one, or in the part before."""
    focused = QApplication.focusWidget()
    inside = (place for place, part in enumerate(parts) if focused and (part is focused or part.isAncestorOf(focused)))
    step = 1 if forward else -1
    start = next(inside, -1 if forward else len(parts))
    for distance in range(1, len(parts) + 1):
        for widget in _as_laid_out(parts[(start + step * distance) % len(parts)], None):
            if _can_have_focus(widget):
                widget.setFocus(Qt.FocusReason.TabFocusReason)
                _scroll_to(widget)
                return


def _can_have_focus(widget: QWidget) -> bool:
    by_tab = widget.focusPolicy().value & Qt.FocusPolicy.TabFocus.value
    return bool(by_tab) and widget.focusProxy() is None and widget.isVisible() and widget.isEnabled()


def _scroll_to(widget: QWidget) -> None:
    """Bring a widget into sight, in every area that scrolls it: all of it, of a field not its cursor alone."""
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea) and (content := parent.widget()) is not None:
            centre = widget.mapTo(content, widget.rect().center())
            parent.ensureVisible(centre.x(), centre.y(), 0, min(widget.height(), parent.viewport().height() // 2))
        parent = parent.parentWidget()


def _as_laid_out(widget: QWidget, focused: QWidget | None) -> Iterator[QWidget]:
    """A widget and all in it that is visible or around the focus; what is in no layout comes last.

    Windows of their own do not come.
    """
    yield widget
    ordered = dict.fromkeys(_in_splitter(widget) if isinstance(widget, QSplitter) else _in_layout(widget.layout()))
    others = (each for each in widget.children() if isinstance(each, QWidget) and each not in ordered)
    for child in (*ordered, *others):
        around_focus = focused is not None and (child is focused or child.isAncestorOf(focused))
        if not child.isWindow() and (child.isVisible() or around_focus):
            yield from _as_laid_out(child, focused)


def _in_splitter(splitter: QSplitter) -> Iterator[QWidget]:
    for place in range(splitter.count()):
        if (widget := splitter.widget(place)) is not None:
            yield widget


def _in_layout(layout: QLayout | None) -> Iterator[QWidget]:
    if layout is None:
        return
    for place in range(layout.count()):
        item = layout.itemAt(place)
        assert item is not None
        if (widget := item.widget()) is not None:
            yield widget
        else:
            yield from _in_layout(item.layout())
