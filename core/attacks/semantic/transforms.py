"""Transforms of whole clouds by few parameters; z is up, as for the models that come with the program.

Twist and taper are those of Barr 1984 along z. With all parameters zero each is the identity.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from core.attacks.constraint import PROJECTIONS, ConstraintName
from core.attacks.scale import DEGREES, SHARE, EpsilonScale
from core.options import OneOf


@dataclass(frozen=True)
class Transform:
    """A transform, what its parameters are, and one sentence about it."""

    description: str
    scale: EpsilonScale
    parameters: int
    function: Callable[[Tensor, Tensor], Tensor]
    """Clouds (B, N, 3) and parameters (B, P), radians or shares -> transformed clouds (B, N, 3)."""
    budget: ConstraintName = "linf"
    """What epsilon bounds: each parameter ("linf"), or the length of all of them ("per-point-l2")."""

    def __call__(self, clouds: Tensor, parameters: Tensor) -> Tensor:
        """Clouds (B, N, 3) transformed by parameters (B, P) in the unit of the scale."""
        return self.function(clouds, parameters * (math.pi / 180 if self.scale is DEGREES else 0.01))

    def bounded(self, parameters: Tensor) -> Tensor:
        """The closest parameters (..., P), in units of epsilon, that are inside the budget."""
        return PROJECTIONS[self.budget](parameters)


def _about_z(clouds: Tensor, angles: Tensor) -> Tensor:
    """Each point turned about z by its angle, (B, N) or (B, 1)."""
    x, y, z = clouds.unbind(2)
    cosine, sine = angles.cos(), angles.sin()
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], 2)


def _rotated(clouds: Tensor, vector: Tensor) -> Tensor:
    """Turned about the direction of a vector (B, 3) by its length."""
    x, y, z = vector.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    return clouds @ torch.linalg.matrix_exp(cross).mT


def _tapered(clouds: Tensor, slope: Tensor) -> Tensor:
    x, y, z = clouds.unbind(2)
    width = 1 + slope * z
    return torch.stack([width * x, width * y, z], 2)


def _sheared(clouds: Tensor, slopes: Tensor) -> Tensor:
    x, y, z = clouds.unbind(2)
    return torch.stack([x + slopes[:, :1] * z, y + slopes[:, 1:] * z, z], 2)


TRANSFORMS: dict[str, Transform] = {
    "rotate": Transform("turned about any axis", DEGREES, 3, _rotated, "per-point-l2"),
    "rotate-z": Transform("turned about the up axis", DEGREES, 1, _about_z),
    "twist": Transform(
        "turned about the up axis by an angle that grows with height, epsilon at a height of one radius",
        DEGREES,
        1,
        lambda clouds, angle: _about_z(clouds, angle * clouds[..., 2]),
    ),
    "taper": Transform("wider with height, epsilon more at a height of one radius", SHARE, 1, _tapered),
    "shear": Transform("moved sideways with height, along x and y", SHARE, 2, _sheared),
    "scale": Transform(
        "longer or shorter along each axis", SHARE, 3, lambda clouds, growth: clouds * (1 + growth[:, None])
    ),
}

TransformName = Annotated[str, OneOf(TRANSFORMS)]
