"""Gradient descent and its forms with momentum; d stands for a direction, g for a gradient, m for a running sum."""

from torch import Tensor

from core.attacks.optimisers.base import Iterate, Optimiser, Slots, unit_mean


class GradientDescent(Optimiser):
    """d = g."""

    description = "Gradient descent, here ascent: each step along the gradient (GD; Madry et al. 2018)."

    def direction(self, at: Iterate) -> tuple[Tensor, Slots]:
        return at.gradient, {}


class Momentum(Optimiser):
    """m = momentum m + g, d = m."""

    description = "Along the running sum of the gradients (M-GD; second paper, section 2.2)."
    slot_names = ("sum",)
    default_momentum = 0.9

    def direction(self, at: Iterate) -> tuple[Tensor, Slots]:
        total = at.momentum * at.slots["sum"] + self.scaled(at.gradient)
        return total, {"sum": total}

    def scaled(self, gradient: Tensor) -> Tensor:
        return gradient


class MomentumIterative(Momentum):
    """M-GD with gradients of L1 norm 3N, and all former ones kept."""

    description = "Along the running sum of the gradients, all at one length (MI; Dong et al. 2018, equation 6)."
    default_momentum = 1.0

    def scaled(self, gradient: Tensor) -> Tensor:
        return unit_mean(gradient)


class Nesterov(Momentum):
    """M-GD whose gradient is taken where the running sum would lead.

    In the second paper that step is only looked at; in its authors' code (optimizer.py) it is made and kept, so that a
    step is momentum m_old + m_new.
    """

    description = "Along the running sum, whose next gradient is taken a step ahead (NA-GD; second paper, section 2.2)."
    has_variants = True
    looks_ahead = True

    def look_ahead(self, at: Iterate) -> Tensor | None:
        if at.step == 0:
            return None
        return at.project(at.unit_delta + at.momentum * at.step_length * at.normalise(at.slots["sum"]))

    def advance(self, at: Iterate) -> tuple[Tensor, Slots]:
        direction, slots = self.direction(at)
        ahead = self.look_ahead(at) if at.variant == "code" else None
        origin = at.unit_delta if ahead is None else ahead
        return at.project(origin + at.step_length * at.normalise(direction)), slots


class NesterovIterative(Nesterov, MomentumIterative):
    """MI with the gradient taken a step ahead."""

    description = "MI, whose next gradient is taken a step ahead (NI; Lin et al. 2020, equation 6)."
    default_momentum = 1.0
    has_variants = False
