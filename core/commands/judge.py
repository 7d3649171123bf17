"""``pointward judge``, of a set of adversarial clouds that ``pointward attack --dataset`` made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from core.commands.app import STOPPED
from core.commands.checks import check_exists, check_model, require, validated
from core.commands.console import UsageError, follow, note, show
from core.commands.sets import set_description, set_measurements
from core.commands.shared import Count, DataRoot, DefenseName, Device, Json, TableFile, find_dataset
from core.commands.trial import split_defense, with_defense
from core.datasets.matching import matched
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions, Rate
from core.evaluation.judge import judge as judge_set
from core.evaluation.make import AdversarialSet, read_set, with_shape_distances
from core.evaluation.provenance import measurement_provenance
from core.models.checkpoints import load_model, resolve_model
from core.results.records import write_csv, write_provenance
from core.runtime.devices import choose_device


def judge(
    folder: Annotated[Path, validated(check_exists)],
    *,
    model: Annotated[list[str], Parameter(negative="")],
    defense: DefenseName = None,
    fresh_draws: Count = None,
    data_root: DataRoot = None,
    records: TableFile = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Judge models on adversarial clouds that `pointward attack --dataset` made, on these or on another model.

    The success rate is the share of clouds that a model gets wrong: of all clouds; of those that it gets right when
    they are clean; and of those that both it and the attacked model get right when they are clean.

    Parameters
    ----------
    folder
        The adversarial set.
    model
        A built-in or imported model, a run folder, or the file of a model, behind a defence as modelnet16-pgd+sor; may
        be given several times.
    defense
        Input defence before all of them.
    fresh_draws
        Fresh draws that judge a model with a random defence; the default is 10.
    records
        CSV file for one line per model and cloud; how it was made goes into a file beside it, RECORDS.json.
    """
    for name in model:
        require(check_model, name)
    attacked, record = read_set(folder)
    if not record.complete:
        note(f"The set is not complete: {len(attacked.row):,} clouds are judged.")
    data = find_dataset(record.dataset, data_root)
    if data.card.fingerprint != record.fingerprint:
        raise UsageError(f"{record.dataset} is another version here than the one that the clouds were made of.")
    options = EvaluationOptions.model_validate(
        record.evaluation | ({"fresh_draws": fresh_draws} if fresh_draws else {})
    )
    attacked = with_shape_distances(attacked, data.split(record.split), options.points)
    loaded = []
    for name in model:
        model_name, model_defense = split_defense(name, defense)
        each = load_model(resolve_model(model_name), choose_device(device))
        each.card.require_samples(data.card.name, data.card.image)
        loaded.append(with_defense(each, model_defense))
    rows: dict[str, Any] = {}
    columns: list[dict[str, Any]] = []
    for each in loaded:
        split = matched(data, each.card.classes).split(record.split)
        report, complete = follow(
            lambda cancel, each=each, split=split: judge_set(each.module, split, attacked, options, cancel),  # type: ignore[misc]
            f"asking {each.name}",
        )
        if not complete:
            return STOPPED
        rows[each.name] = success_rates(report, attacked)
        measured = report.records | {"chamfer": attacked.chamfer, "hausdorff": attacked.hausdorff}
        columns += [{"model": each.name, **dict(zip(measured, line, strict=True))} for line in _lines(measured)]
    made_with = {
        "set": set_description(record),
        **measurement_provenance(loaded, data.card, None, seed=options.seed, evaluation=options),
    }
    if records is not None:
        names = dict.fromkeys(name for line in columns for name in line)  # of a model that draws there are more
        write_csv(records, {name: [line.get(name, np.nan) for line in columns] for name in names})
        write_provenance(records, made_with)
    show(
        {
            **set_description(record),
            **set_measurements(attacked),
            **rows,
            **({"provenance": made_with} if as_json else {}),
        },
        as_json,
    )
    return 0


def success_rates(report: AccuracyReport, attacked: AdversarialSet) -> dict[str, Any]:
    """Accuracies and attack success rates of a judged set, each with its number of clouds.

    A model with a random defence is judged in several draws: the numbers are means over them, with their spreads.
    """
    clean, adversarial = report.sides
    on_surrogate = attacked.clean_logits.argmax(1) == attacked.label
    wrong, known = ~adversarial.correct_in_draws, clean.correct_in_draws
    both = known & on_surrogate[:, None]
    return {
        "clean_accuracy": clean.accuracy.value,
        "adversarial_accuracy": adversarial.accuracy.value,
        **({"fresh_draws": wrong.shape[1], "clean_spread": clean.draws.spread} if clean.draws else {}),
        **({"adversarial_spread": adversarial.draws.spread} if adversarial.draws else {}),
        "success_of_all": Rate(int(wrong.sum()), wrong.size).value,
        "success_of_clean_right": Rate(int((wrong & known).sum()), int(known.sum())).value,
        "success_of_clean_right_by_both": Rate(int((wrong & both).sum()), int(both.sum())).value,
        "clean_right": _cloud_count(known),
        "clean_right_by_both": _cloud_count(both),
    }


def _cloud_count(counted: NDArray[np.bool_]) -> int | float:
    """Number of clouds that are counted (n, R), as the mean over the R draws."""
    return int(counted.sum()) if counted.shape[1] == 1 else float(counted.mean(axis=1).sum())


def _lines(columns: Mapping[str, NDArray[Any]]) -> list[tuple[Any, ...]]:
    """Columns (n,) as n lines."""
    return list(zip(*columns.values(), strict=True))
