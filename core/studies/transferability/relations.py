"""How success rates go with distances over attacks, how far apart they are, and what the paper's orders say of them.

Attacks are compared on common samples (``compare``): one that is matched only where it is easy would look strong.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.evaluation.bootstrap import ROUNDS, Estimate
from core.studies.transferability.findings import OPTIMISERS, Floats, TransferFindings
from core.studies.transferability.measures import Measures, Quantity

LEAST_MATCHED = 0.5
"""Least share of matched samples with which an attack is compared with others."""
LEAST_ATTACKS = 3
"""Least number of attacks on a surrogate for a rank correlation over them."""

Rated = Literal["asr"] | Quantity
Order = Sequence[Collection[str]]
PAPER: Mapping[Literal["asr", "rmse"], Order] = {
    "asr": (("adam", "l-adam", "adabelief"), ("m-svag",), ("gd",), ("m-gd", "na-gd")),
    "rmse": (("adam", "l-adam", "adabelief"), ("gd",), ("m-svag",), ("m-gd", "na-gd")),
}
"""The paper's orders of the optimisers, largest first; those of one place are about equal (section 3.1)."""


@dataclass(frozen=True, eq=False)
class Compared:
    """Attacks on the samples on which, of each surrogate, all of them are matched."""

    measures: Measures
    """Of those attacks and samples alone."""
    attacks: Mapping[str, tuple[str, ...]]
    """By surrogate."""
    missing: Mapping[str, tuple[str, ...]]
    """By surrogate: attacks that are not done yet."""
    left_out: Mapping[str, tuple[str, ...]]
    """By surrogate: attacks that are matched on less than ``LEAST_MATCHED`` of the samples that it gets right."""

    def rows(self, surrogate: str, of: Rated = "asr") -> Floats:
        """Draws (attacks, 1 + ROUNDS) of the mean success rates, or of another quantity."""
        drawn = [
            self.measures.asr(surrogate, attack) if of == "asr" else self.measures.distance(surrogate, attack, of)
            for attack in self.attacks[surrogate]
        ]
        return np.stack(drawn) if drawn else np.empty((0, 1 + ROUNDS))

    def samples(self, surrogate: str) -> int:
        """Number of samples that all attacks are matched on, of those that the surrogate gets right."""
        attacks = self.attacks[surrogate]
        return int(self.measures.attacked(surrogate, attacks[0]).sum()) if attacks else 0


def compare(measures: Measures, kinds: Collection[str] = OPTIMISERS) -> Compared:
    """The attacks of ``kinds`` on common samples."""
    findings, wanted = measures.findings, measures.attacks(kinds)
    made, attacks, missing, left_out = {}, {}, {}, {}
    for surrogate in findings.surrogates:
        done = [attack for attack in wanted if measures.done(surrogate, attack)]
        kept = tuple(attack for attack in done if measures.unmatched(surrogate, attack)[0] <= 1 - LEAST_MATCHED)
        common = [findings.made[surrogate, attack].matched for attack in kept]
        for attack in kept:
            matched = np.logical_and.reduce(common)
            made[surrogate, attack] = replace(findings.made[surrogate, attack], matched=matched)
        attacks[surrogate] = kept
        missing[surrogate] = tuple(attack for attack in wanted if attack not in done)
        left_out[surrogate] = tuple(attack for attack in done if attack not in kept)
    return Compared(Measures(replace(findings, attacks=wanted, made=made)), attacks, missing, left_out)


def pair(first: Measures, second: Measures) -> tuple[Measures, Measures]:
    """Two experiments on what they have in common: surrogates, victims, attacks, and samples matched in both.

    Raises
    ------
    ValueError
        If they are of other samples.
    """
    one, other = first.findings, second.findings
    if one.dataset != other.dataset or not np.array_equal(one.row, other.row):
        raise ValueError(
            f"{one.options.protocol} and {other.options.protocol} were run on other samples; run both with the same "
            "dataset, number of samples and seed."
        )
    keys = one.made.keys() & other.made.keys()
    matched = {key: one.made[key].matched & other.made[key].matched for key in keys}

    def shared(side: TransferFindings) -> Measures:
        return Measures(
            replace(
                side,
                surrogates=tuple(
                    name for name in side.surrogates if name in one.surrogates and name in other.surrogates
                ),
                attacks=tuple(name for name in side.attacks if name in one.attacks and name in other.attacks),
                victims=tuple(name for name in side.victims if name in one.victims and name in other.victims),
                made={key: replace(side.made[key], matched=matched[key]) for key in keys},
            )
        )

    return shared(one), shared(other)


def spearman(
    compared: Compared, surrogates: Collection[str], of: Quantity = "rmse", given: Quantity | None = None
) -> Floats:
    """Draws (1 + ROUNDS,) of the rank correlation of success rates with a quantity over attacks.

    Ranks are those within a surrogate; of several surrogates they are pooled, each less the surrogate's mean.

    Parameters
    ----------
    given : makes it the partial correlation, given this quantity; one that is the same for all attacks changes nothing.
    """
    enough = [surrogate for surrogate in surrogates if len(compared.attacks[surrogate]) >= LEAST_ATTACKS]
    if not enough:
        return np.full(1 + ROUNDS, np.nan)

    def ranks(quantity: Rated) -> Floats:
        return np.concatenate([_centred_ranks(compared.rows(surrogate, quantity)) for surrogate in enough])

    y, x = ranks("asr"), ranks(of)
    if given is None:
        return _correlation(x, y)
    z = ranks(given)
    xz, yz = (np.where(np.any(z, axis=0), _correlation(side, z), 0) for side in (x, y))
    scale = np.sqrt((1 - xz**2).clip(0) * (1 - yz**2).clip(0))
    return np.divide(_correlation(x, y) - xz * yz, scale, out=np.full(len(scale), np.nan), where=scale > 1e-9)


def spread(compared: Compared, surrogate: str, statements: int = 1) -> Estimate:
    """Largest less smallest success rate over attacks, with its 95 % interval.

    The interval is that in which all differences of two attacks lie together (as Tukey's, from the resamplings): those
    of the range itself would be too large, since chance alone sets rates apart.

    Parameters
    ----------
    statements : number of such intervals that shall hold together with 95 % (Bonferroni).
    """
    rows = compared.rows(surrogate)
    if len(rows) < 2 or np.isnan(rows[:, 0]).any():
        return Estimate(np.nan, np.nan, np.nan)
    value = np.ptp(rows[:, 0])
    moved = np.ptp(rows[:, 1:] - rows[:, :1], axis=0)
    reach = np.nanquantile(moved, 1 - 0.05 / statements)
    return Estimate(float(value), float(max(value - reach, 0)), float(value + reach))


def agreement(compared: Compared, surrogates: Collection[str], of: Literal["asr", "rmse"]) -> Floats:
    """Draws of the share of pairs of optimisers that are in the paper's order, of those that it tells apart.

    A tie is half a pair.
    """
    place = {attack: index for index, group in enumerate(PAPER[of]) for attack in group}
    shares = []
    for surrogate in surrogates:
        ranks = dict(zip(compared.attacks[surrogate], _ranks(compared.rows(surrogate, of)), strict=True))
        shares += [
            (np.sign(ranks[one] - ranks[other]) + 1) / 2
            for one in ranks
            for other in ranks
            if one in place and other in place and place[one] < place[other]
        ]
    return np.mean(shares, axis=0) if shares else np.full(1 + ROUNDS, np.nan)


def places(compared: Compared, surrogate: str, of: Rated) -> dict[str, float]:
    """The rank of each attack, 1 for the largest; those that are equal share the mean of their ranks.

    Empty where a value is not known.
    """
    values = compared.rows(surrogate, of)[:, :1]
    if np.isnan(values).any():
        return {}
    return dict(zip(compared.attacks[surrogate], _ranks(-values)[:, 0].tolist(), strict=True))


def _ranks(rows: Floats) -> Floats:
    """Ranks over the first axis; what agrees to five digits is equal."""
    from scipy.stats import rankdata  # half a second to import, which a window's start should not pay

    scale = np.abs(rows).max(axis=0, keepdims=True, initial=0)
    even = np.round(np.divide(rows, scale, out=np.zeros_like(rows), where=scale != 0), 5)
    return np.asarray(rankdata(even, axis=0), dtype=np.float64)


def _centred_ranks(rows: Floats) -> Floats:
    ranks = _ranks(rows)
    return ranks - ranks.mean(axis=0)


def _correlation(x: Floats, y: Floats) -> Floats:
    scale = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    return np.divide((x * y).sum(axis=0), scale, out=np.full(len(scale), np.nan), where=scale > 0)
