"""Success rates, distances and other means over the samples of a transfer experiment, with intervals.

A mean is kept as its *draws*, (1 + ROUNDS, ...): first of the samples as they are, then of each bootstrap resampling of
them. The resamplings are the same for all means, so whatever is made of several (a mean over victims, a difference, a
rank correlation) is made draw by draw and is resampled jointly. NaN is what is not done yet, or has no samples.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.evaluation.bootstrap import ROUNDS, Estimate, resamples
from core.studies.transferability.findings import OPTIMISERS, OTHERS, Booleans, Floats, Integers, TransferFindings

Denominator = Literal["both", "surrogate", "victim", "all"]
DENOMINATORS: Mapping[Denominator, str] = {
    "both": "samples that surrogate and victim get right when clean, so that every success is the attack's",
    "surrogate": "samples that the surrogate gets right when clean, as in the paper; the victim's own errors count",
    "victim": "samples that the victim gets right when clean",
    "all": "all samples; errors of both models count",
}
"""What a success rate is a share of, always among matched samples; the first is the default."""

FATES = ("not fooled", "another mistake", "the same mistake")
"""What a victim makes of an adversarial sample; the same mistake is the surrogate's."""

Quantity = Literal["rmse", "linf", "chamfer", "hausdorff", "curvature", "loss", "iterations"]
"""The fields of ``Made`` that have means: distances from the clean sample, the surrogate's loss, the effort."""


@lru_cache(maxsize=1)
def _weights(samples: int) -> Floats:
    """How often each sample counts in each draw: (1 + ROUNDS, samples)."""
    return np.concatenate([np.ones((1, samples)), resamples(1, samples)[0]])


def mean(values: NDArray[Any], among: Booleans) -> Floats:
    """Draws (1 + ROUNDS, ...) of the mean of ``values`` (n, ...) over the samples ``among`` (n, ...), NaN left out."""
    values = np.asarray(values, dtype=np.float64)
    known = among & np.isfinite(values)
    weights = _weights(len(values))
    total = weights @ known
    return np.divide(weights @ np.where(known, values, 0), total, out=np.full(total.shape, np.nan), where=total > 0)


def mean_over(table: Floats, axis: int) -> Floats:
    """Mean of draws over an axis that is not theirs, in each draw over what is known in it."""
    count = np.isfinite(table).sum(axis=axis)
    return np.divide(np.nansum(table, axis=axis), count, out=np.full(count.shape, np.nan), where=count > 0)


def estimate(draws: Floats, statements: int = 1) -> Estimate:
    """Value and percentile interval of ``draws`` (1 + ROUNDS,).

    Parameters
    ----------
    statements : number of intervals that shall hold together with 95 % (Bonferroni).
    """
    known = draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(draws[0]) or not len(known):
        return Estimate(np.nan, np.nan, np.nan)
    low, high = np.quantile(known, (0.025 / statements, 1 - 0.025 / statements))
    return Estimate(float(draws[0]), float(low), float(high))


@dataclass(frozen=True, eq=False)
class Measures:
    """What ``findings``, as they are now, come to."""

    findings: TransferFindings
    _asr: dict[tuple[str, str, str], Floats] = field(default_factory=dict, init=False, repr=False)

    def attacks(self, kinds: Collection[str] | None = None) -> tuple[str, ...]:
        """All attacks, or those of ``kinds``, in the order of the tables; of protocol ``steps`` as NAME@STEPS."""
        names = dict.fromkeys((*self.findings.attacks, *(attack for _, attack in self.findings.made)))
        if self.findings.options.protocol == "steps":
            names = dict.fromkeys(name for name in names if "@" in name)
        return tuple(name for name in names if kinds is None or name.partition("@")[0] in kinds)

    def victims(self, surrogate: str) -> tuple[str, ...]:
        """The victims of attacks on ``surrogate``, which is none itself."""
        return tuple(victim for victim in self.findings.victims if victim != surrogate)

    def progress(self) -> tuple[int, int]:
        """How many cells of surrogate, attack and victim are judged, and how many there are."""
        cells = [
            (surrogate, attack, victim)
            for surrogate in self.findings.surrogates
            for attack in self.attacks()
            for victim in self.victims(surrogate)
        ]
        return sum(cell in self.findings.predicted for cell in cells), len(cells)

    def done(self, surrogate: str, attack: str) -> bool:
        """If all that its mean success rate is made of is there."""
        victims = self.victims(surrogate)
        return (
            (surrogate, attack) in self.findings.made
            and len(victims) > 0
            and all((surrogate, attack, victim) in self.findings.predicted for victim in victims)
            and all(model in self.findings.clean for model in (surrogate, *victims))
        )

    def right(self, model: str) -> Booleans:
        """(n,), which clean samples ``model`` gets right; none if it was not asked yet."""
        clean = self.findings.clean.get(model)
        return np.zeros(len(self.findings.label), np.bool_) if clean is None else clean == self.findings.label

    def attacked(self, surrogate: str, attack: str) -> Booleans:
        """(n,), the matched samples that the surrogate gets right: those that distances are means over."""
        return self.right(surrogate) & self.findings.made[surrogate, attack].matched

    def among(self, surrogate: str, attack: str, denominator: Denominator = "both") -> Booleans:
        """(n, victims), the matched samples of which the success rates are shares."""
        victims = self.victims(surrogate)
        among = np.tile(self.findings.made[surrogate, attack].matched, (len(victims), 1))
        if denominator in ("both", "surrogate"):
            among &= self.right(surrogate)
        if denominator in ("both", "victim"):
            for row, victim in zip(among, victims, strict=True):
                row &= self.right(victim)
        return among.T

    def unmatched(self, surrogate: str, attack: str) -> Floats:
        """Draws of the share that is not matched, of the samples that the surrogate gets right."""
        made = self.findings.made.get((surrogate, attack))
        return _unknown() if made is None else mean(~made.matched, self.right(surrogate))

    def distance(self, surrogate: str, attack: str, of: Quantity = "rmse", fooled: bool = False) -> Floats:
        """Draws of a mean over the attacked samples, or over those of them that fool the surrogate."""
        made = self.findings.made.get((surrogate, attack))
        if made is None:
            return _unknown()
        wrong = made.prediction != self.findings.label
        return mean(getattr(made, of), self.attacked(surrogate, attack) & (wrong | (not fooled)))

    def white_box(self, surrogate: str, attack: str) -> Floats:
        """Draws of the success rate on the surrogate itself."""
        made = self.findings.made.get((surrogate, attack))
        if made is None:
            return _unknown()
        return mean(made.prediction != self.findings.label, self.attacked(surrogate, attack))

    def rates(self, surrogate: str, attack: str, denominator: Denominator = "both") -> Floats:
        """Draws (1 + ROUNDS, victims) of the success rates: how often a victim's class is wrong."""
        predicted, known = self._predicted(surrogate, attack)
        return mean(predicted != self.findings.label[:, None], known & self.among(surrogate, attack, denominator))

    def mean_rates(self) -> dict[str, dict[str, float]]:
        """Success rates by surrogate and victim: mean over the attacks, but controls, that all victims have judged."""
        found: dict[str, dict[str, float]] = {}
        for surrogate in self.findings.surrogates:
            attacks = [attack for attack in self.attacks((*OPTIMISERS, *OTHERS)) if self.done(surrogate, attack)]
            if attacks:
                table = np.stack([self.rates(surrogate, attack)[0] for attack in attacks])
                rates = mean_over(table, 0).tolist()
                found[surrogate] = dict(zip(self.victims(surrogate), rates, strict=True))
        return {surrogate: row for surrogate, row in found.items() if row}

    def asr(self, surrogate: str, attack: str, denominator: Denominator = "both") -> Floats:
        """Draws of the mean success rate over all victims; NaN until all are judged."""
        key = surrogate, attack, denominator
        if key not in self._asr:
            done = self.done(surrogate, attack)
            self._asr[key] = mean_over(self.rates(*key), 1) if done else _unknown()
        return self._asr[key]

    def fates(self, surrogate: str, attack: str) -> Floats:
        """Draws (1 + ROUNDS, victims, 3) of the shares of ``FATES``, which add to 1, of samples both models know."""
        predicted, known = self._predicted(surrogate, attack)
        wrong = predicted != self.findings.label[:, None]
        same = predicted == self.findings.made[surrogate, attack].prediction[:, None]
        among = known & self.among(surrogate, attack)
        return np.stack([mean(fate, among) for fate in (~wrong, wrong & ~same, wrong & same)], axis=-1)

    def accuracy(self, model: str) -> Floats:
        """Draws of the accuracy on clean samples."""
        return mean(self.right(model), np.full(len(self.findings.label), model in self.findings.clean))

    def smoothness(self, surrogate: str) -> Floats:
        """Draws of the mean change of the input gradient's direction near a clean sample, 1 - cosine."""
        return _mean_of_all(self.findings.smoothness.get(surrogate))

    def alignment(self, surrogate: str, victim: str) -> Floats:
        """Draws of the mean cosine of the input gradients of both models at a clean sample."""
        return _mean_of_all(self.findings.alignment.get((surrogate, victim)))

    def _predicted(self, surrogate: str, attack: str) -> tuple[Integers, Booleans]:
        """The victims' classes (n, victims), and which of the victims have judged."""
        victims = self.victims(surrogate)
        classes = np.zeros((len(victims), len(self.findings.label)), dtype=np.int64)
        known = np.zeros(len(victims), dtype=np.bool_)
        for place, victim in enumerate(victims):
            predicted = self.findings.predicted.get((surrogate, attack, victim))
            if predicted is not None:
                classes[place], known[place] = predicted, True
        return classes.T, known


def _unknown() -> Floats:
    return np.full(1 + ROUNDS, np.nan)


def _mean_of_all(values: Floats | None) -> Floats:
    return _unknown() if values is None else mean(values, np.ones(len(values), dtype=np.bool_))
