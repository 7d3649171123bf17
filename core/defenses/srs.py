"""Simple random sampling: drop points at random (Yang et al., Adversarial attack and defense on point sets, 2019)."""

from typing import ClassVar

import torch
from torch import Tensor

from core.defenses.base import Defense
from core.defenses.points import repeated, taken
from core.options import option


class RandomSampling(Defense):
    """Drop a share of the points; at least one stays.

    A batch shares one draw, so copies of a cloud in it lose the same points. Points dropped from different clouds are
    unrelated, because they are drawn by their position in the fixed order.
    """

    random: ClassVar[bool] = True

    share: float = option(
        0.5, "Share of the points that is dropped; the public port IF-Defense drops 500 of 1,024.", low=0.0, high=0.99
    )

    def apply(self, clouds: Tensor, draw: int) -> Tensor:
        count = clouds.shape[1]
        drawn = torch.randperm(count, generator=torch.Generator().manual_seed(draw))
        kept = torch.ones(count, dtype=torch.bool)
        kept[drawn[: min(round(self.share * count), count - 1)]] = False
        return taken(clouds, repeated(kept.to(clouds.device).expand(len(clouds), -1)))
