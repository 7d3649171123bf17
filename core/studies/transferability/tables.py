"""The tables of the report: what came out. How it was made is in ``setup_tables``."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from core.results.tables import Cell, Table
from core.studies.transferability.claims import Answer, Claim
from core.studies.transferability.findings import CONTROLS, OPTIMISERS, Floats
from core.studies.transferability.measures import DENOMINATORS, FATES, Measures, Quantity, estimate, mean_over
from core.studies.transferability.relations import PAPER, Compared, Order, agreement, compare, places, spearman, spread

UNITS = {"clouds": "unit-sphere radii", "images": "units of the values"}
"""Of distances, by modality."""
INTERVALS = "In brackets 95 % bootstrap intervals over samples."
MATCHED = f"{INTERVALS} Unmatched samples are left out; an empty cell is not done yet, or has no samples."
DISTANCES: Mapping[str, Quantity] = {
    "RMSE": "rmse",
    "L-infinity": "linf",
    "Chamfer": "chamfer",
    "Hausdorff": "hausdorff",
    "Change of curvature": "curvature",
}


def result_tables(measures: Measures) -> Iterator[tuple[str, Table]]:
    """The tables of one experiment, each with the name of its files."""
    yield "rates", rates(measures)
    if measures.findings.options.protocol == "steps":
        yield "steps", over_steps(measures)
    else:
        yield "correlations", correlations(measures)
        yield "spreads", spreads(measures)
        yield "orders", orders(measures)
        yield "controls", controls(measures)
    yield "distances", distances(measures)
    yield "mistakes", mistakes(measures)
    yield "cells", cells(measures)
    yield "victims", victims(measures)


def rows_of(measures: Measures) -> Iterator[tuple[str, str]]:
    """Surrogates and attacks in the order of the tables."""
    return ((surrogate, attack) for surrogate in measures.findings.surrogates for attack in measures.attacks())


def claims(answers: Mapping[Claim, Answer]) -> Table:
    return Table(
        "What the papers claim",
        ("Claim", "Source", "It holds if", "Here it", "Numbers"),
        [
            (claim.statement, claim.source, claim.criterion, answer.verdict, answer.sentence)
            for claim, answer in answers.items()
        ],
        "The criteria were written down before any run. Undecided means that a 95 % interval includes the threshold, "
        "or that something is not done yet, or was not chosen.",
    )


def rates(measures: Measures) -> Table:
    rows = [
        (
            surrogate,
            attack,
            *(estimate(measures.asr(surrogate, attack, denominator)).percent() for denominator in DENOMINATORS),
            estimate(measures.white_box(surrogate, attack)).percent(),
            estimate(measures.unmatched(surrogate, attack)).percent(),
        )
        for surrogate, attack in rows_of(measures)
    ]
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in DENOMINATORS.items())
    return Table(
        "Success rate (%), mean over victims, as a share of four kinds of samples",
        ("Surrogate", "Attack", *DENOMINATORS, "On the surrogate", "Unmatched"),
        rows,
        f"A success is a wrong class. {meanings}. {MATCHED}",
    )


def distances(measures: Measures) -> Table:
    shown = dict(list(DISTANCES.items())[: 2 if measures.findings.modality == "images" else None])
    rows = [
        (
            surrogate,
            attack,
            estimate(measures.distance(surrogate, attack, fooled=True)).text(5),
            *(estimate(measures.distance(surrogate, attack, of)).text(5) for of in shown.values()),
        )
        for surrogate, attack in rows_of(measures)
    ]
    return Table(
        f"Distances from the clean samples ({UNITS[measures.findings.modality]})",
        ("Surrogate", "Attack", "RMSE of successes", *shown),
        rows,
        "Means over the matched samples that the surrogate gets right; RMSE of successes, over those of them that fool "
        f"it. {MATCHED}",
    )


def mistakes(measures: Measures) -> Table:
    rows: list[Sequence[Cell]] = []
    for surrogate, attack in rows_of(measures):
        row: list[Cell] = [None] * len(FATES)
        if measures.done(surrogate, attack):
            row = [estimate(share).percent() for share in mean_over(measures.fates(surrogate, attack), 1).T]
        rows.append((surrogate, attack, *row))
    return Table(
        "What victims take adversarial samples for (%, mean over victims)",
        ("Surrogate", "Attack", *FATES),
        rows,
        f"Of samples that surrogate and victim get right when clean; the same mistake is the class of the surrogate. "
        f"{MATCHED}",
    )


def cells(measures: Measures) -> Table:
    """Every cell with every denominator, as numbers."""
    rows: list[Sequence[Cell]] = []
    for surrogate, attack in rows_of(measures):
        if (surrogate, attack) not in measures.findings.made:
            continue
        columns: list[list[Cell]] = []
        for denominator in DENOMINATORS:
            each = [estimate(draws) for draws in 100 * measures.rates(surrogate, attack, denominator).T]
            columns += [[getattr(one, name) for one in each] for name in ("value", "low", "high")]
            columns.append(measures.among(surrogate, attack, denominator).sum(axis=0).tolist())
        columns += (100 * measures.fates(surrogate, attack)[0].T).tolist()
        names = measures.victims(surrogate)
        rows += [
            (surrogate, attack, victim, *row) for victim, row in zip(names, zip(*columns, strict=True), strict=True)
        ]
    heads = [f"{name} {part}" for name in DENOMINATORS for part in ("%", "low", "high", "samples")]
    return Table(
        "Success rates of every surrogate, attack and victim",
        ("Surrogate", "Attack", "Victim", *heads, *(f"{fate} %" for fate in FATES)),
        rows,
        "By four kinds of samples; the last three columns are of the first kind. low and high are the ends of 95 % "
        "bootstrap intervals over samples.",
    )


def victims(measures: Measures) -> Table:
    findings = measures.findings
    rows: list[Sequence[Cell]] = []
    for surrogate, attack in rows_of(measures):
        found: dict[str, Cell] = {}
        if (surrogate, attack) in findings.made:
            each = [estimate(100 * draws).text(0) for draws in measures.rates(surrogate, attack).T]
            found.update(zip(measures.victims(surrogate), each, strict=True))
        mean = estimate(measures.asr(surrogate, attack)).percent()
        rows.append((surrogate, attack, *(found.get(victim) for victim in findings.victims), mean))
    return Table(
        "Success rate (%) on each victim",
        ("Surrogate", "Attack", *findings.victims, "Mean over victims"),
        rows,
        f"Of samples that surrogate and victim get right when clean. {MATCHED}",
    )


def correlations(measures: Measures) -> Table:
    compared = compare(measures)
    surrogates = measures.findings.surrogates
    rows: list[Sequence[Cell]] = []
    for name, chosen in (*((each, (each,)) for each in surrogates), ("all, pooled within surrogates", surrogates)):
        texts = [estimate(spearman(compared, chosen, given=given)).text(2) for given in (None, "loss", "linf")]
        counts = sum(len(compared.attacks[each]) for each in chosen)
        samples = compared.samples(name) if name in surrogates else None
        rows.append((name, counts, samples, *texts))
    return Table(
        "Rank correlation of success rate and RMSE over the optimisers (Spearman)",
        ("Surrogate", "Attacks", "Samples", "Spearman", "Given the loss", "Given L-infinity"),
        rows,
        "Of the mean success rate over victims (samples that both models get right) and the mean RMSE. Given: the "
        "partial rank correlation; where the other quantity is the same for all attacks, it is the plain one. "
        f"{common(compared)} {MATCHED}",
    )


def spreads(measures: Measures) -> Table:
    sides = [compare(measures), compare(measures, [name for name in OPTIMISERS if name != "gd"])]
    rows = [(name, *(spread(side, name).percent() for side in sides)) for name in measures.findings.surrogates]
    return Table(
        "How far success rates differ between optimisers: largest less smallest (percentage points)",
        ("Surrogate", "All optimisers", "Without plain GD"),
        rows,
        "In brackets the interval in which all differences of two attacks lie together with 95 % (from the bootstrap). "
        f"{common(sides[0])}",
    )


def orders(measures: Measures) -> Table:
    compared = compare(measures)
    surrogates = measures.findings.surrogates
    ranks = {of: [places(compared, name, of) for name in surrogates] for of in PAPER}
    printed = {of: paper_places(PAPER[of]) for of in PAPER}
    rows: list[Sequence[Cell]] = []
    for attack in measures.attacks(OPTIMISERS):
        row: list[Cell] = [attack]
        for of in PAPER:
            found = [places[attack] for places in ranks[of] if attack in places]
            row += [f"{np.mean(found):.1f}" if found else None, f"{printed[of][attack]:g}"]
        rows.append(row)
    agreed = {of: estimate(agreement(compared, surrogates, of)).percent() for of in PAPER}
    pairs = (
        f" Of the pairs that the paper tells apart, {agreed['asr']} % are in its order by success rate, and "
        f"{agreed['rmse']} % by RMSE; chance has 50."
        if all(agreed.values())
        else ""
    )
    return Table(
        "Optimisers in order, the largest first",
        ("Attack", "By success rate", "In the paper", "By RMSE", "In the paper (RMSE)"),
        rows,
        "Mean place over surrogates; in the paper, attacks that are about equal share the mean of their places."
        f"{pairs} {common(compared)}",
    )


def paper_places(order: Order) -> dict[str, float]:
    """The place of each attack; those of one group share the mean of their places."""
    found: dict[str, float] = {}
    for group in order:
        found |= dict.fromkeys(group, len(found) + (len(group) + 1) / 2)
    return found


def controls(measures: Measures) -> Table:
    rows: list[Sequence[Cell]] = []
    for surrogate in measures.findings.surrogates:
        for attack in measures.attacks(CONTROLS):
            row: list[Cell] = [surrogate, attack, estimate(measures.distance(surrogate, attack)).text(5)]
            row.append(estimate(measures.asr(surrogate, attack)).percent())
            others = measures.attacks(OPTIMISERS)
            row.append(_range([measures.distance(surrogate, name) for name in others], 1, 5))
            row.append(_range([measures.asr(surrogate, name) for name in others], 100, 2))
            rows.append(row)
    return Table(
        "Controls: noise that knows no model, beside the optimisers",
        ("Surrogate", "Control", "RMSE", "Success rate (%)", "Optimisers: RMSE", "Optimisers: success rate (%)"),
        rows,
        "The noise of each sample has the largest RMSE of its adversarial samples by the optimisers, within the same "
        f"L-infinity bound. Of the optimisers the least and the largest mean are given. {MATCHED}",
    )


def over_steps(measures: Measures) -> Table:
    rows = [
        (
            surrogate,
            *attack.split("@"),
            estimate(measures.asr(surrogate, attack)).percent(),
            estimate(measures.distance(surrogate, attack)).text(5),
            estimate(measures.distance(surrogate, attack, "loss")).text(3),
        )
        for surrogate, attack in rows_of(measures)
    ]
    return Table(
        "Success rate, RMSE and loss after so many steps",
        ("Surrogate", "Attack", "Steps", "Success rate (%)", "RMSE", "Loss of the surrogate (nats)"),
        rows,
        f"The success rate is the mean over victims, of samples that both models get right. {MATCHED}",
    )


def common(compared: Compared) -> str:
    """One sentence on the samples on which attacks are compared, and on attacks that are not."""
    counts = ", ".join(f"{compared.samples(name):,} of {name}" for name in compared.attacks)
    out = [f"{attack} on {name}" for name, attacks in compared.left_out.items() for attack in attacks]
    few = f"; left out, as less than half of their samples are matched: {', '.join(out)}" if out else ""
    return f"Attacks are compared on the samples that all of them are matched on ({counts}){few}."


def _range(draws: Sequence[Floats], scale: float, digits: int) -> str:
    values = [scale * each[0] for each in draws if np.isfinite(each[0])]
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}" if values else ""
