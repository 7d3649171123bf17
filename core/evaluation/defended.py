"""What input defences are worth: against an attacker who does not know them, and against one who does.

All are judged on the same clouds. Those that were made on the bare model (oblivious) flatter a defence, and so may the
gradient that autograd finds through it (straight). What counts is the adaptive attack: through the backward pass
differentiable approximation, and through the mean over draws where there are any (Athalye et al., Obfuscated gradients,
2018; Tramèr et al., On adaptive attacks to adversarial example defenses, 2020).
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
    """Which clouds defences are judged on, and by how many draws."""

    clouds: int | None = option(
        200, "Clouds to use, drawn evenly from the classes; empty takes all.", unit="clouds", low=1
    )
    averaged: int = option(
        8, "Draws whose mean the adaptive attack on a random defence follows in each step.", low=1, high=1000
    )


@dataclass(frozen=True, eq=False)
class Tried:
    """Which of n clouds a defended model is right about, clean and attacked in three ways."""

    defense: Defense
    clean: Draws
    oblivious: Draws
    """Of clouds that were made on the bare model."""
    straight: Draws
    adaptive: Draws

    @property
    def sides(self) -> dict[str, Draws]:
        return {name: getattr(self, name) for name in ("clean", "oblivious", "straight", "adaptive")}


@dataclass(frozen=True, eq=False)
class DefenseStudy:
    """A model without a defence, and behind each of several."""

    row: NDArray[np.int64]
    """(n,), places of the clouds in their split."""
    label: NDArray[np.int64]
    """(n,), their classes."""
    clean: Draws
    """Of the bare model."""
    attacked: Draws
    """Of the bare model on the clouds that were made on it."""
    tried: tuple[Tried, ...]

    def summary(self) -> list[dict[str, object]]:
        """For each defence its accuracies, their spreads over the draws, and the claim."""
        return [
            {
                "defense": written(each.defense, whole=True),
                **{name: draws.mean for name, draws in each.sides.items()},
                **{f"{name}_spread": draws.spread for name, draws in each.sides.items() if each.defense.random},
                "claim": self.claim(each),
            }
            for each in self.tried
        ]

    def claim(self, tried: Tried) -> str:
        """What is left of the claim that a defence defends, in one sentence."""
        means = {name: draws.mean for name, draws in tried.sides.items() if name != "clean"}
        return claim(
            heading(tried.defense),
            undefended=self.attacked.mean,
            clean=self.clean.mean,
            defended_clean=tried.clean.mean,
            **means,
        )

    def table(self, title: str) -> Table:
        """A line for the bare model and for each defence: accuracies in %."""
        bare: list[Cell] = ["none", 100 * self.clean.mean, *[100 * self.attacked.mean] * 3]
        rows = [[*bare, _interval(self.attacked), None]]
        for each in self.tried:
            accuracies = [100 * draws.mean for draws in each.sides.values()]
            spread = 100 * each.adaptive.spread if each.defense.random else None
            rows.append([written(each.defense), *accuracies, _interval(each.adaptive), spread])
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
        """A line for each defence and cloud: the share of draws in which the verdict is right."""
        parts = [
            {
                "defense": np.full(len(self.row), written(each.defense)),
                "row": self.row,
                "label": self.label,
                **{name: draws.share for name, draws in each.sides.items()},
            }
            for each in self.tried
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
    """Attack a model without a defence, and behind each of several, and judge all by fresh draws.

    Yields
    ------
    Progress, then Done with the ``DefenseStudy`` of the defences that were reached; None if none was.

    Raises
    ------
    ValueError
        If the split holds no cloud, or clouds of fewer points than are asked for.
    """
    rows = chosen_clouds(split, options)
    points, labels = np.array(split.points[rows, : options.points]), split.labels[rows]
    attacks = 1 + sum(1 + (_draws(model, defense) or defense.flat) for defense in defenses.values())
    bench = _Bench(model, split, points, labels, attack, options, cancel, attacks * len(rows))
    tried: list[Tried] = []
    study = None
    try:
        moved = yield from bench.attacked(
            model, attack, "without a defence", until_fooled=False
        )  # for others to judge too
        bare = DefenseStudy(rows, labels, bench.judged(model, points), bench.judged(model, moved), ())
        for name, defense in defenses.items():
            tried.append((yield from bench.tried(name, defense, moved)))
            study = replace(bare, tried=tuple(tried))
    except StoppedEarly:
        pass
    yield Done(study, complete=len(tried) == len(defenses))


def _draws(model: nn.Module, defense: Defense) -> bool:
    return defense.random or draws_anew(model)


@dataclass
class _Bench:
    """Attacks models on the same clouds, and judges them."""

    model: nn.Module
    """Without a defence."""
    split: Split
    points: Array
    """(n, N, 3), the chosen clouds of the split."""
    labels: NDArray[np.int64]
    attack: AnyAttack
    options: DefendOptions
    cancel: Cancel | None
    total: int
    """Clouds to be attacked, over all attacks."""
    done: int = 0

    def tried(self, name: str, defense: Defense, moved: Array) -> Generator[Event, None, Tried]:
        """Try one defence; ``moved`` are the clouds made on the bare model."""
        straight, adaptive = (Defended(self.model, defense, gradient).eval() for gradient in ("straight", "bpda"))
        draws = _draws(self.model, defense)
        made = yield from self.attacked(straight, self.attack, f"{name}, straight", until_fooled=not draws)
        clean, oblivious, through = (self.judged(straight, clouds) for clouds in (self.points, moved, made))
        if not (draws or defense.flat):  # the gradient is the same
            return Tried(defense, clean, oblivious, through, through)
        attack = self.averaging if draws else self.attack
        made = yield from self.attacked(adaptive, attack, f"{name}, adaptive", until_fooled=not draws)
        return Tried(defense, clean, oblivious, through, self.judged(adaptive, made))

    @property
    def averaging(self) -> AnyAttack:
        """The attack along the mean gradient of several draws, if it follows gradients.

        The last iterate counts: the best one would be that of the luckiest draw.
        """
        if not isinstance(self.attack, GradientAttack):
            return self.attack
        mean = {"gradient": "expectation", "draws": self.options.averaged, "keep": "last"}
        return self.attack.model_copy(update=mean)

    def attacked(
        self, model: Classifier, attack: AnyAttack, text: str, *, until_fooled: bool
    ) -> Generator[Event, None, Array]:
        """Adversarial clouds (n, N, 3) that are made on a model.

        Raises
        ------
        StoppedEarly
        """
        options, n = self.options.model_copy(update={"stop_on_success": until_fooled}), len(self.labels)
        making = adversarial_set(model, self.split, attack, options, self.cancel)
        made = yield from forward(making, before=self.done, weight=n, total=self.total, text=text)
        if not made.complete:
            raise StoppedEarly
        self.done += n
        clouds: Array = made.value.clouds
        return clouds

    def judged(self, model: Classifier, clouds: Array) -> Draws:
        return judge_draws(
            model, clouds, self.labels, self.options.fresh_draws, self.options.seed, self.options.batch_size
        )


def _interval(draws: Draws) -> str:
    rate = Rate(draws.share.sum(), len(draws.share))
    low, high = (f"{100 * limit:.1f}" for limit in rate.interval)
    return f"{low}–{high}"
