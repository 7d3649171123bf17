"""One t-SNE map of the latents of clean and adversarial test clouds, as in Figures 8 and 9 of the first paper."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.datasets import Card, Split
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions, chosen_clouds
from core.evaluation.auto import AnyAttack
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.provenance import measurement_provenance
from core.evaluation.separation import PURITY_NEIGHBOURS, Separation, separation
from core.evaluation.tsne import Map, TsneOptions, tsne
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
    """(2n, D), latents of the clouds."""
    labels: NDArray[np.int64]
    """(2n,), true classes."""
    adversarial: NDArray[np.bool_]
    """(2n,), whether the cloud is adversarial."""
    rows: NDArray[np.int64]
    """(2n,), row of each cloud in its split."""
    predicted: NDArray[np.int64]
    """(2n,), predicted classes."""
    latent_separation: tuple[Separation, Separation] | None = None
    """Separation of the clean and of the adversarial clouds in the latent space; None for an unfinished map, and for
    one with at most ``PURITY_NEIGHBOURS`` clouds of each kind."""
    map_separation: tuple[Separation, Separation] | None = None
    """The same for their positions in the map."""

    @property
    def accuracy(self) -> tuple[float, float]:
        """Accuracy on the clean and on the adversarial clouds of the map."""
        correct = self.predicted == self.labels
        return float(correct[~self.adversarial].mean()), float(correct[self.adversarial].mean())

    def neighbours(self, index: int, count: int) -> tuple[NDArray[np.int64], Floats]:
        """Indices and Euclidean distances, both (count,), of the latents nearest to that of a point, without itself.

        Fewer if the map has no more points.
        """
        distances = np.linalg.norm(self.latents - self.latents[index], axis=1)
        distances[index] = np.inf
        nearest = np.argsort(distances, kind="stable")[: min(count, len(distances) - 1)]
        return nearest, distances[nearest]


def latent_map(
    model: Classifier,
    split: Split,
    attack: AnyAttack,
    options: LatentOptions,
    tsne_options: TsneOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack the chosen clouds, then fit one map of all latents.

    Yields
    ------
    ``Progress`` during the attack, then ``Step`` with a ``LatentMap`` (without separations) every few iterations of the
    fit, and ``Done`` with the last one; None if it was cancelled during the attack.

    Raises
    ------
    ValueError
        If the model has no latent, or as ``chosen_clouds`` and ``tsne``.
    """
    chosen = EvaluationOptions(clouds=options.clouds, points=options.points, seed=tsne_options.seed)
    first = chosen_clouds(split, chosen)[:1]
    if not predict(model, split.samples(first, options.points)).latent.shape[1]:
        raise ValueError("This model shows no latent, so there is no map of it: choose another model.")
    yield Note("attacking the test clouds")
    attacked = yield from forward(evaluate_accuracy(model, split, attack, chosen, cancel))
    if attacked.complete:
        yield from joint_map(attacked.value, tsne_options, cancel)
    else:
        yield Done(None, complete=False)


def joint_map(report: AccuracyReport, options: TsneOptions, cancel: Cancel | None = None) -> Iterator[Event]:
    """Fit one map of the latents in a report on clean and adversarial clouds; yields as ``latent_map``."""
    latents = np.concatenate([side.latent for side in report.sides])
    predicted = np.concatenate([side.prediction for side in report.sides])
    labels, rows = np.tile(report.clean.label, 2), np.tile(report.row, 2)
    adversarial = np.repeat([False, True], len(report.row))
    for event in tsne(latents, options, cancel):
        match event:
            case Step(index, total, map):
                yield Step(index, total, LatentMap(map, latents, labels, adversarial, rows, predicted))
            case Done(map, complete):
                finished = LatentMap(map, latents, labels, adversarial, rows, predicted)
                if len(report.row) > PURITY_NEIGHBOURS:
                    finished = replace(
                        finished,
                        latent_separation=_separations(finished, latents),
                        map_separation=_separations(finished, map.xy),
                    )
                yield Done(finished, complete=complete)
            case _:
                yield event


def _separations(latent_map: LatentMap, points: Floats) -> tuple[Separation, Separation]:
    """Separation of the clean and of the adversarial clouds among ``points`` (2n, d), latents or positions."""
    adversarial, labels = latent_map.adversarial, latent_map.labels
    of_clean, of_adversarial = (separation(points[half], labels[half]) for half in (~adversarial, adversarial))
    return of_clean, of_adversarial


@dataclass(frozen=True, eq=False)
class MapSource:
    """The model, dataset, attack and options of a map, for its provenance, caption and figure."""

    model: LoadedModel
    dataset: Card
    attack: AnyAttack
    options: LatentOptions

    def provenance(self, result: LatentMap, **more: Any) -> dict[str, Any]:
        """Provenance of the map; ``more`` are further options, by name."""
        options, complete = result.map.options, result.map.complete
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

    def caption(self, result: LatentMap) -> str:
        """Caption of the map: model, attack, options, and the separations in the latent space and the map."""
        t, half = result.map.options, len(result.labels) // 2
        stopped = "" if result.map.complete else f", stopped after {result.map.iterations} iterations"
        text = (
            f"One t-SNE map of the latents of {half:,} clean test clouds of {self.dataset.name} "
            f"({self.options.points:,} points each) and their adversarial versions. Model {self.model.name}; "
            f"{self.attack.caption}, seed {t.seed}. t-SNE: perplexity {t.perplexity:g}, seed {t.seed}, KL "
            f"{result.map.kl:.2f} nats{stopped}."
        )
        if result.latent_separation is None or result.map_separation is None:
            return text
        spaces = {"the latent space": result.latent_separation, "this map": result.map_separation}
        parts = [
            f"in {space} {clean.silhouette:.2f} clean, {adversarial.silhouette:.2f} adversarial"
            for space, (clean, adversarial) in spaces.items()
        ]
        return f"{text} Silhouette of the classes: {'; '.join(parts)}."

    def figure(self, result: LatentMap) -> "Figure":
        """The map as in Figures 8 and 9 of the first paper, with accuracies in the titles and a caption."""
        from core.figures import tsne_pair  # takes half a second to import

        clean, adversarial = (f"{100 * share:.1f} %" for share in result.accuracy)
        titles = (f"Clean (accuracy {clean})", f"Adversarial (accuracy {adversarial})")
        classes = self.model.card.classes
        return tsne_pair(result.map, result.labels, result.adversarial, classes, titles, caption=self.caption(result))


def coordinates(result: LatentMap, classes: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """Columns of a table of the map: index in the split, kind, true and predicted class, and position of each cloud."""
    names = np.asarray(classes)
    return {
        "row": result.rows,
        "kind": np.where(result.adversarial, "adversarial", "clean"),
        "class": names[result.labels],
        "predicted": names[result.predicted],
        "x": result.map.xy[:, 0],
        "y": result.map.xy[:, 1],
    }
