"""The Latents workspace: a t-SNE map of clean and adversarial latents, with the position of the shown cloud in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.jobs import JobList
from app.store import SPLIT, Store
from app.views.map_points import NO_POINTS, MapPoints
from app.views.scatter import MapView
from app.workspaces.base import Workspace
from app.workspaces.latent_picks import LatentPicks
from core.clouds import SHOWN
from core.datasets.matching import matched, presence
from core.events import Cancel, Event, Note, Progress, Step

if TYPE_CHECKING:
    from app.shell.forms import OptionsForm
    from core.attacks import Attack
    from core.datasets import Dataset, Split
    from core.evaluation.latents import LatentMap, LatentOptions, MapSource
    from core.evaluation.placement import Placer
    from core.evaluation.tsne import TsneOptions
    from core.live import Scene
    from core.models.checkpoints import LoadedModel


UNBROKEN = "\N{NO-BREAK SPACE}"  # no line ends there


class _Settings(NamedTuple):
    """Everything that determines a map except epsilon."""

    model: LoadedModel
    split: Split
    attack: Attack
    options: LatentOptions
    tsne_options: TsneOptions


@dataclass(frozen=True, eq=False)
class _MapRequest:
    """Everything that a map was made with."""

    settings: _Settings
    dataset: Dataset
    epsilon: float


class LatentsPanel(Workspace):
    """Fit and export the map of the attacked model's latents; open the cloud of a point; follow the slider."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        tip = "End now; the map is that of the last iteration"
        stale = "settings changed – make the map again"
        super().__init__(store, jobs, name="latents", icon="latents", stop_tip=tip, stale=stale, parent=parent)
        self.result: LatentMap | None = None
        self._placer: Placer | None = None
        self.marker_position: np.ndarray | None = None
        """(2,), position of the shown cloud's latent in the map."""
        self._result_request: _MapRequest | None = None
        """Request of ``result``."""
        self._running_request: _MapRequest | None = None
        self._shown: tuple[LatentMap, _MapRequest] | None = None
        """The map on the screen and its request; while a map is being fitted, its latest iteration."""
        self.picks = LatentPicks()
        self.picks.chosen.connect(self._open)
        self.picks.closed.connect(self._close_picks)
        self.map = MapView(
            "Choose a model on the right and press “Make the map”. F9 has its options.", self.picks.picture
        )
        self.map.picked.connect(self._pick)
        self.map.lassoed.connect(self._show_lasso)

        self.set_exports({"Figure…": self._choose_figure, "Coordinates…": self._choose_coordinates})
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.map, 1)
        column.addWidget(self.picks)
        self._lay_out(content, 260)
        store.sceneChanged.connect(self._update_marker)
        for changed in (store.datasetChanged, store.modelsChanged, store.attackChanged):
            changed.connect(self._update)
        self._update()

    @property
    def start_text(self) -> str:
        return "Make the map again" if self.result is not None and self.job is None else "Make the map"

    @property
    def has_result(self) -> bool:
        return self.result is not None

    @property
    def is_stale(self) -> bool:
        request = self._result_request
        return self.job is None and request is not None and self._chosen() != request.settings

    def build_forms(self) -> None:
        from app.shell.forms import OptionsForm, align_fields
        from core.evaluation.latents import LatentOptions
        from core.evaluation.tsne import TsneOptions

        self.clouds_form, self.form = OptionsForm(LatentOptions), OptionsForm(TsneOptions)
        align_fields(self.clouds_form, self.form)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.clouds_form)
        column.addWidget(self.form)
        column.addStretch(1)
        for form in (self.clouds_form, self.form):
            form.changed.connect(self._update)
            form.changed.connect(self.choicesChanged)
        self._form_area.setWidget(content)
        self._update()

    @property
    def forms(self) -> Mapping[str, OptionsForm[Any]]:
        built = self._form_area.widget() is not None
        return {"clouds": self.clouds_form, "t-SNE": self.form} if built else {}

    def begin(self) -> None:
        """Start to attack test clouds with the present attack and to fit the map."""
        from core.evaluation.latents import latent_map

        if self.job is not None or not self.can_start:
            return
        try:
            request = self._request()
        except ValueError as error:
            self._refuse(str(error))
            return
        model, _, attack, options, tsne_options = request.settings
        attack, split = attack.at(request.epsilon), request.dataset.split(SPLIT)
        self._running_request, cancel = request, Cancel()
        job = self._jobs.submit(
            "Latent map",
            lambda: latent_map(model.module, split, attack, options, tsne_options, cancel),
            cancel,
            unit="clouds",
            step_unit="iterations",
        )
        job.events.connect(self._on_events)
        self._track(job, self._on_finished, self._on_finished, self._on_failed)

    def export_figure(self, path: Path) -> None:
        """Write the pair of figures as PNG, SVG or PDF, by the extension of the path."""
        from core.figures import save

        assert self.result is not None
        source = self._source()
        save(source.figure(self.result), path, source.provenance(self.result, split=SPLIT), source.caption(self.result))

    def export_coordinates(self, path: Path) -> None:
        """Write the map as CSV: position, class, prediction and kind of every point; and its provenance beside it."""
        from core.evaluation.latents import coordinates
        from core.results.records import write_csv, write_provenance

        assert self.result is not None
        write_csv(path, coordinates(self.result, self.classes))
        write_provenance(path, self._source().provenance(self.result, split=SPLIT))

    def _source(self) -> MapSource:
        """What the finished map was made of."""
        from core.evaluation.latents import MapSource

        request = self._result_request
        assert request is not None
        model, _, attack, options, _ = request.settings
        return MapSource(model, request.dataset.card, attack.at(request.epsilon), options)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the map on the screen."""
        return () if self._shown is None else tuple(self._shown[1].dataset.card.classes)

    def _chosen(self) -> _Settings | None:
        """What a map fitted now would be made of; None while something is missing or invalid."""
        store, model = self._store, self._store.primary_model
        if store.dataset is None or model is None or store.attack is None or self._form_area.widget() is None:
            return None
        options, tsne_options = self.clouds_form.value(), self.form.value()
        if options is None or tsne_options is None:
            return None
        return _Settings(model, store.dataset.split(SPLIT), store.attack, options, tsne_options)

    def _request(self) -> _MapRequest:
        """What a map that is begun now is made with.

        Raises
        ------
        ValueError
            If it cannot be made.
        """
        settings, dataset = self._chosen(), self._store.dataset
        assert settings is not None
        assert dataset is not None
        if settings.attack.goal == "targeted":
            raise ValueError("The map shows untargeted attacks: set the goal under the shapes to untargeted first.")
        return _MapRequest(settings, matched(dataset, settings.model.card.classes), self._store.epsilon)

    def commands(self) -> list[str]:
        from core.commands.words import tsne_line

        request, store = self._request(), self._store
        model, _, attack, options, tsne_options = request.settings
        attack, card = attack.at(request.epsilon), request.dataset.card
        return [tsne_line(model, card, store.data_root, store.preset, attack, options, tsne_options)]

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Step(index, total, result):
                    self._draw(result, self._running_request)
                    self.map.set_busy(f"iteration {index:,} of {total:,} · KL {result.map.kl:.3f} nat")
                case Progress(done, total, text):
                    self.map.set_busy(f"{done:,} of {total:,} {text}" if done else text)
                case Note(text):
                    self.map.set_busy(text)

    def _on_finished(self, result: LatentMap | None) -> None:
        """Show the map; if there is none, the previous one."""
        self.job = None
        self.map.set_busy(None)
        if result is not None:
            self.result, self._result_request = result, self._running_request
        if self.result is not None:
            from core.evaluation.placement import Placer

            self._draw(self.result, self._result_request)
            self._placer = Placer(self.result.latents, self.result.map)
            self._update_marker(self._store.scene)
        else:
            self._shown = None
            self.picks.set_map(None, None, ())
            self._close_picks()
            self.map.set_map(NO_POINTS)
        self._update()

    def _on_failed(self, _: str) -> None:
        self._on_finished(None)

    def _draw(self, result: LatentMap, request: _MapRequest | None) -> None:
        assert request is not None
        if self._shown is None or self._shown[1] is not request:
            self._close_picks()
        self._shown = result, request
        self._placer = None
        self.marker_position = None
        self.map.set_marker(None)
        self.picks.set_map(result, request.dataset.split(SPLIT), self.classes)
        self.map.set_map(
            MapPoints(
                result.map.xy, result.labels, result.adversarial, result.predicted, result.rows, classes=self.classes
            )
        )

    def _update_marker(self, scene: Scene | None) -> None:
        """Place the latents of the shown cloud in the fixed map, and move the marker there."""
        if self._placer is None or scene is None or self._result_request is None:
            return
        if self._result_request.settings.model != scene.setup.models[scene.setup.primary]:
            self.marker_position = None
            self.map.set_marker(None)
            return
        self.marker_position, clean = self._placer.place(np.stack([scene.adversarial_latent, scene.clean_latent]))
        self.map.set_marker(self.marker_position, clean)

    def _pick(self, index: int) -> None:
        """Open the cloud of a point, and show its nearest neighbours."""
        self._open(index)
        self.map.set_links(index, self.picks.show_neighbours(index))

    def _show_lasso(self, indices: NDArray[np.int64]) -> None:
        self.map.set_links(0, ())
        self.picks.show_lasso(indices)

    def _close_picks(self) -> None:
        self.map.clear_lasso()
        self.map.set_links(0, ())
        self.picks.hide()

    def _open(self, index: int) -> None:
        """Open the cloud of a point of the map."""
        if self._shown is not None:
            result, request = self._shown
            self._store.set_cloud(request.dataset.cloud(SPLIT, int(result.rows[index]), SHOWN))

    def _update(self, *_: object) -> None:
        super()._update()
        self.map.set_stale(self.is_stale)
        if self.job is not None:
            self.status.setText("Making the map…")
        elif self.result is not None and self._result_request is not None:
            result = self.result
            clean_share, adversarial_share = (100 * share for share in result.accuracy)
            request = self._result_request
            budget = request.settings.attack.epsilon_scale.text(request.epsilon)
            text = f"{len(result.labels) // 2:,} clouds, ε {budget} · "
            text += f"accuracy {clean_share:.1f} % clean, {adversarial_share:.1f} % adversarial"
            classes = self._result_request.dataset.card.classes
            if len(np.unique(result.labels)) < len(classes):
                text += f" · {presence(result.labels, classes)}"
            if result.latent_separation is not None:
                clean, adversarial = result.latent_separation
                text += (
                    f" · in the latent space: silhouette {clean.silhouette:.2f} → {adversarial.silhouette:.2f}, "
                    f"neighbour purity {100 * clean.purity:.0f} → {100 * adversarial.purity:.0f} %"
                )
            self.status.setText(text.replace(" %", f"{UNBROKEN}%").replace(" → ", f"{UNBROKEN}→{UNBROKEN}"))
        else:
            self.status.setText("A joint map of the attacked model's 1024-D latents, clean and adversarial.")

    def _choose_figure(self) -> None:
        self._export("Export figure", "latents.pdf", "*.pdf *.svg *.png", self.export_figure)

    def _choose_coordinates(self) -> None:
        self._export("Export coordinates", "latents.csv", "*.csv", self.export_coordinates)
