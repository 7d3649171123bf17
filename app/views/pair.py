"""The clean cloud and the adversarial one side by side, seen by one camera."""

import math

import numpy as np
from numpy.typing import ArrayLike
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.shell import theme
from app.views.cloud import CloudView
from app.views.scene import PRESETS

MAGNIFICATIONS = (1, 2, 5, 10)


class PairView(QWidget):
    """Two `CloudView`s, and under them the switches that say how they are drawn.

    The switches are public buttons, so that a menu or a key can press them: `linked`, `vectors`, `overlay` are on or
    off, `blink` shows the clean cloud in the adversarial view while it or the key B is held down.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.clean = CloudView(
            "CLEAN", "clean", ("Open a cloud or choose a shape", "Drop a file here, or take a shape from the library.")
        )
        self.adversarial = CloudView(
            "ADVERSARIAL", "adv", ("Nothing is attacked yet", "Move epsilon to attack the shape on the left.")
        )
        self.linked = _switch("link", "Turn both views together", checked=True)
        self.vectors = _switch("vectors", "Draw how far each point was moved")
        self.overlay = _switch("overlay", "Draw the clean points in the adversarial view")
        self.blink = _switch("eye", "Show the clean shape on the right while held down (B)", checkable=False)
        self.magnification = QComboBox(accessibleName="Magnification of displacements")
        self.magnification.setToolTip("Draw displacements longer than they are")
        for factor in MAGNIFICATIONS:
            self.magnification.addItem(f"×{factor}", factor)
        self.viewpoints = QMenu(self)
        for name in PRESETS:
            self.viewpoints.addAction(name)

        self.views = views = QSplitter(Qt.Orientation.Horizontal, objectName="pair")
        views.setChildrenCollapsible(False)
        for view in (self.clean, self.adversarial):
            views.addWidget(view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(views, 1)
        column.addWidget(self._strip())
        self._connect()

    # --- data -------------------------------------------------------------------------------------------------------

    def set_pair(self, clean: ArrayLike, adversarial: ArrayLike | None = None) -> None:
        """Show a cloud and what an attack made of it. The clean view is left alone when its cloud is the same.

        Parameters
        ----------
        clean, adversarial
            (N, 3) and (M, 3), in unit-sphere radii. With M = N, point i of one belongs to point i of the other.

        Raises
        ------
        ValueError
            For arrays of another shape or with values that are not finite.
        """
        clean = np.asarray(clean, np.float32)
        if not np.array_equal(clean, self.clean.points):
            self.clean.set_points(clean)
        if adversarial is None:
            self.adversarial.set_points(np.empty((0, 3)))
        elif np.shape(adversarial) == np.shape(clean):
            lengths = np.linalg.norm(np.subtract(adversarial, clean), axis=1)
            top = _round_above(float(lengths.max(initial=0.0)))
            self.adversarial.set_points(adversarial, origin=clean, values=lengths, limits=(0.0, top))
        else:
            self.adversarial.set_points(adversarial, origin=clean)

    def clear(self) -> None:
        """Both views empty."""
        self.set_pair(np.empty((0, 3)))
        self.set_clean_verdict("")
        self.set_adversarial_verdict("")
        self.set_stale(False)

    def set_clean_verdict(self, name: str, confidence: float = 0.0, right: bool | None = None) -> None:
        """See `CloudView.set_verdict`."""
        self.clean.set_verdict(name, confidence, right)

    def set_adversarial_verdict(self, name: str, confidence: float = 0.0, right: bool | None = None) -> None:
        """See `CloudView.set_verdict`."""
        self.adversarial.set_verdict(name, confidence, right)

    def set_stale(self, stale: bool, text: str = "") -> None:
        """Dim the adversarial picture while it does not belong to the controls."""
        self.adversarial.set_stale(stale, text)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _strip(self) -> QWidget:
        strip = QWidget()
        theme.role(strip, "panel")
        row = QHBoxLayout(strip)
        row.setContentsMargins(theme.SPACE_S, theme.SPACE_XS, theme.SPACE_S, theme.SPACE_XS)
        row.setSpacing(theme.SPACE_XS)
        viewpoint = _switch("camera", "Turn the camera", checkable=False)
        viewpoint.setMenu(self.viewpoints)
        viewpoint.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        row.addWidget(self.linked)
        row.addWidget(viewpoint)
        row.addStretch(1)
        caption = QLabel("displacement")
        theme.role(caption, "caption")
        for widget in (self.blink, self.overlay, self.vectors, caption, self.magnification):
            row.addWidget(widget)
        return strip

    def _connect(self) -> None:
        self.clean.cameraMoved.connect(self._clean_turned)
        self.adversarial.cameraMoved.connect(self._adversarial_turned)
        self.clean.pointHovered.connect(self.adversarial.mark)
        self.adversarial.pointHovered.connect(self.clean.mark)
        self.linked.toggled.connect(self._clean_turned)
        self.vectors.toggled.connect(self.adversarial.set_vectors)
        self.overlay.toggled.connect(self.adversarial.set_overlay)
        self.blink.pressed.connect(self._blink)
        self.blink.released.connect(self._blink)
        self.magnification.currentIndexChanged.connect(self._magnify)
        self.viewpoints.triggered.connect(self._look_from)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._focus_moved)

    def _clean_turned(self) -> None:
        if self.linked.isChecked():
            self.adversarial.set_camera(self.clean.camera())

    def _adversarial_turned(self) -> None:
        if self.linked.isChecked():
            self.clean.set_camera(self.adversarial.camera())

    def _look_from(self, action: QAction) -> None:
        for view in (self.clean, self.adversarial):
            view.look_from(action.text())

    def _blink(self) -> None:
        self.adversarial.set_origin_only(self.blink.isDown())

    def _hold(self, down: bool) -> None:
        self.blink.setDown(down)
        self._blink()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_B and not event.isAutoRepeat():
            self._hold(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_B and not event.isAutoRepeat():
            self._hold(False)
        else:
            super().keyReleaseEvent(event)

    def _focus_moved(self, _: QWidget | None, now: QWidget | None) -> None:
        """The key that is held will be let go elsewhere."""
        if self.blink.isDown() and (now is None or not self.isAncestorOf(now)):
            self._hold(False)

    def _magnify(self) -> None:
        self.adversarial.set_magnify(self.magnification.currentData())


def _switch(icon: str, purpose: str, *, checkable: bool = True, checked: bool = False) -> QToolButton:
    button = QToolButton(checkable=checkable, checked=checked, toolTip=purpose, accessibleName=purpose)
    theme.role(button, "flat")
    theme.set_icon(button, icon)
    return button


def _round_above(length: float) -> float:
    """The next of ... 0.01, 0.02, 0.05, 0.1 ... that is not below a length: a colour bar that seldom changes."""
    if length <= 0.001:
        return 0.001
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= length * (1.0 - 1e-6))
