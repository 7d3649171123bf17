"""The clean and the adversarial cloud side by side, with linked cameras."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.shell.plain_text import set_tooltip
from app.shell.widgets import Label, Splitter, tool_button
from app.views.cloud import CloudView
from app.views.view3d import VIEWPOINTS

MAGNIFICATIONS = (1, 2, 5, 10, 20)
CAPTION_WIDTH = 440
"""Width in pixels from which the buttons leave space for the caption of the magnification."""


class PointValues(NamedTuple):
    """Values of points that give them their colours in place of displacements; points with the value 0 are faint."""

    name: str
    """Over the colour bars."""
    adversarial: ArrayLike
    """(M,)"""
    adversarial_note: str
    """What the colours say, for the corner of the view."""
    clean: ArrayLike | None = None
    """(N,); without them the clean points keep their colour."""
    clean_note: str = ""


class PairView(QWidget):
    """Two `CloudView`s, and below them buttons for how they are drawn.

    The buttons are public, so that menus and shortcuts can use them: `linked`, `vectors`, `overlay`, `gradients` and
    `critical`, of which one at most is checked, are checkable; `blink` shows the clean cloud in the adversarial view
    while it, or the key B, is held down.
    """

    colouringChanged = Signal(str)
    """What the colours of points are to show: "displacement", "gradient" or "critical"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.clean = CloudView(
            "CLEAN", "clean", ("Open a cloud or choose a shape", "Drop a file here, or take a shape from the library.")
        )
        self.adversarial = CloudView(
            "ADVERSARIAL",
            "adv",
            ("Nothing is attacked yet", "The attacked shape appears here; epsilon says how far its points may move."),
        )
        self.linked = _tool_button("link", "Turn both views together", checked=True)
        self.vectors = _tool_button("vectors", "Draw how far each point was moved")
        self.overlay = _tool_button("overlay", "Draw the clean points in the adversarial view")
        self.gradients = _tool_button(
            "gradient",
            "Colour points by the gradient of the loss; points that the attacked model does not see are faint",
        )
        self.critical = _tool_button(
            "critical",
            "Colour points by the number of channels whose maximum they attain in the attacked model; not for models "
            "without a maximum over all points, for graphs, and behind a defence",
        )
        self.blink = _tool_button("eye", "Show the clean shape on the right while held down (B)", checkable=False)
        self.magnification = QComboBox()
        self.magnification.setAccessibleName("Magnification of displacements")
        set_tooltip(self.magnification, "Draw displacements longer than they are")
        for factor in MAGNIFICATIONS:
            self.magnification.addItem(f"×{factor}", factor)
        self.viewpoints = QMenu(self)
        for name in VIEWPOINTS:
            self.viewpoints.addAction(name)

        self.views = Splitter(Qt.Orientation.Horizontal, "pair", {self.clean: 1, self.adversarial: 1})
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.views, 1)
        column.addWidget(self._make_toolbar())
        self._connect()

    # --- data ------------------------------------------------------------------------------------------------------

    def set_pair(
        self,
        clean: ArrayLike,
        adversarial: ArrayLike | None = None,
        origin: ArrayLike | None = None,
        values: PointValues | None = None,
        longest: float | None = None,
        note: str = "",
    ) -> None:
        """Show a cloud and its adversarial version. The clean view is not redrawn if its cloud is the same.

        Parameters
        ----------
        clean, adversarial
            (N, 3) and (M, 3), in unit-sphere radii. If M = N, point i of one belongs to point i of the other.
        origin
            (M, 3), where the points of ``adversarial`` were, if not at those of ``clean``.
        values
            By which points have their colours; without them, by their displacements.
        longest
            Displacement at the end of the colour scale; without it, the longest one that is shown.
        note
            For the corner of the adversarial view, where colours are by displacements.

        Raises
        ------
        ValueError
            For arrays of another shape or with values that are not finite.
        """
        clean = np.asarray(clean, np.float32)
        origin = clean if origin is None else np.asarray(origin, np.float32)
        limits = (0.0, 1.0) if values is None else (0.0, _usual_end(values.adversarial, values.clean))
        self._set_clean(clean, values, limits)
        if adversarial is None:
            self.adversarial.set_points(np.empty((0, 3)))
        elif values is not None:
            self.adversarial.set_points(
                adversarial,
                origin=origin,
                values=values.adversarial,
                limits=limits,
                name=values.name,
                faint_zeros=True,
                note=values.adversarial_note,
            )
        elif np.shape(adversarial) == np.shape(origin):
            displacements = np.linalg.norm(np.subtract(adversarial, origin), axis=1)
            top = _round_up(float(displacements.max(initial=0.0)) if longest is None else longest)
            self.adversarial.set_points(adversarial, origin=origin, values=displacements, limits=(0.0, top), note=note)
        else:
            self.adversarial.set_points(adversarial, origin=origin)

    def _set_clean(self, points: NDArray[np.float32], values: PointValues | None, limits: tuple[float, float]) -> None:
        """Show the clean cloud (N, 3), unless it is shown already."""
        if values is not None and values.clean is not None:
            self.clean.set_points(
                points, values=values.clean, limits=limits, name=values.name, faint_zeros=True, note=values.clean_note
            )
        elif self.clean.values is not None or not np.array_equal(points, self.clean.points):
            self.clean.set_points(points)

    def picture(self, scale: float) -> QImage:
        """Both views side by side, ``scale`` times as large as on the screen; null where there is no OpenGL."""
        ratio = scale * self.devicePixelRatioF()
        left, right = self.clean.picture(ratio), self.adversarial.picture(ratio)
        if left.isNull() or right.isNull():
            return QImage()
        image = QImage(self.views.size() * ratio, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
        image.fill(theme.current().border)
        painter = QPainter(image)
        painter.drawImage(self.clean.pos(), left)
        painter.drawImage(self.adversarial.pos(), right)
        painter.end()
        return image

    def clear(self) -> None:
        """Empty both views."""
        self.set_pair(np.empty((0, 3)))
        self.set_clean_verdict("")
        self.set_adversarial_verdict("")
        self.set_stale(False)

    def set_clean_verdict(self, name: str, confidence: float = 0.0, right: bool | None = None, note: str = "") -> None:
        """See `CloudView.set_verdict`."""
        self.clean.set_verdict(name, confidence, right, note)

    def set_adversarial_verdict(
        self, name: str, confidence: float = 0.0, right: bool | None = None, note: str = ""
    ) -> None:
        """See `CloudView.set_verdict`."""
        self.adversarial.set_verdict(name, confidence, right, note)

    def set_stale(self, stale: bool, text: str = "") -> None:
        """Dim the adversarial picture, with a note, while it does not match the controls."""
        self.adversarial.set_stale(stale, text)

    def reset_cameras(self) -> None:
        """Set both cameras to the first viewpoint."""
        for view in (self.clean, self.adversarial):
            view.reset_camera()

    def refit_cameras(self) -> None:
        """Let both cameras see the whole unit sphere, from where they look now."""
        for view in (self.clean, self.adversarial):
            view.refit()

    def look_from(self, viewpoint: str) -> None:
        """Set both cameras to one of ``VIEWPOINTS``."""
        for view in (self.clean, self.adversarial):
            view.look_from(viewpoint)

    def set_orthographic(self, on: bool) -> None:
        """Draw both without perspective, or with it again."""
        for view in (self.clean, self.adversarial):
            view.set_orthographic(on)

    # --- internals -------------------------------------------------------------------------------------------------

    def _on_colouring(self, chosen: QToolButton, on: bool) -> None:
        """Let one button of the two be checked, or none."""
        buttons = {"gradient": self.gradients, "critical": self.critical}
        for button in buttons.values():
            if on and button is not chosen:
                button.setChecked(False)
        self.colouringChanged.emit(next((name for name, each in buttons.items() if each.isChecked()), "displacement"))

    def _make_toolbar(self) -> QWidget:
        toolbar = QWidget()
        theme.set_role(toolbar, "panel")
        row = QHBoxLayout(toolbar)
        row.setContentsMargins(theme.SPACE_S, theme.SPACE_XS, theme.SPACE_S, theme.SPACE_XS)
        row.setSpacing(theme.SPACE_XS)
        viewpoint = _tool_button("camera", "Turn the camera", checkable=False)
        viewpoint.setMenu(self.viewpoints)
        viewpoint.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        row.addWidget(self.linked)
        row.addWidget(viewpoint)
        row.addStretch(1)
        self._caption = Label("displacement", "caption")
        for widget in (
            self.gradients,
            self.critical,
            self.blink,
            self.overlay,
            self.vectors,
            self._caption,
            self.magnification,
        ):
            row.addWidget(widget)
        return toolbar

    def _connect(self) -> None:
        self.clean.cameraMoved.connect(self._follow_clean)
        self.adversarial.cameraMoved.connect(self._follow_adversarial)
        self.clean.pointHovered.connect(self.adversarial.mark)
        self.adversarial.pointHovered.connect(self.clean.mark)
        self.linked.toggled.connect(self._follow_clean)
        self.vectors.toggled.connect(self.adversarial.set_vectors)
        self.overlay.toggled.connect(self.adversarial.set_overlay)
        self.blink.pressed.connect(self._blink)
        self.blink.released.connect(self._blink)
        self.magnification.currentIndexChanged.connect(self._magnify)
        for button in (self.gradients, self.critical):
            button.toggled.connect(lambda on, button=button: self._on_colouring(button, on))
        self.viewpoints.triggered.connect(lambda action: self.look_from(action.text()))
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._on_focus_changed)

    def _follow_clean(self) -> None:
        if self.linked.isChecked():
            self.adversarial.set_camera(self.clean.camera())

    def _follow_adversarial(self) -> None:
        if self.linked.isChecked():
            self.clean.set_camera(self.adversarial.camera())

    def _blink(self) -> None:
        self.adversarial.set_origin_only(self.blink.isDown())

    def _set_blink(self, down: bool) -> None:
        self.blink.setDown(down)
        self._blink()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._caption.setVisible(event.size().width() >= CAPTION_WIDTH)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_B and not event.isAutoRepeat():
            self._set_blink(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_B and not event.isAutoRepeat():
            self._set_blink(False)
        else:
            super().keyReleaseEvent(event)

    def _on_focus_changed(self, _: QWidget | None, now: QWidget | None) -> None:
        """End blinking when the focus leaves, because another widget will receive the release of the key."""
        if self.blink.isDown() and (now is None or not self.isAncestorOf(now)):
            self._set_blink(False)

    def _magnify(self) -> None:
        self.adversarial.set_magnify(self.magnification.currentData())


def _tool_button(icon: str, purpose: str, *, checkable: bool = True, checked: bool = False) -> QToolButton:
    return tool_button(icon=icon, role="flat", tip=purpose, name=purpose, checkable=checkable, checked=checked)


def _usual_end(*values: ArrayLike | None) -> float:
    """The end of the colours of values: 19 of 20 of those above 0 are below it, so that a few hide no others."""
    shown = np.concatenate([np.asarray(each, np.float32) for each in values if each is not None])
    above = shown[shown > 0]
    return _round_up(float(np.percentile(above, 95))) if len(above) else 1.0


def _round_up(length: float) -> float:
    """The smallest of ... 0.01, 0.02, 0.05, 0.1 ... not below a length, so that the colour bar seldom changes."""
    if length <= 0.001:
        return 0.001
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= length * (1.0 - 1e-6))
