"""Names from files as they are shown: nothing in them steers a terminal or becomes a formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runtime.text import MOST_CHARACTERS, elided, printable, spreadsheet_text

ANY = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("chair", "chair"),
        ("Stühle 椅子\u3000🪑\u2009\u00a0%", "Stühle 椅子\u3000🪑\u2009\u00a0%"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\rd\0", r"a\nb\tc\rd\x00"),
        ("\x7f\x9b31m", r"\x7f\x9b31m"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        ("one\u2028two\u200b", r"one\u2028two\u200b"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_name_is_shown_without_what_steers_a_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(ANY)
def test_any_text_becomes_one_line_that_any_terminal_can_print(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    assert all(char.isprintable() or char.isspace() for char in shown)
    assert printable(shown) == shown


@given(ANY)
def test_no_cell_of_text_begins_like_a_formula(text: str) -> None:
    cell = spreadsheet_text(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell in (printable(text), f"'{printable(text)}")


def test_a_long_sentence_keeps_its_beginning_and_its_end() -> None:
    assert elided("x" * MOST_CHARACTERS) == "x" * MOST_CHARACTERS
    cut = elided("name: " + "x" * MOST_CHARACTERS + ": File name too long.")
    assert len(cut) == MOST_CHARACTERS
    assert cut.startswith("name: x")
    assert cut.endswith("x: File name too long.")
    assert "x…x" in cut
