"""Base class of 3-D views: camera, mouse, keys, projection, and a message where OpenGL fails."""

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.opengl.GLGraphicsItem import GLGraphicsItem
from pyqtgraph.opengl.GLViewWidget import GLViewMixin
from PySide6.QtCore import QMargins, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QKeyEvent,
    QMatrix4x4,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QVector3D,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from app.shell import theme
from app.shell.widgets import Label
from app.views.offscreen_gl import OffscreenGLWidget
from app.views.painting import draw_focus_frame
from app.views.spheres import ORTHOGRAPHIC_DEPTH

Floats = NDArray[np.float32]

FIELD_OF_VIEW = 30.0  # degrees, over the shorter side of the space; small, so that perspective distorts little
DISTANCE = 4.1  # of the camera, in unit-sphere radii; at 3.86 the unit sphere just fits
VIEWPOINTS = {
    "Three-quarter": (-45.0, 22.0),
    "Front": (0.0, 0.0),
    "Back": (180.0, 0.0),
    "Left": (90.0, 0.0),
    "Right": (-90.0, 0.0),
    "Top": (0.0, 90.0),
    "Bottom": (0.0, -90.0),
}
"""Azimuth and elevation of the camera in degrees; the front of a shape points along +x, z is up."""

_NO_OPENGL = "Shapes cannot be drawn here: this display offers no OpenGL 2.1. Everything else works."
_PAINT_FAILED = "Shapes cannot be drawn here: the graphics driver failed. The log says why; everything else works."
_log = logging.getLogger(__name__)


class View3D(GLViewMixin, OffscreenGLWidget):  # type: ignore[misc]  # pyqtgraph has no types
    """Drag rotates, Shift-drag or another button moves, the wheel zooms, a double click resets the camera."""

    cameraMoved = Signal()
    """The camera was moved by mouse, keys or a viewpoint. Not by `set_camera`, so that two views can be linked."""

    orthographic = False
    """Whether it is drawn without perspective."""

    margins = QMargins()
    """Logical pixels at the edges that are kept for text: the camera's centre is in the middle of the space between."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._last_position = QPointF()
        self._shifting = self._focus_ring = False
        self._error_label = Label(role="error", wrap=True, parent=self)
        self._error_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._error_label.hide()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.reset_camera()

    # --- hooks -----------------------------------------------------------------------------------------------------

    def annotate(self, painter: QPainter) -> None:
        """Paint over the scene."""

    def hovered(self, at: QPointF, globally: QPoint) -> None:
        """The mouse moved with no button held."""

    # --- camera ----------------------------------------------------------------------------------------------------

    def camera(self) -> dict[str, Any]:
        """A copy of all parameters of the camera."""
        return {**self.cameraParams(), "center": QVector3D(self.opts["center"])}

    def set_camera(self, camera: dict[str, Any]) -> None:
        """Take over the camera of another view."""
        self.setCameraParams(**{**camera, "center": QVector3D(camera["center"])})

    def reset_camera(self) -> None:
        """Set the camera to the first viewpoint and distance."""
        azimuth, elevation = VIEWPOINTS["Three-quarter"]
        self.setCameraParams(
            center=QVector3D(), fov=FIELD_OF_VIEW, distance=DISTANCE, azimuth=azimuth, elevation=elevation
        )
        self.cameraMoved.emit()

    def look_from(self, preset: str) -> None:
        """Set the camera to one of `VIEWPOINTS`."""
        azimuth, elevation = VIEWPOINTS[preset]
        self.setCameraPosition(azimuth=azimuth, elevation=elevation)
        self.cameraMoved.emit()

    def refit(self) -> None:
        """See the whole unit sphere, from where the camera looks now."""
        self.setCameraParams(center=QVector3D(), distance=DISTANCE)
        self.cameraMoved.emit()

    def set_orthographic(self, on: bool) -> None:
        """Draw without perspective, at the scale of the centre; or with it again."""
        self.orthographic = on
        self.update()
        self.update_annotations()

    def turn(self, azimuth: float, elevation: float) -> None:
        """Rotate the camera by azimuth and elevation in degrees."""
        self.orbit(azimuth, elevation)
        self.cameraMoved.emit()

    def zoom(self, factor: float) -> None:
        """Multiply the distance of the camera."""
        self.setCameraPosition(distance=min(max(self.opts["distance"] * factor, 0.8), 20.0))
        self.cameraMoved.emit()

    def shift(self, by: QPointF) -> None:
        """Move the scene by a vector in logical pixels, at the depth of its centre."""
        view, scale = self.viewMatrix(), self.pixels_per_unit(self.opts["distance"])
        right, up = view.row(0).toVector3D(), view.row(1).toVector3D()
        self.setCameraPosition(pos=self.opts["center"] - (right * by.x() - up * by.y()) / scale)
        self.cameraMoved.emit()

    def pixels_per_unit(self, distance: float) -> float:
        """Logical pixels that one unit covers at a distance from the camera."""
        return self._shorter_side / (2.0 * math.tan(math.radians(self.opts["fov"] / 2.0)) * distance)

    @property
    def _shorter_side(self) -> int:
        """Of the space for shapes, in logical pixels."""
        space = self.size().shrunkBy(self.margins)
        return min(space.width(), space.height())

    def pixels_at(self, depth: Any) -> Any:
        """Logical pixels that one unit covers at depths from ``project``: a number or (N,)."""
        return self.pixels_per_unit(self.opts["distance"] if self.orthographic else depth)

    def projectionMatrix(self, region: tuple[int, int, int, int], viewport: tuple[int, int, int, int]) -> QMatrix4x4:
        edges = self.margins  # they move the picture, not the camera, which linked views share
        left = 2 * (region[0] - viewport[0]) - viewport[2] - edges.left() + edges.right()
        bottom = 2 * (region[1] - viewport[1]) - viewport[3] - edges.bottom() + edges.top()
        near = 0.02 * self.opts["distance"]
        unit = near * math.tan(math.radians(self.opts["fov"] / 2.0)) / self._shorter_side
        right, top = left + 2 * region[2], bottom + 2 * region[3]
        matrix = QMatrix4x4()
        if self.orthographic:
            scale = self.opts["distance"] / near  # the plane through the centre keeps its size
            low, high = near * scale - ORTHOGRAPHIC_DEPTH, near * scale + ORTHOGRAPHIC_DEPTH
            left, right, bottom, top = (unit * scale * side for side in (left, right, bottom, top))
            matrix.ortho(left, right, bottom, top, low, high)
            return matrix
        matrix.frustum(left * unit, right * unit, bottom * unit, top * unit, near, 1000.0 * near)
        return matrix

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Screen positions of points (N, 3): x and y in logical pixels, and depth; each (N,)."""
        area = self.getViewport()
        matrix = self.projectionMatrix(area, area) * self.viewMatrix()
        clip = np.c_[points, np.ones(len(points))] @ np.array(matrix.data()).reshape(4, 4)  # column-major: transposed
        weight = np.maximum(clip[:, 3], 1e-6)
        depth = self.opts["distance"] + ORTHOGRAPHIC_DEPTH * clip[:, 2] if self.orthographic else weight
        return (clip[:, 0] / weight + 1) * self.width() / 2, (1 - clip[:, 1] / weight) * self.height() / 2, depth

    # --- mouse and keys --------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._last_position = event.position()
        turning = event.button() == Qt.MouseButton.LeftButton
        self._shifting = not turning or bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        by, self._last_position = event.position() - self._last_position, event.position()
        if not event.buttons():
            self.hovered(event.position(), event.globalPosition().toPoint())
        elif self._shifting:
            self.shift(by)
        else:
            self.turn(-0.5 * by.x(), 0.5 * by.y())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.reset_camera()

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom(0.999 ** event.angleDelta().y())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys: dict[int, Callable[[], None]] = {
            Qt.Key.Key_Left: lambda: self.turn(-5.0, 0.0),
            Qt.Key.Key_Right: lambda: self.turn(5.0, 0.0),
            Qt.Key.Key_Up: lambda: self.turn(0.0, 5.0),
            Qt.Key.Key_Down: lambda: self.turn(0.0, -5.0),
            Qt.Key.Key_Plus: lambda: self.zoom(0.9),
            Qt.Key.Key_Equal: lambda: self.zoom(0.9),
            Qt.Key.Key_Minus: lambda: self.zoom(1.0 / 0.9),
            Qt.Key.Key_Home: self.reset_camera,
        }
        if event.key() in keys:
            keys[event.key()]()
        else:
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._focus_ring = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._focus_ring = False
        super().focusOutEvent(event)

    # --- painting, and messages when it fails ----------------------------------------------------------------------

    def initializeGL(self) -> None:
        self._catch_errors(super().initializeGL, _NO_OPENGL)

    def paintGL(self) -> None:
        if self._error_label.isHidden():
            self._catch_errors(super().paintGL, _PAINT_FAILED)

    def drawItemTree(self, item: GLGraphicsItem | None = None, useItemNames: bool = False) -> None:  # noqa: N803
        """As in pyqtgraph, but an item that cannot be drawn raises; there it prints the error and goes on."""
        for each in self.items:
            if each.visible():
                if self.default_vao.isCreated():
                    self.default_vao.bind()
                each.paint()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.isValid():
            self._show_error(_NO_OPENGL)

    def paint_annotations(self, painter: QPainter) -> None:
        self.annotate(painter)
        if self._focus_ring:
            draw_focus_frame(painter, self.rect())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._error_label.setGeometry(self.rect().adjusted(theme.SPACE_XL, 0, -theme.SPACE_XL, 0))

    def _catch_errors(self, work: Callable[[], None], message: str) -> None:
        try:
            work()
        except Exception:
            _log.exception("%s", message)
            self._show_error(message)

    def _show_error(self, message: str) -> None:
        self._error_label.setText(message)
        self._error_label.show()
