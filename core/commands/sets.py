"""Making a set of adversarial clouds, for ``pointward attack --dataset``, and what is printed of one."""

from pathlib import Path
from typing import Any

import numpy as np

from core.commands.app import STOPPED
from core.commands.console import UserError, follow, note, show
from core.commands.trial import Trial, points_of_each
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.auto import adversarial_set
from core.evaluation.make import COLUMNS, AdversarialSet
from core.evaluation.provenance import measurement_provenance, set_record
from core.evaluation.set_folder import SetFolder, SetRecord
from core.models.port import draws_anew


def attack_dataset(
    trial: Trial,
    out: Path,
    clouds: int | None,
    points: int | None,
    seed: int,
    as_json: bool,
    defense: str | None,
) -> int:
    """Attack the test clouds of a dataset and keep the adversarial ones in the folder ``out``; the exit code."""
    model, data, attack, frame = trial.open(defense)
    options = EvaluationOptions(clouds=clouds, points=points_of_each(model, points), seed=seed)
    provenance = measurement_provenance(
        [model], data.card, attack, seed=seed, preset=trial.choice.attack, evaluation=options, class_names=trial.classes
    )
    record = set_record(model, data.card, trial.choice.attack, attack, options)
    folder = SetFolder(out, COLUMNS)
    folder.begin(record, provenance)
    surrogates = trial.surrogates(model)
    attacked, complete = follow(
        lambda cancel: adversarial_set(
            model.module, data.split("test"), attack, options, cancel, surrogates=surrogates, parts=folder
        ),
        "attacking",
    )
    if attacked is None:
        raise UserError("Stopped before the first clouds were attacked.")
    if complete:
        folder.end()
    else:
        note(f"{len(attacked.row):,} clouds are in {out}; the same command goes on from there.")
    if draws_anew(model.module):
        note(
            "The model draws anew at every call: it was fooled in draws that the attack saw; judge tells of fresh ones."
        )
    show(
        {**set_description(record), **frame, **set_measurements(attacked), "complete": complete, "out": str(out)},
        as_json,
        trial.choice.details(attack),
    )
    return 0 if complete else STOPPED


def set_description(record: SetRecord) -> dict[str, Any]:
    """Which attack, model and clouds an adversarial set was made with."""
    return {
        "attack": record.preset,
        **record.attack,
        "surrogate": record.surrogate,
        "dataset": record.dataset,
        "split": record.split,
        "points": record.evaluation.get("points"),
        "seed": record.evaluation.get("seed"),
    }


def set_measurements(attacked: AdversarialSet) -> dict[str, Any]:
    """How often the attacked model was fooled, and how far the clouds were moved."""
    measured = {
        "n": len(attacked.row),
        "surrogate_fooled": float(attacked.success.mean()),
        "linf_max": float(attacked.linf.max()),
        "per_point_l2_mean": float(attacked.per_point_l2.mean()),
        "l2_mean": float(attacked.l2.mean()),
        "rmse_mean": float(attacked.rmse.mean()),
        "chamfer_mean": float(attacked.chamfer.mean()),
        "hausdorff_mean": float(attacked.hausdorff.mean()),
        "zero_gradient_mean": float(attacked.zero_gradient.mean()),
        "forwards_mean": float(attacked.forwards.mean()),
        "backwards_mean": float(attacked.backwards.mean()),
    }
    return {name: value for name, value in measured.items() if not np.isnan(value)}  # what images do not have
