"""A widget that OpenGL renders into an image, which is then painted like any other widget.

Not a ``QOpenGLWidget``: with one of those in a window, Qt composes the whole window with OpenGL whenever any widget in
it is repainted. With a software rasteriser that took 19 ms, at each move of a slider and for each frame after it.
"""

from OpenGL import GL
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage, QOffscreenSurface, QOpenGLContext, QPainter, QPaintEvent
from PySide6.QtOpenGL import QOpenGLFramebufferObject
from PySide6.QtWidgets import QWidget


class OffscreenGLWidget(QWidget):
    """The part of the interface of ``QOpenGLWidget`` that pyqtgraph uses, for subclasses that draw a scene."""

    painted = Signal()
    """A newly rendered image has been painted; not emitted when a covered part of the last image is repainted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._context: QOpenGLContext | None = None
        self._surface: QOffscreenSurface | None = None
        self._framebuffer: QOpenGLFramebufferObject | None = None
        self._image = QImage()
        self._scene_current = False
        self.ratio = self.devicePixelRatioF()
        """Pixels of the image per logical pixel, while it is rendered."""

    # --- for subclasses --------------------------------------------------------------------------------------------

    def initializeGL(self) -> None:
        """Called once, with the context current."""

    def paintGL(self) -> None:
        """Draw the scene; the context is current and the viewport set."""

    def paint_annotations(self, painter: QPainter) -> None:
        """Paint text and marks over the scene."""

    # --- as in QOpenGLWidget ---------------------------------------------------------------------------------------

    def isValid(self) -> bool:
        """Whether there is a context to draw with."""
        return self._context is not None and self._context.isValid()

    def context(self) -> QOpenGLContext | None:
        return self._context

    def makeCurrent(self) -> None:
        assert self._context is not None
        assert self._surface is not None
        self._context.makeCurrent(self._surface)

    def update(self) -> None:  # type: ignore[override]  # nobody updates a part of the scene
        """Schedule rendering and painting. Repaints that Qt requests by itself use the last image."""
        self._scene_current = False
        super().update()

    def update_annotations(self) -> None:
        """Schedule painting the annotations again over the last image."""
        super().update()

    def picture(self, ratio: float) -> QImage:
        """The scene and its annotations, with so many pixels per logical pixel; null where there is no OpenGL."""
        self.ratio = ratio
        image = self._render(self.size() * ratio)
        self._framebuffer = None  # it may be sixteen times as large as the view needs
        image.setDevicePixelRatio(ratio)
        if not image.isNull():
            painter = QPainter(image)
            self.paint_annotations(painter)
            painter.end()
        return image

    # --- internals -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        size = self.size() * self.devicePixelRatioF()
        if render := not (self._scene_current and self._image.size() == size):
            self.ratio = self.devicePixelRatioF()
            self._image = self._render(size)
            self._image.setDevicePixelRatio(self.devicePixelRatioF())
            self._scene_current = True
        painter = QPainter(self)
        if self._image.isNull():
            painter.eraseRect(self.rect())
        else:
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
            painter.drawImage(0, 0, self._image)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
            self.paint_annotations(painter)
        painter.end()
        if render:
            self.painted.emit()

    def _render(self, size: QSize) -> QImage:
        """The scene in device pixels; a null image where OpenGL is not available."""
        if self._context is None:
            self._context, self._surface = QOpenGLContext(), QOffscreenSurface()
            self._context.setShareContext(QOpenGLContext.globalShareContext())
            if self._context.create():
                self._surface.setFormat(self._context.format())
                self._surface.create()
                self.makeCurrent()
                self.initializeGL()
        if not self.isValid():
            return QImage()
        self.makeCurrent()
        if self._framebuffer is None or self._framebuffer.size() != size:
            depth = QOpenGLFramebufferObject.Attachment.CombinedDepthStencil
            self._framebuffer = QOpenGLFramebufferObject(size, depth)
        self._framebuffer.bind()
        GL.glViewport(0, 0, size.width(), size.height())
        self.paintGL()
        image = self._framebuffer.toImage()
        self._framebuffer.release()
        return image
