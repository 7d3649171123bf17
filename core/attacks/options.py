"""The options of all attacks, and what an attack says of itself before it is made."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from torch import Tensor

from core.attacks.constraint import PER_POINT, ConstraintName
from core.attacks.samples import are_clouds
from core.attacks.scale import MOST, RADII, EpsilonScale
from core.models import Classifier
from core.options import Options, option


class AttackOptions(Options):
    """Budget, steps, starts, goal, and when the attack on a cloud ends."""

    clouds_alone: ClassVar[bool] = False
    """Whether this kind of attack is one on points, whatever its options are."""

    epsilon: float = option(0.1, "Budget of the perturbation.", unit="r", low=0.0, high=MOST)
    constraint: ConstraintName = option("linf", "What epsilon bounds.", advanced=True)
    steps: int = option(1, "Steps from each start.", low=1, high=10_000)
    restarts: int = option(
        0,
        "Further starts: at a random point of the budget, towards the next class, or with another weight of a search; "
        "the best iterate of all counts.",
        low=0,
        high=100,
    )
    random_start: bool = option(
        False, "Make the first start at a random point, too, instead of at the clean cloud.", advanced=True
    )
    goal: Literal["untargeted", "targeted"] = option("untargeted", "Away from the true class, or towards a wanted one.")
    keep: Literal["best", "last"] = option(
        "best", "Which iterate is the result: fooled before not fooled, then the best; or the last.", advanced=True
    )
    unit_ball: bool = option(False, "Let no point leave the unit sphere.", advanced=True)
    stop_loss: float | None = option(
        None, "End with a cloud whose loss reaches this level; empty never does.", unit="nats", low=0.0, advanced=True
    )
    stop_rmse: float | None = option(
        None,
        "End with a cloud at exactly this RMSE: the step that would pass it is cut short. Empty never does.",
        unit="ε",
        low=0.0,
        advanced=True,
    )
    patience: int | None = option(
        None, "End with a cloud after so many steps that improve nothing; empty never does.", low=1, advanced=True
    )

    @property
    def total_steps(self) -> int:
        """Steps over all starts."""
        return self.steps * (1 + self.restarts)

    @property
    def linear_in_epsilon(self) -> bool:
        """Whether its perturbation is proportional to epsilon, so that ``refit`` is exact."""
        return False

    @property
    def epsilon_scale(self) -> EpsilonScale:
        """What epsilon measures."""
        return RADII

    @property
    def description(self) -> str:
        """A short description, as a part of a caption."""
        return type(self).__name__

    @property
    def caption(self) -> str:
        """The attack with its settings, for titles, such as "sign attack at epsilon 0.100 r, 20 steps"."""
        steps = self.total_steps
        budget = self.epsilon_scale.text(self.epsilon)
        return f"{self.description} at epsilon {budget}, {steps} step{'s' if steps > 1 else ''}"

    @property
    def gradients_a_step(self) -> int:
        """Backward passes of a step for each cloud, approximately; used to estimate the time of an attack."""
        return 0

    def files(self, model: Classifier) -> dict[str, Path]:
        """Files of weights that an attack on ``model`` reads beside the model's own, by option."""
        return {}

    def at(self, epsilon: float) -> Self:
        """The same attack with another budget."""
        return self.model_copy(update={"epsilon": epsilon})

    def part_for_clouds(self) -> str | None:
        """What of it clouds alone have, in words; None if it takes samples of any shape."""
        if self.clouds_alone:
            return f"The attack {self.description!r}"
        if self.constraint in PER_POINT:
            return f"The constraint {self.constraint}"
        return "The unit sphere (unit_ball)" if self.unit_ball else None

    def check_samples(self, samples: Tensor, value_range: tuple[float, float] | None) -> None:
        """Check that the attack is one on samples (B, ...) of this shape, and that they are in the model's range.

        Raises
        ------
        ValueError
            If they are no clouds and it is for clouds alone, or if values of theirs are outside of the range.
        """
        if not are_clouds(samples) and (part := self.part_for_clouds()):
            shape = ", ".join(map(str, samples.shape[1:]))
            raise ValueError(f"{part} is for clouds (B, N, 3), and these samples are (B, {shape}): choose another.")
        if value_range is not None and len(samples):
            (low, high), (least, most) = value_range, samples.aminmax()
            if least < low or most > high:
                raise ValueError(
                    f"The model takes values from {low:g} to {high:g}, and the samples have values from {least:g} to "
                    f"{most:g}: scale them."
                )
