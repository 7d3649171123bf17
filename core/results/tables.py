"""Tables of results, for papers, pages and spreadsheets."""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import LATEX_ESCAPE_RULES, tabulate

from core.results.records import write_csv
from core.runtime.files import atomic_path
from core.runtime.text import printable

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """A table with a title and a note. None and NaN are empty cells.

    Text may hold names from files: it is escaped in every format, so that it shows as it is and does nothing else.

    Floats are given with three significant digits, in CSV with every digit. Columns of numbers are set to the right.

    Raises
    ------
    ValueError
        If two columns have the same name, or a row has not one cell for each column.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"{self.title}: columns need different names, not {', '.join(self.columns)}.")
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: row {number} has {len(row)} cells for {len(self.columns)} columns.")

    def markdown(self) -> str:
        """The table in Markdown, its title in bold."""
        body = self._render("pipe", _markdown)
        parts = f"**{_markdown(self.title)}**", body, _markdown(self.note)
        return "\n\n".join(part for part in parts if part) + "\n"

    def latex(self) -> str:
        """The table as a float for the LaTeX package booktabs, its title as caption."""
        body = self._render("latex_booktabs")
        body = re.sub(r"(?m)^ *([*[])", r" {\1}", body)  # after \\ or \midrule, a star or a bracket would be its option
        note = f"\n\\par\\smallskip\n{{\\footnotesize {_latex(self.note)}}}" if self.note else ""
        return f"\\begin{{table}}\n\\centering\n\\caption{{{_latex(self.title)}}}\n{body}{note}\n\\end{{table}}\n"

    def html(self) -> str:
        """The table as an element of HTML, its title as caption, and after it the note as a paragraph."""
        caption = f"<table>\n<caption>{_html(self.title)}</caption>"
        note = f"<p>{_html(self.note)}</p>\n" if self.note else ""
        return f"{self._render('html').replace('<table>', caption, 1)}\n{note}"

    def write(self, path: Path) -> None:
        """Write the table, by the suffix of ``path``, as CSV (without title and note), Markdown, LaTeX or HTML page.

        Raises
        ------
        ValueError
            If the suffix is another.
        """
        match suffix := path.suffix.lower():
            case ".csv":
                cells = np.array([list(row) for row in self.rows], dtype=object).reshape(-1, len(self.columns))
                write_csv(path, dict(zip(self.columns, cells.T, strict=True)))
                return
            case ".md":
                text = self.markdown()
            case ".tex":
                text = self.latex()
            case ".html":
                head = f'<!doctype html>\n<meta charset="utf-8">\n<title>{_html(self.title)}</title>'
                text = f"{head}\n{self.html()}"
            case _:
                raise ValueError(f"{path.name}: tables are written as .csv, .md, .tex or .html, not as '{suffix}'.")
        with atomic_path(path) as part:
            part.write_text(text, encoding="utf-8", newline="\n")

    def _render(self, form: str, escape: Callable[[str], str] = str) -> str:
        rows = self.rows or [[None] * len(self.columns)]  # without a row, tabulate does not know the number of columns
        sides = [
            "left" if any(isinstance(cell, str) for cell in column) else "right" for column in zip(*rows, strict=True)
        ]
        return str(
            tabulate(
                [[escape(_cell_text(cell)) for cell in row] for row in rows],
                headers=[escape(_cell_text(name)) for name in self.columns],
                tablefmt=form,
                colalign=sides,
                disable_numparse=True,
            )
        )


_MARKS = re.compile(r"[\\`*<|~$]|](?=[(\[])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown, with the extensions of GitHub, takes for markup inside a line."""


def _cell_text(cell: Cell) -> str:
    """``cell`` on one line, a float with three significant digits."""
    if cell is None or cell != cell:
        return ""
    if not isinstance(cell, float | np.floating) or not np.isfinite(cell):
        return printable(str(cell))
    text = f"{cell:.2e}"
    exponent = int(text.partition("e")[2])
    if -5 < exponent < 6:
        return f"{round(cell, 2 - exponent):.{max(2 - exponent, 0)}f}"
    return text


def _markdown(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", printable(text))


def _latex(text: str) -> str:
    return "".join(LATEX_ESCAPE_RULES.get(letter, letter) for letter in printable(text))


def _html(text: str) -> str:
    return html.escape(printable(text))
