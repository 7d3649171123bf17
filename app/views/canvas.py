"""A widget whose picture OpenGL draws in memory, and which is then painted like any other widget.

Not a ``QOpenGLWidget``: with one of those in a window, Qt composes the whole window with OpenGL whenever any widget in
it is repainted. A software rasteriser took 19 ms for that, at each move of a slider and again for each frame after it.
"""

from OpenGL import GL
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage, QOffscreenSurface, QOpenGLContext, QPainter, QPaintEvent
from PySide6.QtOpenGL import QOpenGLFramebufferObject
from PySide6.QtWidgets import QWidget


class Canvas(QWidget):
    """Has the part of ``QOpenGLWidget`` that pyqtgraph asks for. Subclasses draw the scene and write over it."""

    painted = Signal()
    """A new picture, not just a part of the last one that was covered, is about to be on the screen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._context: QOpenGLContext | None = None
        self._surface: QOffscreenSurface | None = None
        self._buffer: QOpenGLFramebufferObject | None = None
        self._picture = QImage()
        self._fresh = False

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def initializeGL(self) -> None:
        """Called once, with the context current."""

    def paintGL(self) -> None:
        """Draw the scene; the context is current and the viewport set."""

    def write(self, painter: QPainter) -> None:
        """Paint what comes over the scene."""

    # --- as in QOpenGLWidget ----------------------------------------------------------------------------------------

    def isValid(self) -> bool:
        """Whether there is a context to draw with."""
        return self._context is not None and self._context.isValid()

    def context(self) -> QOpenGLContext | None:
        return self._context

    def makeCurrent(self) -> None:
        assert self._context is not None
        assert self._surface is not None
        self._context.makeCurrent(self._surface)

    def update(self) -> None:
        """Draw anew, soon. What Qt asks for by itself, when a part was covered, is taken from the last picture."""
        self._fresh = False
        super().update()

    def rewrite(self) -> None:
        """Write anew over the last picture, soon."""
        super().update()

    # --- inside -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        size = self.size() * self.devicePixelRatioF()
        if anew := not (self._fresh and self._picture.size() == size):
            self._picture = self._drawn(size)
            self._picture.setDevicePixelRatio(self.devicePixelRatioF())
            self._fresh = True
        painter = QPainter(self)
        if self._picture.isNull():
            painter.eraseRect(self.rect())
        else:
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
            painter.drawImage(0, 0, self._picture)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
            self.write(painter)
        painter.end()
        if anew:
            self.painted.emit()

    def _drawn(self, size: QSize) -> QImage:
        """The scene in device pixels; a null picture where OpenGL is not to be had."""
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
        if self._buffer is None or self._buffer.size() != size:
            depth = QOpenGLFramebufferObject.Attachment.CombinedDepthStencil
            self._buffer = QOpenGLFramebufferObject(size, depth)
        self._buffer.bind()
        GL.glViewport(0, 0, size.width(), size.height())
        self.paintGL()
        picture = self._buffer.toImage()
        self._buffer.release()
        return picture
