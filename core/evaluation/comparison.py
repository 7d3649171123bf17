"""Several models measured on the same clouds with the same attack: the source of the Evaluate tab's every number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack
from core.clouds import Cloud
from core.datasets import Dataset
from core.datasets.matching import matched, presence
from core.evaluation.accuracy import (
    AccuracyReport,
    EvaluationOptions,
    Rate,
    chosen_clouds,
)
from core.evaluation.auto import AUTO, AnyAttack, AutoAttack, shipped_beside
from core.evaluation.confidence import BINS, DEFINITIONS, reliability
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.provenance import measurement_provenance
from core.evaluation.sweep import Sweep, needs_one_gradient, sweep
from core.events import Cancel, Done, Event, Step, forward
from core.models.checkpoints import LoadedModel
from core.options import option
from core.results.tables import Cell, Table


class ComparisonOptions(EvaluationOptions):
    """Which clouds several models are measured on, and at which budgets."""

    clouds: int | None = option(
        400, "Clouds to use, drawn evenly from the classes; empty takes all.", unit="clouds", low=1
    )
    split: Literal["test", "train"] = option("test", "Part of the dataset that the clouds are of.")
    budgets: int | None = option(
        7, "Budgets of the epsilon sweep, evenly spaced from 0; empty leaves it out.", low=3, high=100
    )
    sweep_to: float | None = option(
        None, "Largest budget of the epsilon sweep; empty is that of the slider.", unit="ε", low=0.001, high=180.0
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """What one model made of the clouds."""

    model: LoadedModel
    report: AccuracyReport
    sweep: Sweep | None
    """From epsilon 0 on; None if it was left out, or stopped before its end."""

    def confidences(self, key: str) -> tuple[list[NDArray[np.floating]], list[NDArray[np.int64]]]:
        """Of a definition of ``DEFINITIONS``, clean and adversarial: its values (m,), and which clouds these are of."""
        values = [DEFINITIONS[key].values(side) for side in self.report.sides]
        places = [
            np.arange(len(side.label)) if len(found) == len(side.label) else np.flatnonzero(side.correct)
            for side, found in zip(self.report.sides, values, strict=True)
        ]
        return values, places

    def cells(self) -> dict[str, Cell]:
        """A line of the table: accuracies in %, distances in unit-sphere radii (r), confidences and areas in 0..1."""
        clean, moved = self.report.sides
        return {
            "Model": self.model.card.title,
            "Clean accuracy (%)": 100 * clean.accuracy.value,
            "Clean 95 % interval": _interval(clean.accuracy),
            "Adversarial accuracy (%)": 100 * moved.accuracy.value,
            "Adversarial 95 % interval": _interval(moved.accuracy),
            "Mean L-infinity (r)": float(moved.linf.mean()),
            "Mean RMSE (r)": float(moved.rmse.mean()),
            "Clean confidence": float(clean.confidence.mean()),
            "Adversarial confidence": float(moved.confidence.mean()),
            "Clean ECE": reliability(clean).error,
            "Adversarial ECE": reliability(moved).error,
            "Area under sweep": None if self.sweep is None else self.sweep.area,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """One or more models of the same classes, all measured on the same n clouds of one split."""

    dataset: Dataset
    """With the models' classes, of which its clouds may be of some alone."""
    attack: AnyAttack
    options: ComparisonOptions
    measured: tuple[Measured, ...]
    complete: bool = True
    """Whether all models that were asked for are measured."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,), places of the clouds in their split."""
        return self.measured[0].report.row

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.card.classes

    def cloud(self, place: int) -> Cloud:
        """The clean cloud at a place of 0..n-1, of the points that were measured."""
        return self.dataset.cloud(self.options.split, int(self.rows[place]), self.options.points)

    @property
    def caption(self) -> str:
        """What was measured: the clouds, and the attack that was made on each model."""
        report = self.measured[0].report
        left_out, some = report.copies_left_out, len(np.unique(report.clean.label)) < len(self.classes)
        return (
            f"{self.dataset.card.title}, {self.options.split} split, {len(self.rows)} clouds of "
            f"{self.options.points:,} points{f' ({left_out} copies of training clouds left out)' if left_out else ''}"
            f"{f', {presence(report.clean.label, self.classes)}' if some else ''}; "
            f"{self.attack.caption}, seed {self.options.seed}"
        )

    def provenance(self) -> dict[str, Any]:
        """What made the measurements."""
        models = [measured.model for measured in self.measured]
        return measurement_provenance(
            models,
            self.dataset.card,
            self.attack,
            seed=self.options.seed,
            complete=self.complete,
            evaluation=self.options,
            **({"preset": AUTO} if isinstance(self.attack, AutoAttack) else {}),
        )

    def table(self) -> Table:
        """A line for each model."""
        lines, scale = [measured.cells() for measured in self.measured], self.attack.epsilon_scale
        highest = self.options.sweep_to or scale.highest
        return Table(
            self.caption,
            list(lines[0]),
            [list(line.values()) for line in lines],
            f"Intervals: Wilson's, in %. r: unit-sphere radii. ECE: expected calibration error, {BINS} bins. "
            f"Area: mean adversarial accuracy over epsilon from 0 to {scale.text(highest)}.{self._drawn}",
        )

    @property
    def _drawn(self) -> str:
        """How models that draw were judged, where there are any."""
        drawing = [measured.model.card.title for measured in self.measured if measured.report.clean.draws]
        several = f"means over {self.options.fresh_draws} draws; all else is of one draw."
        return f" Accuracies of {', '.join(drawing)}: {several}" if drawing else ""

    def records(self) -> dict[str, NDArray[Any]]:
        """One line per model and cloud, as the columns of a table; from them the table above can be computed."""
        split, names = self.dataset.split(self.options.split), np.asarray(self.classes)
        parts = []
        for measured in self.measured:
            columns = measured.report.records
            for kind, side in zip(("clean", "adversarial"), measured.report.sides, strict=True):
                columns[f"{kind}_prediction"] = names[side.prediction]
                columns[f"{kind}_rank"] = side.rank
            if all(each.sweep for each in self.measured) and measured.sweep is not None:
                for epsilon, correct in zip(measured.sweep.epsilons, measured.sweep.correct, strict=True):
                    columns[f"correct_at_{epsilon:.4g}"] = correct
            parts.append(
                {
                    "model": np.full(len(self.rows), measured.model.card.title),
                    "cloud": np.asarray([split.names[row] for row in self.rows]),
                    **columns,
                    "label": names[columns["label"]],
                }
            )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compare(
    models: Sequence[LoadedModel],
    dataset: Dataset,
    attack: AnyAttack,
    options: ComparisonOptions | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Measure each model, attacked through its own gradients, at the attack's budget and at those of the sweep.

    Under ``auto`` there is no sweep, which would take hours, and clouds of the other shipped models are tried, too.

    Yields
    ------
    Progress over all the work; after each model a Step, in the same pieces, with the ``Comparison`` so far; at last
    Done with that of all models, or of those whose accuracies are whole; None if there is none.

    Raises
    ------
    ValueError
        If there is no model, their classes differ, the dataset has one that they do not know, the attack is targeted,
        or the split holds no cloud or smaller ones than are asked for.
    """
    options = options or ComparisonOptions()
    _check(models, attack)
    dataset = matched(dataset, models[0].card.classes)
    split = dataset.split(options.split)
    highest = options.sweep_to or attack.epsilon_scale.highest
    budgets: list[float] = []
    if options.budgets is not None and not isinstance(attack, AutoAttack):
        budgets = np.linspace(0, highest, options.budgets)[1:].tolist()
    n = len(chosen_clouds(split, options))
    swept = n * (1 if budgets and needs_one_gradient(attack) else len(budgets))
    total, done = len(models) * (n + swept), 0
    measured: list[Measured] = []
    for model in models:
        title = model.card.title
        surrogates = shipped_beside(model) if isinstance(attack, AutoAttack) else ()
        found = yield from forward(
            evaluate_accuracy(model.module, split, attack, options, cancel, surrogates=surrogates),
            before=done,
            weight=n,
            total=total,
            text=title,
        )
        whole = found.complete
        if not whole:
            break
        report: AccuracyReport = found.value
        curve = None
        if budgets:
            found = yield from forward(
                sweep(model.module, split, attack, budgets, options, cancel),
                before=done + n,
                weight=swept,
                total=total,
                text=f"sweep of {title}",
            )
            whole = found.complete
            if whole:
                curve = found.value.from_zero(report.clean.correct)
        measured.append(Measured(model, report, curve))
        done += n + swept
        if whole:
            so_far = Comparison(dataset, attack, options, tuple(measured), complete=len(measured) == len(models))
            yield Step(done, total, so_far)
        if not whole or (cancel and cancel.requested):
            break
    complete = len(measured) == len(models) and whole
    yield Done(Comparison(dataset, attack, options, tuple(measured), complete) if measured else None, complete)


def _check(models: Sequence[LoadedModel], attack: AnyAttack) -> None:
    if not models:
        raise ValueError("There is no model to measure: choose one or more.")
    for model in models[1:]:
        if model.card.classes != models[0].card.classes:
            raise ValueError(
                f"{model.card.title} knows other classes than {models[0].card.title}: "
                "choose models of the same classes."
            )
    if isinstance(attack, Attack) and attack.goal == "targeted":
        raise ValueError("Models are compared under untargeted attacks: set the goal to untargeted first.")


def _interval(rate: Rate) -> str:
    low, high = (f"{100 * limit:.1f}" for limit in rate.interval)
    return f"{low}–{high}"
