"""The length of an attack's steps that gives the first step a wanted RMSE."""

from dataclasses import replace

import torch
from torch import Tensor

from core.attacks.constraint import rmse
from core.attacks.optimisers import Iterate, Optimiser
from core.attacks.samples import for_each

_HALVINGS = 40  # of the interval that holds a step length, to a relative 1e-12


def calibrated(optimiser: Optimiser, at: Iterate, first_step: float) -> Tensor:
    """The step length (B, 1, 1) in units of epsilon with which a first step has this RMSE, in units of epsilon.

    The budget cuts steps short, so the length is found by halving an interval; where the RMSE is out of reach, because
    the gradient is zero on too many points, the length is the one at which nothing more is gained.
    """
    low, high = at.gradient.new_zeros(len(at.gradient)), at.gradient.new_ones(len(at.gradient))

    def moved(length: Tensor) -> Tensor:
        return rmse(optimiser.advance(replace(at, step_length=for_each(length, at.gradient)))[0] - at.unit_delta)

    for _ in range(_HALVINGS):  # of a raw gradient even a huge multiple may be a small step
        short = moved(high) < first_step
        if not short.any():
            break
        high = torch.where(short, 4 * high, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        short = moved(middle) < first_step
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return for_each((low + high) / 2, at.gradient)
