"""The Latents tab: a t-SNE map of clean and adversarial latents, with the present cloud's place in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.jobs import JobList, Status
from app.shell import theme
from app.shell.parts import button, trade_places
from app.store import SPLIT, Store
from app.views.scatter import MapView
from app.workspaces.jobpanel import JobPanel
from core.clouds import SHOWN
from core.events import Cancel, Event, Note, Progress, Step

if TYPE_CHECKING:
    from core.datasets import Dataset
    from core.evaluation.latents import LatentMap, MapSource
    from core.evaluation.tsne import Placer
    from core.live import Scene


@dataclass(frozen=True, eq=False)
class _About:
    """What a map shows."""

    wanted: tuple[object, ...]
    dataset: Dataset
    epsilon: float


class LatentsPanel(JobPanel):
    """Fit the map of the attacked model's latents; export it; open a point's cloud; follow the slider."""

    def __init__(self, store: Store, jobs: JobList, parent: QWidget | None = None) -> None:
        super().__init__(store, jobs, parent)
        self.result: LatentMap | None = None
        self._placer: Placer | None = None
        self.place: np.ndarray | None = None
        """(2,), where the present cloud's latent falls in the map."""
        self._made: _About | None = None
        """Of the result."""
        self._making: _About | None = None
        self._drawn: tuple[LatentMap, _About] | None = None
        """The map that is on the screen."""
        self.start = button("Make the map", "latents", self.begin, role="primary")
        self.stop = button("Stop and keep", "stop", self._stop)
        self.figure = button(
            "Export figure…", "export", self._ask_figure, tip="The pair of Figures 8 and 9 as PNG, SVG or PDF"
        )
        self.coordinates = button("Export coordinates…", "export", self._ask_coordinates)
        self.map = MapView()
        self.map.picked.connect(self._open)

        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_S)
        for made in (self.start, self.stop, self.figure, self.coordinates):
            buttons.addWidget(made)
        buttons.addWidget(self.status, 1)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(theme.SPACE_M, theme.SPACE_S, theme.SPACE_M, theme.SPACE_S)
        column.addLayout(buttons)
        column.addWidget(self.map, 1)
        self._lay_out("latents", 260, right)
        store.sceneChanged.connect(self._follow)
        for changed in (self.jobChanged, store.datasetChanged, store.modelsChanged, store.attackChanged):
            changed.connect(self._show)
        self._show()

    def fill(self) -> None:
        """Make the forms; core's options are loaded by now."""
        from app.shell.forms import OptionsForm
        from core.evaluation.latents import LatentOptions
        from core.evaluation.tsne import TsneOptions

        self.clouds_form, self.form = OptionsForm(LatentOptions), OptionsForm(TsneOptions)
        both = QWidget()
        column = QVBoxLayout(both)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.clouds_form)
        column.addWidget(self.form)
        column.addStretch(1)
        for form in (self.clouds_form, self.form):
            form.changed.connect(self._show)
        self._form_place.setWidget(both)
        self._show()

    def begin(self) -> None:
        """Attack the test clouds with the present attack, then fit the map."""
        from core.evaluation.latents import latent_map

        store, model = self._store, self._store.primary_model
        wanted = self._wanted()
        if self.job is not None or wanted is None or model is None or store.dataset is None:
            return
        if model.card.classes != store.dataset.card.classes:
            self.failed.emit(
                f"{model.card.title} knows other classes than {store.dataset.card.name}: "
                "attack a model that was trained on this dataset."
            )
            return
        if store.attack is not None and store.attack.objective == "targeted":
            self.failed.emit("The map shows untargeted attacks: set the goal above to untargeted first.")
            return
        _, split, attack, options, tsne_options = wanted
        attack = attack.at(store.epsilon)
        self._making, cancel = _About(wanted, store.dataset, store.epsilon), Cancel()
        job = self._jobs.submit(
            "t-SNE map",
            lambda: latent_map(model.module, split, attack, options, tsne_options, cancel),
            cancel,
            unit="iterations",
        )
        job.events.connect(self._watch)
        self._take(job, self._finished, self._finished, self._refused)

    def export_figure(self, path: Path) -> None:
        """Write the figure pair; PNG, SVG or PDF by the path's ending."""
        from core.figures import save

        assert self.result is not None
        source = self._source()
        save(source.figure(self.result), path, source.provenance(self.result, split=SPLIT), source.caption(self.result))

    def export_coordinates(self, path: Path) -> None:
        """Write the map as CSV: place, class, verdict and kind of every point; and beside it how it was made."""
        from core.evaluation.latents import coordinates
        from core.results.records import write_csv, write_provenance

        assert self.result is not None
        write_csv(path, coordinates(self.result, self.classes))
        write_provenance(path, self._source().provenance(self.result, split=SPLIT))

    def _source(self) -> MapSource:
        """What the finished map was made of."""
        from core.evaluation.latents import MapSource

        assert self._made is not None
        model, _, attack, options, _ = self._made.wanted
        return MapSource(model, self._made.dataset.card, attack.at(self._made.epsilon), options)

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the map that is shown."""
        return () if self._drawn is None else tuple(self._drawn[1].dataset.card.classes)

    def _wanted(self) -> tuple[object, ...] | None:
        """What a map made now would show; None while something is missing or wrong."""
        store = self._store
        if store.dataset is None or store.attack is None or self._form_place.widget() is None:
            return None
        options, tsne_options = self.clouds_form.value(), self.form.value()
        if options is None or tsne_options is None:
            return None
        return store.primary_model, store.dataset.split(SPLIT), store.attack, options, tsne_options

    def _watch(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Step(index, total, result):
                    self._draw(result, self._making)
                    self.map.set_busy(f"iteration {index} of {total} · KL {result.map.kl:.3f} nat")
                case Progress(done, total, text):
                    self.map.set_busy(f"{done} of {total} {text}" if done else text)
                case Note(text):
                    self.map.set_busy(text)

    def _finished(self, result: LatentMap | None) -> None:
        """Show the map; where there is none, the one before."""
        self.job = None
        self.map.set_busy(None)
        if result is not None:
            self.result, self._made = result, self._making
        if self.result is not None:
            from core.evaluation.tsne import Placer

            self._draw(self.result, self._made)
            self._placer = Placer(self.result.latents, self.result.map)
            self._follow(self._store.scene)
        else:
            self._drawn = None
            self.map.set_map(np.empty((0, 2)), (), (), ())
        self._show()

    def _refused(self, sentence: str, _: str) -> None:
        self._finished(None)
        self.failed.emit(sentence)

    def _draw(self, result: LatentMap, about: _About | None) -> None:
        assert about is not None
        self._drawn = result, about
        self._placer = None
        self.place = None
        self.map.set_marker(None)
        self.map.set_map(result.map.xy, result.labels, result.adversarial, self.classes)

    def _follow(self, scene: Scene | None) -> None:
        """Move the marker to where the present cloud's latents fall in the fixed map."""
        if self._placer is None or scene is None or self._made is None:
            return
        if self._made.wanted[0] is not scene.setup.models[scene.setup.primary]:
            self.place = None
            self.map.set_marker(None)
            return
        self.place, clean = self._placer.place(np.stack([scene.latent, scene.latent_clean]))
        self.map.set_marker(self.place, clean)

    def _open(self, index: int) -> None:
        """Open the cloud of a point of the map."""
        if self._drawn is not None:
            result, about = self._drawn
            self._store.set_cloud(about.dataset.cloud(SPLIT, int(result.rows[index]), SHOWN))

    def _show(self, *_: object) -> None:
        running = self.job is not None
        finished = self.result is not None and not running
        trade_places(*((self.start, self.stop) if running else (self.stop, self.start)))
        self.start.setEnabled(self._wanted() is not None)
        self.start.setText("Make the map again" if finished else "Make the map")
        self.stop.setEnabled(self.job is not None and self.job.status is not Status.STOPPING)
        for made in (self.figure, self.coordinates):
            made.setEnabled(finished)
        self.map.set_stale(finished and self._made is not None and self._wanted() != self._made.wanted)
        if running:
            self.status.setText("Making the map…")
        elif self.result is not None and self._made is not None:
            result = self.result
            right, moved = (100 * share for share in result.accuracy)
            text = f"{len(result.labels) // 2} clouds, ε {self._made.epsilon:.3f} · "
            text += f"accuracy {right:.1f} % clean, {moved:.1f} % adversarial"
            if result.latent_separation is not None:
                clean, adversarial = result.latent_separation
                text += (
                    f" · in the latent space: silhouette {clean.silhouette:.2f} → {adversarial.silhouette:.2f}, "
                    f"neighbour purity {100 * clean.purity:.0f} → {100 * adversarial.purity:.0f} %"
                )
            self.status.setText(text)
        else:
            self.status.setText("A joint map of the attacked model's 1024-D latents, clean and adversarial.")

    def _ask_figure(self) -> None:
        self._save("Export figure", "latents.pdf", "*.pdf *.svg *.png", self.export_figure)

    def _ask_coordinates(self) -> None:
        self._save("Export coordinates", "latents.csv", "*.csv", self.export_coordinates)
