"""What the pair view shows of the store, and whether that belongs to the slider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from app.stage.studio import Studio
from app.store import Store
from app.views.pair import PairView

if TYPE_CHECKING:
    from core.live import Scene

BEHIND_MS = 200  # a picture that has not caught up with the slider after this is dimmed and labelled


class PairPresenter(QObject):
    """Hands clouds and verdicts to the pair view, and dims it while it is behind."""

    def __init__(self, pair: PairView, store: Store, studio: Studio) -> None:
        super().__init__(pair)
        self._pair, self._store, self._studio = pair, store, studio
        self._behind = QTimer(self, singleShot=True, interval=BEHIND_MS)
        self._behind.timeout.connect(self._show_behind)
        store.sceneChanged.connect(self._show_scene)
        store.cloudChanged.connect(self._show_cloud)
        store.epsilonChanged.connect(self._show_freshness)
        studio.busyChanged.connect(self._show_freshness)

    def _show_cloud(self) -> None:
        """Show a cloud alone until a model has answered about it."""
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
        self._pair.set_pair(setup.cloud.points, scene.points)
        for set_verdict, answer in (
            (self._pair.set_clean_verdict, scene.clean[setup.primary]),
            (self._pair.set_adversarial_verdict, scene.adversarial[setup.primary]),
        ):
            best = int(answer.argmax())
            set_verdict(names[best], float(answer[best]), None if true is None else best == true)
        self._show_freshness()

    def _show_freshness(self) -> None:
        """Say whether the picture belongs to the slider; one that is only a frame behind is not dimmed."""
        scene = self._store.scene
        if scene is not None and (scene.epsilon != self._store.epsilon or self._studio.busy):
            if not self._behind.isActive():
                self._behind.start()
            return
        self._behind.stop()
        rescaled = scene is not None and not scene.exact
        self._pair.set_stale(rescaled, "the last attack, rescaled – let go to attack at this ε" if rescaled else "")

    def _show_behind(self) -> None:
        scene = self._store.scene
        if scene is not None and scene.epsilon != self._store.epsilon:
            self._pair.set_stale(True, f"shown: ε {scene.epsilon:.3f} – computing {self._store.epsilon:.3f}")
        elif self._studio.busy:
            self._pair.set_stale(True, "attacking…")
