"""The report: tables and figures as files, records of every test cloud, and one page that holds all of them."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from core.figures import save, settle
from core.models.predict import device_of
from core.results.records import provenance, write_csv, write_json, write_provenance
from core.runtime.devices import describe_device
from core.runtime.files import atomic_path
from core.studies.defense_pointnet.figures import Plate, plates
from core.studies.defense_pointnet.findings import Findings
from core.studies.defense_pointnet.measure import Measured
from core.studies.defense_pointnet.tables import tables
from core.training import command
from resources import RESOURCES

TEMPLATE = RESOURCES / "report.html"
WRITTEN = ("tables", "figures", "records", "report")
"""Files and folders of a report, without suffix."""


def write_report(findings: Findings, folder: Path) -> None:
    """Write tables/ (CSV, Markdown, LaTeX), figures/ (PDF, SVG), records/ (CSV), report.json and report.html."""
    made, drawn = tables(findings), list(plates(findings))
    card = findings.dataset.card
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
    with atomic_path(folder / "tables") as part:
        for name, table in made.items():
            for suffix in (".csv", ".md", ".tex"):
                table.write(part / f"{name}{suffix}")
                write_provenance(part / f"{name}{suffix}", made_with)
    with atomic_path(folder / "figures") as part:
        for plate in drawn:
            settle(plate.figure)
            for suffix in (".pdf", ".svg"):
                save(plate.figure, part / f"{plate.name}{suffix}", made_with, plate.caption)
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
    page = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True, undefined=jinja2.StrictUndefined)
    text = page.render(
        card=card,
        findings=findings,
        options=findings.options.model_dump(),
        flags=flags,
        commands=commands,
        tables={name: table.html() for name, table in made.items()},
        plates=[{"name": plate.name, "caption": plate.caption, "image": _data_url(plate)} for plate in drawn],
        versions=made_with["versions"],
        time=made_with["time"],
    )
    with atomic_path(folder / "report.html") as part:
        part.write_text(text, encoding="utf-8")


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


def _data_url(plate: Plate) -> str:
    """The figure as a data URL, so that the page needs no other file."""
    with io.BytesIO() as buffer:
        plate.figure.savefig(buffer, format="png", dpi=160)
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
