"""What the reports of all studies share: tables and figures as files with their provenance, and one page of all."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from core.figures import save, settle
from core.results.records import write_provenance
from core.results.tables import Table
from core.runtime.files import atomic_path
from resources import RESOURCES


@dataclass(frozen=True, eq=False)
class Plate:
    """A figure, the name of its files, and what it shows."""

    name: str
    figure: Figure
    caption: str


def write_tables(folder: Path, tables: Mapping[str, Table], made_with: Mapping[str, Any]) -> None:
    """Write each table, by the name of its files, as CSV, Markdown and LaTeX with its provenance beside it."""
    with atomic_path(folder) as part:
        for name, table in tables.items():
            for suffix in (".csv", ".md", ".tex"):
                table.write(part / f"{name}{suffix}")
                write_provenance(part / f"{name}{suffix}", made_with)


def write_plates(
    folder: Path, plates: Iterable[Plate], made_with: Mapping[str, Any], suffixes: Sequence[str]
) -> list[dict[str, str]]:
    """Write each figure in the formats of ``suffixes``, its provenance within.

    Returns
    -------
    list of dict
        Of each its ``name``, ``caption`` and, as a data URL for a page that needs no other file, ``image``.
    """
    shown = []
    with atomic_path(folder) as part:
        part.mkdir()  # there may be no figure
        for plate in plates:
            settle(plate.figure)
            for suffix in suffixes:
                save(plate.figure, part / f"{plate.name}{suffix}", made_with, plate.caption)
            shown.append({"name": plate.name, "caption": plate.caption, "image": _data_url(plate.figure)})
    return shown


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write the page that ``template``, a file of resources/, makes of ``values``."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(RESOURCES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = pages.get_template(template).render(values)
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def _data_url(figure: Figure) -> str:
    with io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=160)
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
