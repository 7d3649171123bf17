"""One point cloud in three dimensions, and what is written over it. Arrays in, picture out."""

import numpy as np
import pyqtgraph.opengl as gl
from numpy.typing import ArrayLike
from PySide6.QtCore import QEvent, QPoint, QPointF, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QToolTip, QWidget

from app.shell import theme
from app.views import hud
from app.views.scene import Floats, SceneView
from app.views.spheres import Spheres

_NONE: Floats = np.empty((0, 3), np.float32)


class CloudView(SceneView):
    """Draws one cloud, and on request where its points came from.

    Parameters
    ----------
    title
        Written at the top left.
    token
        Colour of the title and of points without values: a name in `theme.Theme`.
    empty
        Headline and one sentence while there is no cloud.
    """

    pointHovered = Signal(int)
    """Index of the point under the mouse, -1 when there is none any more."""

    def __init__(self, title: str, token: str, empty: tuple[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._token, self._empty = title, token, empty
        self._points = self._origin = self._shown = _NONE
        self._values: Floats | None = None
        self._limits = (0.0, 1.0)
        self._magnify = 1
        self._vectors_on = self._overlay_on = self._origin_wanted = self._held = False
        self._verdict: tuple[str, bool | None] | None = None
        self._stale: str | None = None
        self._marked = -1

        self._balls, self._ghost = Spheres(), Spheres()
        self._vectors = gl.GLLinePlotItem(mode="lines", glOptions="translucent", antialias=True)
        for item in (self._balls, self._ghost, self._vectors):
            self.addItem(item)
        self.setMinimumSize(200, 160)
        self.setAccessibleName(f"{title.capitalize()} point cloud")
        theme.notifier.changed.connect(self._redraw)
        self._redraw()

    # --- what to show -----------------------------------------------------------------------------------------------

    @property
    def points(self) -> Floats:
        """The cloud, (N, 3), unmagnified."""
        return self._points

    def set_points(
        self,
        points: ArrayLike,
        *,
        origin: ArrayLike | None = None,
        values: ArrayLike | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Show a cloud.

        Parameters
        ----------
        points
            (N, 3), in unit-sphere radii; none for the empty view.
        origin
            (M, 3), where the points came from: the ghost of the overlay and, if M = N, the start of the vectors.
        values
            (N,), coloured between `limits` from `still` to `adv`. Without them all points have the view's colour.

        Raises
        ------
        ValueError
            For arrays of another shape or with values that are not finite.
        """
        cloud = _checked(points, "points")
        came_from = _NONE if origin is None else _checked(origin, "origin")
        if values is not None:
            values = np.array(values, np.float32)
            if values.shape != (len(cloud),):
                raise ValueError(f"{len(cloud)} points need values of shape ({len(cloud)},), not {values.shape}")
        self._points, self._origin, self._values, self._limits = cloud, came_from, values, limits
        self._redraw()

    def set_verdict(self, name: str, confidence: float = 0.0, right: bool | None = None) -> None:
        """The class a model sees and its confidence, with a mark if it is known to be right or wrong; "" for none."""
        mark = {True: " ✓ ", False: " ✗ ", None: " "}[right]
        verdict = (f"{name}{mark}{confidence:.2f}", right) if name else None
        if verdict != self._verdict:
            self._verdict = verdict
            self.setAccessibleDescription(verdict[0] if verdict else "")
            self.rewrite()

    def set_stale(self, stale: bool, text: str = "") -> None:
        """Dim the picture to 60 % and say why: it does not belong to the controls any more."""
        note = text if stale else None
        if note != self._stale:
            self._stale = note
            self.rewrite()

    def set_vectors(self, on: bool) -> None:
        """Draw a line from where each point was to where it is."""
        self._vectors_on = on
        self._redraw()

    def set_overlay(self, on: bool) -> None:
        """Draw the cloud the points came from as small dots."""
        self._overlay_on = on
        self._redraw()

    def set_origin_only(self, on: bool) -> None:
        """Draw the cloud the points came from, in the colour of clean points, instead of the points."""
        self._origin_wanted = on
        self._redraw()

    def set_magnify(self, factor: int) -> None:
        """Draw displacements so many times as long as they are."""
        self._magnify = factor
        self._redraw()

    def mark(self, index: int) -> None:
        """Put a ring around a point; -1 for none."""
        self._marked = index if index < len(self._shown) else -1
        self.rewrite()

    def point_at(self, x: float, y: float) -> int:
        """Index of the front-most point at a place in logical pixels; -1 if there is none."""
        across, down, depth = self.project(self._shown)
        reach = np.maximum(self._balls.radius * self.pixels_per_unit(1.0) / depth, 4.0)
        hit = np.flatnonzero(np.hypot(across - x, down - y) <= reach)
        return int(hit[np.argmin(depth[hit])]) if len(hit) else -1

    # --- drawing ----------------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        """Bring the three OpenGL items in line with the data, the switches and the theme."""
        colours = theme.current()
        self.setBackgroundColor(colours.canvas)
        moved = len(self._origin) == len(self._points)
        self._held = self._origin_wanted and len(self._origin) > 0
        self._shown = self._origin if self._held else self._points
        if moved and not self._held and self._magnify != 1:
            self._shown = self._origin + self._magnify * (self._points - self._origin)
        if self._marked >= len(self._shown):
            self._marked = -1

        shades = np.tile(_rgb(colours.clean if self._held else getattr(colours, self._token)), (len(self._shown), 1))
        if self._values is not None and not self._held:
            low, high = self._limits
            share = np.clip((self._values - low) / max(high - low, 1e-12), 0.0, 1.0)
            shades = theme.displacement_map().map(share, mode="float")[:, :3]
        radius = _radius(len(self._shown))
        self._balls.set_data(self._shown, shades, radius)

        self._ghost.setVisible(self._overlay_on and not self._held)
        faint = 0.65 * _rgb(colours.clean) + 0.35 * _rgb(colours.canvas)
        self._ghost.set_data(self._origin, np.tile(faint, (len(self._origin), 1)), 0.5 * radius)

        self._vectors.setVisible(self._vectors_on and moved and not self._held)
        if self._vectors.visible():
            ends = np.stack([self._origin, self._shown], axis=1).reshape(-1, 3)
            tints = np.array([(*_rgb(colours.muted), 0.25), (*_rgb(colours.adv), 0.9)], np.float32)
            self._vectors.setData(pos=ends, color=np.tile(tints, (len(self._shown), 1)), width=self.devicePixelRatioF())
        self.update()

    def paint_over(self, painter: QPainter) -> None:
        colours, area = theme.current(), self.rect()
        if len(self._shown) == 0:
            hud.title(painter, self._title, getattr(colours, self._token))
            hud.empty(painter, area, *self._empty)
            return
        if self._marked >= 0:
            x, y, depth = (float(axis[0]) for axis in self.project(self._shown[self._marked][None]))
            hud.ring(painter, x, y, self._balls.radius * self.pixels_per_unit(depth) + 3.0)
        if self._stale is not None:
            wash = QColor(colours.canvas)
            wash.setAlphaF(0.4)
            painter.fillRect(area, wash)
            hud.state_note(painter, self._stale)
        if self._held:
            hud.title(painter, "CLEAN", colours.clean)
        else:
            hud.title(painter, self._title, getattr(colours, self._token))
        if self._verdict is not None and not self._held:
            hud.verdict(painter, *self._verdict)
        if self._magnify != 1 and not self._held and len(self._origin) > 0:
            hud.corner_note(painter, area, f"displacement drawn ×{self._magnify}")
        hud.scale_bar(painter, area, self.pixels_per_unit(self.opts["distance"]))
        if self._values is not None and not self._held:
            hud.colour_bar(painter, area, theme.displacement_map(), self._limits, "‖δ‖")

    # --- mouse ------------------------------------------------------------------------------------------------------

    def hovered(self, at: QPointF, globally: QPoint) -> None:
        index = self.point_at(at.x(), at.y())
        if index != self._marked:
            self.mark(index)
            self.pointHovered.emit(index)
            QToolTip.showText(globally, self._about(index) if index >= 0 else "", self)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if self._marked >= 0:
            self.mark(-1)
            self.pointHovered.emit(-1)

    def _about(self, index: int) -> str:
        x, y, z = (self._origin if self._held else self._points)[index]
        lines = [f"point {index}", f"x {x:+.3f}   y {y:+.3f}   z {z:+.3f}"]
        if not self._held and len(self._origin) == len(self._points):
            lines.append(f"‖δ‖ {np.linalg.norm(self._points[index] - self._origin[index]):.4f} sphere radii")
        return "\n".join(lines)


def _checked(points: ArrayLike, name: str) -> Floats:
    cloud = np.array(points, np.float32)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise ValueError(f"{name} must have the shape (N, 3), not {cloud.shape}")
    if not np.isfinite(cloud).all():
        raise ValueError(f"{name} must be finite numbers")
    return cloud


def _rgb(colour: QColor) -> Floats:
    return np.array(colour.getRgbF()[:3], np.float32)


def _radius(count: int) -> float:
    """Of a ball in unit-sphere radii, so that about the same share of a surface is covered for any number of points."""
    return float(np.clip(0.85 / np.sqrt(max(count, 1)), 0.006, 0.045))
