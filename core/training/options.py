"""The options of a training run.

The defaults of optimiser, schedule, batch size and architecture are those of fxia22/pointnet.pytorch, the code on which
the first paper is based. Those of epochs, points and augmentation are for aligned shapes and a small machine: the
reference code trains 250 epochs on 2,500 points, which are drawn with replacement, rotated at random about the up axis,
and jittered by 0.02.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import ValidationInfo, field_validator

from core.attacks import Attack, Direction, GradientAttack, fgsm, preset
from core.attacks.optimisers import OPTIMISERS
from core.attacks.scale import MOST
from core.models import ALL_ARCHITECTURES, ARCHITECTURES
from core.options import OneOf, Options, option
from core.runtime.devices import DeviceName

Precision = Literal["32-true", "tf32", "bf16-mixed"]
RegimeName = Literal["simple", "adversarial", "defense", "pgd", "trades", "defense-pgd"]
PGD_STEPS = 7
"""Default number of attack steps in ``MULTI_STEP_REGIMES``, as in Madry et al. 2018."""
MULTI_STEP_REGIMES: tuple[RegimeName, ...] = ("pgd", "trades", "defense-pgd")
"""Regimes whose adversarial clouds are made by PGD, not by FGSM."""
ATTACK_OPTIMISERS = {name: each for name, each in OPTIMISERS.items() if not each.has_own_length}
"""Optimisers of the attack in training, which sees gradients alone: Auto-PGD would need the loss of every iterate."""
VALIDATION_STEPS = 10
"""Steps of APGD-CE, if it is the validation attack."""


FOR_CLOUDS = ("points", "replacement", "rotation", "jitter", "jitter_clip", "scaling")
"""Options that change nothing of a training on images, which are learned as they are."""


class TrainOptions(Options):
    """Training of one classifier."""

    model: Annotated[str, OneOf(ALL_ARCHITECTURES, ARCHITECTURES)] = option(
        "pointnet", "Architecture of the classifier."
    )
    model_options: dict[str, Any] = option({}, "Options of the architecture.", advanced=True)
    initial_weights: str | None = option(
        None,
        "Weights to begin from: a model that is installed, a file or a run's folder; empty begins with random ones. "
        "With another seed than theirs they may have learned the clouds kept for validation.",
    )
    regime: RegimeName = option(
        "simple",
        "What it learns from. simple: clean clouds; adversarial: and their FGSM versions; defense: and a discriminator "
        "of the two; pgd: PGD versions alone; trades: clean clouds and agreement with PGD versions; defense-pgd: "
        "defense with PGD against classifier and discriminator.",
    )
    epochs: int = option(40, "Times every training cloud is seen.", unit="epochs", low=1, high=10_000)
    batch_size: int = option(32, "Clouds in one gradient step.", unit="clouds", low=4, high=4096)
    clouds: int | None = option(
        None, "Training clouds used, drawn evenly from the classes; empty takes all.", unit="clouds", low=4
    )
    points: int = option(1024, "Points of each cloud, drawn afresh in every epoch.", unit="points", low=1, high=100_000)
    replacement: bool = option(False, "Draw points with replacement, as the reference code does.", advanced=True)
    learning_rate: float = option(1e-3, "Adam's learning rate in the first epoch.", low=1e-8, high=1.0)
    schedule: Literal["steps", "cosine"] = option(
        "steps", "How that rate falls: by a factor at intervals, or along a cosine to a hundredth in the last epoch."
    )
    decay: float = option(0.5, "Factor on the learning rate at each decay.", low=0.01, high=1.0, advanced=True)
    decay_every: int = option(20, "Time between two decays.", unit="epochs", low=1, high=10_000, advanced=True)
    weight_decay: float = option(0.0, "Adam's L2 penalty on the weights.", low=0.0, high=1.0, advanced=True)
    label_smoothing: float = option(
        0.0, "Share of the target probability spread over all classes.", low=0.0, high=0.9, advanced=True
    )
    transform_penalty: float = option(
        1e-3, "Weight of the feature transform's distance from orthogonality.", low=0.0, high=100.0, advanced=True
    )

    rotation: float = option(
        0.0, "Largest random turn about the up axis; 0 keeps aligned sets aligned.", unit="°", low=0.0, high=180.0
    )
    jitter: float = option(0.01, "Standard deviation of the noise on every coordinate.", unit="r", low=0.0, high=0.5)
    jitter_clip: float = option(0.05, "Largest noise on a coordinate.", unit="r", low=0.0, high=1.0, advanced=True)
    scaling: float = option(0.0, "Sizes vary by up to this share either way.", low=0.0, high=0.9, advanced=True)

    epsilon: float = option(0.1, "Budget of the adversarial clouds that are trained on.", unit="r", low=0.0, high=MOST)
    direction: Direction = option("sign", "How a gradient becomes their perturbation (the readings of FGSM).")
    attack_steps: int | None = option(
        None,
        "Gradient steps to make them: 1 is FGSM. Empty is 7, from a random start, in the regimes named after PGD and "
        "in trades, and 1 in the others.",
        low=1,
        high=100,
    )
    attack_step_size: float | None = option(
        None,
        "Length of one such step; empty is 2.5 epsilon / steps, and epsilon for a single step.",
        unit="r",
        low=0.0,
        advanced=True,
    )
    attack_optimiser: Annotated[str, OneOf(ATTACK_OPTIMISERS)] = option(
        "gd",
        "How the next step follows from the gradients. With gd a point of PointNet moves only while it wins a channel; "
        "with momentum (na-gd, m-gd) it moves on, and the same steps make stronger clouds.",
        advanced=True,
    )
    attack_random_start: bool = option(
        True, "Begin at a random perturbation, in the regimes named after PGD; trades always does.", advanced=True
    )
    epsilon_ramp: int = option(
        0, "Time over which that budget grows from 0; 0 begins with all of it.", unit="epochs", low=0, high=10_000
    )
    attack_mode: Literal["eval", "train"] = option(
        "eval", "Mode of the model while it is attacked: with running or with batch statistics.", advanced=True
    )
    updates: Literal["alternate", "joint", "concatenated"] = option(
        "alternate",
        "alternate: a step on the clean batch, then one on its adversarial batch. joint: one step on both, each passed "
        "through the model by itself. concatenated: one step on both in one pass, so that batch norm normalises clean "
        "and adversarial clouds together.",
        advanced=True,
    )

    trades_weight: float = option(
        3.0, "Weight of the agreement of clean and adversarial verdicts in trades.", low=0.0, high=1000.0
    )
    averaging: float = option(
        0.0,
        "Decay of a running average of the weights, which is then what is measured and kept; 0 is none.",
        low=0.0,
        high=0.99999,
    )
    weight_perturbation: float = option(
        0.0,
        "Length by which each layer's weights are moved up the loss before the gradient is taken, as a share of their "
        "own, which flattens the loss around them (AWP, Wu et al. 2020, who take 0.005); 0 leaves them.",
        low=0.0,
        high=1.0,
    )

    discriminator_width: int = option(
        256, "Hidden units of the discriminator.", unit="units", low=1, high=65_536, advanced=True
    )
    feature_weight: float = option(
        1.0, "Weight of the extractor's loss for not fooling the discriminator.", low=0.0, high=1000.0
    )
    feature_ramp: bool = option(
        False, "Raise that weight smoothly from 0 over the run (Ganin et al. 2016).", advanced=True
    )

    validation: float = option(
        0.1, "Share of the training clouds kept aside to choose the best epoch.", low=0.01, high=0.5, advanced=True
    )
    validation_attack: Literal["training", "apgd-ce"] | None = option(
        None,
        "Attack by which the best epoch is chosen: that of the training, or 10 steps of APGD-CE with the same budget. "
        "Empty is the second in the regimes named after PGD and in trades, and the first in the others.",
        advanced=True,
    )
    patience: int = option(
        0, "Stop after this many epochs without a better one; 0 never does.", unit="epochs", low=0, high=10_000
    )
    seed: int = option(0, "Source of everything random.", low=0, high=2**31 - 1)
    device: DeviceName = option("auto", "Where to compute.")
    precision: Precision = option(
        "32-true",
        "Arithmetic of the training steps; attacks and validation always use float32. The others are for NVIDIA GPUs.",
        advanced=True,
    )

    @field_validator("model_options")
    @classmethod
    def _valid_for_model(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "model" not in info.data:  # then the model itself is invalid and has the error
            return value
        return ALL_ARCHITECTURES[info.data["model"]][1].model_validate(value).model_dump(mode="json")

    def unused(self) -> frozenset[str]:
        used = {
            ("decay", "decay_every"): self.schedule == "steps",
            ("epsilon_ramp", "attack_mode"): self.regime != "simple",
            ("attack_random_start",): self.regime in ("pgd", "defense-pgd"),
            ("updates",): self.regime in ("adversarial", "defense", "defense-pgd"),
            ("trades_weight",): self.regime == "trades",
            ("discriminator_width", "feature_weight", "feature_ramp"): self.regime in ("defense", "defense-pgd"),
        }
        return frozenset(name for names, are_used in used.items() if not are_used for name in names)

    @property
    def attack(self) -> GradientAttack:
        """The attack that makes the adversarial batches."""
        return fgsm(
            self.direction,
            epsilon=self.epsilon,
            steps=self.attack_steps or (PGD_STEPS if self.regime in MULTI_STEP_REGIMES else 1),
            step_size=self.attack_step_size,
            optimiser=self.attack_optimiser,
        )

    @property
    def attack_of_validation(self) -> Attack:
        """The attack by which the best epoch is chosen.

        After training on PGD clouds, the accuracy under the same attack overestimates the robustness, so that the
        default is another attack.
        """
        default = "apgd-ce" if self.regime in MULTI_STEP_REGIMES else "training"
        if (self.validation_attack or default) == "training":
            return self.attack
        return preset("apgd-ce", epsilon=self.epsilon, steps=VALIDATION_STEPS, direction=self.direction)

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 1."""
        if self.schedule == "cosine":
            share = (1 + math.cos(math.pi * (epoch - 1) / max(self.epochs - 1, 1))) / 2
            return self.learning_rate * (0.01 + 0.99 * share)
        return self.learning_rate * self.decay ** ((epoch - 1) // self.decay_every)
