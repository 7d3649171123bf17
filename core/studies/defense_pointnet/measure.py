"""The measurements of one model, each stored in its own file, so that a killed reproduction continues there."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, Direction, GradientAttack
from core.datasets import Dataset, Split, choose_rows
from core.evaluation.accuracy import (
    AccuracyReport,
    AdversarialPredictions,
    CleanCache,
    EvaluationOptions,
    LabelledPredictions,
    Rate,
    chosen_clouds,
)
from core.evaluation.judge import copies_left_out, evaluate_accuracy, judge
from core.evaluation.latents import LatentMap, joint_map
from core.evaluation.make import AdversarialSet, columns_of, joined, make_set
from core.evaluation.onestep import FGSM, Cell, OneStepResult, fgsm_variants, one_step
from core.evaluation.probe import MODES, MOST_CLOUDS, probe
from core.evaluation.separation import separation
from core.evaluation.sweep import Sweep, sweep_from_results
from core.evaluation.tsne import TsneOptions
from core.events import Cancel, Done, Event, forward
from core.models import Classifier
from core.models.checkpoints import LoadedModel
from core.results.checkpointed import ArrayCodec, Arrays, CheckpointedWork
from core.studies.defense_pointnet.models import Entry

T = TypeVar("T")
PAPER_EPSILONS = (0.1, 0.2)
"""Epsilons of the paper, at which PointNet has accuracies of 86.57 % and 64.78 %."""
MAPPING = 6
"""Cost of one cloud of a t-SNE map, in forward passes."""
SWEEP = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Epsilons of the sweep; 0 is added."""

VERSION = 4
"""Version of the measurements, raised when one of them changes, so that older results are computed again."""


@dataclass(frozen=True, eq=False)
class MeasuredMap:
    """A t-SNE map of clean and adversarial latents, and how well classes keep apart."""

    xy: NDArray[np.float32]
    """(2n, 2)"""
    labels: NDArray[np.int64]
    adversarial: NDArray[np.bool_]
    separations: NDArray[np.float64]
    """(2, 2): silhouette and purity in the map of clean and of adversarial clouds."""
    kl: float
    perplexity: float


@dataclass(frozen=True, eq=False)
class Measured:
    """The measurements of one model."""

    entry: Entry
    model: LoadedModel
    history: list[dict[str, float]]
    """Metrics of each epoch of its training."""
    steps: int
    """Gradient steps of its training."""
    fgsm: AccuracyReport
    """Clean clouds, and the paper's attack at the budget of the training; with latents, until these are dropped."""
    pgd: AccuracyReport
    """PGD, stopped for each cloud once the model is fooled."""
    transfer: AccuracyReport | None
    """The attack made on the simple model of the same seed; None of that model itself."""
    readings: list[OneStepResult]
    sweep: Sweep
    separations: NDArray[np.float64]
    """(3, 2): silhouette and purity in the latent space of clean clouds, under the paper's attack, and under PGD."""
    probe: Mapping[str, Rate]
    """How often a fresh discriminator is right about latents of test clouds, in each of the probe's ``MODES``."""


def _arrays(report: AccuracyReport) -> Arrays:
    """A report without its latents."""
    clean, moved = report.sides
    return {
        "row": report.row,
        "label": clean.label,
        "copies_left_out": np.array(report.copies_left_out),
        "clean": clean.logits,
        "adversarial": moved.logits,
        "linf": moved.linf,
        "rmse": moved.rmse,
    }


def _read_report(arrays: Arrays) -> AccuracyReport:
    none = np.empty((len(arrays["row"]), 0), np.float32)
    clean, moved = ((arrays[side], none, arrays["label"]) for side in ("clean", "adversarial"))
    return AccuracyReport(
        arrays["row"],
        LabelledPredictions(*clean),
        AdversarialPredictions(*moved, arrays["linf"], arrays["rmse"]),
        int(arrays["copies_left_out"]),
    )


MADE = ArrayCodec[AdversarialSet](columns_of, lambda arrays: joined([dict(arrays)]))
REPORT = ArrayCodec(_arrays, _read_report)
RATES = ArrayCodec[Mapping[str, Rate]](
    lambda rates: {mode: np.array([rate.hits, rate.n]) for mode, rate in rates.items()},
    lambda arrays: {mode: Rate(*map(int, arrays[mode])) for mode in MODES},
)
SEPARATIONS = ArrayCodec[NDArray[np.float64]](lambda table: {"table": table}, lambda arrays: arrays["table"])
TABLE = ArrayCodec[list[OneStepResult]](
    lambda cells: {
        name: np.array([getattr(cell, name) for cell in cells])
        for name in ("direction", "epsilon", "correct", "linf", "rmse")
    },
    lambda arrays: [
        OneStepResult(str(name), float(epsilon), *rest)
        for name, epsilon, *rest in zip(
            *(arrays[name] for name in ("direction", "epsilon", "correct", "linf", "rmse")), strict=True
        )
    ],
)
MAP = ArrayCodec[MeasuredMap](
    lambda made: {name: np.asarray(value) for name, value in vars(made).items()},
    lambda arrays: MeasuredMap(
        arrays["xy"],
        arrays["labels"],
        arrays["adversarial"],
        arrays["separations"],
        float(arrays["kl"]),
        float(arrays["perplexity"]),
    ),
)


def measuring_work(clouds: int, shown: int, pgd_steps: int) -> int:
    """Approximate cost of ``measure`` for ``clouds`` test clouds, in forward passes; a gradient counts as two."""
    return sum(_weights(clouds, shown, pgd_steps).values())


def _weights(clouds: int, shown: int, pgd_steps: int) -> dict[str, int]:
    """The cost of each part of ``measure``, in forward passes."""
    return {
        "adversarial": 4 * clouds,
        "pgd": (1 + 3 * pgd_steps) * clouds,
        "transfer": 2 * clouds,
        "one-step": (2 + len({*fgsm_variants(PAPER_EPSILONS), *_sweep_of("sign")})) * clouds,
        "separation": (1 + 3 * pgd_steps) * shown,
        "discriminator": 11 * (min(MOST_CLOUDS, clouds) + clouds),
    }


def measure(
    entry: Entry,
    model: LoadedModel,
    transferred: AdversarialSet | None,
    history: tuple[list[dict[str, float]], int],
    dataset: Dataset,
    attack: GradientAttack,
    pgd: Attack,
    options: EvaluationOptions,
    shown: int,
    work: CheckpointedWork,
    cancel: Cancel | None,
) -> Generator[Event, None, Measured]:
    """Measure one model on the test split; returns the ``Measured``.

    ``transferred`` are the adversarial clouds made on the simple model of the same seed, None for that model itself;
    ``shown`` is the number of clouds for which the separation of the classes is measured.
    """
    module, test = model.module, dataset.split("test")
    base = {"weights": model.sha256, "dataset": dataset.card.fingerprint, "options": options.model_dump()}
    weights = _weights(len(chosen_clouds(test, options)), shown, pgd.steps)

    def part(
        name: str, codec: ArrayCodec[T], key: Any, events: Callable[[], Iterator[Event]]
    ) -> Generator[Event, None, T]:
        return work.checkpoint(
            f"measured/{entry.name}/{name}", {**base, "version": VERSION, name: key}, weights[name], codec, events
        )

    width, cache = entry.options.discriminator_width, CleanCache()
    until_success = options.model_copy(update={"stop_on_success": True})
    plain_key, strong_key = attack.model_dump(), [pgd.model_dump(), until_success.model_dump()]
    made = yield from adversarial_set(
        entry, model, dataset, attack, options, weights["adversarial"], work, cancel, cache
    )
    fgsm = made.report(copies_left_out(test, options))
    strong = yield from part(
        "pgd",
        REPORT,
        strong_key,
        lambda: evaluate_accuracy(module, test, pgd, until_success, cancel, clean_cache=cache),
    )
    transfer = None
    if transferred is None:
        work.skip(weights["transfer"])
    else:
        clouds = transferred
        digest = hashlib.sha256(clouds.clouds.tobytes()).hexdigest()
        transfer = yield from part(
            "transfer", REPORT, [plain_key, digest], lambda: judge(module, test, clouds, options, cancel)
        )
    paper, curve, own = fgsm_variants(PAPER_EPSILONS), _sweep_of(attack.direction), (attack.direction, attack.epsilon)
    cells = sorted({*paper, *curve} - {own})  # some are in both
    moved = yield from part(
        "one-step", TABLE, cells, lambda: one_step(module, test, FGSM, cells, options, cancel, clean_cache=cache)
    )
    attacked = fgsm.sides[1]
    found = {
        own: OneStepResult(*own, attacked.correct, attacked.linf, attacked.rmse),
        **dict(zip(cells, moved, strict=True)),
    }
    table, sweep = [found[cell] for cell in paper], sweep_from_results([found[cell] for cell in curve])
    separations = yield from part(
        "separation",
        SEPARATIONS,
        [plain_key, pgd.model_dump(), shown],
        lambda: _measure_separations(module, test, fgsm.subset(shown_clouds(fgsm, shown)), pgd, options, cancel),
    )
    fresh = yield from part(
        "discriminator",
        RATES,
        [plain_key, width],
        lambda: probe(module, dataset, attack, options, width, cancel),
    )
    sweep = sweep.from_zero(fgsm.clean.correct)
    return Measured(entry, model, *history, fgsm, strong, transfer, table, sweep, separations, fresh)


def adversarial_set(
    entry: Entry,
    model: LoadedModel,
    dataset: Dataset,
    attack: GradientAttack,
    options: EvaluationOptions,
    weight: int,
    work: CheckpointedWork,
    cancel: Cancel | None,
    clean_cache: CleanCache | None = None,
) -> Generator[Event, None, AdversarialSet]:
    """The test clouds under the paper's attack on one model; computed once, then read from the stored result."""
    key = {
        "weights": model.sha256,
        "dataset": dataset.card.fingerprint,
        "options": options.model_dump(),
        "version": VERSION,
        "attack": attack.model_dump(),
    }
    return work.checkpoint(
        f"measured/{entry.name}/adversarial",
        key,
        weight,
        MADE,
        lambda: make_set(model.module, dataset.split("test"), attack, options, cancel, clean_cache=clean_cache),
    )


def shown_clouds(report: AccuracyReport, count: int) -> NDArray[np.int64]:
    """Indices (m,) in a report of the clouds that are in the t-SNE map and in the measurement of separation."""
    return choose_rows(report.clean.label, count)


def _measure_separations(
    model: Classifier, test: Split, fgsm: AccuracyReport, pgd: Attack, options: EvaluationOptions, cancel: Cancel | None
) -> Iterator[Event]:
    """Silhouette and purity of the latents of the clouds of ``fgsm``: clean, as attacked there, and under all steps of
    PGD; Done with the table (3, 2).
    """
    chosen = Split(test.points[fgsm.row], test.labels[fgsm.row], [test.names[row] for row in fgsm.row])
    every_step = options.model_copy(update={"clouds": None, "stop_on_success": False, "without_copies": False})
    for event in evaluate_accuracy(model, chosen, pgd, every_step, cancel):
        match event:
            case Done(report, True):
                sides = (*fgsm.sides, report.sides[1])
                found = [separation(side.latent, side.label) for side in sides]
                yield Done(np.array([(each.silhouette, each.purity) for each in found]))
            case _:
                yield event


def _sweep_of(direction: Direction) -> list[Cell]:
    return [(direction, epsilon) for epsilon in SWEEP]


def without_latents(each: Measured) -> Measured:
    """A copy without the latents of its reports, which takes a hundredth of the memory."""
    return replace(each, fgsm=REPORT.read(REPORT.write(each.fgsm)))


def measure_map(
    each: Measured, clouds: int, work: CheckpointedWork, cancel: Cancel | None
) -> Generator[Event, None, MeasuredMap]:
    """The joint t-SNE map of a model's clean and adversarial latents, and the separation of the classes."""
    usual = TsneOptions().perplexity  # smaller for few clouds, because it must be below a third of the points
    options = TsneOptions(perplexity=min(usual, (2 * clouds - 1) // 3))
    report = each.fgsm.subset(shown_clouds(each.fgsm, clouds))
    shown = [hashlib.sha256(part.tobytes()).hexdigest() for part in (report.row, report.clean.label)]
    shown += [hashlib.sha256(side.latent.tobytes()).hexdigest() for side in report.sides]

    def making() -> Iterator[Event]:
        made = yield from forward(joint_map(report, options, cancel))
        yield Done(made.value and _measured_map(made.value), made.complete)

    key = {"shown": shown, "map": options.model_dump(), "version": VERSION}
    return work.checkpoint(f"measured/{each.entry.name}/map", key, MAPPING * clouds, MAP, making)


def _measured_map(made: LatentMap) -> MeasuredMap:
    assert made.map_separation is not None
    table = np.array([(each.silhouette, each.purity) for each in made.map_separation])
    return MeasuredMap(made.map.xy, made.labels, made.adversarial, table, made.map.kl, made.map.options.perplexity)
