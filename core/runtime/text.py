"""Text from files, file names and libraries, made safe to show in a terminal, a label or a spreadsheet's cell."""

import re
import unicodedata

MOST_CHARACTERS = 300
"""Longest error message."""

_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
_ESTIMATE = re.compile(r"[-+][\d.]+ \[[-+]?[\d.]+, [-+]?[\d.]+\]")


def printable(text: str) -> str:
    r"""``text`` on one line, with every character escaped that is not shown as a glyph or a space.

    Escaped are line breaks and control characters (``\n``, ``\x1b``), format characters such as those that change the
    direction of text (``\u202e``), and bytes of a file name that are not UTF-8 (``\xff``).
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """``text``, or its beginning and its end around an ellipsis if it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def sentence(text: str) -> str:
    """``text`` made ``printable`` and ``shortened``."""
    return shortened(printable(text))


def spreadsheet_text(text: str) -> str:
    """``text``, made printable, as a cell that no spreadsheet mistakes for a formula.

    An apostrophe is put before ``=``, ``+``, ``-``, ``@`` and the wide forms of these, as OWASP advises on CSV
    injection. A number with its interval, "-1.40 [-3.70, 1.10]", is left as it is, because it is no formula.
    """
    text = printable(text)
    return f"'{text}" if _FORMULA.match(text) and not _ESTIMATE.fullmatch(text) else text


def _visible(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":  # all spaces are kept
        return character
    if "\udc80" <= character <= "\udcff":  # PEP 383: a byte that could not be decoded
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
