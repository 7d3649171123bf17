"""Text from files, file names and libraries, made fit to be shown: in a terminal, and in the cell of a spreadsheet."""

import re
import unicodedata

MOST_CHARACTERS = 300
"""Of a sentence about what is wrong."""

_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
_ESTIMATE = re.compile(r"[-+][\d.]+ \[[-+]?[\d.]+, [-+]?[\d.]+\]")


def printable(text: str) -> str:
    r"""The text with every character that is not printable as its escape, such as ``\x1b``; it is then one line.

    Escaped are control and format characters, among them those that steer a terminal or change the direction of text,
    and line ends; and bytes of a file's name that are not UTF-8, as ``\xff``. All kinds of spaces stay.
    """
    return "".join(char if char.isprintable() or unicodedata.category(char) == "Zs" else _escape(char) for char in text)


def _escape(char: str) -> str:
    byte = ord(char) - 0xDC00  # PEP 383: how Python keeps a byte that could not be decoded
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else char.encode("unicode_escape").decode("ascii")


def elided(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, or its beginning and its end around an ellipsis where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def spreadsheet_text(text: str) -> str:
    """The text, made printable, as a cell that no spreadsheet takes for a formula.

    An apostrophe is put before ``=``, ``+``, ``-``, ``@`` and the wide forms of these, as in OWASP's advice on CSV
    injection. A number with its interval, "-1.40 [-3.70, 1.10]", is left as it is, for it is no formula.
    """
    text = printable(text)
    return f"'{text}" if _FORMULA.match(text) and not _ESTIMATE.fullmatch(text) else text
