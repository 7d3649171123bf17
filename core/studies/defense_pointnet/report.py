"""The report: tables and figures as files, records of every test cloud, and one page that holds all of them."""

from pathlib import Path
from typing import Any

import numpy as np

from core.models.predict import device_of
from core.results.records import provenance, write_csv, write_json, write_provenance
from core.runtime.devices import describe_device
from core.runtime.files import atomic_path
from core.studies.defense_pointnet.figures import plates
from core.studies.defense_pointnet.findings import Findings
from core.studies.defense_pointnet.measure import Measured
from core.studies.defense_pointnet.tables import tables
from core.studies.report import write_page, write_plates, write_tables
from core.training import command

WRITTEN = ("tables", "figures", "records", "report")
"""Files and folders of a report, without suffix."""


def write_report(findings: Findings, folder: Path) -> None:
    """Write tables/ (CSV, Markdown, LaTeX), figures/ (PDF, SVG), records/ (CSV), report.json and report.html."""
    made, card = tables(findings), findings.dataset.card
    made_with = {
        "dataset_name": card.name,
        **provenance(
            {
                "reproduction": findings.options,
                "attack": findings.attack,
                "pgd": findings.pgd,
                "evaluation": findings.evaluation,
            },
            seed=findings.evaluation.seed,
            dataset=card.fingerprint,
            weights={each.entry.name: each.model.sha256 for each in findings.measured},
            device=describe_device(device_of(findings.measured[0].model.module)),
        ),
    }
    write_tables(folder / "tables", made, made_with)
    drawn = write_plates(folder / "figures", plates(findings), made_with, (".pdf", ".svg"))
    with atomic_path(folder / "records") as part:
        for each in findings.measured:
            path = part / f"{each.entry.name}.csv"
            write_csv(path, records(findings, each))
            write_provenance(path, made_with)
    runs = {
        each.entry.name: {"options": each.entry.options, "folder": each.entry.folder, "found": each.entry.found}
        for each in findings.measured
    }
    flags = red_flags(findings)
    commands = [command(each.entry.options, card.name, card.orientation) for each in findings.measured]
    write_json(folder / "report.json", {**made_with, "runs": runs, "red_flags": flags})
    write_page(
        folder / "report.html",
        "defense-pointnet.html",
        card=card,
        options=findings.options.model_dump(),
        flags=flags,
        commands=commands,
        tables={name: table.html() for name, table in made.items()},
        plates=drawn,
        versions=made_with["versions"],
        time=made_with["time"],
    )


def records(findings: Findings, each: Measured) -> dict[str, Any]:
    """One line per test cloud, as the columns of a table."""
    names = np.asarray(findings.dataset.split("test").names)[each.fgsm.row]
    stronger = each.pgd.sides[1]
    columns = {"name": names, **each.fgsm.records}
    columns |= {"pgd_prediction": stronger.prediction, "pgd_linf": stronger.linf, "pgd_rmse": stronger.rmse}
    if each.transfer is not None:
        columns["transfer_prediction"] = each.transfer.sides[1].prediction
    return columns


def red_flags(findings: Findings) -> list[str]:
    """A sentence for each model that is better on adversarial clouds than on clean ones, with what decides."""
    sentences = []
    for label, gap in findings.red_flags.items():
        adversarial, strong, transfer = findings.adversarial(label), findings.strong(label), findings.transfer(label)
        checks = {f"PGD-{findings.pgd.steps} at {findings.pgd.epsilon:g}": strong}
        checks |= {"FGSM made on simple training": transfer} if transfer is not None else {}
        worse = [name for name, found in checks.items() if found.value < adversarial.value]
        chance = "more than chance explains" if gap.low > 0 else "within chance"
        sentences.append(
            f"{label} is right on {100 * adversarial.value:.2f} % of the adversarial clouds and on "
            f"{100 * findings.clean(label).value:.2f} % of the clean ones: a gain of {gap.percent()} points, "
            f"{chance}. One that is real is a sign of label leaking, or of gradients that lead nowhere. What decides: "
            + ", ".join(f"{name} leaves {100 * found.value:.2f} %" for name, found in checks.items())
            + (f"; so {' and '.join(worse)} finds what this FGSM does not, and its number is no robustness."
               if worse else "; neither finds what this FGSM does not.")
        )  # fmt: skip
    return sentences
