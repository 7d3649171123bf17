"""Adam and its kin: running means m of the gradient g and v of its square, d = m / (sqrt v + 1e-8)."""

from torch import Tensor

from core.attacks.optimisers.base import Iterate, Optimiser, Slots

SQUARES_KEPT = 0.999
TINY = 1e-8


class Adam(Optimiser):
    """Without bias correction in the code of the second paper, with it in Kingma and Ba 2015."""

    description = "Slower along coordinates that have gone far (Adam; Kingma and Ba 2015)."
    slot_names = ("mean", "square")
    default_momentum = 0.9
    has_variants = True

    def direction(self, at: Iterate) -> tuple[Tensor, Slots]:
        gradient = self.regularised(at)
        mean = at.momentum * at.slots["mean"] + (1 - at.momentum) * gradient
        square = SQUARES_KEPT * at.slots["square"] + (1 - SQUARES_KEPT) * self.deviation(gradient, mean).square()
        top, bottom = mean, square
        if at.variant == "paper":
            top = mean / (1 - at.momentum ** (at.step + 1))
            bottom = square / (1 - SQUARES_KEPT ** (at.step + 1))
        return top / (bottom.sqrt() + TINY), {"mean": mean, "square": square}

    def regularised(self, at: Iterate) -> Tensor:
        return at.gradient

    def deviation(self, gradient: Tensor, mean: Tensor) -> Tensor:
        return gradient


class LAdam(Adam):
    """Adam on the gradient less a share of the cloud: 1e-12 in the code, which changes nothing.

    The second paper names no share; Loshchilov and Hutter 2019 and PyTorch use 1e-2.
    """

    description = "Adam with L2 regularisation, which pulls the points towards the origin (L-Adam; second paper, 2.2)."

    def regularised(self, at: Iterate) -> Tensor:
        return at.gradient - (1e-2 if at.variant == "paper" else 1e-12) * at.cloud


class AdaBelief(Adam):
    """Adam whose v is the running mean of the squared deviation of the gradient from its mean m."""

    description = "Adam that goes far where the gradient is as expected (AdaBelief; Zhuang et al. 2020)."

    def deviation(self, gradient: Tensor, mean: Tensor) -> Tensor:
        return gradient - mean
