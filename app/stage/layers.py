"""At which layer of the attacked model the activations of the adversarial cloud part from those of the clean one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.jobs import LatestRequestWorker
from app.shell import theme
from app.shell.widgets import Label, button
from app.stage.controller import AttackController
from app.store import Store
from app.views.layer_bars import LayerBars
from core.events import Cancel

if TYPE_CHECKING:
    from core.evaluation.layers import LayerDifferences
    from core.live import Scene

EXPLANATION = (
    "Bars: how much the activations of each layer differ between the two clouds, ‖A(x′) − A(x)‖ / ‖A(x)‖. Marks: the "
    "range of the same over eight random displacements of the same lengths. Numbers: the bar over the mean of these."
)
DELAY_MS = 200  # after the last change of the scene


class LayersDialog(QDialog):
    """Follows the shown clouds while it is open beside the window, except while the slider is held."""

    def __init__(self, store: Store, controller: AttackController, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Layers")
        self.resize(620, 640)
        self._store, self._controller = store, controller
        self._scene: Scene | None = None
        """The scene whose layers are compared."""
        self.differences: LayerDifferences | None = None
        self.headline = Label(role="title", wrap=True)
        self.bars = LayerBars()
        self.copy = button("Copy", "copy", self._copy, tip="Copy all rows as a table")
        self.copy.setAutoDefault(False)
        content, area = QWidget(), QScrollArea(widgetResizable=True)
        area.setAccessibleName("Differences of the layers")
        area.setFrameShape(QFrame.Shape.NoFrame)
        theme.set_role(content, "content")
        rows = QVBoxLayout(content)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.bars)
        rows.addStretch(1)
        area.setWidget(content)
        foot, column = QHBoxLayout(), QVBoxLayout(self)
        foot.addWidget(Label(EXPLANATION, "caption", wrap=True), 1)
        foot.addWidget(self.copy)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_M, theme.SPACE_M, theme.SPACE_M)
        column.setSpacing(theme.SPACE_M)
        column.addWidget(self.headline)
        column.addWidget(area, 1)
        column.addLayout(foot)
        self._worker = LatestRequestWorker(parent=self)
        self._worker.start()  # with the window, as it ends with it
        self._worker.ready.connect(lambda _key, _number, result: self._show_result(result))
        self._worker.failed.connect(lambda _key, _number, sentence, _trace: self._show_text(sentence))
        self._cancel = Cancel()
        """Of the present request."""
        self._timer = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._timer.timeout.connect(self._compute)
        store.sceneChanged.connect(self._follow)
        controller.busyChanged.connect(self._follow)
        self.finished.connect(self._stop)

    def close_threads(self) -> bool:
        """End the worker thread, before the application quits. Returns whether it has ended."""
        self._stop()
        return self._worker.close()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._compute()

    def _stop(self) -> None:
        """End what is computed, and show none of it."""
        self._cancel.request()
        self._worker.discard("layers")

    def _follow(self) -> None:
        if self.isVisible():
            self._stop()  # the slider needs the processor
            self._timer.start()

    def _compute(self) -> None:
        """Compare the activations for the shown clouds, once they are those of the slider's epsilon."""
        scene = self._store.scene
        if not self.isVisible() or self._controller.busy or self._controller.dragging:
            return
        if scene is None:
            self._show_text("Nothing is attacked yet.")
            return
        if not scene.displacement.any():
            self._show_text("The two clouds are the same: attack the shape first.")
            return
        from core.evaluation.layers import layer_differences

        self._scene, self._cancel = scene, Cancel()
        setup, state = scene.setup, scene.state
        adversarial = state.adversarial if setup.attack.over(state) else state.current
        model = setup.models[setup.primary].module
        self._worker.submit("layers", layer_differences, model, state.clean, adversarial, setup.seed, self._cancel)

    def _show_text(self, text: str) -> None:
        """Show a sentence and no layers."""
        self._stop()
        self.differences = None
        self.headline.setText(text)
        self.bars.set_layers((), (), np.empty((1, 0)))
        self.copy.setEnabled(False)

    def _show_result(self, result: LayerDifferences | None) -> None:
        scene = self._scene
        if scene is None:
            return
        title = scene.setup.models[scene.setup.primary].card.title
        if result is None:
            self._show_text(f"{title} has no layers that can be watched: it is a graph or a function.")
            return
        self.differences = result
        if result.parting is None:
            text = (
                f"In {title} the clouds do not part: its last layer differs no more than random displacements make it."
            )
        else:
            name, ratio = result.names[result.parting], result.ratio[-1]
            much = "where noise changes nothing" if np.isnan(ratio) else f"{ratio:.1f} times as much as for noise"
            text = f"In {title} the clouds part at {name}. Its last layer differs {much}."
        self.headline.setText(text)
        self.bars.set_layers(result.names, result.adversarial, result.noise, result.parting)
        self.copy.setEnabled(True)

    def _copy(self) -> None:
        result = self.differences
        if result is not None:
            noise = result.noise
            rows = np.stack([result.adversarial, noise.min(0), noise.mean(0), noise.max(0), result.ratio], axis=1)
            lines = ["layer\tadversarial\tleast noise\tmean noise\tmost noise\tratio"]
            lines += [
                "\t".join([name, *(f"{value:.6g}" for value in row)])
                for name, row in zip(result.names, rows, strict=True)
            ]
            QGuiApplication.clipboard().setText("\n".join(lines))
