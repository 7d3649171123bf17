"""The steps of the tour, in the order of a first session."""

from __future__ import annotations

import traceback
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.shell.application import make
from app.shell.notify import Severity
from app.tour.display import SIZE
from app.tour.driver import TourError, UiDriver
from app.workspaces.evaluation import EvaluationPanel
from app.workspaces.latents import LatentsPanel
from app.workspaces.training import TrainingPanel
from app.workspaces.transfer import TransferPanel


class Tour(UiDriver):
    """Goes through the program once; each step records what it did and what was shown."""

    def run(self) -> dict[str, Any]:
        """Run every step in order; the first that fails ends the tour. Returns the report."""
        application, window = make(["pointward"])
        self.attach(window)
        window.resize(*SIZE)
        window.move(0, 0)
        window.toasts.shown.connect(self._on_message)
        try:
            self._open()
            self._choose_shape()
            self._drag_until_it_flips()
            self._step_pgd()
            self._train()
            self._evaluate()
            self._map_latents()
            self._transfer()
            self._light()
        except TourError as error:
            self.errors.append(str(error))
            self.picture("failed")
        except Exception:
            self.errors.append(traceback.format_exc())
        finally:
            window.close()
            application.processEvents()
        ordered = sorted(self.latencies)
        return {
            "steps": self.steps,
            "slider_to_paint_ms": {
                "n": len(ordered),
                "median": _quantile(ordered, 0.5),
                "p95": _quantile(ordered, 0.95),
                "max": _quantile(ordered, 1.0),
                "all": [round(value, 1) for value in self.latencies],
            },
            "errors": self.errors,
        }

    def _on_message(self, severity: Severity, text: str) -> None:
        if severity is Severity.ERROR:
            self.errors.append(text)

    def _open(self) -> None:
        window = self.window
        self.wait_until(window.isVisible, "the window to appear", 10)
        window.activateWindow()  # no window manager does it here, and shortcuts need an active window
        self.wait_until(window.isActiveWindow, "the window to become active", 10)
        self.record_step("the window is painted")
        self.wait_until(lambda: window.store.scene is not None and window.store.scene.step > 0, "the first verdicts")
        self.record_step("a shape is attacked and three models give their verdicts", **self.scene_summary())
        self.wait_until(lambda: window.store.outcome is not None, "the outcome curve")
        self.wait_until(lambda: window.store.dataset is not None, "the built-in dataset")
        dataset = window.store.dataset
        assert dataset is not None
        self.record_step(
            "the built-in dataset is open", shapes=dict(dataset.card.splits), fingerprint=dataset.card.fingerprint
        )
        self.picture("start")

    def _choose_shape(self) -> None:
        library = self.window.library
        self.choose(library.classes, "chair")
        index = library.shapes.index(4)
        library.list.scrollTo(index)
        QTest.mouseClick(
            library.list.viewport(), Qt.MouseButton.LeftButton, pos=library.list.visualRect(index).center()
        )
        wanted = index.data(Qt.ItemDataRole.AccessibleTextRole)
        self.wait_until(lambda: self.scene_of(wanted), f"the verdicts on {wanted}")
        self.record_step(f"clicked {wanted} in the library", **self.scene_summary())
        self.picture("shape")

    def _drag_until_it_flips(self) -> None:
        """Drag the slider up from 0 until the attacked model is fooled, on the first chair where it is."""
        library, store = self.window.library, self.window.store
        for row in range(4, 16):
            if row > 4:
                library.move_by(1)
                wanted = library.shapes.index(row).data(Qt.ItemDataRole.AccessibleTextRole)
                self.wait_until(partial(self.scene_of, wanted), f"the verdicts on {wanted}")
            flip = self.drag(0.0, 0.3, stop_on_success=True)
            if flip is not None:
                scene = store.scene
                assert scene is not None
                self.record_step(
                    f"dragged epsilon to {flip:.3f}, where {store.primary} says "
                    f"{scene.setup.classes[scene.adversarial_confidence[scene.setup.primary].argmax()]}",
                    **self.scene_summary(),
                )
                self.picture("flipped")
                return
        raise TourError("No chair of the first twelve was misclassified at any epsilon up to 0.3.")

    def _step_pgd(self) -> None:
        window = self.window
        self.choose(window.attack.preset, "PGD")
        self.wait_until(lambda: self.settled(window.store.epsilon) and len(window.store.history) > 20, "PGD")
        self.key(Qt.Key.Key_R)
        self.wait_until(lambda: self.at_step(0), "the clean cloud")
        for count in range(1, 6):
            self.key(Qt.Key.Key_N)
            self.wait_until(partial(self.at_step, count), "a step")
        self.key(Qt.Key.Key_V)
        self.record_step("stepped PGD five times with the keyboard, displacement vectors on", **self.scene_summary())
        self.picture("pgd")
        self.key(Qt.Key.Key_V)

    def _train(self) -> None:
        window, panel = self.window, self.show_workspace("train")
        assert isinstance(panel, TrainingPanel)
        for field, value in (("epochs", 2), ("points", 128), ("clouds", 640)):
            self.type(panel.form, field, str(value))
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self.wait_until(lambda: panel.job is not None, "the training to start")
        self.drag(0.05, 0.1, stop_on_success=False)
        self.wait_until(lambda: panel.job is None, "two epochs")
        self.record_step(f"trained two epochs in the panel while dragging: {panel.status.text()}")
        self.picture("trained")
        models = len(window.store.models)
        self.wait_until(panel.load.isVisible, "the run in the list")
        QTest.mouseClick(panel.load, Qt.MouseButton.LeftButton)
        self.wait_until(lambda: len(window.store.models) > models, "the trained model")
        self.wait_until(lambda: self.settled(window.store.epsilon), "the new model's verdict")
        self.record_step(
            "loaded the trained model beside the others", models=[model.name for model in window.store.models]
        )
        self.picture("loaded")
        window.store.set_primary(window.store.models[0].name)
        self.wait_until(lambda: self.settled(window.store.epsilon), "the first model's verdict")

    def _evaluate(self) -> None:
        """Evaluate all models on a few clouds, and open a cloud of the largest off-diagonal confusion cell."""
        window, panel = self.window, self.show_workspace("evaluate")
        assert isinstance(panel, EvaluationPanel)
        self.choose(window.attack.preset, "FGSM")
        self.wait_until(lambda: self.settled(window.store.epsilon), "FGSM")
        self.type(panel.form, "clouds", "64")
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self.wait_until(lambda: panel.job is not None, "the evaluation to start")
        self.wait_until(lambda: panel.job is None, "the evaluation")
        result, view = panel.result, panel.view
        assert result is not None
        table = result.table()
        self.record_step(
            f"measured {len(table.rows)} models: {table.title}",
            accuracies={str(row[0]): [round(float(cell or 0), 1) for cell in (row[1], row[3])] for row in table.rows},
        )
        QTest.mouseClick(view.figures["confusion"], Qt.MouseButton.LeftButton)
        wrong = result.measurements[0].report.sides[1].confusion()
        wrong[range(len(wrong)), range(len(wrong))] = 0
        true, predicted = divmod(int(wrong.argmax()), len(wrong))
        cells = view.matrix.cells
        QTest.mouseClick(cells, Qt.MouseButton.LeftButton, pos=cells.cell(1, true, predicted).center())
        cloud = window.store.cloud
        assert cloud is not None
        self.wait_until(lambda: self.scene_of(cloud.name), f"the verdicts on {cloud.name}")
        self.record_step(f"clicked a cell: {view.pager.text}", **self.scene_summary())
        self.picture("evaluated")

    def _map_latents(self) -> None:
        panel = self.show_workspace("latents")
        assert isinstance(panel, LatentsPanel)
        self.type(panel.clouds_form, "clouds", "128")
        self.type(panel.form, "perplexity", "15")
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self.wait_until(lambda: panel.job is not None, "the map to start")
        self.wait_until(lambda: panel.job is None, "the map")
        self.record_step(f"made a t-SNE map: {panel.status.text()}")
        self.drag(0.0, 0.15, stop_on_success=False)
        self.record_step(
            "dragged epsilon, and the marker moved over the map",
            marker=None if panel.marker_position is None else panel.marker_position.tolist(),
        )
        self.picture("latents")
        figure, table = self.out / "latents.pdf", self.out / "latents.csv"
        panel.export_figure(figure)
        panel.export_figure(figure.with_suffix(".png"))
        panel.export_coordinates(table)
        self.record_step("exported the figure and its coordinates", files=[figure.name, "latents.png", table.name])

    def _transfer(self) -> None:
        """Attack clouds through the first model, show them to the others, and open a cloud of the first cell."""
        window, panel = self.window, self.show_workspace("transfer")
        assert isinstance(panel, TransferPanel)
        assert panel.setup is not None
        self.type(panel.setup.form, "samples", "16")
        self.type(panel.setup.form, "points", "128")
        panel.setup.attacks.tick(("m-gd", "fgsm"))
        QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
        self.wait_until(lambda: panel.job is not None, "the transfer experiment to start")
        self.wait_until(lambda: panel.job is None, "the transfer experiment")
        measures = panel.results.measures
        assert measures is not None
        self.record_step(
            f"attacked through {', '.join(measures.findings.surrogates)} and asked the others",
            success_rates=measures.mean_rates(),
        )
        rates = panel.results.map
        QTest.mouseClick(rates, Qt.MouseButton.LeftButton, pos=rates.cell(0, 0).center())
        cloud = window.store.cloud
        assert cloud is not None
        self.wait_until(lambda: self.scene_of(cloud.name), f"the verdicts on {cloud.name}")
        self.record_step(f"clicked a cell: {panel.results.pager.text}", **self.scene_summary())
        self.picture("transfer")

    def _light(self) -> None:
        self.window.actions_["theme_light"].trigger()
        self.record_step("switched to the light theme")
        self.picture("light")


def _quantile(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None
