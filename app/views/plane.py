"""What the map is drawn on and explained by: the plane with names and marker, and the legend."""

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
from PySide6.QtWidgets import QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from app.shell import theme
from app.views import hud
from app.views.paint import faint, plot_pen, write

SIZE = 7  # of a point, in pixels
ENTRY, SYMBOL = 20, 16  # a line of the legend: its height, room for its symbol
DISC = 14  # radius of the disc on which the star of the current cloud lies

Look = tuple[str, QBrush, QPen]  # marker, inside, ring


def look(k: int, adversarial: bool) -> Look:
    """Colour and marker of a class, with the ring of a clean or an adversarial point."""
    colour, marker = theme.class_style(k)
    return ringed(marker, colour, adversarial)


def ringed(marker: str, colour: QColor, adversarial: bool) -> Look:
    """Full with a blue ring is clean, pale with an orange ring is adversarial."""
    now = theme.current()
    ring = plot_pen(now.adv, 1.1) if adversarial else plot_pen(now.clean, 0.7)
    return marker, QBrush(faint(colour, 0.5 if adversarial else 1.0)), ring


class Plane(pg.GraphicsView):
    """The plane, without axes, which mean nothing on a t-SNE map; and what is painted over it."""

    def __init__(self, sentence: str, tip: Callable[[QPointF], str]) -> None:
        super().__init__()
        self._sentence, self._tip = sentence, tip
        self._names: list[tuple[str, QPointF]] = []
        self._letterings: dict[str, QPixmap] = {}
        self._marker: list[QPointF] = []  # the cloud's place, then that of its clean original
        self.busy, self.stale = _chip("chip"), _chip("chip-warn")
        corner = QVBoxLayout(self.viewport())
        corner.setContentsMargins(theme.SPACE_S, theme.SPACE_S, theme.SPACE_S, theme.SPACE_S)
        for chip in (self.stale, self.busy):
            corner.addWidget(chip, 0, Qt.AlignmentFlag.AlignLeft)
        corner.addStretch()
        self.box = pg.ViewBox(lockAspect=True, enableMenu=False)
        self.setCentralItem(self.box)
        self.box.sigRangeChanged.connect(lambda: self.viewport().update())  # what is painted over moves with the scene
        theme.notifier.changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        self.setBackground(theme.current().canvas)
        self._letterings.clear()

    def put_names(self, names: list[tuple[str, QPointF]]) -> None:
        self._names = names
        self.viewport().update()

    def put_marker(self, places: list[QPointF]) -> None:
        dirty = self._marker_area()
        self._marker = places
        self.viewport().update(dirty.united(self._marker_area()))

    def _on_screen(self, place: QPointF) -> QPointF:
        return self.box.mapViewToScene(place)

    def _marker_area(self) -> QRect:
        area = QRectF()
        for place in map(self._on_screen, self._marker):
            area = area.united(QRectF(place.x() - DISC - 2, place.y() - DISC - 2, 2 * DISC + 4, 2 * DISC + 4))
        return area.toAlignedRect()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._tip(self.mapToScene(event.pos())), self)
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
            hud.empty(painter, self.viewport().rect(), "No map yet", self._sentence)

    def _paint_names(self, painter: QPainter) -> None:
        pictures = [self._picture(name) for name, _ in self._names]
        boxes = [QRectF(QPointF(), picture.deviceIndependentSize()) for picture in pictures]
        for box, (_, place) in zip(boxes, self._names, strict=True):
            box.moveCenter(self._on_screen(place))
        for box, picture in zip(apart(boxes), pictures, strict=True):
            painter.drawPixmap(box.topLeft(), picture)

    def _picture(self, name: str) -> QPixmap:
        picture, ratio = self._letterings.get(name), self.devicePixelRatioF()
        if picture is None or picture.devicePixelRatio() != ratio:
            picture = self._letterings[name] = _lettering(name, ratio)
        return picture

    def _paint_marker(self, painter: QPainter) -> None:
        """A star for the cloud and a dot for its clean original, each on a disc that clears the ground around it."""
        now, places = theme.current(), [self._on_screen(place) for place in self._marker]
        if len(places) == 2:
            for colour, width in ((now.canvas, 5), (now.text, 2)):
                painter.setPen(QPen(colour, width))
                painter.drawLine(*places)
        looks = (("star", 18, DISC, now.adv), ("o", 8, DISC / 2, now.clean))
        for place, (symbol, size, radius, colour) in reversed(list(zip(places, looks, strict=False))):
            painter.setPen(QPen(now.text, 1.5))
            painter.setBrush(now.canvas)
            painter.drawEllipse(place, radius, radius)
            _draw_symbol(painter, place, size, (symbol, QBrush(colour), QPen(Qt.PenStyle.NoPen)))


class Legend(QWidget):
    """What rings, colours and markers mean, in as many columns as the height asks for."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[str, Look]] = []
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)

    def put(self, entries: list[tuple[str, Look]]) -> None:
        self._entries = entries
        self._fit()
        self.update()

    def _fit(self) -> None:
        metrics = QFontMetrics(theme.font(theme.CAPTION_PX))
        widest = max((metrics.horizontalAdvance(name) for name, _ in self._entries), default=0)
        self._rows, self._column = max(1, self.height() // ENTRY), SYMBOL + widest + theme.SPACE_M
        self.setFixedWidth(self._column * -(-len(self._entries) // self._rows))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = theme.font(theme.CAPTION_PX)
        for at, (name, drawn) in enumerate(self._entries):
            column, row = divmod(at, self._rows)
            box = QRect(column * self._column, row * ENTRY, self._column, ENTRY)
            _draw_symbol(painter, QPointF(box.left() + SYMBOL / 2 - 2, box.center().y() + 0.5), SIZE + 1, drawn)
            write(painter, box.adjusted(SYMBOL, 0, 0, 0), name, font, theme.current().text)


def apart(boxes: Sequence[QRectF]) -> list[QRectF]:
    """The boxes on whole pixels, each moved up or down no further than it takes to lie on none of those before it."""
    placed: list[QRectF] = []
    for box in boxes:
        wanted = QRectF(round(box.left()), round(box.top()), ceil(box.width()), ceil(box.height()))
        others = [other for other in placed if other.left() < wanted.right() and wanted.left() < other.right()]
        moves = [0.0]
        for other in others:
            moves += [other.top() - wanted.bottom(), other.bottom() - wanted.top()]
        tried = (wanted.translated(0.0, move) for move in sorted(moves, key=abs))
        placed.append(next(free for free in tried if not any(free.intersects(other) for other in others)))
    return placed


def _chip(role: str) -> QLabel:
    """A remark over the map, hidden until there is something to say."""
    chip = QLabel()
    theme.role(chip, role)
    chip.setFont(theme.tabular())
    chip.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    chip.hide()
    return chip


def _lettering(text: str, ratio: float) -> QPixmap:
    """A text on a soft edge of the background's colour, readable over any points, as a picture: edges cost time."""
    now, font = theme.current(), theme.font(theme.CAPTION_PX, semibold=True)
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


def _draw_symbol(painter: QPainter, place: QPointF, size: float, drawn: Look) -> None:
    marker, inside, ring = drawn
    painter.save()
    painter.translate(place)
    drawSymbol(painter, marker, size, ring, inside)
    painter.restore()
