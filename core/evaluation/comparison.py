"""Several models measured on the same clouds with the same attack, as the Evaluate workspace shows them."""

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
from core.evaluation.auto import AUTO, AnyAttack, AutoAttack, other_shipped_models
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
class ModelMeasurement:
    """The predictions of one model for the clouds, clean and attacked, and its sweep over epsilon."""

    model: LoadedModel
    report: AccuracyReport
    sweep: Sweep | None
    """With epsilon 0; None if there is no sweep, or it was cancelled before its end."""

    def confidences(self, key: str) -> tuple[list[NDArray[np.floating]], list[NDArray[np.int64]]]:
        """Confidences by the definition ``key`` of ``DEFINITIONS``, for clean and for adversarial clouds.

        Returns
        -------
        values : two arrays (m,)
        indices : two arrays (m,), the cloud of each value, 0..n-1.
        """
        values = [DEFINITIONS[key].values(side) for side in self.report.sides]
        indices = [
            np.arange(len(side.label)) if len(part) == len(side.label) else np.flatnonzero(side.correct)
            for side, part in zip(self.report.sides, values, strict=True)
        ]
        return values, indices

    def cells(self) -> dict[str, Cell]:
        """A line of the table: accuracies in %, distances in unit-sphere radii (r), confidences and areas in 0..1."""
        clean, adversarial = self.report.sides
        return {
            "Model": self.model.card.title,
            "Clean accuracy (%)": 100 * clean.accuracy.value,
            "Clean 95 % interval": _interval(clean.accuracy),
            "Adversarial accuracy (%)": 100 * adversarial.accuracy.value,
            "Adversarial 95 % interval": _interval(adversarial.accuracy),
            "Mean L-infinity (r)": float(adversarial.linf.mean()),
            "Mean RMSE (r)": float(adversarial.rmse.mean()),
            "Clean confidence": float(clean.confidence.mean()),
            "Adversarial confidence": float(adversarial.confidence.mean()),
            "Clean ECE": reliability(clean).error,
            "Adversarial ECE": reliability(adversarial).error,
            "Area under sweep": None if self.sweep is None else self.sweep.area,
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """One or more models of the same classes, all measured on the same n clouds of one split."""

    dataset: Dataset
    """Its classes are those of the models; some of them may have no cloud."""
    attack: AnyAttack
    options: ComparisonOptions
    measurements: tuple[ModelMeasurement, ...]
    complete: bool = True
    """Whether all models are measured."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,), indices of the clouds in their split."""
        return self.measurements[0].report.row

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.dataset.card.classes

    def cloud(self, index: int) -> Cloud:
        """The clean cloud at an index of 0..n-1, with the points that were measured."""
        return self.dataset.cloud(self.options.split, int(self.rows[index]), self.options.points)

    @property
    def caption(self) -> str:
        """Caption of a figure or table: the clouds, and the attack on each model."""
        report = self.measurements[0].report
        left_out, lacks_classes = report.copies_left_out, len(np.unique(report.clean.label)) < len(self.classes)
        return (
            f"{self.dataset.card.title}, {self.options.split} split, {len(self.rows)} clouds of "
            f"{self.options.points:,} points{f' ({left_out} copies of training clouds left out)' if left_out else ''}"
            f"{f', {presence(report.clean.label, self.classes)}' if lacks_classes else ''}; "
            f"{self.attack.caption}, seed {self.options.seed}"
        )

    def provenance(self) -> dict[str, Any]:
        """Provenance of the measurements."""
        models = [measurement.model for measurement in self.measurements]
        options: dict[str, Any] = {"preset": AUTO} if isinstance(self.attack, AutoAttack) else {}
        return measurement_provenance(
            models,
            self.dataset.card,
            self.attack,
            seed=self.options.seed,
            complete=self.complete,
            evaluation=self.options,
            **options,
        )

    def table(self) -> Table:
        """A line for each model."""
        lines, scale = [measurement.cells() for measurement in self.measurements], self.attack.epsilon_scale
        highest = self.options.sweep_to or scale.highest
        return Table(
            self.caption,
            list(lines[0]),
            [list(line.values()) for line in lines],
            f"Intervals: Wilson's, in %. r: unit-sphere radii. ECE: expected calibration error, {BINS} bins. "
            f"Area: mean adversarial accuracy over epsilon from 0 to {scale.text(highest)}.{self._note_on_draws}",
        )

    @property
    def _note_on_draws(self) -> str:
        """Over how many draws the accuracies of random models are means; empty if no model is random."""
        titles = [each.model.card.title for each in self.measurements if each.report.clean.draws]
        several = f"means over {self.options.fresh_draws} draws; all else is of one draw."
        return f" Accuracies of {', '.join(titles)}: {several}" if titles else ""

    def records(self) -> dict[str, NDArray[Any]]:
        """Columns of a table with a line for each model and cloud, from which ``table`` can be computed."""
        split, names = self.dataset.split(self.options.split), np.asarray(self.classes)
        parts = []
        for measurement in self.measurements:
            columns = measurement.report.records
            for kind, side in zip(("clean", "adversarial"), measurement.report.sides, strict=True):
                columns[f"{kind}_prediction"] = names[side.prediction]
                columns[f"{kind}_rank"] = side.rank
            if all(each.sweep for each in self.measurements) and measurement.sweep is not None:
                for epsilon, correct in zip(measurement.sweep.epsilons, measurement.sweep.correct, strict=True):
                    columns[f"correct_at_{epsilon:.4g}"] = correct
            parts.append(
                {
                    "model": np.full(len(self.rows), measurement.model.card.title),
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
    """Measure each model under the attack made on it, at the attack's budget and at those of the sweep.

    With ``auto`` the other shipped models are surrogates, and there is no sweep, which would take hours.

    Yields
    ------
    Progress, in clouds over all models; after each model a Step, in the same unit, with the ``Comparison`` so far; at
    last Done with that of all models. If it was cancelled, that of the models whose accuracies are complete, and None
    if there is none.

    Raises
    ------
    ValueError
        If there is no model, their classes differ, the dataset has a class that is not among them, the attack is
        targeted, or as ``chosen_clouds``.
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
    sweep_work = n * (1 if budgets and needs_one_gradient(attack) else len(budgets))
    total, done = len(models) * (n + sweep_work), 0
    measurements: list[ModelMeasurement] = []
    for model in models:
        title = model.card.title
        surrogates = other_shipped_models(model) if isinstance(attack, AutoAttack) else ()
        evaluated = yield from forward(
            evaluate_accuracy(model.module, split, attack, options, cancel, surrogates=surrogates),
            before=done,
            weight=n,
            total=total,
            text=title,
        )
        complete = evaluated.complete
        if not complete:
            break
        report: AccuracyReport = evaluated.value
        curve = None
        if budgets:
            swept = yield from forward(
                sweep(model.module, split, attack, budgets, options, cancel),
                before=done + n,
                weight=sweep_work,
                total=total,
                text=f"sweep of {title}",
            )
            complete = swept.complete
            if complete:
                curve = swept.value.from_zero(report.clean.correct)
        measurements.append(ModelMeasurement(model, report, curve))
        done += n + sweep_work
        if complete:
            all_measured = len(measurements) == len(models)
            yield Step(done, total, Comparison(dataset, attack, options, tuple(measurements), all_measured))
        if not complete or (cancel and cancel.requested):
            break
    complete = len(measurements) == len(models) and complete
    comparison = Comparison(dataset, attack, options, tuple(measurements), complete) if measurements else None
    yield Done(comparison, complete)


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
