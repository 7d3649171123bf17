"""Square attack (Andriushchenko et al. 2020): on images, and on clouds, with patches of points in place of squares."""

import math
from bisect import bisect_left

import torch
from torch import Tensor

from core.attacks.draws import Generators, generators, order_along, signs, uniform
from core.attacks.evaluation import Evaluation
from core.attacks.optimisers.base import quotient
from core.attacks.query.base import QueryAttack, raises_margin
from core.attacks.query.squares import stripes, with_square
from core.attacks.samples import are_clouds
from core.attacks.state import Proposal, State
from core.models import Classifier
from core.options import option

HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries after which patches have half as many points (section 3 of the paper, its schedule for p)."""
PLANNED = 10_000
"""Queries of that schedule."""


class SquareAttack(QueryAttack):
    """Random search: a patch of points moves to a random corner of the budget and stays where that raises the margin.

    A square of an image is here a random point and its nearest neighbours in the clean cloud, moved alike: each axis by
    plus or minus epsilon, as each colour there. The paper begins with stripes, one sign for each column and colour;
    here the whole cloud begins as one patch, a random sign for each axis. A slice of the cloud for each stripe, and a
    sign for each point, were tried: on a robust PointNet as many queries then fooled 5 of 16 clouds, not 8.

    Patches shrink after as many queries as in the paper's 10,000, however many are planned; the paper squeezes that
    into fewer, and so soon moves single points, of which one alone hardly changes a maximum over points. Measured on
    ``modelnet16-pgd`` and clouds that it classifies correctly, fooled with the squeezed schedule, with that one but
    patches of a tenth of the points at least, and as here: of 57 at 256 points and 300 queries 27, 40, 40 (L-infinity,
    0.1) and 19, 37, 42 (RMSE, 0.05); of 43 at 1,024 points 7, 15, 14 (0.08) and 10, 21, 24 (0.03); of 28 at 256 points
    and 1,000 queries 14, 16, 18 (0.08) and 10, 13, 14 (0.035).

    Where epsilon bounds the RMSE or the L2 norm, a patch takes its move from another: that one goes back to its place,
    and the length that it had goes to the first patch, most of it at its centre (algorithm 3 of the paper). As the
    search goes on, a growing random part may stay: all of it would be too much for the last small gains.

    Images are attacked as in the paper (algorithm 2, L-infinity): stripes first, then squares, each with a random sign
    for each channel, which shrink by the schedule of the paper squeezed into the steps that are planned.

    Every step is a query. The seed fixes the centre of a patch by its place along a random direction, so a cloud whose
    rows are permuted gets the same patches.
    """

    patch_share: float = option(
        0.8, "Share of the points in the first patches; it is halved as the search goes on.", low=0.0, high=1.0
    )

    @property
    def description(self) -> str:
        return "square attack"

    def accepts(self, proposed: Evaluation, state: State) -> Tensor | None:
        if self.step_of_start(state.step) == 0 or state.evaluation is None:
            return None
        return raises_margin(proposed, state.evaluation)

    def propose(self, model: Classifier, state: State) -> Proposal:
        draw = generators(state.seed, state.step)
        if not are_clouds(state.clean):
            return Proposal(self.bounded(self._squares(state, draw), state), dict(state.slots))
        order = order_along(state.clean, draw)
        if self.step_of_start(state.step) == 0:
            unit_delta = self.scaled_to_budget(signs(draw, state.clean, 1, 3).expand_as(state.clean))
        elif self.constraint in ("rmse", "l2"):
            unit_delta = self._exchanged(state, order, draw)
        else:
            patch = _neighbours(state.clean, order, draw) < self._count(state)
            unit_delta = torch.where(patch[..., None], signs(draw, state.clean, 1, 3), state.unit_delta)
        return Proposal(self.bounded(unit_delta, state), dict(state.slots))

    def _count(self, state: State) -> int:
        """Points of a patch."""
        return max(1, round(state.clean.shape[1] * self._share(self.step_of_start(state.step))))

    def _share(self, queries: int) -> float:
        """Share of the points, or pixels, that a patch has after so many queries of the schedule."""
        return self.patch_share / 2 ** bisect_left(HALVED_AT, queries)

    def check_samples(self, samples: Tensor, value_range: tuple[float, float] | None) -> None:
        super().check_samples(samples, value_range)
        if are_clouds(samples):
            return
        if samples.dim() != 4:
            raise ValueError("The square attack is for clouds (B, N, 3) and images (B, C, H, W): choose another.")
        if self.constraint != "linf":
            raise ValueError(f"The square attack on images bounds L-infinity, not {self.constraint}: choose another.")

    def _squares(self, state: State, draw: Generators) -> Tensor:
        """The perturbation (B, C, H, W) of images with one more square, or that of the stripes before the first."""
        made = self.step_of_start(state.step)
        if made == 0:
            return stripes(draw, state.clean)
        return with_square(draw, state.unit_delta, self._share(made * PLANNED // self.steps))

    def _exchanged(self, state: State, order: Tensor, draw: Generators) -> Tensor:
        """The perturbation (B, N, 3) in which one patch takes the length that another had."""
        count, unit_delta = self._count(state), state.unit_delta
        rank = _neighbours(state.clean, order, draw)[..., None]
        to, source = rank < count, (_neighbours(state.clean, order, draw) < count)[..., None]
        bump = to / (1 + rank.to(unit_delta.dtype).sqrt())
        move = _unit(bump) * signs(draw, state.clean, 1, 3) + _unit(unit_delta * to)
        done = min(self.step_of_start(state.step) / self.steps, 1)
        kept = (
            torch.where(to, 0.0, torch.where(source, done * uniform(draw, unit_delta, 1, 1), 1.0)).sqrt() * unit_delta
        )
        radius = math.sqrt(unit_delta[0].numel()) if self.constraint == "rmse" else 1.0
        spare = (radius**2 - unit_delta.square().sum((1, 2), keepdim=True)).clamp_min(0) / 3
        length = ((unit_delta.square() - kept.square()).sum(1, keepdim=True) + spare).clamp_min(0).sqrt()
        return kept + _unit(move) * length


def _neighbours(clouds: Tensor, order: Tensor, draw: Generators) -> Tensor:
    """(B, N), which neighbour of a random point of clouds (B, N, 3) each point is: 0 for that point itself."""
    place = (uniform(draw, clouds, 1) * clouds.shape[1]).long()
    centre = clouds.gather(1, order.gather(1, place)[..., None].expand(-1, -1, 3))
    return (clouds - centre).square().sum(2).argsort(1).argsort(1)


def _unit(values: Tensor) -> Tensor:
    """(B, N, 3) with columns of length 1, or 0 where they are 0."""
    return quotient(values, values.norm(dim=1, keepdim=True))
