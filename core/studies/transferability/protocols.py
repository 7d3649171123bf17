"""The attacks of a transfer experiment, and what each protocol makes of them.

The seven optimisers begin with a step whose RMSE is calibrated. On a person's own images, which may be ImageNet, first
steps and most steps are those of the authors' code (the second paper, section 4.1, and its repository). On clouds and
digits, with those, M-SVAG hardly moves and the others end early, so that there is no loss that all of them reach. The
ones here were found on held-out samples: with them every optimiser brings 95 % of those to a common loss at which most
are misclassified (variant ``code``; a PointNet on ModelNet16 with epsilon 0.1; four networks on digits with 0.3).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.attacks import Attack, preset
from core.datasets import Card, digits
from core.studies.transferability.findings import CONTROLS, OPTIMISERS, OTHERS, Calibration
from core.studies.transferability.options import TransferOptions

ATTACKS = (*OPTIMISERS, *OTHERS, *CONTROLS)
CHECKPOINTS = (1, 3, 10, 30, 100)
"""Numbers of steps of the protocol ``steps``."""
MOST_STEPS_TO_RMSE = 100
"""Steps in which an attack of the protocol ``equal-rmse`` has to come to the RMSE."""
RMSE_WEIGHT = 96 / 30
"""Weight of the RMSE term, in nats for an RMSE of epsilon, as a share of the loss at which attacks end: that of the
authors' code, where 30 nats end an attack and an RMSE of epsilon is worth 96."""
AUTHORS_RMSE = 15 / 16
"""RMSE, in units of epsilon, that the first steps of ``FIRST_STEP_TO_RMSE`` lead to in ten steps."""

_ADAPTIVE = ("adam", "l-adam", "adabelief")
KINDS = ("clouds", "digits", "images")
"""Of samples: those of a person's own image dataset are ``images``."""
USUAL_EPSILON: Mapping[str, float] = {"clouds": 0.1, "digits": 0.3, "images": 16.0}
"""By kind of samples; that of images is the paper's."""
FIRST_STEP: Mapping[str, Mapping[str, float]] = {
    "clouds": {"gd": 0.01, "m-gd": 0.01, "na-gd": 0.04, "m-svag": 0.04, **dict.fromkeys(_ADAPTIVE, 1.0)},
    "digits": {"gd": 0.3, "m-gd": 0.04, "na-gd": 0.04, "m-svag": 0.04, **dict.fromkeys(_ADAPTIVE, 1.0)},
    "images": {"gd": 0.3, "m-gd": 0.01, "na-gd": 0.01, "m-svag": 0.01, **dict.fromkeys(_ADAPTIVE, 1.0)},
}
"""By kind and optimiser: RMSE of the first step, in units of epsilon / 16."""
MOST_STEPS: Mapping[str, Mapping[str, int]] = {
    **{kind: {**dict.fromkeys(OPTIMISERS, 30), "gd": 100} for kind in ("clouds", "digits")},
    "images": {"gd": 100, "m-gd": 30, "na-gd": 15, "m-svag": 8, **dict.fromkeys(_ADAPTIVE, 10)},
}
FIRST_STEP_TO_RMSE: Mapping[str, float] = {
    "gd": 8,
    **dict.fromkeys(("m-gd", "na-gd", "m-svag"), 2),
    **dict.fromkeys(_ADAPTIVE, 4),
}
"""Those of the protocol ``equal-rmse`` (section 3.3, the authors' code), in the same unit."""
FULL_STRENGTH: Mapping[str, Mapping[str, Any]] = {
    "pgd": {"restarts": 0},
    "mi": {},
    "ni": {},
    "fgsm": {},
    "square": {"steps": 300},
}
"""What the attacks of section 4 have beside their presets: one start, and as many queries as are affordable."""


def kind_of(dataset: Card) -> str:
    """The kind of a dataset's samples, of ``KINDS``."""
    return digits.NAME if dataset.name == digits.NAME else dataset.modality


def attacks_of(options: TransferOptions, chosen: Sequence[str]) -> tuple[str, ...]:
    """The attacks of an experiment, in the order of the tables; under ``steps`` optimisers alone, as NAME@STEPS."""
    if options.protocol == "steps":
        return tuple(f"{name}@{steps}" for name in OPTIMISERS if name in chosen for steps in CHECKPOINTS)
    return tuple(name for name in ATTACKS if name in chosen)


def first_step(options: TransferOptions, kind: str, optimiser: str) -> float:
    """RMSE of the first step, in units of epsilon, before any tuning."""
    if options.protocol == "equal-rmse":
        return FIRST_STEP_TO_RMSE[optimiser] / 16 * options.rmse / AUTHORS_RMSE
    return FIRST_STEP[kind][optimiser] / 16


def attack_under(options: TransferOptions, kind: str, name: str, settled: Calibration) -> Attack:
    """An attack of the experiment; the controls, which are none, aside.

    Parameters
    ----------
    name : of ``OPTIMISERS`` or ``OTHERS``, or NAME@STEPS.
    settled : what was calibrated for the surrogate.
    """
    if name in OTHERS:
        return preset(name, epsilon=options.epsilon, **FULL_STRENGTH[name])
    optimiser, _, steps = name.partition("@")
    changes: dict[str, Any] = {
        "epsilon": options.epsilon,
        "variant": options.variant,
        "first_step": settled.first_step[optimiser],
        "steps": MOST_STEPS[kind][optimiser],
    }
    match options.protocol:
        case "equal-loss":
            changes["stop_loss"] = settled.loss
        case "rmse-term":
            changes |= {"stop_loss": settled.loss, "rmse_weight": settled.rmse_weight}
        case "equal-rmse":
            changes |= {"stop_rmse": options.rmse, "steps": MOST_STEPS_TO_RMSE, "keep": "last"}
        case "steps":
            changes["steps"] = int(steps)
    return preset(optimiser, **changes)
