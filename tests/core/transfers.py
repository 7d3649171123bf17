"""Findings of transfer experiments that nobody ran: their numbers are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.studies.transferability.findings import (
    CONTROLS,
    OPTIMISERS,
    OTHERS,
    Calibration,
    Integers,
    Made,
    TransferFindings,
)
from core.studies.transferability.options import TransferOptions

SURROGATES = ("pointnet", "pointnet2-ssg", "dgcnn", "pct")
VICTIMS = (
    "pointnet-transform", "pointnet2-msg", "gdanet", "pointconv", "curvenet", "pointmlp-elite", "pointnet-pgd",
    "pointnet-defense", "dgcnn-pgd",
)  # fmt: skip
CLASSES = ("bowl", "chair", "lamp", "table")


def made(samples: int, **values: Any) -> Made:
    """One attack on one surrogate: all matched, with class 1, the same RMSE and loss, but for ``values``."""
    usual = {
        "matched": True, "prediction": 1, "loss": 3.0, "iterations": 10, "linf": 0.05, "rmse": 0.02, "chamfer": 0.001,
        "hausdorff": 0.01, "curvature": 0.002,
    }  # fmt: skip
    return Made(**{name: np.broadcast_to(np.array(value), samples).copy() for name, value in (usual | values).items()})


def findings(
    cells: Mapping[tuple[str, str], Made],
    predicted: Mapping[tuple[str, str, str], Integers],
    *,
    label: Sequence[int],
    clean: Mapping[str, Sequence[int]] | None = None,
    **changes: Any,
) -> TransferFindings:
    """Findings of these cells; models are right on clean samples where ``clean`` does not say otherwise."""
    truth = np.array(label)
    victims = tuple(dict.fromkeys(victim for *_, victim in predicted))
    surrogates = tuple(dict.fromkeys(surrogate for surrogate, _ in cells))
    answers = dict.fromkeys((*surrogates, *victims), truth)
    answers |= {model: np.array(classes) for model, classes in (clean or {}).items()}
    values: dict[str, Any] = {
        "options": TransferOptions(),
        "dataset": "toys",
        "modality": "clouds",
        "row": np.arange(len(truth)),
        "label": truth,
        "classes": CLASSES,
        "surrogates": surrogates,
        "attacks": tuple(dict.fromkeys(attack for _, attack in cells)),
        "victims": victims,
        "clean": answers,
        "made": cells,
        "predicted": {key: np.array(value) for key, value in predicted.items()},
    }
    return TransferFindings(**(values | changes))


def rated(
    rates: Mapping[tuple[str, str], float],
    rmse: Mapping[tuple[str, str], float],
    samples: int = 40,
    victims: Sequence[str] = ("victim",),
    protocol: str = "equal-loss",
    **values: Mapping[tuple[str, str], float],
) -> TransferFindings:
    """Findings whose success rates and RMSE are given by surrogate and attack, the same for all victims.

    An attack succeeds on the first samples: rates of two attacks differ on as few samples as they can.
    """
    label = np.zeros(samples, dtype=np.int64)
    cells = {
        key: made(samples, rmse=rmse[key], **{name: table[key] for name, table in values.items()}) for key in rates
    }
    predicted = {
        (*key, victim): np.where(np.arange(samples) < round(rate * samples), 1, 0)
        for key, rate in rates.items()
        for victim in victims
    }
    options = TransferOptions.model_validate({"protocol": protocol})
    return findings(cells, predicted, label=label.tolist(), options=options)


def realistic(
    protocol: str = "equal-loss",
    *,
    samples: int = 200,
    surrogates: Sequence[str] = SURROGATES,
    victims: Sequence[str] = VICTIMS,
    attacks: Sequence[str] = (*OPTIMISERS, *OTHERS, *CONTROLS),
    seed: int = 0,
) -> TransferFindings:
    """Findings of the shape of the study's own, in which an attack succeeds the more often the larger its RMSE."""
    random = np.random.default_rng(seed)
    label = np.arange(samples) % len(CLASSES)

    def answer(wrong: np.ndarray) -> np.ndarray:
        return np.where(wrong, (label + random.integers(1, len(CLASSES), samples)) % len(CLASSES), label)

    names = list(attacks)
    if protocol == "steps":
        names = [f"{attack}@{steps}" for attack in attacks for steps in (1, 2, 5, 10, 20, 50)]
    sizes = (0.021, 0.014, 0.0145, 0.03, 0.0305, 0.031, 0.018, 0.027, 0.038, 0.039, 0.047, 0.044, 0.031, 0.031)
    usual = dict(zip((*OPTIMISERS, *OTHERS, *CONTROLS), sizes, strict=True))
    cells, predicted = {}, {}
    hard = random.normal(size=samples)
    for place, surrogate in enumerate(surrogates):
        for name in names:
            attack, _, steps = name.partition("@")
            size = usual[attack] * (1 - 0.8 / int(steps) if steps else 1)
            size *= {"rmse-term": 1.12, "equal-rmse": 0.025 / usual[attack]}.get(protocol, 1)
            size *= 1 + 0.1 * place
            rmse = size * np.exp(0.05 * random.normal(size=samples))
            noise = attack in CONTROLS
            cells[surrogate, name] = made(
                samples,
                matched=random.random(samples) > (0.02 + 0.02 * place),
                prediction=answer(np.full(samples, not noise)),
                loss=3 + 0.2 * random.exponential(size=samples),
                iterations=random.integers(3, 30, samples),
                linf=np.minimum(0.05, 3 * rmse),
                rmse=rmse,
                chamfer=rmse / 10,
                hausdorff=rmse * 2,
                curvature=rmse / 5,
            )
            for number, victim in enumerate(victims):
                reach = -1.5 + 40 * size * (0.2 if noise else 1) - 0.15 * number + 0.2 * random.normal()
                predicted[surrogate, name, victim] = answer(hard + random.normal(size=samples) < reach)
    clean = {model: answer(random.random(samples) < 0.06) for model in (*surrogates, *victims)}
    return replace(
        findings(cells, predicted, label=label.tolist(), clean=clean),
        options=TransferOptions.model_validate({"protocol": protocol}),
        dataset="modelnet16",
        calibration={
            surrogate: Calibration(
                loss=3.1,
                rmse_weight=9.9,
                first_step=dict.fromkeys(OPTIMISERS, 0.0625),
                tried={"gd": {0.01: 0.31, 0.0625: 0.42}},
            )
            for surrogate in surrogates
        },
        smoothness={surrogate: random.beta(2, 5, samples) for surrogate in surrogates},
        alignment={
            (surrogate, victim): 0.15 + 0.1 * random.normal(size=samples)
            for surrogate in surrogates
            for victim in victims
        },
    )
