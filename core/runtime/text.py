"""Text from files, file names and libraries, made fit to be shown to a person."""

MOST_CHARACTERS = 300
"""Of a sentence about what is wrong."""


def printable(text: str) -> str:
    r"""The text with every character that is not printable as its escape, such as ``\x1b``; it is then one line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def shortened(text: str, most: int) -> str:
    """The text, cut to ``most`` characters; the last of them is then an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def sentence(text: str) -> str:
    """The text made ``printable`` and cut to ``MOST_CHARACTERS``."""
    text = printable(text)
    return text if len(text) <= MOST_CHARACTERS else shortened(text, MOST_CHARACTERS - 1) + "."
