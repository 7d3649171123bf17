"""Names from files as they are shown: nothing in them steers a terminal or becomes a formula."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime.text import LONGEST_SENTENCE, printable, shortened, spreadsheet_text

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("chair", "chair"),
        ("Stühle 椅子 🪑", "Stühle 椅子 🪑"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\rd\0", r"a\x0ab\x09c\x0dd\x00"),
        ("\x7f\x9b31m", r"\x7f\x9b31m"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        ("one\u2028two", r"one\u2028two"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_name_is_shown_without_what_steers_a_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_one_line_that_any_terminal_can_print(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(shown) & set(BIDIRECTIONAL)
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_no_cell_of_text_begins_like_a_formula(text: str) -> None:
    cell = spreadsheet_text(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell in (printable(text), f"'{printable(text)}")


def test_a_long_sentence_keeps_its_beginning_and_its_end() -> None:
    assert shortened("x" * LONGEST_SENTENCE) == "x" * LONGEST_SENTENCE
    cut = shortened("name: " + "x" * LONGEST_SENTENCE + ": File name too long.")
    assert len(cut) == LONGEST_SENTENCE
    assert cut.startswith("name: x")
    assert cut.endswith("x: File name too long.")
    assert "x…x" in cut
