"""Text from files, file names and libraries, made safe to show in a terminal, a label or a spreadsheet's cell."""

import re
import unicodedata

MOST_CHARACTERS = 300
"""Of a sentence about what is wrong."""

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reverse the order in which others are shown (Unicode Standard Annex 9)."""

_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
_ESTIMATE = re.compile(r"[-+][\d.]+ \[[-+]?[\d.]+, [-+]?[\d.]+\]")


def printable(text: str) -> str:
    r"""``text`` with every character escaped that could control a terminal or end a line: ESC becomes ``\x1b``.

    Escaped are the control characters C0 and C1, line and paragraph separators, characters that change the direction of
    text, and bytes of a file name that are not UTF-8 (``\xff``).
    """
    return "".join(_escaped(letter) if _is_unsafe(letter) else letter for letter in text)


def shortened(text: str, most: int) -> str:
    """``text``, cut to ``most`` characters; the last of them is then an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """``text`` made ``printable`` and cut to ``MOST_CHARACTERS``."""
    text = printable(text)
    return text if len(text) <= MOST_CHARACTERS else shortened(text, MOST_CHARACTERS - 1) + "."


def spreadsheet_text(text: str) -> str:
    """``text``, made printable, as a cell that no spreadsheet takes for a formula.

    An apostrophe is put before ``=``, ``+``, ``-``, ``@`` and the wide forms of these, as OWASP advises on CSV
    injection. A number with its interval, "-1.40 [-3.70, 1.10]", is left as it is, for it is no formula.
    """
    text = printable(text)
    return f"'{text}" if _FORMULA.match(text) and not _ESTIMATE.fullmatch(text) else text


def _is_unsafe(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _BIDIRECTIONAL


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte that could not be decoded
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
