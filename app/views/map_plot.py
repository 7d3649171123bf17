"""The plot of the latent map, with the names of the classes, the shown cloud's marker and trail, and a lasso."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil

import pyqtgraph as pg
from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QVBoxLayout

from app.shell import theme
from app.shell.widgets import Label
from app.views import annotations
from app.views.painting import plot_pen, translucent
from core.runtime.text import printable

POINT_SIZE = 7  # in pixels
DISC_RADIUS = 14  # in pixels, of the disc behind the star of the shown cloud

PointStyle = tuple[str, QBrush, QPen]  # marker, fill, outline


def class_point_style(k: int, adversarial: bool) -> PointStyle:
    """Colour and marker of class ``k``, with the outline of a clean or an adversarial point."""
    colour, marker = theme.class_style(k)
    return point_style(marker, colour, adversarial)


def point_style(marker: str, colour: QColor, adversarial: bool) -> PointStyle:
    """Clean points are opaque with a blue outline, adversarial ones translucent with an orange outline."""
    now = theme.current()
    ring = plot_pen(now.adv, 1.1) if adversarial else plot_pen(now.clean, 0.7)
    return marker, QBrush(translucent(colour, 0.5 if adversarial else 1.0)), ring


class MapPlot(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no types
    """The points without axes, which have no meaning on a t-SNE map; all else is painted over them.

    A drag moves the map; with Shift, or while ``lasso_on``, it draws a lasso.
    """

    lassoed = Signal(object)
    """The outline (QPolygonF) that was drawn, in the coordinates of the map."""

    def __init__(self, hint: str, show_tip: Callable[[QPointF, QPoint], None]) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the view around it takes the keys
        self._hint, self._show_tip = hint, show_tip
        self.is_empty = True
        self.lasso_on = False
        self._lasso: list[QPointF] = []  # on the screen, while it is drawn
        self._trail: list[QPointF] = []  # earlier positions of the shown cloud, the last first
        self._links: list[QPointF] = []  # a point, then those that it is linked to
        self._names: list[tuple[str, QPointF, QPointF]] = []
        self._outlined_texts: dict[str, QPixmap] = {}
        self._marker: list[QPointF] = []  # position of the shown cloud, then of its clean original
        self.busy, self.stale, self.caption = (_note_label(role) for role in ("chip", "chip-warn", "caption"))
        corner = QVBoxLayout(self.viewport())
        corner.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        for note in (self.stale, self.busy):
            corner.addWidget(note, 0, Qt.AlignmentFlag.AlignLeft)
        corner.addStretch()
        corner.addWidget(self.caption, 0, Qt.AlignmentFlag.AlignLeft)
        self.box = pg.ViewBox(lockAspect=True, enableMenu=False)
        self.setCentralItem(self.box)
        self.box.sigRangeChanged.connect(lambda: self.viewport().update())  # names and marker move with the points
        theme.notifier.changed.connect(self._apply_theme)
        self._apply_theme()

    def _apply_theme(self) -> None:
        self.setBackground(theme.current().canvas)
        self._outlined_texts.clear()

    def set_names(self, names: list[tuple[str, QPointF, QPointF]]) -> None:
        """Write each name at the centre of its cluster, or above its top where the cluster is as small as the name."""
        self._names = names
        self.viewport().update()

    def set_marker(self, places: list[QPointF], trail: list[QPointF]) -> None:
        dirty = self._marker_area()
        self._marker, self._trail = places, trail
        self.viewport().update(dirty.united(self._marker_area()))

    def set_links(self, places: list[QPointF]) -> None:
        """Join the first place to the others by lines."""
        self._links = places
        self.viewport().update()

    def _on_screen(self, place: QPointF) -> QPointF:
        return self.box.mapViewToScene(place)

    def _marker_area(self) -> QRect:
        area = QRectF()
        for place in map(self._on_screen, (*self._marker, *self._trail)):
            reach = DISC_RADIUS + 2
            area = area.united(QRectF(place.x() - reach, place.y() - reach, 2 * reach, 2 * reach))
        return area.toAlignedRect()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            self._show_tip(self.mapToScene(event.pos()), event.globalPos())
            return True
        return super().viewportEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.button() == Qt.MouseButton.LeftButton and (self.lasso_on or shift):
            self._lasso = [event.position()]
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._lasso:
            self._lasso.append(event.position())
            self.viewport().update()
        else:
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._lasso:
            outline, self._lasso = [*self._lasso, event.position()], []
            self.viewport().update()
            self.lassoed.emit(QPolygonF([self.box.mapSceneToView(self.mapToScene(at.toPoint())) for at in outline]))
        else:
            super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.box.enableAutoRange()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_links(painter)
        self._paint_names(painter)
        self._paint_marker(painter)
        self._paint_lasso(painter)
        if self.is_empty and self.busy.isHidden():
            annotations.empty(painter, self.viewport().rect(), "No map yet", self._hint)

    def _paint_names(self, painter: QPainter) -> None:
        pictures = [self._name_image(name) for name, _, _ in self._names]
        boxes = [QRectF(QPointF(), picture.deviceIndependentSize()) for picture in pictures]
        width = self.viewport().width()
        for box, (_, centre, top) in zip(boxes, self._names, strict=True):
            place, highest = self._on_screen(centre), self._on_screen(top).y()
            box.moveCenter(place)
            if place.y() - highest < box.height():  # in the middle it would hide the cluster
                box.moveBottom(highest - POINT_SIZE / 2)
            if place.y() > 0:  # a name at the upper edge is moved inside
                box.moveTop(max(0.0, box.top()))
            if 0 < box.center().x() < width:
                box.moveLeft(max(0.0, min(box.left(), width - box.width())))
        for box, picture in zip(separated(boxes), pictures, strict=True):
            painter.drawPixmap(box.topLeft(), picture)

    def _name_image(self, name: str) -> QPixmap:
        picture, ratio = self._outlined_texts.get(name), self.devicePixelRatioF()
        if picture is None or picture.devicePixelRatio() != ratio:
            picture = self._outlined_texts[name] = _outlined_text(name, ratio)
        return picture

    def _paint_links(self, painter: QPainter) -> None:
        now, places = theme.current(), [self._on_screen(place) for place in self._links]
        for place in places[1:]:
            painter.setPen(QPen(now.text, 1))
            painter.drawLine(places[0], place)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for at, place in enumerate(places):
            painter.setPen(QPen(now.text, 1 if at else 2))
            painter.drawEllipse(place, *(2 * [POINT_SIZE - 1 if at else POINT_SIZE + 2]))

    def _paint_lasso(self, painter: QPainter) -> None:
        if self._lasso:
            accent = theme.current().accent
            painter.setPen(QPen(accent, 1.5, Qt.PenStyle.DashLine))
            painter.setBrush(translucent(accent, 0.12))
            painter.drawPolygon(QPolygonF(self._lasso))

    def _paint_marker(self, painter: QPainter) -> None:
        """A star for the shown cloud and a dot for its clean original, each on a disc of the background colour."""
        now, places = theme.current(), [self._on_screen(place) for place in self._marker]
        trail = [self._on_screen(place) for place in self._trail]
        for share, (start, end) in enumerate(pairwise(reversed(trail)), start=1):
            painter.setPen(QPen(translucent(now.adv, 0.2 + 0.7 * share / len(trail)), 2))
            painter.drawLine(start, end)
        if len(places) == 2:
            for colour, width in ((now.canvas, 5), (now.text, 2)):
                painter.setPen(QPen(colour, width))
                painter.drawLine(*places)
        symbols = (("star", 18, DISC_RADIUS, now.adv), ("o", 8, DISC_RADIUS / 2, now.clean))
        for place, (symbol, size, radius, colour) in reversed(list(zip(places, symbols, strict=False))):
            painter.setPen(QPen(now.text, 1.5))
            painter.setBrush(now.canvas)
            painter.drawEllipse(place, radius, radius)
            draw_symbol(painter, place, size, (symbol, QBrush(colour), QPen(Qt.PenStyle.NoPen)))


def separated(boxes: Sequence[QRectF]) -> list[QRectF]:
    """The boxes on whole pixels, each moved down or up by the least distance so that it overlaps none before it."""
    placed: list[QRectF] = []
    for box in boxes:
        target = QRectF(round(box.left()), round(box.top()), ceil(box.width()), ceil(box.height()))
        others = [other for other in placed if other.left() < target.right() and target.left() < other.right()]
        moves = [0.0]
        for other in others:
            moves += [other.top() - target.bottom(), other.bottom() - target.top()]
        tried = (target.translated(0.0, move) for move in sorted(moves, key=lambda move: (abs(move), -move)))
        placed.append(next(free for free in tried if not any(free.intersects(other) for other in others)))
    return placed


def _note_label(role: str) -> Label:
    """A note over the map, hidden at first."""
    note = Label(role=role)
    note.setFont(theme.tabular())
    note.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    note.hide()
    return note


def _outlined_text(text: str, ratio: float) -> QPixmap:
    """A text with an outline of the background colour, readable over points; as an image, for speed."""
    now, font, text = theme.current(), theme.font(theme.CAPTION_PX, semibold=True), printable(text)
    metrics = QFontMetrics(font)
    picture = QPixmap(QSize(metrics.horizontalAdvance(text) + 8, metrics.height() + 4) * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    outline = QPainterPath()
    outline.addText(4, 2 + metrics.ascent(), font, text)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    edge = QPen(now.canvas, 4)
    edge.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.strokePath(outline, edge)
    painter.fillPath(outline, now.text)
    painter.end()
    return picture


def draw_symbol(painter: QPainter, place: QPointF, size: float, style: PointStyle) -> None:
    marker, inside, ring = style
    painter.save()
    painter.translate(place)
    drawSymbol(painter, marker, size, ring, inside)
    painter.restore()
