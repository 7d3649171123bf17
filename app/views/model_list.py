"""Models as rows: which one is attacked, what each says of both clouds, and how sure it is of the label."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views.painting import draw_text, translucent
from core.runtime.text import printable

Index = QModelIndex | QPersistentModelIndex

ROW_HEIGHT = 26  # in pixels
MARK_WIDTH, BAR_WIDTH, BAR_HEIGHT = 24, 48, 5  # in pixels: of the two marks at the edges, of the bars
FRAME = 2  # in pixels: the border of a list in the style sheet, and its padding
MOST_ROWS = 12
"""Rows that are shown without scrolling."""


class ModelRow(NamedTuple):
    """A model, and what it says if its verdict is shown."""

    name: str
    """By which the signals mean it."""
    title: str
    attacked: bool
    shown: bool
    fits: bool
    """Whether it knows the same classes as the attacked one, so that its verdict can be shown."""
    clean: str = ""
    adversarial: str = ""
    """The classes that it gives to the clean and to the adversarial cloud."""
    fooled: bool = False
    """Whether the adversarial cloud is given another class than the label."""
    before: float | None = None
    after: float | None = None
    """Confidence in one class, for the clean and for the adversarial cloud."""
    labelled: bool = True
    """Whether that is the true class; where it is unknown, it is the model's own verdict on the clean cloud."""

    @property
    def verdict(self) -> str:
        return printable(f"{self.clean} → {self.adversarial}" if self.clean else "")

    @property
    def short(self) -> str:
        """Title and verdict in one line."""
        return f"{printable(self.title)}: {self.verdict}"

    @property
    def text(self) -> str:
        """All of it in words."""
        lines = [printable(self.title) + (", attacked" if self.attacked else "")]
        if self.before is not None and self.after is not None:
            of = "true class" if self.labelled else "class of the clean cloud"
            lines += [self.verdict, f"confidence in the {of} {self.before:.4f} → {self.after:.4f}"]
        elif not self.fits:
            lines.append("knows other classes than the attacked model")
        return "\n".join(lines)


class ModelListView(QListView):
    """A row for each model. The circle, a double click or Enter attacks it; the box or the space bar shows its verdict.

    The current row is the one whose class bars are open.
    """

    attackRequested = Signal(str)
    shownToggled = Signal(str, bool)
    currentModelChanged = Signal(str)
    menuRequested = Signal(str, QPoint)
    """Name of the model, and the global position for its context menu."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = _Rows()
        self.title_width = self.verdict_width = 0
        """Those of the longest title, and of the longest verdict that these models gave, in pixels."""
        self._pressed: tuple[str, str] | None = None
        """Model and mark on which the mouse was pressed."""
        self.setModel(self._rows)
        self.setItemDelegate(_Delegate(self))
        self.setAccessibleName("Models")
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.selectionModel().currentChanged.connect(lambda index: self.currentModelChanged.emit(self._name(index)))
        theme.notifier.changed.connect(self.viewport().update)
        self.set_rows(())

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        return self._rows.rows

    @property
    def current(self) -> str:
        """Name of the model whose row is the current one; empty without any."""
        return self._name(self.currentIndex())

    def set_rows(self, rows: Sequence[ModelRow]) -> None:
        """Show these; the same model stays the current one, otherwise the first."""
        names, before = [row.name for row in rows], self.current
        if [row.title for row in rows] != [row.title for row in self.rows]:
            metrics = QFontMetrics(theme.font(semibold=True))
            self.title_width = max((metrics.horizontalAdvance(printable(row.title)) for row in rows), default=0)
            self.verdict_width = 0
        if [(row.title, row.verdict) for row in rows] != [(row.title, row.verdict) for row in self.rows]:
            self._widen(rows)
        if names == [row.name for row in self.rows]:
            self._rows.update(rows)
            return
        with QSignalBlocker(self.selectionModel()):
            self._rows.reset(rows)
            if names:
                self.setCurrentIndex(self._rows.index(names.index(before) if before in names else 0))
        self.setFixedHeight(ROW_HEIGHT * min(max(len(names), 1), MOST_ROWS) + 2 * FRAME)
        if self.current != before:
            self.currentModelChanged.emit(self.current)

    def _widen(self, rows: Sequence[ModelRow]) -> None:
        """Keep as much width for verdicts as the longest that was given needs; where it grows all rows are painted."""
        metrics = QFontMetrics(theme.font())
        widest = max((metrics.horizontalAdvance(row.verdict) + 2 for row in rows), default=0)  # advances are rounded
        if widest > self.verdict_width:
            self.verdict_width = widest
            self.viewport().update()

    def set_current(self, name: str) -> None:
        """Make the row of a model the current one."""
        self.setCurrentIndex(self._rows.index([row.name for row in self.rows].index(name)))

    def mark_boxes(self, name: str) -> tuple[QRect, QRect]:
        """Where the circle and the check box of a model are."""
        row = self.visualRect(self._rows.index([each.name for each in self.rows].index(name)))
        return _mark_boxes(row)

    def _name(self, index: Index) -> str:
        return self.rows[index.row()].name if index.isValid() and index.row() < len(self.rows) else ""

    # --- mouse and keys --------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = self._mark_at(event.position().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        if pressed is None or pressed != self._mark_at(event.position().toPoint()):
            return
        name, mark = pressed
        if mark == "circle":
            self.attackRequested.emit(name)
        else:
            self._toggle(self._rows.index([row.name for row in self.rows].index(name)))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A double click beside the marks attacks; on a mark, the first click has done all: rows may have moved."""
        place = event.position().toPoint()
        index = self.indexAt(place)
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton and self._mark_at(place) is None:
            self.attackRequested.emit(self._name(index))

    def _mark_at(self, place: QPoint) -> tuple[str, str] | None:
        """The model and the mark, "circle" or "box", at a position; None beside them."""
        index = self.indexAt(place)
        if not index.isValid():
            return None
        circle, box = _mark_boxes(self.visualRect(index))
        mark = "circle" if circle.contains(place) else "box" if box.contains(place) else ""
        return (self._name(index), mark) if mark else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex()
        if not index.isValid():
            super().keyPressEvent(event)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.attackRequested.emit(self._name(index))
        elif event.key() == Qt.Key.Key_Space:
            self._toggle(index)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        by_mouse = event.reason() is QContextMenuEvent.Reason.Mouse
        index = self.indexAt(event.pos()) if by_mouse else self.currentIndex()
        if index.isValid():
            place = event.globalPos() if by_mouse else self.mapToGlobal(self.visualRect(index).center())
            self.menuRequested.emit(self._name(index), place)

    def _tip(self, place: QPoint) -> str:
        index, mark = self.indexAt(place), self._mark_at(place)
        if not index.isValid():
            return ""
        row = self.rows[index.row()]
        if mark is None:
            return row.text
        if mark[1] == "circle":
            return "The attacked model" if row.attacked else "Attack this model"
        if not row.fits:
            return "This model knows other classes than the attacked one"
        return "The attacked model's verdict is always shown" if row.attacked else "Show this model's verdict"

    def _toggle(self, index: Index) -> None:
        row = self.rows[index.row()]
        if row.fits and not row.attacked:
            self.shownToggled.emit(row.name, not row.shown)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            show_tooltip(event.globalPos(), self._tip(event.pos()), self.viewport())
            return True
        return super().viewportEvent(event)


class _Rows(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[ModelRow, ...] = ()

    def reset(self, rows: Sequence[ModelRow]) -> None:
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def update(self, rows: Sequence[ModelRow]) -> None:
        before, self.rows = self.rows, tuple(rows)
        for place, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:  # only those are painted again
                self.dataChanged.emit(self.index(place), self.index(place))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return printable(row.title)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.text.replace("\n", ", ")
        return None


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        view = self.parent()
        assert isinstance(view, ModelListView)
        row, now, box = view.rows[index.row()], theme.current(), QRect(option.rect)  # type: ignore[attr-defined]
        painter.save()
        state = option.state  # type: ignore[attr-defined]
        if index == view.currentIndex():
            painter.fillRect(box, now.selection if view.hasFocus() else now.raised)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(box, now.hover)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        circle, check = _mark_boxes(box)
        _draw_circle(painter, circle, row)
        _draw_check(painter, check, row)
        inside = box.adjusted(MARK_WIDTH, 0, -MARK_WIDTH, 0)
        bars = QRect(inside.right() - BAR_WIDTH, inside.top(), BAR_WIDTH, inside.height())
        texts = inside.width() - BAR_WIDTH - theme.SPACE_S
        left_by_verdicts = texts - theme.SPACE_S - view.verdict_width
        name_width = min(view.title_width, max(round(0.45 * texts), left_by_verdicts))
        name = QRect(inside.left(), inside.top(), name_width, inside.height())
        verdict = name.translated(name.width() + theme.SPACE_S, 0)
        verdict.setWidth(texts - name.width() - theme.SPACE_S)
        colour = now.text if row.fits else now.disabled
        draw_text(painter, name, row.title, theme.font(semibold=row.attacked), colour)
        draw_text(painter, verdict, row.verdict, theme.font(), now.adv if row.fooled else now.text)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        if row.before is not None and row.after is not None:
            top = bars.center().y() - BAR_HEIGHT
            painter.fillRect(QRect(bars.left(), top, bars.width(), 2 * BAR_HEIGHT + 1), translucent(now.border, 0.4))
            for line, (value, shade) in enumerate(((row.before, now.clean), (row.after, now.adv))):
                bar = QRectF(bars.left(), top + line * (BAR_HEIGHT + 1), value * bars.width(), BAR_HEIGHT)
                painter.fillRect(bar, shade)
        painter.restore()


def _mark_boxes(row: QRect) -> tuple[QRect, QRect]:
    left = QRect(row.left(), row.top(), MARK_WIDTH, row.height())
    return left, QRect(row.right() - MARK_WIDTH + 1, row.top(), MARK_WIDTH, row.height())


def _draw_circle(painter: QPainter, box: QRect, row: ModelRow) -> None:
    now, ring = theme.current(), QRectF(0, 0, 14, 14)
    ring.moveCenter(box.center().toPointF())
    painter.setPen(QPen(now.accent if row.attacked else now.muted if row.fits else now.disabled, 1.25))
    painter.setBrush(now.accent if row.attacked else now.field)
    painter.drawEllipse(ring)
    if row.attacked:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(now.on_accent)
        painter.drawEllipse(ring.center(), 2.5, 2.5)


def _draw_check(painter: QPainter, box: QRect, row: ModelRow) -> None:
    """A check box; of the attacked model, which is always shown, a mark without a box."""
    now, frame = theme.current(), QRectF(0, 0, 14, 14)
    frame.moveCenter(box.center().toPointF())
    if not row.attacked:
        ground = now.accent if row.shown and row.fits else now.field
        painter.setPen(QPen(now.accent if row.shown and row.fits else now.muted if row.fits else now.border, 1.25))
        painter.setBrush(ground)
        painter.drawRoundedRect(frame, 3, 3)
    if row.shown and row.fits:
        painter.setPen(QPen(now.muted if row.attacked else now.on_accent, 1.75))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        centre = frame.center()
        tick = [centre + step for step in (QPoint(-4, 0), QPoint(-1, 3), QPoint(4, -3))]
        painter.drawPolyline(QPolygonF(tick))
