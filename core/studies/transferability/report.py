"""The report of transfer experiments: tables and figures as files, and one page that holds all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from core.figures.clouds import Up
from core.results.records import write_json
from core.studies.report import write_page, write_plates, write_tables
from core.studies.transferability.claims import CLAIMS, Verdict
from core.studies.transferability.figures import HOW, plates
from core.studies.transferability.findings import TransferFindings
from core.studies.transferability.measures import DENOMINATORS, Measures
from core.studies.transferability.options import Protocol
from core.studies.transferability.setup_tables import gradients, models, setup_tables
from core.studies.transferability.tables import claims, result_tables


def write_report(
    findings: Mapping[Protocol, TransferFindings],
    folder: Path,
    made_with: Mapping[str, Any],
    *,
    samples: Mapping[str, ArrayLike] | None = None,
    up: Up = "z",
    value_range: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Verdict]:
    """Write tables/ (CSV, Markdown, LaTeX), figures/ (PNG, SVG, PDF), report.json and report.html.

    Findings may be of a run that is not finished: what is not done yet is an empty cell.

    Parameters
    ----------
    findings : one experiment for each protocol, at least one.
    folder : where they are written.
    made_with : how all were made, as ``core.results.records.provenance`` says it: options, seed, the dataset's
        fingerprint, SHA-256 of the weights by model.
    samples, up, value_range : for figure 3, see ``plates``.

    Returns
    -------
    dict
        What it says of each claim of the papers, by the claim's name.

    Raises
    ------
    ValueError
        If there are no findings.
    """
    if not findings:
        raise ValueError("A report needs the findings of at least one protocol.")
    measured = {protocol: Measures(findings[protocol]) for protocol in HOW if protocol in findings}
    first = next(iter(measured.values()))
    answers = {claim: claim.answer(measured) for claim in CLAIMS}
    overall = {"claims": claims(answers), "models": models(first), "gradients": gradients(first)}
    tables = {
        protocol: dict((*result_tables(measures), *setup_tables(measures))) for protocol, measures in measured.items()
    }
    prefixed = {f"{protocol}-{name}": table for protocol in tables for name, table in tables[protocol].items()}
    write_tables(folder / "tables", overall | prefixed, made_with)
    drawn = write_plates(
        folder / "figures", plates(measured, samples, up, value_range), made_with, (".png", ".svg", ".pdf")
    )
    experiments = {protocol: _experiment(measures) for protocol, measures in measured.items()}
    said = [
        {
            "name": claim.name,
            "statement": claim.statement,
            "source": claim.source,
            "criterion": claim.criterion,
            "threshold": claim.threshold,
            "verdict": answer.verdict,
            "numbers": answer.sentence,
        }
        for claim, answer in answers.items()
    ]
    write_json(folder / "report.json", {**made_with, "experiments": experiments, "claims": said})
    write_page(
        folder / "report.html",
        "transferability.html",
        findings=first.findings,
        experiments=experiments,
        denominators=DENOMINATORS,
        how=HOW,
        claims=said,
        overall={name: table.html() for name, table in overall.items()},
        tables={protocol: {name: table.html() for name, table in of.items()} for protocol, of in tables.items()},
        plates=drawn,
        made_with=made_with,
    )
    return {claim.name: answer.verdict for claim, answer in answers.items()}


def _experiment(measures: Measures) -> dict[str, Any]:
    """What was run, and how much of it is done."""
    findings = measures.findings
    done, planned = measures.progress()
    return {
        "options": findings.options.model_dump(),
        "surrogates": findings.surrogates,
        "attacks": measures.attacks(),
        "victims": findings.victims,
        "cells_done": done,
        "cells": planned,
    }
