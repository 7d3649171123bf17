"""All that is measured of one model, each part in a file of its own, so that a killed reproduction goes on there."""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, Direction
from core.checkpoints import LoadedModel
from core.datasets import Dataset, choose_rows
from core.embedding import TsneOptions, separation
from core.evaluation.accuracy import (
    AccuracyReport,
    Attacked,
    EvaluationOptions,
    Known,
    Rate,
    Verdicts,
    evaluate_accuracy,
)
from core.evaluation.latents import LatentMap, joint_map
from core.evaluation.onestep import FGSM, Cell, Moved, one_step, readings
from core.evaluation.probe import PROBED, probe
from core.evaluation.sweep import Sweep, swept
from core.events import Cancel, Done, Epoch, Event, Note, Progress
from core.records import plain, write_npz
from core.reproduction.models import Entry

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]
READINGS = (0.1, 0.2)
"""The budgets of the paper: 86.57 % and 64.78 % of PointNet's verdicts are right there."""
MAPPING = 6
"""Passes that one cloud of a t-SNE map is worth."""
SWEEP = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Budgets beside 0."""

VERSION = 2
"""Of the measurements: raised when one of them changes, so that results of before are made anew."""


class StoppedEarly(Exception):  # noqa: N818  not an error
    """The work was asked to end before it was whole."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """A t-SNE map of clean and adversarial latents, and how well classes keep apart."""

    xy: NDArray[np.float32]
    """(2n, 2)"""
    labels: NDArray[np.int64]
    adversarial: NDArray[np.bool_]
    separations: NDArray[np.float64]
    """(4, 2): silhouette and purity of clean and adversarial clouds, first in the latent space, then in the map."""
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
    """Until each cloud is fooled."""
    transfer: AccuracyReport | None
    """The attack made on the simple model of the same seed; None of that model itself."""
    readings: list[Moved]
    sweep: Sweep
    probe: Rate
    """A fresh discriminator's verdicts on latents of test clouds."""


class Ledger:
    """Runs parts of the work, keeps their results, and counts how much of the whole is done.

    The unit of the work is one cloud passing through a network once.
    """

    def __init__(self, folder: Path, total: int) -> None:
        self._folder, self._total, self._done = folder, total, 0

    def part(self, weight: int, text: str, events: Iterator[Event]) -> Generator[Event, None, Any]:
        """Follow ``events`` as a part of the whole; returns the value of their Done.

        Raises
        ------
        StoppedEarly
            If it is not complete.
        """
        value, furthest = None, 0.0
        for event in events:
            match event:
                case Progress(done, total, what):
                    furthest = max(furthest, done / max(total, 1))  # some begin to count anew on their way
                    at = self._done + round(weight * furthest)
                    yield Progress(at, self._total, f"{text}: {what}" if what else text)
                case Done(value, complete):
                    if not complete:
                        raise StoppedEarly
                case Note(sentence):
                    yield Note(f"{text}: {sentence}")
                case Epoch():
                    yield event
        self._done += weight
        yield Progress(self._done, self._total, text)
        return value

    def skip(self, weight: int) -> None:
        """Count a part that is not needed."""
        self._done += weight

    def kept(
        self, name: str, key: Mapping[str, Any], weight: int, form: "Form[T]", events: Callable[[], Iterator[Event]]
    ) -> Generator[Event, None, T]:
        """The result in the file ``name``.npz if it was made for ``key``; else it is made, and put there."""
        path, text = self._folder / f"{name}.npz", name.replace("/", ", ")
        mark = hashlib.sha256(json.dumps(plain({**key, "version": VERSION}), sort_keys=True).encode()).hexdigest()
        if path.is_file():
            stored = _stored(path)
            if str(stored.pop("key", "")) == mark:
                self.skip(weight)
                yield Progress(self._done, self._total, text)
                return form.read(stored)
        value = yield from self.part(weight, text, events())
        arrays = form.write(value)
        write_npz(path, {**arrays, "key": np.array(mark)})
        return form.read(arrays)  # what a later call will read, so both go on with the same


def _stored(path: Path) -> dict[str, NDArray[Any]]:
    """What a file holds; nothing if it is damaged, for then it is made again."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:  # numpy leaves a damaged file open that it opened itself
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return {}


@dataclass(frozen=True)
class Form(Generic[T]):
    """How a result is put into arrays and taken from them."""

    write: Callable[[T], Arrays]
    read: Callable[[Arrays], T]


def _whole(report: AccuracyReport) -> Arrays:
    clean, moved = report.sides
    return {
        "row": report.row,
        "label": clean.label,
        "clean": clean.logits,
        "clean_latent": clean.latent,
        "adversarial": moved.logits,
        "adversarial_latent": moved.latent,
        "linf": moved.linf,
        "rmse": moved.rmse,
    }


def _without_latents(report: AccuracyReport) -> Arrays:
    arrays = _whole(report)
    # copied, for a view of no column would keep the whole array alive
    return {name: array[:, :0].copy() if name.endswith("_latent") else array for name, array in arrays.items()}


def _report(arrays: Arrays) -> AccuracyReport:
    clean, moved = ((arrays[side], arrays[f"{side}_latent"], arrays["label"]) for side in ("clean", "adversarial"))
    return AccuracyReport(arrays["row"], Verdicts(*clean), Attacked(*moved, arrays["linf"], arrays["rmse"]))


WHOLE = Form(_whole, _report)
REPORT = Form(_without_latents, _report)
RATE = Form[Rate](
    lambda rate: {"hits": np.array(rate.hits), "n": np.array(rate.n)},
    lambda arrays: Rate(int(arrays["hits"]), int(arrays["n"])),
)
TABLE = Form[list[Moved]](
    lambda cells: {
        name: np.array([getattr(cell, name) for cell in cells])
        for name in ("direction", "epsilon", "correct", "linf", "rmse")
    },
    lambda arrays: [
        Moved(str(name), float(epsilon), *rest)
        for name, epsilon, *rest in zip(
            *(arrays[name] for name in ("direction", "epsilon", "correct", "linf", "rmse")), strict=True
        )
    ],
)
MAP = Form[Mapped](
    lambda made: {name: np.asarray(value) for name, value in vars(made).items()},
    lambda arrays: Mapped(
        arrays["xy"],
        arrays["labels"],
        arrays["adversarial"],
        arrays["separations"],
        float(arrays["kl"]),
        float(arrays["perplexity"]),
    ),
)


def measuring_work(clouds: int, pgd_steps: int) -> int:
    """Passes that ``measure`` makes, about, over ``clouds`` test clouds; a gradient counts as two."""
    return sum(_weights(clouds, pgd_steps).values())


def _weights(clouds: int, pgd_steps: int) -> dict[str, int]:
    """The passes of each part of ``measure``."""
    return {
        "fgsm": 4 * clouds,
        "pgd": (1 + 3 * pgd_steps) * clouds,
        "transfer": 5 * clouds,
        "one-step": (2 + len({*readings(READINGS), *_sweep_of("sign")})) * clouds,
        "discriminator": 8 * min(PROBED, clouds),  # one half for the fitting
    }


def measure(
    entry: Entry,
    model: LoadedModel,
    simple: LoadedModel | None,
    history: tuple[list[dict[str, float]], int],
    dataset: Dataset,
    attack: Attack,
    pgd: Attack,
    options: EvaluationOptions,
    ledger: Ledger,
    cancel: Cancel | None,
) -> Generator[Event, None, Measured]:
    """Measure one model on the test split; returns the ``Measured``.

    ``simple`` is the model whose adversarial clouds are transferred, None where there is no other.
    """
    module, test = model.module, dataset.split("test")
    base = {"weights": model.sha256, "dataset": dataset.card.fingerprint, "options": options.model_dump()}
    weights = _weights(min(options.clouds or len(test), len(test)), pgd.steps)

    def part(name: str, form: Form[T], key: Any, events: Callable[[], Iterator[Event]]) -> Generator[Event, None, T]:
        return ledger.kept(f"measured/{entry.name}/{name}", {**base, name: key}, weights[name], form, events)

    width, known = entry.options.discriminator_width, Known()
    soon = options.model_copy(update={"until_fooled": True})
    plain_key, strong_key = attack.model_dump(), [pgd.model_dump(), soon.model_dump()]
    fgsm = yield from part(
        "fgsm", WHOLE, plain_key, lambda: evaluate_accuracy(module, test, attack, options, cancel, known=known)
    )
    strong = yield from part(
        "pgd", REPORT, strong_key, lambda: evaluate_accuracy(module, test, pgd, soon, cancel, known=known)
    )
    transfer = None
    if simple is None:
        ledger.skip(weights["transfer"])
    else:
        surrogate = simple.module
        transfer = yield from part(
            "transfer",
            REPORT,
            [plain_key, simple.sha256],
            lambda: evaluate_accuracy(module, test, attack, options, cancel, surrogate=surrogate),
        )
    paper, curve, own = readings(READINGS), _sweep_of(attack.direction), (attack.direction, attack.epsilon)
    cells = sorted({*paper, *curve} - {own})  # some are of both
    moved = yield from part(
        "one-step", TABLE, cells, lambda: one_step(module, test, FGSM, cells, options, cancel, known=known)
    )
    attacked = fgsm.sides[1]
    found = {own: Moved(*own, attacked.correct, attacked.linf, attacked.rmse), **dict(zip(cells, moved, strict=True))}
    table, sweep = [found[cell] for cell in paper], swept([found[cell] for cell in curve])
    fresh = yield from part(
        "discriminator",
        RATE,
        [plain_key, width],
        lambda: probe(module, dataset, attack, options, width, cancel, unseen=fgsm),
    )
    return Measured(entry, model, *history, fgsm, strong, transfer, table, sweep.from_zero(fgsm.clean.correct), fresh)


def _sweep_of(direction: Direction) -> list[Cell]:
    return [(direction, epsilon) for epsilon in SWEEP]


def without_latents(each: Measured) -> Measured:
    """The same, in a hundredth of the memory."""
    return replace(each, fgsm=REPORT.read(REPORT.write(each.fgsm)))


def mapped(each: Measured, clouds: int, ledger: Ledger, cancel: Cancel | None) -> Generator[Event, None, Mapped]:
    """The joint t-SNE map of a model's clean and adversarial latents, and the separation of the classes."""
    usual = TsneOptions().perplexity  # of few clouds less, for it has to stay below a third of the points
    options = TsneOptions(perplexity=min(usual, (2 * clouds - 1) // 3))
    report = each.fgsm.of(choose_rows(each.fgsm.clean.label, clouds))
    shown = [hashlib.sha256(part.tobytes()).hexdigest() for part in (report.row, report.clean.label)]
    shown += [hashlib.sha256(side.latent.tobytes()).hexdigest() for side in report.sides]

    def making() -> Iterator[Event]:
        for event in joint_map(report, options, cancel):
            if isinstance(event, Done) and event.value is not None:
                yield Done(_separated(event.value), event.complete)
            else:
                yield event

    key = {"shown": shown, "map": options.model_dump()}
    return ledger.kept(f"measured/{each.entry.name}/map", key, MAPPING * clouds, MAP, making)


def _separated(made: LatentMap) -> Mapped:
    halves = (~made.adversarial, made.adversarial)
    found = [separation(points[half], made.labels[half]) for points in (made.latents, made.map.xy) for half in halves]
    table = np.array([(each.silhouette, each.purity) for each in found])
    return Mapped(made.map.xy, made.labels, made.adversarial, table, made.map.kl, made.map.options.perplexity)
