"""Errors that ask the person for what a foreign model's file does not tell; none of it is guessed."""

from pathlib import Path
from typing import Literal

from core.models.cards import ModelError

Need = Literal["points", "layout", "classes", "factory"]


class NeededError(ModelError):
    """The file does not tell something that an option has to say; the message names the option."""

    def __init__(self, option: Need, text: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.option, self.choices = option, choices


class UntrustedError(ModelError):
    """The file is code, and nobody has consented to run it yet."""

    def __init__(self, path: Path, sha256: str, text: str) -> None:
        super().__init__(text)
        self.path, self.sha256 = path, sha256
