"""What the second paper and a later one claim, each as a test that was written down before any run.

A claim is decided by 95 % intervals: it is undecided where one includes the threshold, and where not all is done or
was chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from core.evaluation.bootstrap import Estimate
from core.studies.transferability.findings import OPTIMISERS
from core.studies.transferability.measures import Measures, estimate, mean_over
from core.studies.transferability.options import Protocol
from core.studies.transferability.relations import Compared, compare, pair, spearman, spread

Verdict = Literal["holds", "does not hold", "undecided"]
Measured = Mapping[Protocol, Measures]
CHEN = "Chen et al. 2021 (arXiv 2102.10343)"
LATER = "arXiv 2604.16532"
MOMENTUM = tuple(name for name in OPTIMISERS if name != "gd")
"""The optimisers but plain GD."""


@dataclass(frozen=True)
class Answer:
    verdict: Verdict
    sentence: str
    """The numbers that decide."""


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, and the test that decides on it."""

    name: str
    statement: str
    source: str
    criterion: str
    """When it holds, in words and numbers."""
    threshold: float
    """The number of the criterion: a rank correlation, or a difference of success rates, 0 to 1."""
    test: Callable[[Measured, float], Answer]

    def answer(self, measured: Measured) -> Answer:
        """What the experiments, by their protocol, say of it."""
        return self.test(measured, self.threshold)


def decide(estimates: Sequence[Estimate], over: float, together: Sequence[Estimate] | None = None) -> Verdict:
    """If all quantities are over a threshold.

    Parameters
    ----------
    together : the same with the wider intervals that hold together with 95 %: one of many intervals lies off by chance,
        which is why one alone refutes nothing.
    """
    if estimates and all(each.low > over for each in estimates):
        return "holds"
    return "does not hold" if any(each.high < over for each in together or estimates) else "undecided"


def _correlates(measured: Measured, threshold: float) -> Answer:
    if "equal-loss" not in measured:
        return _not_run("equal-loss")
    compared = compare(measured["equal-loss"])
    surrogates = compared.measures.findings.surrogates
    pooled = estimate(spearman(compared, surrogates))
    alone = [f"{name} {_text(estimate(spearman(compared, [name])))}" for name in surrogates]
    given = estimate(spearman(compared, surrogates, given="loss"))
    return _conclude(
        compared,
        decide([pooled], threshold),
        f"Spearman's correlation is {_text(pooled)} over {_pairs(compared)} ({', '.join(alone)}); given the "
        f"surrogate's loss it is {_text(given)}.",
    )


def _boosts(measured: Measured, threshold: float) -> Answer:
    for protocol in ("equal-loss", "rmse-term"):
        if protocol not in measured:
            return _not_run(protocol)
    try:
        first, second = pair(measured["equal-loss"], measured["rmse-term"])
    except ValueError as error:
        return Answer("undecided", str(error))
    cells = [(name, attack) for name in first.findings.surrogates for attack in first.attacks(OPTIMISERS)]
    missing = [cell for cell in cells if not (first.done(*cell) and second.done(*cell))]
    larger = [
        cell
        for cell in cells
        if cell not in missing and estimate(second.distance(*cell) - first.distance(*cell)).low > 0
    ]
    if not larger:
        return Answer("undecided", f"The RMSE term made the RMSE clearly larger for no attack.{_missing(missing)}")
    gains = [second.asr(*cell) - first.asr(*cell) for cell in larger]
    each, together = [estimate(gain) for gain in gains], [estimate(gain, len(gains)) for gain in gains]
    overall = estimate(mean_over(np.stack(gains), 0))
    verdict = "undecided" if missing else decide(each, threshold, together)
    return Answer(
        verdict,
        f"The RMSE is clearly larger for {len(larger)} of {len(cells)} pairs of surrogate and optimiser; of these the "
        f"success rate rose clearly in {sum(one.low > threshold for one in each)} and fell clearly in "
        f"{sum(one.high < threshold for one in together)}. The mean gain is {_points(overall)} points, the least "
        f"{100 * min(one.value for one in each):.1f}.{_missing(missing)}",
    )


def _level(measured: Measured, threshold: float, *, kinds: tuple[str, ...]) -> Answer:
    if "equal-rmse" not in measured:
        return _not_run("equal-rmse")
    compared = compare(measured["equal-rmse"], kinds)
    surrogates = compared.measures.findings.surrogates
    each = [spread(compared, name) for name in surrogates]
    together = [spread(compared, name, len(surrogates)) for name in surrogates]
    rmse = np.concatenate([compared.rows(name, "rmse")[:, 0] for name in surrogates])
    said = [f"{name} {_points(one)}" for name, one in zip(surrogates, each, strict=True)]
    reached = f" The mean RMSEs are {rmse.min():.4g} to {rmse.max():.4g}." if len(rmse) else ""
    verdict = decide([_less(one) for one in each], -threshold, [_less(one) for one in together])
    if verdict == "holds" and any(compared.left_out.values()):
        verdict = "undecided"  # those that are left out may lie apart
    return _conclude(
        compared,
        verdict,
        f"Largest less smallest success rate, in percentage points: {', '.join(said)}.{reached}",
        kinds,
    )


def _hardly(measured: Measured, threshold: float) -> Answer:
    if "equal-loss" not in measured:
        return _not_run("equal-loss")
    compared = compare(measured["equal-loss"])
    surrogates = compared.measures.findings.surrogates
    draws = spearman(compared, surrogates, given="linf")
    plain = estimate(spearman(compared, surrogates))
    return _conclude(
        compared,
        decide([_less(estimate(np.abs(draws)))], -threshold),
        f"Given the realised L-infinity distance, Spearman's correlation of RMSE and success rate is "
        f"{_text(estimate(draws))} over {_pairs(compared)}; without that it is {_text(plain)}.",
    )


def _stronger(measured: Measured, threshold: float, *, attack: str) -> Answer:
    kinds = ("pgd", attack)
    found = [each for each in measured.values() if set(each.attacks(kinds)) == set(kinds)]
    if not found:
        return Answer("undecided", f"Not done yet: {attack} and pgd under one protocol.")
    compared = compare(found[0], kinds)
    surrogates = [name for name, attacks in compared.attacks.items() if len(attacks) == 2]
    if not surrogates:
        return _conclude(compared, "undecided", "", kinds)
    sides = []
    for of in ("rmse", "asr"):
        rows = [dict(zip(compared.attacks[name], compared.rows(name, of), strict=True)) for name in surrogates]
        sides.append(mean_over(np.stack([row[attack] - row["pgd"] for row in rows]), 0))
    each = [estimate(draws) for draws in sides]
    return _conclude(
        compared,
        decide(each, threshold, [estimate(draws, 2) for draws in sides]),
        f"Its RMSE is larger by {each[0].text(4) or 'unknown'}, its success rate by {_points(each[1])} points (mean "
        f"over {len(surrogates)} surrogates; negative where smaller).",
        kinds,
    )


def _not_run(protocol: str) -> Answer:
    return Answer("undecided", f"Not done yet: the protocol {protocol}.")


def _conclude(compared: Compared, verdict: Verdict, sentence: str, kinds: Sequence[str] = OPTIMISERS) -> Answer:
    """The answer, undecided while attacks are missing or if some were not chosen, which are named, as are those that
    were left out."""
    missing = [(name, attack) for name, attacks in compared.missing.items() for attack in attacks]
    out = [f"{attack} on {name}" for name, attacks in compared.left_out.items() for attack in attacks]
    few = f" Left out, as less than half of the samples are matched: {', '.join(out)}." if out else ""
    absent = [name for name in kinds if name not in compared.measures.findings.attacks]
    not_chosen = f" Not among the attacks: {', '.join(absent)}." if absent else ""
    verdict = "undecided" if missing or absent else verdict
    return Answer(verdict, f"{sentence}{few}{not_chosen}{_missing(missing)}".strip())


def _missing(cells: Sequence[tuple[str, str]]) -> str:
    if not cells:
        return ""
    named = ", ".join(f"{attack} on {name}" for name, attack in cells[:3])
    return f" Not done yet: {named}{f' and {len(cells) - 3} more' if len(cells) > 3 else ''}."


def _pairs(compared: Compared) -> str:
    return f"{sum(map(len, compared.attacks.values()))} pairs of surrogate and optimiser"


def _text(value: Estimate) -> str:
    return value.text(2) or "unknown"


def _points(value: Estimate) -> str:
    return Estimate(100 * value.value, 100 * value.low, 100 * value.high).text(1) or "unknown"


def _less(value: Estimate) -> Estimate:
    return Estimate(-value.value, -value.high, -value.low)


_STRONGER = {"mi": "MI", "ni": "NI", "fgsm": "FGSM", "square": "Square"}

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "correlates",
        "When the surrogate is attacked to the same loss, transferability correlates strongly with the RMSE.",
        f"{CHEN}, section 3.1",
        "Over the seven optimisers, Spearman's rank correlation of mean success rate and mean RMSE, pooled within "
        "surrogates, is over 0.5.",
        0.5,
        _correlates,
    ),
    Claim(
        "boosts",
        "At the same loss, a larger RMSE by an RMSE term boosts transferability under all circumstances.",
        f"{CHEN}, section 3.2",
        "For every surrogate and optimiser whose mean RMSE the term makes larger (its interval lies over 0), the mean "
        "success rate rises: each interval of the gain lies over 0. One gain that lies under 0, by intervals that hold "
        "together with 95 %, refutes it.",
        0.0,
        _boosts,
    ),
    Claim(
        "level",
        "At the same RMSE, almost all attacks have the same transferability.",
        f"{CHEN}, section 3.3 and figure 2",
        "For every surrogate the mean success rates of the six optimisers but plain GD differ by less than 5 "
        "percentage points. (In the paper's figure they differ by 2; plain GD is 4 to 31 below.)",
        0.05,
        partial(_level, kinds=MOMENTUM),
    ),
    Claim(
        "level-with-gd",
        "At the same RMSE, all seven attacks have the same transferability, plain GD too.",
        f"{CHEN}, section 3.3, read strictly",
        "For every surrogate the mean success rates of all seven optimisers differ by less than 5 percentage points.",
        0.05,
        partial(_level, kinds=OPTIMISERS),
    ),
    Claim(
        "hardly-correlates",
        "At the same L-infinity distortion, the RMSE hardly correlates with transferability.",
        LATER,
        "Over the seven optimisers at equal loss, the partial rank correlation of mean success rate and mean RMSE, "
        "given the mean realised L-infinity distance and pooled within surrogates, is between -0.3 and 0.3.",
        0.3,
        _hardly,
    ),
    *(
        Claim(
            f"{attack}-over-pgd",
            f"{title} makes larger perturbations than PGD within the same L-infinity bound, and transfers better.",
            f"{CHEN}, section 4",
            "In the mean over surrogates, both its mean RMSE and its mean success rate are larger than those of PGD: "
            "both intervals of the difference lie over 0. One that lies under 0, by intervals that hold together with "
            "95 %, refutes it.",
            0.0,
            partial(_stronger, attack=attack),
        )
        for attack, title in _STRONGER.items()
    ),
)
