"""The plot of the latent map, with the names of the classes and the marker of the shown cloud, and its legend."""

from collections.abc import Callable, Sequence
from math import ceil

import pyqtgraph as pg
from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
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
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.shell.widgets import Label
from app.views import annotations
from app.views.painting import draw_text, plot_pen, translucent
from core.runtime.text import printable

POINT_SIZE = 7  # in pixels
ROW_HEIGHT, SYMBOL_WIDTH = 20, 16  # of the legend, in pixels
MAX_NAME_WIDTH = 200  # of a class in the legend, in pixels; longer ones end in an ellipsis
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
    """The points without axes, which have no meaning on a t-SNE map; names and marker are painted over them."""

    def __init__(self, hint: str, tip: Callable[[QPointF], str]) -> None:
        super().__init__()
        self._hint, self._tip = hint, tip
        self._names: list[tuple[str, QPointF]] = []
        self._outlined_texts: dict[str, QPixmap] = {}
        self._marker: list[QPointF] = []  # position of the shown cloud, then of its clean original
        self.busy, self.stale = _note_label("chip"), _note_label("chip-warn")
        corner = QVBoxLayout(self.viewport())
        corner.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        for note in (self.stale, self.busy):
            corner.addWidget(note, 0, Qt.AlignmentFlag.AlignLeft)
        corner.addStretch()
        self.box = pg.ViewBox(lockAspect=True, enableMenu=False)
        self.setCentralItem(self.box)
        self.box.sigRangeChanged.connect(lambda: self.viewport().update())  # names and marker move with the points
        theme.notifier.changed.connect(self._apply_theme)
        self._apply_theme()

    def _apply_theme(self) -> None:
        self.setBackground(theme.current().canvas)
        self._outlined_texts.clear()

    def set_names(self, names: list[tuple[str, QPointF]]) -> None:
        self._names = names
        self.viewport().update()

    def set_marker(self, places: list[QPointF]) -> None:
        dirty = self._marker_area()
        self._marker = places
        self.viewport().update(dirty.united(self._marker_area()))

    def _on_screen(self, place: QPointF) -> QPointF:
        return self.box.mapViewToScene(place)

    def _marker_area(self) -> QRect:
        area = QRectF()
        for place in map(self._on_screen, self._marker):
            reach = DISC_RADIUS + 2
            area = area.united(QRectF(place.x() - reach, place.y() - reach, 2 * reach, 2 * reach))
        return area.toAlignedRect()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            show_tooltip(event.globalPos(), self._tip(self.mapToScene(event.pos())), self)
            return True
        return super().viewportEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.box.enableAutoRange()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_names(painter)
        self._paint_marker(painter)
        if not self._names and self.busy.isHidden():
            annotations.empty(painter, self.viewport().rect(), "No map yet", self._hint)

    def _paint_names(self, painter: QPainter) -> None:
        pictures = [self._name_image(name) for name, _ in self._names]
        boxes = [QRectF(QPointF(), picture.deviceIndependentSize()) for picture in pictures]
        for box, (_, place) in zip(boxes, self._names, strict=True):
            box.moveCenter(self._on_screen(place))
        for box, picture in zip(separated(boxes), pictures, strict=True):
            painter.drawPixmap(box.topLeft(), picture)

    def _name_image(self, name: str) -> QPixmap:
        picture, ratio = self._outlined_texts.get(name), self.devicePixelRatioF()
        if picture is None or picture.devicePixelRatio() != ratio:
            picture = self._outlined_texts[name] = _outlined_text(name, ratio)
        return picture

    def _paint_marker(self, painter: QPainter) -> None:
        """A star for the shown cloud and a dot for its clean original, each on a disc of the background colour."""
        now, places = theme.current(), [self._on_screen(place) for place in self._marker]
        if len(places) == 2:
            for colour, width in ((now.canvas, 5), (now.text, 2)):
                painter.setPen(QPen(colour, width))
                painter.drawLine(*places)
        symbols = (("star", 18, DISC_RADIUS, now.adv), ("o", 8, DISC_RADIUS / 2, now.clean))
        for place, (symbol, size, radius, colour) in reversed(list(zip(places, symbols, strict=False))):
            painter.setPen(QPen(now.text, 1.5))
            painter.setBrush(now.canvas)
            painter.drawEllipse(place, radius, radius)
            _draw_symbol(painter, place, size, (symbol, QBrush(colour), QPen(Qt.PenStyle.NoPen)))


class MapLegend(QWidget):
    """The meaning of outlines, colours and markers, in as many columns as the height requires."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[str, PointStyle]] = []
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)

    def set_entries(self, entries: list[tuple[str, PointStyle]]) -> None:
        self._entries = entries
        self._update_layout()
        self.update()

    def _update_layout(self) -> None:
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX))
        widest = max((metrics.horizontalAdvance(printable(name)) for name, _ in self._entries), default=0)
        widest = min(widest, MAX_NAME_WIDTH)
        self._rows, self._column = max(1, self.height() // ROW_HEIGHT), SYMBOL_WIDTH + widest + theme.SPACE_M
        self.setFixedWidth(self._column * -(-len(self._entries) // self._rows))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._update_layout()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = theme.font(theme.CAPTION_PX)
        for at, (name, style) in enumerate(self._entries):
            column, row = divmod(at, self._rows)
            box = QRect(column * self._column, row * ROW_HEIGHT, self._column, ROW_HEIGHT)
            centre = QPointF(box.left() + SYMBOL_WIDTH / 2 - 2, box.center().y() + 0.5)
            _draw_symbol(painter, centre, POINT_SIZE + 1, style)
            draw_text(painter, box.adjusted(SYMBOL_WIDTH, 0, 0, 0), name, font, theme.current().text)


def separated(boxes: Sequence[QRectF]) -> list[QRectF]:
    """The boxes on whole pixels, each moved up or down by the least distance so that it overlaps none before it."""
    placed: list[QRectF] = []
    for box in boxes:
        target = QRectF(round(box.left()), round(box.top()), ceil(box.width()), ceil(box.height()))
        others = [other for other in placed if other.left() < target.right() and target.left() < other.right()]
        moves = [0.0]
        for other in others:
            moves += [other.top() - target.bottom(), other.bottom() - target.top()]
        tried = (target.translated(0.0, move) for move in sorted(moves, key=abs))
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


def _draw_symbol(painter: QPainter, place: QPointF, size: float, style: PointStyle) -> None:
    marker, inside, ring = style
    painter.save()
    painter.translate(place)
    drawSymbol(painter, marker, size, ring, inside)
    painter.restore()
