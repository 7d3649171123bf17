"""What only a person can say of a foreign model's file, which is asked and never guessed."""

from pathlib import Path
from typing import Literal

from core.models.cards import ModelError

Need = Literal["points", "layout", "classes", "factory"]


class NeededError(ModelError):
    """The file leaves open what an option has to say; the sentence says which."""

    def __init__(self, option: Need, text: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.option, self.choices = option, choices


class UntrustedError(ModelError):
    """The file is code, and nobody has said yet that it may run."""

    def __init__(self, path: Path, sha256: str, text: str) -> None:
        super().__init__(text)
        self.path, self.sha256 = path, sha256
