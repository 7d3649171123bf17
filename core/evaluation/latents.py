"""The first paper's Figures 8 and 9: one t-SNE map of the latents of clean and adversarial test clouds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.datasets import Card, Split
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions
from core.evaluation.auto import AnyAttack
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.provenance import measurement_provenance
from core.evaluation.tsne import PURITY_NEIGHBOURS, Map, Separation, TsneOptions, separation, tsne
from core.events import Cancel, Done, Event, Note, Step, forward
from core.models import Classifier
from core.models.checkpoints import LoadedModel
from core.models.predict import predict
from core.options import Options, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float32]


class LatentOptions(Options):
    """Which clouds the map shows."""

    clouds: int = option(400, "Test clouds, drawn evenly from the split; each appears clean and adversarial.", low=16)
    points: int = option(1024, "Points of each cloud that the model sees.", unit="points", low=16, high=100_000)


@dataclass(frozen=True, eq=False)
class LatentMap:
    """A joint map of n clean clouds (first half) and their n adversarial versions (second half)."""

    map: Map
    latents: Floats
    """(2n, D)"""
    labels: NDArray[np.int64]
    """(2n,), true classes."""
    adversarial: NDArray[np.bool_]
    """(2n,)"""
    rows: NDArray[np.int64]
    """(2n,), row of each cloud in its split."""
    predicted: NDArray[np.int64]
    """(2n,), the model's verdicts."""
    latent_separation: tuple[Separation, Separation] | None = None
    """Of the clean and of the adversarial clouds in the latent space; None of a map on its way, or of few clouds."""
    map_separation: tuple[Separation, Separation] | None = None
    """The same in the map."""

    @property
    def accuracy(self) -> tuple[float, float]:
        """Share of right verdicts on the clean and on the adversarial clouds of the map."""
        right = self.predicted == self.labels
        return float(right[~self.adversarial].mean()), float(right[self.adversarial].mean())


def latent_map(
    model: Classifier,
    split: Split,
    attack: AnyAttack,
    options: LatentOptions,
    tsne_options: TsneOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack the chosen clouds, then fit one map of all latents.

    Yields ``Progress`` while attacking, ``Step`` with a ``LatentMap`` as the map forms (its first frames have no
    separation yet), and ``Done`` with the last one; stopped before the attack is over, ``Done(None)``.

    Raises
    ------
    ValueError
        If the model has no latent, or as ``tsne``.
    """
    if not predict(model, split.points[:1, : options.points]).latent.shape[1]:
        raise ValueError("This model shows no latent, so there is no map of it: choose another model.")
    chosen = EvaluationOptions(clouds=options.clouds, points=options.points, seed=tsne_options.seed)
    yield Note("attacking the test clouds")
    attacked = yield from forward(evaluate_accuracy(model, split, attack, chosen, cancel))
    if attacked.complete:
        yield from joint_map(attacked.value, tsne_options, cancel)
    else:
        yield Done(None, complete=False)


def joint_map(report: AccuracyReport, options: TsneOptions, cancel: Cancel | None = None) -> Iterator[Event]:
    """``latent_map`` of clouds that are attacked already."""
    clean, moved = report.sides
    latents = np.concatenate([side.latent for side in (clean, moved)])
    predicted = np.concatenate([side.prediction for side in (clean, moved)])
    labels, both = np.tile(clean.label, 2), np.tile(report.row, 2)
    adversarial = np.repeat([False, True], len(report.row))
    for event in tsne(latents, options, cancel):
        match event:
            case Step(index, total, map):
                yield Step(index, total, LatentMap(map, latents, labels, adversarial, both, predicted))
            case Done(map, complete):
                made = LatentMap(map, latents, labels, adversarial, both, predicted)
                if len(report.row) > PURITY_NEIGHBOURS:
                    made = replace(made, latent_separation=_separations(made, latents))
                    made = replace(made, map_separation=_separations(made, map.xy))
                yield Done(made, complete=complete)
            case _:
                yield event


def _separations(made: LatentMap, points: Floats) -> tuple[Separation, Separation]:
    clean, adversarial = (separation(points[half], made.labels[half]) for half in (~made.adversarial, made.adversarial))
    return clean, adversarial


@dataclass(frozen=True, eq=False)
class MapSource:
    """What a map was made of, for what is said of it in files."""

    model: LoadedModel
    dataset: Card
    attack: AnyAttack
    options: LatentOptions

    def provenance(self, made: LatentMap, **more: Any) -> dict[str, Any]:
        """What made the map; ``more`` are further options, by name."""
        options, complete = made.map.options, made.map.complete
        return measurement_provenance(
            [self.model],
            self.dataset,
            self.attack,
            seed=options.seed,
            complete=complete,
            clouds=self.options,
            tsne=options,
            **more,
        )

    def caption(self, made: LatentMap) -> str:
        """What a figure of the map shows: whose latents, under which attack, and in which space each number is."""
        t, half = made.map.options, len(made.labels) // 2
        text = (
            f"One t-SNE map of the latents of {half:,} clean test clouds of {self.dataset.name} "
            f"({self.options.points:,} points each) and their adversarial versions. Model {self.model.name}; "
            f"{self.attack.caption}, seed {t.seed}. t-SNE: perplexity {t.perplexity:g}, seed {t.seed}, KL "
            f"{made.map.kl:.2f} nats{'' if made.map.complete else f', stopped after {made.map.iterations} iterations'}."
        )
        if made.latent_separation is None or made.map_separation is None:
            return text
        spaces = {"the latent space": made.latent_separation, "this map": made.map_separation}
        parts = [
            f"in {space} {clean.silhouette:.2f} clean, {moved.silhouette:.2f} adversarial"
            for space, (clean, moved) in spaces.items()
        ]
        return f"{text} Silhouette of the classes: {'; '.join(parts)}."

    def figure(self, made: LatentMap) -> "Figure":
        """Figures 8 and 9 of the first paper, with accuracies above and the caption below the panels."""
        from core.figures import tsne_pair  # takes half a second to import

        clean, adversarial = (f"{100 * share:.1f} %" for share in made.accuracy)
        titles = (f"Clean (accuracy {clean})", f"Adversarial (accuracy {adversarial})")
        classes = self.model.card.classes
        return tsne_pair(made.map, made.labels, made.adversarial, classes, titles, caption=self.caption(made))


def coordinates(result: LatentMap, classes: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The map as the columns of a table: row in the split, kind, true and predicted class, place."""
    names = np.asarray(classes)
    return {
        "row": result.rows,
        "kind": np.where(result.adversarial, "adversarial", "clean"),
        "class": names[result.labels],
        "predicted": names[result.predicted],
        "x": result.map.xy[:, 0],
        "y": result.map.xy[:, 1],
    }
