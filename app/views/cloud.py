"""The 3-D view of one point cloud, with title, verdict, scale bar and colour bar."""

import numpy as np
import pyqtgraph.opengl as gl
from numpy.typing import ArrayLike
from PySide6.QtCore import QEvent, QMargins, QPoint, QPointF, Signal
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QWidget

from app.shell import theme
from app.shell.plain_text import show_tooltip
from app.views import annotations
from app.views.spheres import Spheres
from app.views.view3d import Floats, View3D

_NO_POINTS: Floats = np.empty((0, 3), np.float32)


class CloudView(View3D):
    """Shows one cloud, and optionally where its points were before the attack.

    Parameters
    ----------
    title
        Shown at the top left.
    token
        Colour of the title and of points without values: a name in `theme.Theme`.
    empty
        Headline and one sentence while there is no cloud.
    """

    pointHovered = Signal(int)
    """Index of the point under the mouse, -1 after it has left."""

    margins = QMargins(0, annotations.VERDICT_BOTTOM, 0, annotations.SCALE_BAR_HEIGHT)

    def __init__(self, title: str, token: str, empty: tuple[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._token, self._empty = title, token, empty
        self._points = self._origin = self._shown = _NO_POINTS
        self._values: Floats | None = None
        self._values_name = ""
        self._faint_zeros, self._values_note = False, ""
        self._limits = (0.0, 1.0)
        self._magnify = 1
        self._vectors_on = self._overlay_on = self._origin_wanted = self._origin_shown = False
        self._verdict: tuple[str, bool | None] | None = None
        self._note = self._fitting = ""
        self._stale: str | None = None
        self._highlighted = -1

        self._spheres, self._radius = Spheres(), 0.0
        self._vectors = gl.GLLinePlotItem(mode="lines", glOptions="translucent", antialias=True)
        for item in (self._spheres, self._vectors):
            self.addItem(item)
        self.setMinimumSize(180, 160)  # two of them fit into the narrowest column of the Stage
        self.setAccessibleName(f"{title.capitalize()} point cloud")
        theme.notifier.changed.connect(self._redraw)
        self._redraw()

    # --- what to show ----------------------------------------------------------------------------------------------

    @property
    def points(self) -> Floats:
        """The cloud, (N, 3), unmagnified."""
        return self._points

    @property
    def values(self) -> Floats | None:
        """(N,), by which the points are coloured."""
        return self._values

    def set_points(
        self,
        points: ArrayLike,
        *,
        origin: ArrayLike | None = None,
        values: ArrayLike | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
        name: str = "‖δ‖",
        faint_zeros: bool = False,
        note: str = "",
    ) -> None:
        """Show a cloud.

        Parameters
        ----------
        points
            (N, 3), in unit-sphere radii; none for the empty view.
        origin
            (M, 3), the points before the attack, for the overlay and, if M = N, as starts of the vectors.
        values
            (N,), coloured between `limits` from `unmoved` to the view's colour, which all points have without them.
        name
            Of the values, over the colour bar.
        faint_zeros
            Whether points whose value is 0 are drawn faint.
        note
            What the colours say, for the corner.

        Raises
        ------
        ValueError
            For arrays of another shape or with values that are not finite.
        """
        cloud = _checked_points(points, "points")
        origin_points = _NO_POINTS if origin is None else _checked_points(origin, "origin")
        if values is not None:
            values = np.array(values, np.float32)
            if values.shape != (len(cloud),):
                raise ValueError(f"{len(cloud)} points need values of shape ({len(cloud)},), not {values.shape}")
        self._points, self._origin, self._values, self._limits = cloud, origin_points, values, limits
        self._values_name, self._faint_zeros, self._values_note = name, faint_zeros, note
        self._redraw()

    def set_verdict(self, name: str, confidence: float = 0.0, right: bool | None = None, note: str = "") -> None:
        """Show a predicted class and its confidence, with a mark if it is known to be right or wrong; "" for none.

        ``note`` is shown beside it.
        """
        mark = {True: " ✓ ", False: " ✗ ", None: " "}[right]
        verdict = (f"{name}{mark}{confidence:.2f}", right) if name else None
        if (verdict, note) != (self._verdict, self._note):
            self._verdict, self._note = verdict, note
            self.setAccessibleDescription(", ".join(filter(None, [verdict[0], note])) if verdict else "")
            self.update_annotations()

    def set_fitting(self, text: str) -> None:
        """Say in the corner how the points were made of those of a file; empty if they are these."""
        if text != self._fitting:
            self._fitting = text
            self.update_annotations()

    def set_stale(self, stale: bool, text: str = "") -> None:
        """Dim the picture to 60 % and show ``text``, because it does not match the controls."""
        message = text if stale else None
        if message != self._stale:
            self._stale = message
            self.update_annotations()

    def set_vectors(self, on: bool) -> None:
        """Draw a line from the origin of each point to the point."""
        self._vectors_on = on
        self._redraw()

    def set_overlay(self, on: bool) -> None:
        """Draw the origins of the points as small spheres."""
        self._overlay_on = on
        self._redraw()

    def set_origin_only(self, on: bool) -> None:
        """Draw the origins, in the colour of clean points, in place of the points."""
        self._origin_wanted = on
        self._redraw()

    def set_magnify(self, factor: int) -> None:
        """Draw displacements ``factor`` times as long as they are."""
        self._magnify = factor
        self._redraw()

    def mark(self, index: int) -> None:
        """Put a ring around a point; -1 for none."""
        self._highlighted = index if index < len(self._shown) else -1
        self.update_annotations()

    def point_at(self, x: float, y: float) -> int:
        """Index of the front-most point at a position in logical pixels; -1 if there is none."""
        across, down, depth = self.project(self._shown)
        reach = np.maximum(self._radius * self.pixels_at(depth), 4.0)
        hit = np.flatnonzero(np.hypot(across - x, down - y) <= reach)
        return int(hit[np.argmin(depth[hit])]) if len(hit) else -1

    def picture(self, ratio: float) -> QImage:
        focus, self._focus_ring = self._focus_ring, False
        try:
            self._vectors.setData(width=ratio)
            return super().picture(ratio)
        finally:
            self._vectors.setData(width=self.devicePixelRatioF())
            self._focus_ring = focus

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _redraw(self) -> None:
        """Update the OpenGL items from data, switches and theme."""
        colours = theme.current()
        self.setBackgroundColor(colours.canvas)
        paired = len(self._origin) == len(self._points)
        self._origin_shown = self._origin_wanted and len(self._origin) > 0
        self._shown = self._origin if self._origin_shown else self._points
        if paired and not self._origin_shown and self._magnify != 1:
            self._shown = self._origin + self._magnify * (self._points - self._origin)
        if self._highlighted >= len(self._shown):
            self._highlighted = -1

        plain = colours.clean if self._origin_shown else getattr(colours, self._token)
        point_colours = np.tile(_rgb(plain), (len(self._shown), 1))
        if self._values is not None and not self._origin_shown:
            low, high = self._limits
            share = np.clip((self._values - low) / max(high - low, 1e-12), 0.0, 1.0)
            point_colours = theme.value_map(self._token).map(share, mode="float")[:, :3]
            if self._faint_zeros:
                point_colours[self._values == 0] = 0.3 * _rgb(colours.unmoved) + 0.7 * _rgb(colours.canvas)
        self._radius = _radius(len(self._shown))
        overlay = self._origin if self._overlay_on and not self._origin_shown else _NO_POINTS
        pale = 0.65 * _rgb(colours.clean) + 0.35 * _rgb(colours.canvas)
        self._spheres.set_data(
            np.concatenate([self._shown, overlay]),
            np.concatenate([point_colours, np.tile(pale, (len(overlay), 1))]),
            np.repeat(np.array([self._radius, 0.5 * self._radius], np.float32), (len(self._shown), len(overlay))),
        )

        self._vectors.setVisible(self._vectors_on and paired and not self._origin_shown)
        if self._vectors.visible():
            ends = np.stack([self._origin, self._shown], axis=1).reshape(-1, 3)
            line_colours = np.array([(*_rgb(colours.muted), 0.25), (*_rgb(colours.adv), 0.9)], np.float32)
            line_colours = np.tile(line_colours, (len(self._shown), 1))
            self._vectors.setData(pos=ends, color=line_colours, width=self.devicePixelRatioF())
        self.update()

    def annotate(self, painter: QPainter) -> None:
        colours, area = theme.current(), self.rect()
        if len(self._shown) == 0:
            annotations.title(painter, self._title, getattr(colours, self._token))
            annotations.empty(painter, area, *self._empty)
            return
        if self._highlighted >= 0:
            x, y, depth = (float(axis[0]) for axis in self.project(self._shown[self._highlighted][None]))
            annotations.ring(painter, x, y, self._radius * self.pixels_at(depth) + 3.0)
        if self._stale is not None:
            veil = QColor(colours.canvas)
            veil.setAlphaF(0.4)
            painter.fillRect(area, veil)
            annotations.state_note(painter, self._stale)
        if self._origin_shown:
            annotations.title(painter, "CLEAN", colours.clean)
        else:
            annotations.title(painter, self._title, getattr(colours, self._token))
        if self._verdict is not None and not self._origin_shown:
            annotations.verdict(painter, *self._verdict)
            if self._note:
                annotations.verdict_note(painter, area, self._verdict[0], self._note)
        notes = int(bool(self._stale) or bool(self._note))
        if note := self._corner_note():
            annotations.corner_note(painter, area, note, colours.warn, notes)
        elif self._fitting and not self._origin_shown:
            annotations.corner_note(painter, area, self._fitting, colours.muted, notes)
        annotations.scale_bar(painter, area, self.pixels_per_unit(self.opts["distance"]))
        if self._values is not None and not self._origin_shown:
            clipped = bool(self._values.max(initial=0.0) > self._limits[1])
            annotations.colour_bar(
                painter, area, theme.value_map(self._token), self._limits, self._values_name, clipped
            )

    def _corner_note(self) -> str:
        """How to read the picture, where it is not as the points are."""
        if self._origin_shown:
            return ""
        magnified = self._magnify != 1 and len(self._origin) > 0
        return " · ".join(filter(None, [f"displacement drawn ×{self._magnify}" * magnified, self._values_note]))

    # --- mouse -----------------------------------------------------------------------------------------------------

    def hovered(self, at: QPointF, globally: QPoint) -> None:
        index = self.point_at(at.x(), at.y())
        if index != self._highlighted:
            self.mark(index)
            self.pointHovered.emit(index)
            show_tooltip(globally, self._point_text(index) if index >= 0 else "", self)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        if self._highlighted >= 0:
            self.mark(-1)
            self.pointHovered.emit(-1)

    def _point_text(self, index: int) -> str:
        x, y, z = (self._origin if self._origin_shown else self._points)[index]
        lines = [f"point {index}", f"x {x:+.3f}   y {y:+.3f}   z {z:+.3f}"]
        if not self._origin_shown and len(self._origin) == len(self._points):
            lines.append(f"‖δ‖ {np.linalg.norm(self._points[index] - self._origin[index]):.4f} sphere radii")
        if self._values is not None and not self._origin_shown and self._faint_zeros:
            lines.append(f"{self._values_name} {self._values[index]:.4g}")
        return "\n".join(lines)


def _checked_points(points: ArrayLike, name: str) -> Floats:
    cloud = np.array(points, np.float32)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise ValueError(f"{name} must have the shape (N, 3), not {cloud.shape}")
    if not np.isfinite(cloud).all():
        raise ValueError(f"{name} must be finite numbers")
    return cloud


def _rgb(colour: QColor) -> Floats:
    return np.array([colour.redF(), colour.greenF(), colour.blueF()], np.float32)


def _radius(count: int) -> float:
    """Radius of the spheres in unit-sphere radii, so that any number of points covers about the same area."""
    return float(np.clip(0.85 / np.sqrt(max(count, 1)), 0.006, 0.045))
