"""The latent map: latents of clean and adversarial clouds in the plane, and the position of the shown cloud."""

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from PySide6.QtCore import QPoint, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from app.shell import icons, theme
from app.shell.plain_text import set_tooltip, show_picture_tooltip
from app.shell.widgets import Label, tool_button
from app.views.map_legend import LegendEntry, MapLegend
from app.views.map_plot import POINT_SIZE, MapPlot, PointStyle, class_point_style, point_style
from app.views.map_points import HELP, HINT, NO_POINTS, MapPoints
from app.views.painting import plot_pen, translucent

CLICK_RADIUS = 8  # in pixels: the largest distance of the mouse from a point that it selects
FADED = 0.12  # opacity of points that were not found
MOST_TRAIL = 200  # positions of the shown cloud that its trail keeps
STALE_NOTE = "settings changed – run again"
MARKER_CAPTION = "★ the current cloud, ● its clean original, both placed in a fixed map"


class MapView(QWidget):
    """Points in the plane, drawn in their `class_point_style`, with the name of each class at its medoid.

    Drag and wheel move and zoom, a double click shows everything again. Kinds and classes can be hidden; points that
    are outside a lasso, or that a search does not find, are faded.

    Parameters
    ----------
    empty
        Sentence shown while there is no map.
    picture
        Returns a picture of the cloud of a point, for its tooltip; None for none.
    """

    picked = Signal(int)
    """Index of the point that was clicked, or found and then opened with Enter."""
    lassoed = Signal(object)
    """Indices (m,) of the points in a new lasso; none if it was taken away."""

    def __init__(
        self,
        empty: str = "",
        picture: Callable[[int], QPixmap | None] = lambda _: None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._picture = picture
        self.points = NO_POINTS
        self._in_lasso = np.empty(0, bool)
        self._hidden: set[int] = set()
        """Classes that are not shown."""
        self._linked: tuple[int, NDArray[np.int64]] | None = None
        """A point, and those to which lines lead from it."""
        self._marker: list[QPointF] = []
        self._trail: list[QPointF] = []
        self._styles: list[tuple[PointStyle, PointStyle]] = []
        """Of clean and adversarial points of each class; cached, because creating them is slow."""
        self._plot = MapPlot(empty, self._show_tip)
        self._legend = MapLegend()
        self._pairs = pg.PlotCurveItem(connect="pairs")
        self._items = tuple(pg.ScatterPlotItem(size=POINT_SIZE) for _ in range(4))
        """Faded clean and adversarial points, then those that are not faded."""
        for depth, item in enumerate((self._pairs, *self._items)):
            item.setZValue(depth)
            self._plot.box.addItem(item)
        for item in self._items[:2]:
            item.setOpacity(FADED)
        self._toggles = tuple(_toggle(text) for text in ("clean", "adversarial", "pairs"))
        self._toggles[2].setChecked(False)
        set_tooltip(self._toggles[2], "Join each clean point with its adversarial one")
        self.lasso = _toggle("lasso")
        self.lasso.setChecked(False)
        set_tooltip(self.lasso, "Draw around points to list their clouds (or drag with Shift; Esc takes it away)")
        self.search = QLineEdit(placeholderText=HINT, clearButtonEnabled=True)
        self.search.setAccessibleName("Find points of the map")
        set_tooltip(self.search, HELP, wrap=True)
        icons.set_icon(self.search.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition), "search", "muted")
        self._count, self._opened = Label(role="caption"), -1
        """The point that Enter opened last."""
        self._plot.stale.setText(STALE_NOTE)
        self._plot.caption.setText(MARKER_CAPTION)
        self._lay_out()
        self._connect()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # so that Escape is heard after a lasso
        self.setAccessibleName("Map of the latents")
        self._draw()

    def set_map(self, points: MapPoints) -> None:
        """Show a map, or its next iteration while it is being fitted."""
        if len(points.xy) != len(self.points.xy) or points.classes != self.points.classes:
            self._in_lasso = np.zeros(len(points.xy), bool)
            self._linked = None
            self._hidden.clear()
        self.points = points
        self._draw()
        self._draw_links()

    def set_marker(self, xy: ArrayLike | None, xy_clean: ArrayLike | None = None) -> None:
        """Draw the star of the shown cloud at `xy`, and a line to it from `xy_clean`, that of its clean original.

        Both are (2,). The map itself stays the same. While the clean original stays where it is, the star leaves a
        trail. None removes the star.
        """
        places = [QPointF(*np.asarray(place, float)) for place in (xy, xy_clean) if place is not None]
        if len(places) != 2 or self._marker[1:] != places[1:]:
            self._trail = []
        if places and self._trail[:1] != places[:1]:
            self._trail = [places[0], *self._trail][:MOST_TRAIL]
        self._marker = places
        self._plot.caption.setVisible(bool(places))
        self._plot.set_marker(places, self._trail)

    def set_links(self, index: int, others: ArrayLike) -> None:
        """Join a point to others by lines, which follow them while the map is fitted; without others there are none."""
        self._linked = (index, np.asarray(others, np.int64)) if np.size(others) else None
        self._draw_links()

    def _draw_links(self) -> None:
        places = [] if self._linked is None else [self._linked[0], *self._linked[1]]
        self._plot.set_links([QPointF(*self.points.xy[at]) for at in places])

    def clear_lasso(self) -> None:
        """Take the lasso away, so that no point is faded because of it."""
        if self._in_lasso.any():
            self._in_lasso[:] = False
            self._draw()

    def set_busy(self, text: str | None) -> None:
        """Show the progress of fitting over the map, such as "iteration 250 of 750 · KL 1.84"; None when it is done."""
        self._plot.busy.setText(text or "")
        self._plot.busy.setVisible(text is not None)
        self._plot.viewport().update()

    def set_stale(self, stale: bool) -> None:
        """Dim the map, with a note that the settings have changed since."""
        self._plot.stale.setVisible(stale)
        self._plot.box.setOpacity(0.6 if stale else 1.0)

    def sizeHint(self) -> QSize:
        return QSize(640, 360)

    # --- layout ----------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        bar, body, layout = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        for button in (*self._toggles, self.lasso):
            bar.addWidget(button)
        bar.addWidget(self.search, 1)
        bar.addWidget(self._count)
        body.setSpacing(theme.SPACE_M)
        body.addWidget(self._plot, 1)
        body.addWidget(self._legend)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_XS)
        layout.addLayout(bar)
        layout.addLayout(body, 1)

    def _connect(self) -> None:
        for toggle in self._toggles:
            toggle.toggled.connect(self._draw)
        self.lasso.toggled.connect(lambda on: setattr(self._plot, "lasso_on", on))
        self._plot.lassoed.connect(self._take_lasso)
        self._plot.scene().sigMouseClicked.connect(self._click)
        self._legend.toggled.connect(lambda label: self._hide_classes(self._hidden ^ {label}))
        self._legend.singled.connect(self._single)
        self.search.textChanged.connect(self._draw)
        self.search.returnPressed.connect(self._open_next)
        theme.notifier.changed.connect(self._apply_theme)

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _apply_theme(self) -> None:
        self._styles.clear()
        self._draw()

    def _shown(self) -> NDArray[np.bool_]:
        """(n,) whether a point is shown, full or faded."""
        clean, adversarial = (toggle.isChecked() for toggle in self._toggles[:2])
        kind = np.where(self.points.adversarial, adversarial, clean)
        return kind & ~np.isin(self.points.labels, list(self._hidden))

    def _found(self) -> NDArray[np.bool_]:
        """(n,) whether a point is shown, in the lasso if there is one, and found by the search."""
        found = self._shown() & self.points.matching(self.search.text())
        return found & self._in_lasso if self._in_lasso.any() else found

    def _draw(self) -> None:
        points, classes = self.points, self.points.classes
        missing = range(len(self._styles), len(classes))
        self._styles += [(class_point_style(k, False), class_point_style(k, True)) for k in missing]
        shown, found = self._shown(), self._found()
        kinds = ((False, False), (True, False), (False, True), (True, True))
        for item, (adversarial, in_full) in zip(self._items, kinds, strict=True):
            mask = shown & (points.adversarial == adversarial) & (found == in_full)
            styles = [pair[adversarial] for pair in self._styles]
            labels = points.labels[mask]
            item.setData(
                pos=points.xy[mask],
                symbol=[styles[k][0] for k in labels],
                brush=[styles[k][1] for k in labels],
                pen=styles[0][2] if styles else None,
            )
        self._draw_pairs(found)
        self._plot.is_empty = len(points.xy) == 0
        named = [k for k in points.present if k not in self._hidden]
        centres = [points.centre(k) for k in named]
        self._plot.set_names(
            [(classes[k], QPointF(*at), QPointF(at[0], top)) for k, (at, top) in zip(named, centres, strict=True)]
        )
        self._legend.set_entries(self._legend_entries())
        self._count.setText("" if np.array_equal(shown, found) else f"{found.sum():,} of {shown.sum():,}")
        clean, adversarial = (~points.adversarial).sum(), points.adversarial.sum()
        text = f"{clean} clean and {adversarial} adversarial clouds of {len(points.present)} classes"
        self.setAccessibleDescription(text + (f"; {self._count.text()} found" if self._count.text() else ""))

    def _legend_entries(self) -> list[LegendEntry]:
        neutral = theme.current().unmoved
        kinds = [LegendEntry(name, point_style("o", neutral, name != "clean")) for name in ("clean", "adversarial")]
        entries = []
        for k in self.points.present:
            symbol, brush, _ = self._styles[k][0]
            style = symbol, brush, QPen(Qt.PenStyle.NoPen)
            entries.append(LegendEntry(self.points.classes[k], style, k, k not in self._hidden))
        return kinds + entries if entries else []

    def _draw_pairs(self, found: NDArray[np.bool_]) -> None:
        """Lines between points of which both are found."""
        pairs = self.points.pairs
        self._toggles[2].setEnabled(len(pairs) > 0)
        pairs = pairs[found[pairs].all(axis=1)] if self._toggles[2].isChecked() else pairs[:0]
        ends = self.points.xy[pairs.ravel()]
        self._pairs.setData(*ends.T, pen=plot_pen(translucent(theme.current().muted, 0.35), 1))

    # --- classes, lasso, search ------------------------------------------------------------------------------------

    def _hide_classes(self, hidden: set[int]) -> None:
        self._hidden = hidden
        self._draw()

    def _single(self, label: int) -> None:
        """Show one class alone; if it is alone already, all."""
        others = set(self.points.present) - {label}
        self._hide_classes(set() if self._hidden >= others else others)

    def _take_lasso(self, outline: QPolygonF) -> None:
        rule = Qt.FillRule.OddEvenFill
        shown = np.flatnonzero(self._shown())
        inside = [at for at in shown if outline.containsPoint(QPointF(*self.points.xy[at]), rule)]
        self._in_lasso = np.zeros(len(self.points.xy), bool)
        self._in_lasso[inside] = True
        self._draw()
        self.lassoed.emit(np.array(inside, int))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape takes away the search, else the lasso."""
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.search.text():
            self.search.clear()
        else:
            self.clear_lasso()
            self.lassoed.emit(np.empty(0, int))

    def _open_next(self) -> None:
        """Open the cloud of the point after the one that was opened last, among those that were found."""
        found = np.flatnonzero(self._found())
        if found.size:
            later = found[found > self._opened]
            self._opened = int(later[0] if later.size else found[0])
            self.picked.emit(self._opened)

    # --- the mouse -------------------------------------------------------------------------------------------------

    def _nearest(self, place: QPointF) -> int | None:
        """Index of the visible point nearest to a position in the scene; None if it is too far away."""
        shown = np.flatnonzero(self._shown())
        if not shown.size:
            return None
        box = self._plot.box
        at = box.mapSceneToView(place)
        distances = np.linalg.norm((self.points.xy[shown] - (at.x(), at.y())) / box.viewPixelSize(), axis=1)
        return int(shown[distances.argmin()]) if distances.min() <= CLICK_RADIUS else None

    def _click(self, event: MouseClickEvent) -> None:
        index = self._nearest(event.scenePos())
        if event.button() == Qt.MouseButton.LeftButton and not event.double() and index is not None:
            self.picked.emit(index)

    def _show_tip(self, place: QPointF, position: QPoint) -> None:
        index = self._nearest(place)
        picture = None if index is None else self._picture(index)
        show_picture_tooltip(position, picture, "" if index is None else self.points.tip(index), self)


def _toggle(text: str) -> QToolButton:
    return tool_button(text, role="flat", checkable=True, checked=True)
