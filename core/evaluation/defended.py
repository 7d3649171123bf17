"""Accuracy of a model with input defences, under attackers who do not know them and under attackers who do.

All defences are evaluated on the same clouds, under three attacks:

* oblivious: the adversarial clouds were made on the model without the defence.
* straight: they were made on the defended model, with the gradient that autograd computes.
* adaptive: they were made on the defended model with the backward pass differentiable approximation (BPDA) where
  autograd gives no useful gradient, and with the mean gradient over several draws where the defence is random.

The first two overestimate a defence; the third is the one that counts (Athalye et al., Obfuscated gradients, 2018;
Tramèr et al., On adaptive attacks to adversarial example defenses, 2020).
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from core.attacks import GradientAttack
from core.datasets import Split
from core.defenses import Defended, Defense
from core.defenses.names import heading, written
from core.evaluation.accuracy import EvaluationOptions, Rate, chosen_clouds
from core.evaluation.auto import AnyAttack, adversarial_set
from core.evaluation.claims import claim
from core.evaluation.draws import Draws, judge_draws
from core.events import Cancel, Done, Event, forward
from core.models import Classifier
from core.models.port import draws_anew
from core.options import option
from core.results.checkpointed import StoppedEarly
from core.results.tables import Cell, Table

Array = NDArray[np.float32]


class DefendOptions(EvaluationOptions):
    """Which clouds defences are evaluated on, and in how many draws."""

    clouds: int | None = option(
        200, "Clouds to use, drawn evenly from the classes; empty takes all.", unit="clouds", low=1
    )
    averaged: int = option(
        8, "Draws whose mean the adaptive attack on a random defence follows in each step.", low=1, high=1000
    )


@dataclass(frozen=True, eq=False)
class DefenseResult:
    """Whether the predictions of a defended model for n clouds are correct, clean and under the three attacks."""

    defense: Defense
    clean: Draws
    oblivious: Draws
    straight: Draws
    adaptive: Draws

    @property
    def by_attack(self) -> dict[str, Draws]:
        """The four results by name, "clean" first."""
        return {name: getattr(self, name) for name in ("clean", "oblivious", "straight", "adaptive")}


@dataclass(frozen=True, eq=False)
class DefenseStudy:
    """Results of a model without a defence, and with each of several defences."""

    row: NDArray[np.int64]
    """(n,), indices of the clouds in their split."""
    label: NDArray[np.int64]
    """(n,), true classes."""
    clean: Draws
    """Of the model without a defence, on clean clouds."""
    attacked: Draws
    """Of the model without a defence, on the adversarial clouds that were made on it."""
    results: tuple[DefenseResult, ...]

    def summary(self) -> list[dict[str, object]]:
        """For each defence its accuracies, their spreads over the draws if it is random, and ``claim``."""
        return [
            {
                "defense": written(result.defense, whole=True),
                **{name: draws.mean for name, draws in result.by_attack.items()},
                **{f"{name}_spread": draws.spread for name, draws in result.by_attack.items() if result.defense.random},
                "claim": self.claim(result),
            }
            for result in self.results
        ]

    def claim(self, result: DefenseResult) -> str:
        """How much accuracy under attack a defence keeps, in one sentence."""
        means = {name: draws.mean for name, draws in result.by_attack.items() if name != "clean"}
        return claim(
            heading(result.defense),
            undefended=self.attacked.mean,
            clean=self.clean.mean,
            defended_clean=result.clean.mean,
            **means,
        )

    def table(self, title: str) -> Table:
        """A line for the model without a defence and for each defence: accuracies in %."""
        undefended: list[Cell] = ["none", 100 * self.clean.mean, *[100 * self.attacked.mean] * 3]
        rows = [[*undefended, _interval(self.attacked), None]]
        for result in self.results:
            accuracies = [100 * draws.mean for draws in result.by_attack.values()]
            spread = 100 * result.adaptive.spread if result.defense.random else None
            rows.append([written(result.defense), *accuracies, _interval(result.adaptive), spread])
        names = ("Clean", "Oblivious", "Straight", "Adaptive")
        columns = [
            "Defence",
            *(f"{name} (%)" for name in names),
            "Adaptive 95 % interval",
            "Spread over draws (points)",
        ]
        note = (
            f"Accuracy on {len(self.row):,} clouds. Oblivious: adversarial clouds made on the model alone. "
            "Straight: made through the gradient that autograd finds. Adaptive: made through a gradient that stands in "
            "for what has none, averaged over draws. Intervals: Wilson's, in %."
        )
        return Table(title, columns, rows, note)

    def records(self) -> dict[str, NDArray[np.generic]]:
        """Table columns, a line for each defence and cloud: the share of draws with a correct prediction."""
        parts = [
            {
                "defense": np.full(len(self.row), written(result.defense)),
                "row": self.row,
                "label": self.label,
                **{name: draws.share_correct for name, draws in result.by_attack.items()},
            }
            for result in self.results
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def try_defenses(
    model: nn.Module,
    split: Split,
    attack: AnyAttack,
    defenses: Mapping[str, Defense],
    options: DefendOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack a model without a defence and with each of several, and evaluate each in fresh draws.

    Yields
    ------
    Progress, then Done with the ``DefenseStudy``. If it was cancelled, that of the defences that were finished, and
    None if there is none.

    Raises
    ------
    ValueError
        As ``chosen_clouds``.
    """
    rows = chosen_clouds(split, options)
    points, labels = np.array(split.points[rows, : options.points]), split.labels[rows]
    attacks = 1 + sum(1 + (_is_random(model, defense) or defense.flat) for defense in defenses.values())
    evaluator = _Evaluator(model, split, points, labels, attack, options, cancel, attacks * len(rows))
    results: list[DefenseResult] = []
    study = None
    try:
        # attacked to the end, because the defended models are evaluated on the same clouds
        oblivious = yield from evaluator.attacked(model, attack, "without a defence", until_fooled=False)
        undefended = DefenseStudy(
            rows, labels, evaluator.draws_of(model, points), evaluator.draws_of(model, oblivious), ()
        )
        for name, defense in defenses.items():
            results.append((yield from evaluator.evaluate(name, defense, oblivious)))
            study = replace(undefended, results=tuple(results))
    except StoppedEarly:
        pass
    yield Done(study, complete=len(results) == len(defenses))


def _is_random(model: nn.Module, defense: Defense) -> bool:
    return defense.random or draws_anew(model)


@dataclass
class _Evaluator:
    """Attacks models on the same clouds, and evaluates them on the adversarial ones."""

    model: nn.Module
    """The model without a defence."""
    split: Split
    points: Array
    """(n, N, 3), the chosen clouds of ``split``."""
    labels: NDArray[np.int64]
    attack: AnyAttack
    options: DefendOptions
    cancel: Cancel | None
    total: int
    """Clouds to be attacked in all attacks together, for the progress."""
    done: int = 0
    """Clouds that were attacked."""

    def evaluate(self, name: str, defense: Defense, oblivious_clouds: Array) -> Generator[Event, None, DefenseResult]:
        """Attack the model with a defence; ``oblivious_clouds`` (n, N, 3) were made on the model without it."""
        straight_model, adaptive_model = (
            Defended(self.model, defense, gradient).eval() for gradient in ("straight", "bpda")
        )
        is_random = _is_random(self.model, defense)
        clouds = yield from self.attacked(straight_model, self.attack, f"{name}, straight", until_fooled=not is_random)
        clean, oblivious, straight = (
            self.draws_of(straight_model, each) for each in (self.points, oblivious_clouds, clouds)
        )
        if not (is_random or defense.flat):  # both gradients are the same
            return DefenseResult(defense, clean, oblivious, straight, straight)
        attack = self.averaging_attack if is_random else self.attack
        clouds = yield from self.attacked(adaptive_model, attack, f"{name}, adaptive", until_fooled=not is_random)
        return DefenseResult(defense, clean, oblivious, straight, self.draws_of(adaptive_model, clouds))

    @property
    def averaging_attack(self) -> AnyAttack:
        """The attack with the mean gradient over several draws; the attack itself if it is not a ``GradientAttack``.

        Its result is the last iterate, because the iterate with the highest loss has it by the chance of its draw.
        """
        if not isinstance(self.attack, GradientAttack):
            return self.attack
        changes = {"gradient": "expectation", "draws": self.options.averaged, "keep": "last"}
        return self.attack.model_copy(update=changes)

    def attacked(
        self, model: Classifier, attack: AnyAttack, text: str, *, until_fooled: bool
    ) -> Generator[Event, None, Array]:
        """Adversarial clouds (n, N, 3) made on a model; with ``until_fooled`` each attack ends once it succeeds.

        Raises
        ------
        StoppedEarly
            If it was cancelled.
        """
        options, n = self.options.model_copy(update={"stop_on_success": until_fooled}), len(self.labels)
        making = adversarial_set(model, self.split, attack, options, self.cancel)
        attacked = yield from forward(making, before=self.done, weight=n, total=self.total, text=text)
        if not attacked.complete:
            raise StoppedEarly
        self.done += n
        clouds: Array = attacked.value.clouds
        return clouds

    def draws_of(self, model: Classifier, clouds: Array) -> Draws:
        """Whether the predictions of a model for clouds (n, N, 3) are correct, in each fresh draw."""
        return judge_draws(
            model, clouds, self.labels, self.options.fresh_draws, self.options.seed, self.options.batch_size
        )


def _interval(draws: Draws) -> str:
    rate = Rate(draws.share_correct.sum(), len(draws.share_correct))
    low, high = (f"{100 * limit:.1f}" for limit in rate.interval)
    return f"{low}–{high}"
