"""Tables: what a reader, LaTeX, a browser and a spreadsheet get."""

import csv
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from core.results.tables import Table
from core.runtime.text import printable

TABLE = Table(
    "Accuracy & cost of 100 % <robust> models",
    ["Model", "n", "Accuracy (%)", "p"],
    [
        ["Defense_PointNet", 2874, 98.765432101, 1.25e-9],
        ["a | b, $c$", 12, 9.996, None],
        ["007", 0, 1234.5, float("nan")],
    ],
    "Wilson's 95 % intervals.",
)
EMPTY = Table("Nothing", ["a", "b"], [])


class Reader(HTMLParser):
    """Text of a page, by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.found: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.inside.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((self.inside[-1], data.strip()))


def test_markdown_has_the_title_a_row_for_each_row_and_the_note() -> None:
    title, _, head, rule, *rows, _, note = TABLE.markdown().splitlines()
    assert title == r"**Accuracy & cost of 100 % \<robust> models**"
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["Model", "n", "Accuracy (%)", "p"]
    assert [part.endswith(":") for part in rule.strip("|").split("|")] == [False, True, True, True]
    assert [cell.strip() for cell in rows[0].strip("|").split("|")] == ["Defense_PointNet", "2874", "98.8", "1.25e-09"]
    assert rows[1].startswith(r"| a \| b, \$c\$")  # or the cell would become two, and c a formula
    assert rows[2].split() == ["|", "007", "|", "0", "|", "1230", "|", "|"]
    assert note == "Wilson's 95 % intervals."


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9, "0.900"), (9.996, "10.0"), (99.96, "100"), (1234.5, "1230"), (-0.5, "-0.500"), (0.0, "0.00"),
     (0.00012345, "0.000123"), (1.2345e-7, "1.23e-07"), (5e7, "5.00e+07"), (math.inf, "inf"),
     (np.float32(0.1), "0.100"), (np.float64(2.5), "2.50"), (3, "3"), (np.int64(123456), "123456"), ("1e5", "1e5")],
)  # fmt: skip
def test_floats_have_three_significant_digits_and_nothing_else_is_changed(value: float | str, shown: str) -> None:
    assert Table("t", ["a"], [[value]]).markdown().splitlines()[4].strip("| ") == shown


def test_latex_is_a_booktabs_float_with_special_characters_escaped() -> None:
    text = TABLE.latex()
    lines = text.splitlines()
    assert lines[0] == r"\begin{table}"
    assert lines[-1] == r"\end{table}"
    assert r"\caption{Accuracy \& cost of 100 \% \ensuremath{<}robust\ensuremath{>} models}" in lines
    assert r"\begin{tabular}{lrrr}" in lines
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    row = next(line for line in lines if "Defense" in line)
    assert row.split() == [r"Defense\_PointNet", "&", "2874", "&", "98.8", "&", "1.25e-09", r"\\"]
    assert r"\$c\$" in text
    assert text.index(r"\end{tabular}") < text.index(r"Wilson's 95 \% intervals.")
    assert r"\begin{tabular}{rr}" in EMPTY.latex()  # a tabular without columns would not compile
    assert "footnotesize" not in EMPTY.latex()


def test_a_row_of_latex_may_begin_with_a_bracket_or_a_star() -> None:
    text = Table("t", ["interval", "x"], [["[0.1, 0.2]", 1], ["* best", 2]]).latex()
    assert r"{[}0.1, 0.2]" in text
    assert "{*} best" in text


def test_html_shows_every_cell_as_it_is() -> None:
    found = Reader(TABLE.html()).found
    assert found[0] == ("caption", TABLE.title)
    assert [text for tag, text in found if tag == "th"] == list(TABLE.columns)
    cells = [text for tag, text in found if tag == "td"]
    assert cells == ["Defense_PointNet", "2874", "98.8", "1.25e-09", "a | b, $c$", "12", "10.0", "007", "0", "1230"]
    assert found[-1] == ("p", TABLE.note)
    assert "<p>" not in EMPTY.html()


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    TABLE.write(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == list(TABLE.columns)
    assert rows == [
        ["Defense_PointNet", "2874", "98.765432101", "1.25e-09"],
        ["a | b, $c$", "12", "9.996", ""],
        ["007", "0", "1234.5", ""],
    ]
    EMPTY.write(tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == "a,b\n"


def test_the_suffix_chooses_what_is_written(tmp_path: Path) -> None:
    for suffix in ("md", "tex", "HTML"):
        TABLE.write(tmp_path / f"table.{suffix}")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == TABLE.markdown()
    assert (tmp_path / "table.tex").read_text(encoding="utf-8") == TABLE.latex()
    page = (tmp_path / "table.HTML").read_text(encoding="utf-8")
    assert page.startswith('<!doctype html>\n<meta charset="utf-8">\n<title>Accuracy &amp; cost')
    assert page.endswith(TABLE.html())


def test_another_suffix_is_refused_in_one_sentence_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"t\.xlsx: tables are written as \.csv, \.md, \.tex or \.html, not as '\.xlsx'"
    ):
        TABLE.write(tmp_path / "t.xlsx")
    assert not list(tmp_path.iterdir())


def test_rows_of_another_length_and_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Rates: row 2 has 1 cells for 2 columns"):
        Table("Rates", ["a", "b"], [[1, 2], [3]])
    with pytest.raises(ValueError, match="Rates: columns need different names, not a, a"):
        Table("Rates", ["a", "a"], [])


STRANGE = (
    "a\nb", "a\rb", "a\x1b[31mb", "\x9b31m", "left\u202eright", "caf\udce9",
    "=2+5", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\uff1d1",
    "[text](javascript:alert(1))", "![image](http://a/b)", "<script>alert(1)</script>", "a & &lt;b", "`code`",
    "__init__", "_emphasis_", "*strong*", "~~struck~~", "$x$", r"\input{secret}", r"a \\ b",
    "100 % {x} ^ ~ #1", "a | b",
)  # fmt: skip
"""What a stranger may have called a file or a class."""


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_is_text_in_every_format(name: str, tmp_path: Path) -> None:
    table = Table(f"Shapes of {name}", ["Class", name], [[name, -0.5]], f"Note on {name}")
    shown = printable(name)
    for suffix in ("csv", "md", "tex", "html"):
        table.write(tmp_path / f"t.{suffix}")
        text = (tmp_path / f"t.{suffix}").read_text(encoding="utf-8")
        assert printable(text.replace("\n", "")) == text.replace("\n", ""), "nothing is left that steers a terminal"

    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert len(rows) == 1
    assert head[1].removeprefix("'") == rows[0][0].removeprefix("'") == shown
    assert rows[0][1] == "-0.5", "a number is no name"
    assert not {head[1][0], rows[0][0][0]} & set("=+-@\t\r\uff1d")

    assert len(table.markdown().splitlines()) == 7
    [row] = [line for line in table.markdown().splitlines() if "-0.500" in line]
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", re.split(r"(?<!\\) \|", row[2:])[0]).strip()
    assert plain == shown, "without the backslashes before punctuation it is the name again"
    assert not re.search(r"(?<!\\)([<*`~$|]|\]\()", row.strip("|").rpartition("|")[0]), "no markup is left"

    found = Reader(table.html()).found
    assert [text for tag, text in found if tag == "td"] == [shown.strip(), "-0.500"]

    body = next(line for line in table.latex().splitlines() if "-0.500" in line)
    assert len(re.findall(r"(?<!\\)&", body)) == 1
    assert body.count(r"\\") == 1, "the end of the row is the only one"
    assert r"\input" not in body


def test_a_number_with_its_interval_is_no_formula(tmp_path: Path) -> None:
    Table("t", ["Gain"], [["-1.40 [-3.70, 1.10]"], ["-1.40 [-3.70, 1.10]+A1"], [-2], ["-2"]]).write(tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        cells = [row[0] for row in csv.reader(file)]
    assert cells == ["Gain", "-1.40 [-3.70, 1.10]", "'-1.40 [-3.70, 1.10]+A1", "-2", "'-2"]
