"""The options of an import: what a foreign model's file does not tell."""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import field_validator, model_validator

from core.images import ImageFormat
from core.models.cards import MOST_CLASSES, CloudLayout, ModelError, numbered
from core.models.framed import Frame
from core.options import option
from core.runtime.files import read_whole

NAME = re.compile(r"\w[\w.+ -]{0,99}")
MOST_VALUES = 1 << 22
"""Of an image."""
BYTES = (0.0, 255.0)
"""The range of the values of images."""
_SHAPE = re.compile(r"[1-9][0-9]{0,6}(x[1-9][0-9]{0,6}){2}")
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
    layout: CloudLayout | None = option(
        None,
        "How it takes clouds: (B, 3, N), (B, N, 3), or a dict of pos (B, N, 3) and x (B, 3, N); empty: found out.",
        advanced=True,
    )

    @property
    def image(self) -> ImageFormat | None:
        """What its images are; None if it takes clouds."""
        return None

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


class AnyImportOptions(ImportOptions):
    """The same of a model of clouds, or of images."""

    images: str | None = option(
        None,
        "Shape of the images that it takes, as 3x224x224: channels, height and width; their values are from 0 to 255. "
        "Empty: it takes clouds.",
    )

    @field_validator("images")
    @classmethod
    def _a_shape(cls, text: str | None) -> str | None:
        if text is not None and not (_SHAPE.fullmatch(text) and math.prod(map(int, text.split("x"))) <= MOST_VALUES):
            raise ValueError(f"channels x height x width are wanted, as 3x224x224, of at most {MOST_VALUES:,} values")
        return text

    @model_validator(mode="after")
    def _of_clouds_or_images(self) -> Self:
        if self.images is not None and (self.points is not None or self.layout is not None or self.frame != Frame()):
            raise ValueError("up, normalisation, scale, points and layout are for clouds: leave them out")
        return self

    @property
    def image(self) -> ImageFormat | None:
        if self.images is None:
            return None
        channels, height, width = map(int, self.images.split("x"))
        return ImageFormat(shape=(channels, height, width), value_range=BYTES)
