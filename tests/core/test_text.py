"""Text of others, made fit to be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.attacks import Attack
from core.datasets import DatasetError
from core.options import explain
from core.runtime.text import MOST_CHARACTERS, printable, sentence, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("chair 1.ply", "chair 1.ply"),
        ("Stühle/椅子.ply", "Stühle/椅子.ply"),
        ("\x1b[2J\x07a\nb\tc", r"\x1b[2J\x07a\nb\tc"),
        ("caf\udce9", r"caf\udce9"),
        ("a\u202eb\u200bc", r"a\u202eb\u200bc"),
    ],
)
def test_characters_that_are_not_printable_are_shown_as_escapes(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_whatever_a_text_holds_a_sentence_is_short_and_printable(text):
    shown = sentence(text)
    assert shown.isprintable()
    assert len(shown) <= MOST_CHARACTERS


def test_a_text_that_is_cut_says_so():
    assert shortened("a" * 10, 10) == "a" * 10
    assert shortened("abc def ghi", 6) == "abc d…"
    assert str(DatasetError("a" * 400)) == "a" * 298 + "…."


def test_wrong_options_are_explained_without_all_of_them():
    with pytest.raises(ValueError, match="validation error") as caught:
        Attack.model_validate({"epsilon": "x" * 100_000, "steps": 0, "momentum": "\x1b", "restarts": [], "\x07": 1})
    text = explain(caught.value)
    assert text.startswith("epsilon: input should be a valid number, unable to parse string as a number (got 'xxxxx")
    assert "steps: input should be greater than or equal to 1 (got 0)" in text
    assert "momentum: input should be a valid number, unable to parse string as a number (got '\\x1b')" in text
    assert text.isprintable()
    assert len(text) < 400
