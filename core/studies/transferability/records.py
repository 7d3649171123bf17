"""The JSON files in the folder of a transfer experiment."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from core.results.records import read_as


class ExperimentRecord(BaseModel):
    """``experiment.json``: what all protocols of a folder have in common."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    fingerprint: str
    weights: dict[str, str]
    """SHA-256 of each model's file, by name."""
    options: dict[str, Any]

    @staticmethod
    def file(folder: Path) -> Path:
        return folder / "experiment.json"

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """That of a folder; None if no experiment was begun there."""
        path = cls.file(folder)
        return read_as(path, cls, "the record of a transfer experiment") if path.is_file() else None

    def difference(self, other: "ExperimentRecord") -> str:
        """What differs first, in words."""
        if (self.dataset, self.fingerprint) != (other.dataset, other.fingerprint):
            return f"with the dataset {self.dataset}"
        changed = next(name for name, value in other.options.items() if self.options.get(name) != value)
        return f"with {changed} {self.options.get(changed)}"


class ProtocolRecord(BaseModel):
    """``protocol.json``: the experiment of one protocol."""

    model_config = ConfigDict(frozen=True)

    surrogates: tuple[str, ...]
    attacks: tuple[str, ...]
    victims: tuple[str, ...]
    options: dict[str, Any]

    @staticmethod
    def file(folder: Path, protocol: str) -> Path:
        return folder / protocol / "protocol.json"

    @classmethod
    def of(cls, folder: Path, protocol: str) -> Self | None:
        """That of a protocol in the folder of an experiment; None if it was not begun there."""
        path = cls.file(folder, protocol)
        return read_as(path, cls, "the record of a protocol") if path.is_file() else None


class LossRecord(BaseModel):
    """``losses/SURROGATE.json``: how far the optimisers raise the loss of held-out samples."""

    model_config = ConfigDict(frozen=True)

    samples: int
    """Held-out samples that the surrogate gets right."""
    quantile: dict[str, float]
    """By optimiser: the loss that all but a few samples reach, in nats."""
    loss: float
    """The least of these, the loss at which attacks end."""
    iterations: dict[str, float]
    """By optimiser: mean number of steps to that loss."""
