"""The options of a reproduction, and how the paper trains on each dataset."""

from typing import Annotated, Any

from pydantic import Field

from core.options import Options, option, partial
from core.training.options import RegimeName, TrainOptions

PAPER: tuple[RegimeName, ...] = ("simple", "adversarial", "defense")


class ReproduceOptions(Options):
    """Which models are compared, and on how much they are measured."""

    regimes: Annotated[tuple[RegimeName, ...], Field(min_length=1)] = option(
        PAPER, "Regimes to train and compare; the first three are the paper's."
    )
    seeds: int = option(1, "Trainings of each regime, with seeds 0, 1, ...; more can be added later.", low=1, high=100)
    subset: int | None = option(
        None, "Training clouds, and test clouds at most, drawn evenly from the classes; empty takes all.", low=32
    )
    without_copies: bool = option(False, "Leave out test clouds that are copies of training clouds.", advanced=True)
    pgd_epsilon: float = option(0.05, "Budget of the PGD that checks the paper's FGSM.", unit="r", low=0.0, high=2.0)
    pgd_steps: int = option(20, "Steps of that PGD.", low=1, high=10_000)
    map_clouds: int = option(400, "Test clouds of each t-SNE map.", low=16)


TrainingChanges = partial("TrainingChanges", TrainOptions, without=("regime", "seed", "clouds"))
"""What is changed of a regime's training; the three left out are the reproduction's own matter."""

SHAPENET: dict[str, Any] = {
    "epochs": 250,
    "points": 2500,
    "replacement": True,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "decay": 0.5,
    "decay_every": 20,
    "rotation": 180.0,
    "jitter": 0.02,
    "jitter_clip": 1.0,
}
"""Training on ShapeNet-Part: Adam and its decay as the paper says; what it leaves open (epochs, points, batch size,
augmentation) as the code it builds on does it (fxia22/pointnet.pytorch, train_classification.py)."""


def recipe(dataset: str) -> dict[str, Any]:
    """Options of the trainings on a dataset: the paper's on its own, the program's defaults elsewhere."""
    return SHAPENET if dataset == "shapenetpart" else {}
