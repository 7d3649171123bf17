"""The options of an import: what a foreign model's file does not tell."""

import re
from collections import Counter
from pathlib import Path

from core.models.cards import MOST_CLASSES, Layout, ModelError, numbered
from core.models.framed import Frame
from core.options import option
from core.runtime.files import read_whole

NAME = re.compile(r"\w[\w.+ -]{0,99}")
POINTS = 1024
"""Points per cloud for a foreign model, unless an option says otherwise."""


class ImportOptions(Frame):
    """The name of a foreign model, what its outputs mean, and which clouds it takes."""

    name: str | None = option(None, "Name in commands and lists; empty is that of the file.")
    classes: str | None = option(
        None,
        "Names of its outputs in order, with commas between, or a text file with one in each line; empty numbers them.",
    )
    points: int | None = option(
        None,
        "Points of the clouds it takes; empty is what its file says, else 1,024.",
        unit="points",
        low=1,
        high=100_000,
    )
    layout: Layout | None = option(
        None,
        "How it takes clouds: (B, 3, N), (B, N, 3), or a dict of pos (B, N, 3) and x (B, 3, N); empty: found out.",
        advanced=True,
    )

    @property
    def frame(self) -> Frame:
        return Frame.model_validate({name: getattr(self, name) for name in Frame.model_fields})

    def name_for(self, file: Path) -> str:
        """The name, by default one made from the name of the file.

        Raises
        ------
        ModelError
            If it can't be the name of a file.
        """
        name = self.name or re.sub(r"[^\w.+ -]+", "-", file.name.partition(".")[0]).strip("-. ") or "model"
        if not NAME.fullmatch(name):
            raise ModelError(f"{name!r} can't be the name of a model: use letters, digits, spaces and . _ + - in it.")
        return name

    def class_names(self) -> tuple[str, ...] | None:
        """The names of the outputs; None if they were not given.

        Raises
        ------
        ModelError, FormatError
            If there are fewer than two, or a name twice, or the file can't be read.
        """
        if not self.classes:
            return None
        if self.classes.isdecimal() and 2 <= int(self.classes) <= MOST_CLASSES:
            return numbered(int(self.classes))
        words = self.classes.split(",")
        file = Path(self.classes).expanduser()
        if len(words) == 1:
            content = read_whole(file, 1 << 20, "a file with the name of a class in each line is expected")
            words = content.decode("utf-8", "replace").splitlines()
        names = tuple(word.strip() for word in words if word.strip())
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ModelError(f"Two of the classes are called {twice[0]!r}: give each output a name of its own.")
        if not 2 <= len(names) <= MOST_CLASSES:
            raise ModelError(f"A classifier has from 2 to {MOST_CLASSES:,} classes, and {len(names):,} were named.")
        return names
