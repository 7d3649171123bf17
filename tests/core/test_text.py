"""Names from files as they are shown: nothing in them steers a terminal or becomes a formula."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.attacks import Attack
from core.options import explain
from core.runtime.text import MOST_CHARACTERS, printable, sentence, shortened, spreadsheet_text

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("chair", "chair"),
        ("Stühle 椅子 🪑", "Stühle 椅子 🪑"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\rd\0", r"a\nb\tc\rd\x00"),
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
    assert shortened("x" * MOST_CHARACTERS) == "x" * MOST_CHARACTERS
    cut = shortened("name: " + "x" * MOST_CHARACTERS + ": File name too long.")
    assert len(cut) == MOST_CHARACTERS
    assert cut.startswith("name: x")
    assert cut.endswith("x: File name too long.")
    assert "x…x" in cut


@given(st.text(st.characters(exclude_categories=())))
def test_a_sentence_is_short_whatever_it_holds(text: str) -> None:
    assert len(sentence(text)) <= MOST_CHARACTERS


def test_a_wrong_option_is_explained_without_all_of_it() -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        Attack.model_validate({"epsilon": "x" * 100_000, "steps": 0, "momentum": "\x1b", "restarts": [], "\x07": 1})
    text = explain(caught.value)
    assert text.startswith("epsilon: input should be a valid number, unable to parse string as a number (got 'xxxxx")
    assert "steps: input should be greater than or equal to 1 (got 0)" in text
    assert text.endswith("; and 2 more")
    assert text.isprintable()
