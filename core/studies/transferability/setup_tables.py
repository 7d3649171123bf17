"""The tables of the report on how it was made: models, calibration, and how well attacks are matched."""

from collections.abc import Iterator, Sequence

import numpy as np

from core.results.tables import Cell, Table
from core.studies.transferability.findings import Floats
from core.studies.transferability.measures import Measures, estimate
from core.studies.transferability.tables import INTERVALS, MATCHED, UNITS, rows_of

MATCHED_BY = {
    "equal-loss": "a sample is matched if the surrogate's loss reaches the calibrated one",
    "rmse-term": "a sample is matched if the surrogate's loss reaches the calibrated one",
    "equal-rmse": "a sample is matched if it has the common RMSE",
    "steps": "every sample is matched: the number of steps is what attacks have in common",
}
"""What makes a sample of an optimiser matched, by protocol."""


def setup_tables(measures: Measures) -> Iterator[tuple[str, Table]]:
    """The tables of one experiment, each with the name of its files."""
    yield "matching", matching(measures)
    yield "calibration", calibration(measures)
    yield "first-steps", first_steps(measures)


def matching(measures: Measures) -> Table:
    findings = measures.findings
    rows: list[Sequence[Cell]] = []
    for surrogate, attack in rows_of(measures):
        made = findings.made.get((surrogate, attack))
        if made is None:
            rows.append((surrogate, attack, *[None] * 7))
            continue
        among = measures.attacked(surrogate, attack)
        spans = [_span(values[among]) for values in (made.loss, made.rmse)]
        middle = f"{np.median(made.iterations[among]):g}" if among.any() else None
        rows.append(
            (
                surrogate,
                attack,
                int(among.sum()),
                estimate(measures.unmatched(surrogate, attack)).percent(),
                estimate(measures.distance(surrogate, attack, "loss")).text(3),
                spans[0],
                estimate(measures.distance(surrogate, attack)).text(5),
                spans[1],
                middle,
            )
        )
    return Table(
        "How well attacks are matched, and what is left",
        (
            "Surrogate",
            "Attack",
            "Matched samples",
            "Unmatched (%)",
            "Mean loss (nats)",
            "Loss: 5 to 95 %",
            "Mean RMSE",
            "RMSE: 5 to 95 %",
            "Median iterations",
        ),
        rows,
        f"Under {findings.options.protocol}, {MATCHED_BY[findings.options.protocol]}. Of samples that the "
        f"surrogate gets right when clean; RMSE in {UNITS[findings.modality]}. The spans are those of nine in ten "
        f"matched samples. {MATCHED}",
    )


def _span(values: Floats) -> str:
    values = values[np.isfinite(values)]
    return "{:.4g} to {:.4g}".format(*np.quantile(values, (0.05, 0.95))) if len(values) else ""


def calibration(measures: Measures) -> Table:
    settled = measures.findings.calibration
    return Table(
        "What was settled for each surrogate on held-out samples",
        ("Surrogate", "Loss at which attacks end (nats)", "Weight of the RMSE term (nats for an RMSE of epsilon)"),
        [(name, settled[name].loss, settled[name].rmse_weight) for name in settled],
        f"On {measures.findings.options.held_out} samples of the validation split, which are measured nowhere else.",
    )


def first_steps(measures: Measures) -> Table:
    rows: list[Sequence[Cell]] = []
    for surrogate, settled in measures.findings.calibration.items():
        for attack in dict.fromkeys((*settled.first_step, *settled.tried)):
            tried = settled.tried.get(attack, {})
            rates = ", ".join(f"{step:g}: {100 * rate:.1f} %" for step, rate in sorted(tried.items()))
            rows.append((surrogate, attack, settled.first_step.get(attack), rates))
    return Table(
        "RMSE of the first step (share of epsilon)",
        ("Surrogate", "Attack", "Chosen", "Tried: success rate on the other surrogates"),
        rows,
    )


def models(measures: Measures) -> Table:
    findings = measures.findings
    rows = []
    for model in dict.fromkeys((*findings.surrogates, *findings.victims)):
        roles = [role for role in ("surrogate", "victim") if model in getattr(findings, f"{role}s")]
        right = int(measures.right(model).sum()) if model in findings.clean else None
        rows.append((model, ", ".join(roles), estimate(measures.accuracy(model)).percent(), right))
    return Table(
        "Models on the clean samples",
        ("Model", "Role", "Accuracy (%)", "Right"),
        rows,
        f"Of {len(findings.label):,} samples. {INTERVALS}",
    )


def gradients(measures: Measures) -> Table:
    findings = measures.findings
    rows = [
        (
            surrogate,
            estimate(measures.smoothness(surrogate)).text(3),
            *(estimate(measures.alignment(surrogate, victim)).text(3) for victim in findings.victims),
        )
        for surrogate in findings.surrogates
    ]
    return Table(
        "Input gradients of the surrogates: change of direction nearby, and cosine with those of the victims",
        ("Surrogate", "Change (1 - cosine)", *findings.victims),
        rows,
        f"Means over clean samples. The smaller the change, the smoother is the surrogate's loss. {INTERVALS}",
    )
