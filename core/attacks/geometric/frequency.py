"""The attack on low frequencies (AOF, Liu et al. 2022): smooth bends of a cloud that change what it is taken for.

The frequencies of a cloud are those of the Laplacian of its graph of neighbours. Moves are kept to the lowest, and what
is attacked is, in part, the cloud with nothing but these, which carries over to other models.
"""

from typing import ClassVar

import torch
from torch import Tensor

from core.attacks.geometric.neighbours import neighbours
from core.attacks.mixed import MixedAttack
from core.attacks.state import State
from core.models import Classifier
from core.options import option

NEIGHBOURS = 30
"""Of each point in the graph, as in the authors' code."""


class FrequencyAttack(MixedAttack):
    """A gradient attack whose moves are of low frequency, as far as the budget does not cut them short."""

    clouds_alone: ClassVar[bool] = True

    frequencies: int = option(100, "How many of the lowest frequencies of the cloud may change.", low=1, high=100_000)
    smooth_share: float = option(
        0.25,
        "Weight of the objective at the cloud with these frequencies alone, beside that at the whole cloud (gamma of "
        "the paper).",
        low=0.0,
        high=1.0,
    )

    @property
    def description(self) -> str:
        return f"low-frequency {super().description}"

    @property
    def gamma(self) -> float:
        return self.smooth_share

    def geometry(self, clean: Tensor) -> dict[str, Tensor]:
        return super().geometry(clean) | {"low_frequencies": low_frequencies(clean, self.frequencies)}

    def allowed(self, moves: Tensor, state: State) -> Tensor:
        return super().allowed(low_pass(moves, state.geometry["low_frequencies"]), state)

    def other_cloud(self, model: Classifier, clouds: Tensor, state: State) -> Tensor:
        return low_pass(clouds, state.geometry["low_frequencies"])


@torch.no_grad()
def low_frequencies(clean: Tensor, count: int) -> Tensor:
    """The lowest frequencies of clouds (B, N, 3): orthonormal columns (B, N, count), all N where there are fewer.

    Eigenvectors of the Laplacian of the graph whose edges join neighbours, with weights exp(-square distance).
    """
    points = clean.shape[1]
    joined = torch.zeros(len(clean), points, points, dtype=torch.bool, device=clean.device)
    joined.scatter_(2, neighbours(clean, NEIGHBOURS), True)
    apart = torch.cdist(clean, clean, compute_mode="donot_use_mm_for_euclid_dist").square()
    weight = torch.exp(-apart) * (joined | joined.mT)
    laplacian = torch.diag_embed(weight.sum(2)) - weight
    return torch.linalg.eigh(laplacian).eigenvectors[..., :count]


def low_pass(points: Tensor, low_frequencies: Tensor) -> Tensor:
    """Points or moves (B, N, 3) with their low frequencies alone, given as orthonormal columns (B, N, F)."""
    return low_frequencies @ (low_frequencies.mT @ points)
