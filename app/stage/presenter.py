"""Shows the store's clouds and verdicts in the pair view, and marks the picture while it is out of date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer

from app.stage.controller import AttackController
from app.store import Store
from app.views.pair import PairView, PointValues

if TYPE_CHECKING:
    from core.live import Colouring, Scene

NO_MAXIMUM = "critical points are not known here"
STALE_MS = 200  # after so long without the frame of the slider's epsilon the picture is dimmed and labelled


class PairPresenter(QObject):
    """Keeps the pair view in line with the store and the attack controller."""

    def __init__(self, pair: PairView, store: Store, controller: AttackController) -> None:
        super().__init__(pair)
        self._pair, self._store, self._controller = pair, store, controller
        self._top: float | None = None
        """The longest displacement at the end of the slider while it is dragged, so that colours keep one scale."""
        self._shown_name: tuple[str, object] | None = None
        self._stale_timer = QTimer(self, singleShot=True, interval=STALE_MS)
        self._stale_timer.timeout.connect(self._show_stale)
        store.sceneChanged.connect(self._show_scene)
        store.cloudChanged.connect(self._show_cloud)
        store.epsilonChanged.connect(self._show_freshness)
        controller.busyChanged.connect(self._show_freshness)

    def _show_cloud(self) -> None:
        """Show a cloud alone until there are predictions for it; the cameras see all of another cloud."""
        cloud = self._store.cloud
        name = (cloud.name, self._store.source.path if self._store.source is not None else None) if cloud else None
        if name != self._shown_name:
            self._shown_name = name
            self._pair.refit_cameras()
        self._pair.clean.set_fitting(cloud.fitting if cloud is not None else "")
        if self._store.scene is None:
            self._show_scene(None)

    def _show_scene(self, scene: Scene | None) -> None:
        if scene is None:
            cloud = self._store.cloud
            if cloud is None:
                self._pair.clear()
            else:
                self._pair.set_pair(cloud.points)
                for set_verdict in (self._pair.set_clean_verdict, self._pair.set_adversarial_verdict):
                    set_verdict("")
            self._show_freshness()
            return
        setup, names = scene.setup, scene.setup.classes
        true = setup.cloud.label
        values = _values(scene, self._store.colouring)
        missing = values is None and self._store.colouring == setup.colouring == "critical"
        note, longest = NO_MAXIMUM if missing else "", self._longest(scene)
        self._pair.set_pair(setup.cloud.points, scene.points, scene.origin, values, longest, note)
        clean, adversarial = (
            (names[best], float(confidences[best]), None if true is None else best == true)
            for confidences in (scene.clean_confidence[setup.primary], scene.adversarial_confidence[setup.primary])
            for best in [int(confidences.argmax())]
        )
        self._pair.set_clean_verdict(*clean, scene.notes[setup.primary])
        self._pair.set_adversarial_verdict(*adversarial, _target_note(scene))
        self._show_freshness()

    def _longest(self, scene: Scene) -> float | None:
        """While the slider is held, the longest displacement at its end, by the first frame; else None."""
        if not self._controller.dragging:
            self._top = None
        elif self._top is None and scene.epsilon > 0:
            longest = float(np.linalg.norm(scene.points - scene.origin, axis=1).max(initial=0.0))
            self._top = longest * scene.setup.attack.epsilon_scale.highest / scene.epsilon
        return self._top

    def _show_freshness(self) -> None:
        """Mark the picture if it is not of the slider's epsilon; a delay shorter than ``STALE_MS`` is not marked."""
        scene = self._store.scene
        if scene is not None and (scene.epsilon != self._store.epsilon or self._controller.busy):
            if not self._stale_timer.isActive():
                self._stale_timer.start()
            return
        self._stale_timer.stop()
        rescaled = scene is not None and not scene.exact
        self._pair.set_stale(rescaled, "the last attack, rescaled – let go to attack at this ε" if rescaled else "")

    def _show_stale(self) -> None:
        scene = self._store.scene
        if scene is not None and scene.epsilon != self._store.epsilon:
            shown, wanted = map(scene.setup.attack.epsilon_scale.text, (scene.epsilon, self._store.epsilon))
            self._pair.set_stale(True, f"shown: ε {shown} – computing {wanted}")
        elif self._controller.busy:
            self._pair.set_stale(True, "attacking…")


def _values(scene: Scene, colouring: Colouring) -> PointValues | None:
    """What gives the points their colours in place of displacements, if the scene has it."""
    if colouring == "gradient" and scene.gradient is not None:
        zeros = np.count_nonzero(scene.gradient == 0)
        return PointValues("‖∇‖", scene.gradient, f"no gradient at {zeros:,} of {len(scene.gradient):,}")
    if colouring == "critical" and scene.critical is not None and scene.clean_critical is not None:
        now, before = scene.critical > 0, scene.clean_critical > 0
        shared = min(len(now), len(before))
        both = np.count_nonzero(now[:shared] & before[:shared])
        return PointValues(
            "channels",
            scene.critical,
            f"{np.count_nonzero(now):,} critical, {both:,} kept",
            scene.clean_critical,
            f"{np.count_nonzero(before):,} of {len(before):,} critical",
        )
    return None


def _target_note(scene: Scene) -> str:
    """Whether a targeted attack has reached its target class; empty for an untargeted one."""
    setup = scene.setup
    if setup.attack.goal != "targeted" or setup.target is None or scene.step == 0:
        return ""
    reached = scene.adversarial_confidence[setup.primary].argmax() == setup.target
    return f"target {setup.classes[setup.target]} {'reached' if reached else 'not reached'}"
