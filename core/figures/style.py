"""The style of all figures, and writing them to files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from core.results.records import plain
from core.runtime.files import atomic_path
from core.runtime.text import printable

COLUMN, PAGE = 3.5, 7.16  # widths of one and of two columns of an IEEE page, inches
CLEAN, ADVERSARIAL = (0.11, 0.40, 0.78), (0.79, 0.38, 0.02)
INK, MUTED, FAINT = (0.09, 0.13, 0.17), (0.33, 0.38, 0.44), (0.87, 0.89, 0.91)
# Petroff 2021, arXiv 2107.02270: ten colours that can be told apart with any colour vision
PETROFF: list[Any] = list(mpl.color_sequences["petroff10"])
MARKERS = "os^D"

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $a$
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "figure.autolayout": False,  # each figure chooses, whatever a matplotlibrc says
    "figure.constrained_layout.use": False,
    "svg.fonttype": "none",  # text stays text: it can be searched and edited, and Qt can draw it
    "svg.hashsalt": "pointward",  # the same figure gives the same file
    "pdf.fonttype": 42,  # TrueType, as publishers ask
}

styled = mpl.rc_context(STYLE)  # decorates what makes or writes a figure, and leaves matplotlib's own settings alone

FORMATS: dict[str, tuple[dict[str, Any], str, str]] = {
    ".png": ({"dpi": 300}, "Title", "Description"),
    ".svg": ({"metadata": {"Date": None}}, "Title", "Description"),
    ".pdf": ({"metadata": {"CreationDate": None}}, "Title", "Subject"),
}
"""How each format is written, and under which of its metadata a caption and a provenance are kept."""


def make_printable(figure: Figure) -> None:
    """Escape what names from files hold that no font has and no SVG may hold: see ``printable``. Lines stay lines."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text("\n".join(map(printable, text.get_text().split("\n"))))


@styled
def settle(figure: Figure) -> None:
    """Lay ``figure`` out for good: saved in several formats it is not laid out anew for each."""
    make_printable(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine(None)


@styled
def save(figure: Figure, path: Path, made_with: Mapping[str, Any] | None = None, caption: str = "") -> None:
    """Write ``figure`` as PNG (300 dpi), SVG or PDF, by the suffix of ``path``; the same arguments give the same bytes.

    Parameters
    ----------
    made_with : mapping, optional
        Provenance (``core.results.records``), kept as JSON in the file's metadata: under Description in PNG and SVG,
        under Subject in PDF.
    caption : str
        What the figure shows, kept under Title.

    Raises
    ------
    ValueError
        If the suffix is another.
    """
    check_ending(path)
    make_printable(figure)
    suffix = path.suffix.lower()
    how, title, description = FORMATS[suffix]
    metadata = dict(how.get("metadata", {}))
    shown = "".join(letter if letter.isprintable() else " " for letter in caption)  # XML knows no control characters
    metadata |= {title: shown} if caption else {}
    metadata |= {description: json.dumps(plain(made_with))} if made_with is not None else {}
    with atomic_path(path) as part:
        figure.savefig(part, format=suffix[1:], **{**how, "metadata": metadata})


def check_ending(path: Path) -> None:
    """Refuse, with a ``ValueError``, what ``save`` would, before anything is computed for it."""
    if path.suffix.lower() not in FORMATS:
        ending = f"as '{path.suffix}'" if path.suffix else "without an ending"
        raise ValueError(f"{path.name}: figures are saved as .png, .svg or .pdf, not {ending}.")


def class_style(index: int) -> tuple[Any, str]:
    """Colour and marker of class ``index``; no two of the first 40 classes share both."""
    return PETROFF[index % 10], MARKERS[(index + index // 20) % 4]
