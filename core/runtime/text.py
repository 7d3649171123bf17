"""Names that come from files, as text that is safe to show: in a terminal, and in the cell of a spreadsheet."""

import re
import unicodedata

LONGEST_SENTENCE = 300
"""Characters of an error message."""

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reverse the order in which others are shown (Unicode Standard Annex 9)."""

_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
_ESTIMATE = re.compile(r"[-+][\d.]+ \[[-+]?[\d.]+, [-+]?[\d.]+\]")


def printable(text: str) -> str:
    """``text`` with every character escaped that could steer a terminal or end a line: ESC becomes ``\\x1b``.

    Escaped are the control characters C0 and C1, line and paragraph separators, those that change the direction of
    text, and what stands for bytes that are not UTF-8 in a file's name (``\\xff``).
    """
    return "".join(_escaped(letter) if _steers(letter) else letter for letter in text)


def shortened(text: str, most: int = LONGEST_SENTENCE) -> str:
    """``text``, or its beginning and its end around a "…" where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def spreadsheet_text(text: str) -> str:
    """``text``, made printable, as a cell that no spreadsheet takes for a formula.

    An apostrophe is put before ``=``, ``+``, ``-``, ``@`` and the wide forms of these, as in OWASP's advice on CSV
    injection. A number with its interval, "-1.40 [-3.70, 1.10]", is left as it is, for it is no formula.
    """
    text = printable(text)
    return f"'{text}" if _FORMULA.match(text) and not _ESTIMATE.fullmatch(text) else text


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _BIDIRECTIONAL


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte that could not be decoded
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
