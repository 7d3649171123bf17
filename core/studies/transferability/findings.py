"""What a transfer experiment has found so far: arrays alone, from which every table, figure and claim is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.studies.transferability.options import TransferOptions

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Made:
    """What one attack on one surrogate made of the n samples, in their order; every field is (n,).

    Distances are in the unit of the samples: unit-sphere radii of clouds, that of the values of images.
    """

    matched: Booleans
    """Whether the protocol's condition is met; only those samples are averaged over."""
    prediction: Integers
    """The surrogate's class of the adversarial sample."""
    loss: Floats
    """The surrogate's cross-entropy at the adversarial sample, in nats."""
    iterations: Integers
    linf: Floats
    rmse: Floats
    chamfer: Floats
    """NaN of images, as are the next two."""
    hausdorff: Floats
    curvature: Floats
    """Mean absolute change of the points' curvatures."""


class Calibration(BaseModel):
    """What was settled for one surrogate on held-out samples, ``PROTOCOL/calibration/SURROGATE.json``."""

    model_config = ConfigDict(frozen=True)

    loss: float | None = None
    """Loss at which the attacks end, in nats; None where none does."""
    rmse_weight: float = 0.0
    """Weight of the RMSE term, in nats for an RMSE of epsilon."""
    first_step: dict[str, float] = {}
    """By optimiser: RMSE of the first step, in units of epsilon, that was chosen."""
    tried: dict[str, dict[float, float]] = {}
    """By optimiser: first step -> what it was chosen by, the mean success rate on the other surrogates."""
    iterations: dict[str, float] = {}
    """By attack: mean number of steps for a held-out sample, by which the time of the attacks is estimated."""


@dataclass(frozen=True, eq=False)
class TransferFindings:
    """Everything that an experiment has made and judged; mappings grow while it runs, and lack what is not done yet."""

    options: TransferOptions
    dataset: str
    modality: str
    """``clouds`` or ``images``."""
    row: Integers
    """(n,), places of the samples in the test split."""
    label: Integers
    """(n,), true classes."""
    classes: tuple[str, ...]
    surrogates: tuple[str, ...]
    attacks: tuple[str, ...]
    """In the order of the tables: optimisers, other attacks, controls (``CONTROLS``)."""
    victims: tuple[str, ...]
    clean: Mapping[str, Integers]
    """By model, surrogates and victims: the classes (n,) of the clean samples."""
    made: Mapping[tuple[str, str], Made]
    """By (surrogate, attack). Of protocol ``steps`` the attacks are named ``NAME@STEPS``."""
    predicted: Mapping[tuple[str, str, str], Integers]
    """By (surrogate, attack, victim): the victim's classes (n,) of the adversarial samples."""
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    """By surrogate."""
    smoothness: Mapping[str, Floats] = field(default_factory=dict)
    """By surrogate: (n,), change of the input gradient's direction near each clean sample, 1 - cosine."""
    alignment: Mapping[tuple[str, str], Floats] = field(default_factory=dict)
    """By (surrogate, victim): (n,), cosine of their input gradients at each clean sample."""


OPTIMISERS = ("gd", "m-gd", "na-gd", "adam", "l-adam", "adabelief", "m-svag")
"""The attacks of the second paper, in its order."""
OTHERS = ("pgd", "mi", "ni", "fgsm", "square")
"""Attacks of its section 4, made at their full strength under every protocol."""
CONTROLS = ("random-sign", "gaussian")
"""Noise of each sample's largest RMSE among the optimisers' adversarial samples, within the same L-infinity bound."""
