"""Input defences: models around a model, by the names that are typed in commands."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.defenses.base import Defense
from core.defenses.defended import Defended, Gradient
from core.defenses.knn import Smoothing
from core.defenses.quantise import Quantisation
from core.defenses.reconstruction import Reconstruction
from core.defenses.sor import OutlierRemoval
from core.defenses.srs import RandomSampling


@dataclass(frozen=True)
class Spec:
    """A defence as people and commands know it."""

    title: str
    sentence: str
    """What it does, and whose it is."""
    options: type[Defense]


DEFENSES: Mapping[str, Spec] = {
    "srs": Spec("SRS", "Drops half of the points at random, anew each time (Yang et al. 2019).", RandomSampling),
    "sor": Spec("SOR", "Removes points far from their nearest ones (DUP-Net, Zhou et al. 2019).", OutlierRemoval),
    "knn": Spec("smoothing", "Moves each point towards its nearest ones (Taubin 1995).", Smoothing),
    "quantise": Spec(
        "quantisation", "Rounds the coordinates to a grid (feature squeezing, Xu et al. 2018).", Quantisation
    ),
    "reconstruct": Spec(
        "reconstruction",
        "Replaces the cloud by what an autoencoder makes of it (like Defense-GAN, Samangouei et al. 2018).",
        Reconstruction,
    ),
}

__all__ = ["DEFENSES", "Defended", "Defense", "Gradient", "Spec"]
