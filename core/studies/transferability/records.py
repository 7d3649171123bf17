"""The JSON files in the folder of a transfer experiment."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class ExperimentRecord(BaseModel):
    """``experiment.json``: what all protocols of a folder have in common."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    fingerprint: str
    weights: dict[str, str]
    """SHA-256 of each model's file, by name."""
    options: dict[str, Any]

    def difference(self, other: "ExperimentRecord") -> str:
        """What differs first, in words."""
        if (self.dataset, self.fingerprint) != (other.dataset, other.fingerprint):
            return f"with the dataset {self.dataset}"
        changed = next(name for name, value in self.options.items() if other.options[name] != value)
        return f"with {changed} {self.options[changed]}"


class ProtocolRecord(BaseModel):
    """``protocol.json``: the experiment of one protocol."""

    model_config = ConfigDict(frozen=True)

    surrogates: tuple[str, ...]
    attacks: tuple[str, ...]
    victims: tuple[str, ...]
    options: dict[str, Any]


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
