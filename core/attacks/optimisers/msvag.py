"""Momentum with a factor for each coordinate that is small where the gradient's sign is uncertain."""

from torch import Tensor

from core.attacks.optimisers.base import Iterate, Optimiser, Slots, quotient


class MSVAG(Optimiser):
    """m and v are running means of gradient and square, rho the share of the variance that is left in m.

    d = m^2 / (m^2 + rho s) m with s = (v - m^2) / (1 - rho), all corrected for bias (Balles and Hennig 2018, 4).
    In the first step rho is 1 and s is 0/0 := 0, so d = m. The code of the second paper leaves out the correction and
    puts rho one step ahead.
    """

    description = "Momentum, less where the gradient's variance is large (M-SVAG; Balles and Hennig 2018)."
    slot_names = ("mean", "square")
    default_momentum = 0.9
    has_variants = True

    def direction(self, at: Iterate) -> tuple[Tensor, Slots]:
        kept = at.momentum
        mean = kept * at.slots["mean"] + (1 - kept) * at.gradient
        square = kept * at.slots["square"] + (1 - kept) * at.gradient.square()
        slots = {"mean": mean, "square": square}
        count = at.step + (2 if at.variant == "code" else 1)
        rho = (1 - kept) * (1 + kept**count) / ((1 + kept) * (1 - kept**count))
        if at.variant == "code":
            top = (1 - rho) * mean.square()
            return quotient(top, (1 - 2 * rho) * mean.square() + rho * square) * mean, slots
        correction = 1 - kept ** (at.step + 1)
        mean, square = mean / correction, square / correction
        if at.step == 0:
            return mean, slots
        variance = (square - mean.square()).clamp_min(0) / (1 - rho)
        return quotient(mean.square(), mean.square() + rho * variance) * mean, slots
