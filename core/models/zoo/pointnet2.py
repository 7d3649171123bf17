"""PointNet++ for classification (Qi et al. 2017): small PointNets on balls about evenly spread points, in two levels.

Layer sizes follow yanx27/Pointnet_Pointnet2_pytorch, with one ball about each centre (single-scale grouping, SSG) or
three of growing radius (multi-scale grouping, MSG). Centres are farthest points, the first of which is the first point
of the cloud; a ball takes the points that come first in the order of the level below. The latent is the maximum over
the centres of the second level, which the classifier 512-256-K reads.
"""

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.fast.groups import linear_bn_act_of_pairs, linear_bn_max_of_groups
from core.models.fast.layers import ThreeLayers, classifier
from core.models.fast.sampling import farthest, in_ball, rows_of, taken
from core.models.port import Output
from core.options import Options, option


class PointNet2Options(Options):
    """Architecture of a PointNet++."""

    dropout: float = option(0.4, "Share of the classifier's features dropped in training.", low=0.0, high=0.9)


class Ball(NamedTuple):
    """What is looked at about each centre, and by which layers."""

    radius: float
    most: int
    """Points that are taken at most."""
    widths: tuple[int, int, int]
    """Outputs of the three layers."""


class Level(NamedTuple):
    """Centres that take the place of the points of the level below."""

    centres: int
    balls: tuple[Ball, ...]


class BallLayers(nn.Module):
    """Maximum over the points in the ball about each centre, of layers that see where they lie from there."""

    def __init__(self, ball: Ball, features: int) -> None:
        super().__init__()
        self.ball, self.layers = ball, ThreeLayers(3 + features, ball.widths)

    def forward(self, points: Tensor, x: Tensor, centres: Tensor) -> Tensor:
        """Points (B, N, 3), x (B * N, 3 + C) their coordinates and features, centres (B, M, 3) -> (B, M, O)."""
        index = in_ball(points, centres, self.ball.radius, self.ball.most)
        rows, own = rows_of(index, points.shape[1]), centres.flatten(0, 1)
        first, last = self.layers.first, self.layers.third
        y = self.layers.second(linear_bn_act_of_pairs(x, rows, own, first.linear, first.norm)).unflatten(0, rows.shape)
        return F.relu(linear_bn_max_of_groups(y, last.linear, last.norm)).unflatten(0, centres.shape[:2])


class LevelLayers(nn.Module):
    """What all balls about the same centres see."""

    def __init__(self, level: Level, features: int) -> None:
        super().__init__()
        self.balls = nn.ModuleList(BallLayers(ball, features) for ball in level.balls)

    def forward(self, points: Tensor, x: Tensor, centres: Tensor) -> Tensor:
        return torch.cat([ball(points, x, centres) for ball in self.balls], 2)


class WholeLayers(ThreeLayers):
    """Maximum over all points of layers: (B, M, in) -> (B, out)."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x.flatten(0, 1))).unflatten(0, x.shape[:2])
        return F.relu(linear_bn_max_of_groups(y, self.third.linear, self.third.norm))


class PointNet2(nn.Module):
    """PointNet++ classifier: clouds (B, N, 3) in the unit sphere -> ``Output`` of logits (B, K) and latent (B, 1024).

    Any number of points is accepted; where a level has fewer points than centres, all are kept.
    """

    plan: ClassVar[tuple[Level, ...]]

    def __init__(self, classes: int, options: PointNet2Options | None = None) -> None:
        super().__init__()
        self.options = options or PointNet2Options()
        self.levels, features = nn.ModuleList(), 0
        for level in self.plan:
            self.levels.append(LevelLayers(level, features))
            features = sum(ball.widths[-1] for ball in level.balls)
        self.whole = WholeLayers(3 + features, (256, 512, 1024))
        self.classifier = classifier(1024, classes, self.options.dropout)

    def forward(self, clouds: Tensor) -> Output:
        with torch.autocast("cpu", enabled=False):  # the layers are faster in the weights' own precision there
            points, x = clouds, clouds.flatten(0, 1)
            # of points in this order the farthest ones are the first ones, so that one search does for all levels
            ordered = taken(clouds, farthest(clouds, min(self.plan[0].centres, clouds.shape[1])))
            for size, level in zip(self.plan, self.levels, strict=True):
                centres = ordered[:, : size.centres]
                found = torch.cat((centres, level(points, x, centres)), 2)
                points, x = centres, found.flatten(0, 1)
            latent = self.whole(found)
            return Output(self.classifier(latent), latent)


class PointNet2SSG(PointNet2):
    """PointNet++ with balls of one size in each level."""

    plan = (
        Level(512, (Ball(0.2, 32, (64, 64, 128)),)),
        Level(128, (Ball(0.4, 64, (128, 128, 256)),)),
    )


class PointNet2MSG(PointNet2):
    """PointNet++ with balls of three sizes in each level.

    Both dropouts are equal; yanx27's second one is 0.5 where the first is 0.4.
    """

    plan = (
        Level(512, (Ball(0.1, 16, (32, 32, 64)), Ball(0.2, 32, (64, 64, 128)), Ball(0.4, 128, (64, 96, 128)))),
        Level(128, (Ball(0.2, 32, (64, 64, 128)), Ball(0.4, 64, (128, 128, 256)), Ball(0.8, 128, (128, 128, 256)))),
    )
