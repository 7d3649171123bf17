"""What ``test_shares`` compares: some steps of a training, by one process or, if this is run as a script, by several.

Everything is in double precision, where the rounding of sums in another order stays far below what is compared. In
single precision Adam would make steps of full length out of it, for weights whose gradient is zero but for rounding.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.models import ARCHITECTURES, IMAGE_ARCHITECTURES, build
from core.models.discriminator import build_discriminator
from core.runtime.devices import seeded
from core.training import train
from core.training.batches import Batch
from core.training.learner import Learner
from core.training.regimes import REGIMES
from core.training.shares import connect, leads
from tests.core.toys import CLASSES, toy_batch, toy_dataset, toy_options

CLOUDS = 7
"""Of a batch, so that two processes have shares of 3 and 4."""


class Case(NamedTuple):
    """A model, and options of its training."""

    model: str
    options: dict[str, Any]
    points: int = 64


CASES = {
    "defense": Case("pointnet", {"regime": "defense", "updates": "concatenated"}),
    "attack with batch statistics": Case("pointnet", {"regime": "adversarial", "attack_mode": "train"}),
    "perturbed and averaged weights": Case(
        "pointnet", {"regime": "pgd", "weight_perturbation": 0.005, "averaging": 0.9, "transform_penalty": 0.1}
    ),
}
LONG_CASES = {
    **{regime: Case("pointnet", {"regime": regime, "updates": "joint"}) for regime in REGIMES},
    **{
        # among 64 points each is a neighbour of all in PointConv, whose ReLU then meets zeros up to rounding
        name: Case(name, {"regime": "adversarial"}, points=160 if name == "pointconv" else 64)
        for name in ARCHITECTURES
        if name != "pointnet"
    },
    **{name: Case(name, {"regime": "pgd", "model_options": {"width": 8}}) for name in IMAGE_ARCHITECTURES},
}


def trained(case: Case) -> dict[str, Tensor]:
    """Weights, running statistics and metrics after three steps."""
    options = toy_options(**case.options, model=case.model, batch_size=CLOUDS)
    regime, device = REGIMES[options.regime], torch.device("cpu")
    with seeded(0, device):
        model = build(case.model, len(CLASSES), options.model_options)
        discriminator = build_discriminator(model, 16).double() if regime.discriminator else None
        learner = Learner(connect("cpu", "32-true"), model.double(), discriminator, options)
    for number in range(3):
        clouds, label = toy_batch(CLOUDS, case.points, number)
        if case.model in IMAGE_ARCHITECTURES:
            clouds = torch.rand(CLOUDS, 1, 8, 8, generator=torch.Generator().manual_seed(number))
        with seeded(number, device):
            regime.learn(learner, *learner.take(Batch(clouds.double(), label, 0)))
    with seeded(9, device):
        learner.reestimate_batch_norm()
    metrics = {name: torch.tensor(value, dtype=torch.float64) for name, value in learner.metrics.items()}
    discriminating = discriminator.state_dict() if discriminator else {}
    return model.state_dict() | learner.evaluated_model.state_dict(prefix="evaluated ") | discriminating | metrics


def main(folder: Path, what: str) -> None:
    if what in ("begin", "go on", "whole"):
        options = toy_options(regime="pgd", epochs=1 if what == "begin" else 2)
        list(train(toy_dataset(), options, folder, resume=what == "go on"))
        return
    for name, case in (CASES if what == "some" else LONG_CASES).items():
        found = trained(case)
        if leads():
            save_file({key: value.clone() for key, value in found.items()}, folder / f"{name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
