"""The values that describe one cloud under one attack: its setup, and the scene at one state of the attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.attacks import Attack, State
from core.clouds import Cloud, Distances
from core.datasets import Card
from core.evaluation.provenance import measurement_provenance
from core.models.checkpoints import LoadedModel
from core.models.port import draws_anew
from core.models.typical import UNLIKE

Array = NDArray[np.float32]
Colouring = Literal["displacement", "gradient", "critical"]
"""What the points' colours show."""


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that determines a scene except the step and, in ``attack``, epsilon."""

    models: tuple[LoadedModel, ...]
    """All models whose predictions are shown; they share one list of classes."""
    primary: int
    """Index of the model whose gradients the attack follows."""
    attack: Attack
    cloud: Cloud
    target: int | None = None
    """Index of the class that a targeted attack moves towards."""
    seed: int = 0
    """Seed of the attack's random numbers, of what the attacked model draws during it, and of what models draw for
    their verdicts."""
    colouring: Colouring = "displacement"
    """What scenes have for the colours of points: a gradient costs one more backward pass of the attacked model,
    critical points one more forward pass."""
    made_elsewhere: bool = False
    """Whether the adversarial cloud was made at another time, with random numbers that ``seed`` does not tell."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the K classes."""
        return tuple(self.models[self.primary].card.classes)

    def same_attack(self, other: "Setup | None") -> bool:
        """Whether both attacks have the same states; the models that are shown but not attacked may differ."""
        return (
            other is not None
            and self.models[self.primary] == other.models[other.primary]
            and (self.attack, self.target, self.seed) == (other.attack, other.target, other.seed)
            and self.made_elsewhere == other.made_elsewhere
            and self.cloud.label == other.cloud.label
            and np.array_equal(self.cloud.points, other.cloud.points)
        )


def seed_matters(models: Sequence[LoadedModel], *attacks: Attack) -> bool:
    """Whether attacks on the first of the models, and what all of them say, depend on the seed: one of them draws."""
    classes = len(models[0].card.classes)
    return any(draws_anew(model.module) for model in models) or any(attack.uses_seed(classes) for attack in attacks)


@dataclass(frozen=True, eq=False)
class Scene:
    """A clean and an adversarial cloud, and the predictions of every model for both."""

    setup: Setup
    state: State
    clean_confidence: Array
    """(M, K) confidences of the M models for the clean cloud."""
    adversarial_confidence: Array
    """(M, K) confidences for the adversarial cloud."""
    clean_latent: Array
    """(D,) latent of the clean cloud in the primary model."""
    adversarial_latent: Array
    """(D,) latent of the adversarial cloud in the primary model."""
    points: Array
    """(N, 3) adversarial cloud; longer than the clean one where points were added."""
    distances: Distances
    loss: float
    """Cross-entropy of the primary model to ``state.label`` at the adversarial cloud, in nats."""
    unlike_training: tuple[bool | None, ...]
    """For each model, whether the clean cloud is unlike its training data; None if its file has no
    measurements of that data."""
    gradient: Array | None = None
    """(N,) length of the gradient of ``loss`` at each point of the adversarial cloud, in nats per unit-sphere radius.

    In a PointNet it is 0 at all but the critical points, which are those that the maximum over points selects.
    """
    critical: NDArray[np.int64] | None = None
    """(N,) number of channels whose maximum each point of the adversarial cloud attains; see ``critical_channels``."""
    clean_critical: NDArray[np.int64] | None = None
    """The same for each point of the clean cloud, which has fewer where the attack adds points."""

    @property
    def epsilon(self) -> float:
        """Budget of the perturbation that is shown."""
        return self.state.epsilon

    @property
    def step(self) -> int:
        """Number of attack steps made."""
        return self.state.step

    @property
    def exact(self) -> bool:
        """Whether the attack gives this cloud at this epsilon; otherwise it was rescaled from another epsilon."""
        return self.state.evaluation is not None or self.setup.attack.linear_in_epsilon

    @property
    def origin(self) -> Array:
        """(N, 3) position of each point before the attack; an added point has the clean point that it is a copy of."""
        return self.state.clean[0].numpy(force=True)

    @property
    def displacement(self) -> Array:
        """(N,) distance that the attack moved each point, in unit-sphere radii."""
        return np.linalg.norm(self.points - self.origin, axis=1)

    @property
    def label(self) -> int:
        """The class the attack moves away from: the true one or, if that is unknown, the primary model's prediction."""
        true_class = self.setup.cloud.label
        return int(self.clean_confidence[self.setup.primary].argmax()) if true_class is None else true_class

    @property
    def expected(self) -> tuple[int, ...]:
        """For each model, the class that it should predict: the true one; if that is unknown, its own clean verdict."""
        true_class = self.setup.cloud.label
        own = self.clean_confidence.argmax(1).tolist()
        return tuple(own) if true_class is None else (true_class,) * len(own)

    @property
    def attack_key(self) -> tuple[object, ...]:
        """Models, attack (at epsilon 0), target, seed and classes: equal for scenes of one attack and equal models."""
        setup = self.setup
        attack = setup.attack.at(0), setup.target, setup.seed, setup.made_elsewhere
        return setup.models, setup.primary, attack, self.label, self.expected

    @property
    def caption(self) -> str:
        """Caption for a picture of both clouds."""
        setup = self.setup
        model = setup.models[setup.primary]
        if setup.made_elsewhere:
            made = ", made elsewhere"
        elif seed_matters(setup.models, setup.attack):
            made = f", seed {setup.seed}, made"
        else:
            made = ", made"
        return (
            f"{setup.cloud.name}, {len(setup.cloud.points):,} points, clean and adversarial; "
            f"{setup.attack.at(self.epsilon).caption}{made} on {model.name}; after step {self.step}"
        )

    def provenance(self, dataset: Card | None = None, **options: Any) -> dict[str, Any]:
        """How the adversarial cloud was made; ``options`` are further entries, such as the file of the clean cloud."""
        setup = self.setup
        return measurement_provenance(
            setup.models,
            dataset,
            setup.attack.at(self.epsilon),
            seed=None if setup.made_elsewhere else setup.seed,
            complete=setup.attack.over(self.state),
            cloud=setup.cloud.name,
            points=len(setup.cloud.points),
            attacked=setup.models[setup.primary],
            label=setup.classes[self.label],
            target=None if setup.target is None else setup.classes[setup.target],
            step=self.step,
            rescaled_from_another_epsilon=not self.exact,
            made_elsewhere=setup.made_elsewhere,
            **options,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """For each model, a note if the clean cloud is unlike its training data, otherwise an empty text."""
        return tuple(UNLIKE if unlike else "" for unlike in self.unlike_training)

    def fooled(self) -> tuple[bool, ...]:
        """For each model, whether it predicts another class than the ``expected`` one for the adversarial cloud."""
        predictions = self.adversarial_confidence.argmax(1)
        return tuple(bool(found != wanted) for found, wanted in zip(predictions, self.expected, strict=True))
