"""Points of a cloud as shaded spheres with smooth edges: one OpenGL item, one buffer, one draw call."""

import numpy as np
from numpy.typing import NDArray
from OpenGL import GL
from pyqtgraph.opengl.GLGraphicsItem import GLGraphicsItem
from PySide6.QtGui import QVector3D
from PySide6.QtOpenGL import QOpenGLBuffer, QOpenGLShader, QOpenGLShaderProgram

# GLSL 1.20 runs in every compatibility context from OpenGL 2.1 on, that of macOS included.
_VERTEX = """#version 120
attribute vec3 position;
attribute vec3 colour;
attribute float radius;  // of a sphere, in units
uniform mat4 mvp;
uniform float pixels;   // device pixels that one unit covers at distance one
uniform float scene_distance;  // from the camera to the centre of the scene
uniform bool orthographic;
uniform float depth_range;     // half of what is drawn without perspective, in units
uniform float fog;      // largest share of the background colour, at the far side of the scene
varying vec3 point_colour;
varying float pixel_radius;    // of this sphere, in device pixels
varying float fog_amount;

void main() {
    gl_Position = mvp * vec4(position, 1.0);
    float depth = orthographic ? scene_distance + depth_range * gl_Position.z : gl_Position.w;
    pixel_radius = clamp(radius * pixels / (orthographic ? scene_distance : depth), 1.5, 40.0);
    gl_PointSize = 2.0 * pixel_radius;
    fog_amount = fog * clamp(0.5 + 0.5 * (depth - scene_distance), 0.0, 1.0);
    point_colour = colour;
}
"""
# Spheres are drawn from far to near, so that the outermost pixel of each can be blended with what is behind it: smooth
# edges without multisampling, which is slow in a software rasteriser.
_FRAGMENT = """#version 120
varying vec3 point_colour;
varying float pixel_radius;
varying float fog_amount;
uniform vec3 background;
uniform float ambient;
const vec3 light = vec3(-0.38, 0.60, 0.70);

void main() {
    vec2 at = gl_PointCoord * 2.0 - 1.0;
    float from_centre = length(at);
    float coverage = clamp((1.0 - from_centre) * pixel_radius, 0.0, 1.0);
    if (coverage <= 0.0) discard;
    vec3 normal = vec3(at.x, -at.y, sqrt(max(0.0, 1.0 - from_centre * from_centre)));
    float towards_light = dot(normal, light);
    float lighting = ambient + (1.0 - ambient) * max(towards_light, 0.0);
    float reflected = max(2.0 * towards_light * normal.z - light.z, 0.0);  // of the light, towards the camera
    float squared = reflected * reflected, fourth = squared * squared, eighth = fourth * fourth;
    float specular = 0.22 * eighth * eighth * squared;  // the power of 18; `pow` is slow in software
    gl_FragColor = vec4(mix(point_colour * lighting + specular, background, fog_amount), coverage);
}
"""

_FOG = 0.4
ORTHOGRAPHIC_DEPTH = 100.0
"""What is drawn before and behind the centre without perspective, in unit-sphere radii."""


class Spheres(GLGraphicsItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Spheres at points, each with a colour and a radius. Alpha is one wherever it draws: captures match the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.setGLOptions("opaque")
        self._vertices: NDArray[np.float32] = np.empty((0, 7), np.float32)
        self._buffer = QOpenGLBuffer(QOpenGLBuffer.Type.VertexBuffer)
        self._program: QOpenGLShaderProgram | None = None

    def set_data(self, points: NDArray[np.float32], colours: NDArray[np.float32], radii: NDArray[np.float32]) -> None:
        """Points (N, 3), their colours (N, 3) in [0, 1], and the radii (N,) of their spheres, in the unit of points."""
        self._vertices = np.concatenate([points, colours, radii[:, None]], axis=1, dtype=np.float32)
        self.update()

    def paint(self) -> None:
        if len(self._vertices) == 0:
            return
        self.setupGLState()
        program = self._compiled_program()
        program.bind()
        view = self.view()
        program.setUniformValue(program.uniformLocation("mvp"), self.mvpMatrix())
        background = view.opts["bgcolor"]
        program.setUniformValue(program.uniformLocation("background"), QVector3D(*background[:3]))
        for name, value in (
            ("pixels", view.pixels_per_unit(1.0) * view.ratio),
            ("scene_distance", view.opts["distance"]),
            ("fog", _FOG),
            ("depth_range", ORTHOGRAPHIC_DEPTH),
            ("ambient", 0.52 if sum(background[:3]) < 1.5 else 0.62),
        ):
            program.setUniformValue1f(program.uniformLocation(name), value)
        program.setUniformValue1i(program.uniformLocation("orthographic"), int(view.orthographic))
        self._upload(np.argsort(-view.project(self._vertices[:, :3])[2], kind="stable"))
        places = [program.attributeLocation(name) for name in ("position", "colour", "radius")]
        for place, first, size in zip(places, (0, 3, 6), (3, 3, 1), strict=True):
            program.enableAttributeArray(place)
            program.setAttributeBuffer(place, GL.GL_FLOAT, 4 * first, size, 4 * 7)
        GL.glEnable(GL.GL_POINT_SPRITE)
        GL.glEnable(GL.GL_PROGRAM_POINT_SIZE)
        GL.glEnable(GL.GL_BLEND)
        GL.glBlendFuncSeparate(GL.GL_SRC_ALPHA, GL.GL_ONE_MINUS_SRC_ALPHA, GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        GL.glDepthFunc(GL.GL_ALWAYS)  # their order is that of the drawing; other items need their depth
        GL.glDrawArrays(GL.GL_POINTS, 0, len(self._vertices))
        GL.glDepthFunc(GL.GL_LESS)
        GL.glDisable(GL.GL_BLEND)
        for place in places:
            program.disableAttributeArray(place)
        self._buffer.release()
        program.release()

    def _upload(self, order: NDArray[np.intp]) -> None:
        if not self._buffer.isCreated():
            self._buffer.create()
        self._buffer.bind()
        self._buffer.allocate(self._vertices[order].tobytes(), self._vertices.nbytes)

    def _compiled_program(self) -> QOpenGLShaderProgram:
        if self._program is None:
            program = QOpenGLShaderProgram()
            program.addShaderFromSourceCode(QOpenGLShader.ShaderTypeBit.Vertex, _VERTEX)
            program.addShaderFromSourceCode(QOpenGLShader.ShaderTypeBit.Fragment, _FRAGMENT)
            if not program.link():
                raise RuntimeError(f"the point shader did not link: {program.log()}")
            self._program = program
        return self._program
