"""The plan of the reproduction: train what is missing, measure every model, write the report."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.attacks import fgsm, preset
from core.datasets import Dataset
from core.evaluation.accuracy import EvaluationOptions, chosen_clouds
from core.events import Cancel, Done, Event, Note
from core.models.checkpoints import LAST, load_model, load_training, resolve_model
from core.results.checkpointed import CheckpointedWork, StoppedEarly
from core.runtime.files import readable, sweep
from core.runtime.locks import locked_folder
from core.studies.defense_pointnet.findings import Findings
from core.studies.defense_pointnet.measure import (
    MAPPING,
    Measured,
    MeasuredMap,
    adversarial_set,
    measure,
    measure_map,
    measuring_work,
    without_latents,
)
from core.studies.defense_pointnet.models import Entry, planned
from core.studies.defense_pointnet.options import ReproduceOptions
from core.studies.defense_pointnet.report import WRITTEN, write_report
from core.training import REGIMES, run_exists, train
from core.training.record import read_metrics

MAPPED = ("simple", "defense")
"""The regimes of Figures 8 and 9."""
_MAP_CLOUDS = 16  # fewest clouds of a t-SNE map
_PASSES_PER_STEP = 6
"""Cost of one training step on a cloud, in forward passes."""


def reproduce(
    dataset: Dataset,
    options: ReproduceOptions,
    training: dict[str, Any],
    folder: Path,
    cancel: Cancel | None = None,
    *,
    runs: Sequence[Path] = (),
    data_root: Path | None = None,
) -> Iterator[Event]:
    """Reproduce the Defense-PointNet paper on a dataset.

    Finished parts are stored in ``folder``. If it is stopped or killed at any moment and called again with the same
    arguments, it continues there and ends with the same tables.

    Parameters
    ----------
    training : dict
        Options of the trainings that differ from the defaults; regime, seed and clouds are set by this function.
    folder : Path
        Where runs/, measured/, tables/, figures/, records/ and report.html are written.
    runs : sequence of Path
        Runs, or folders of runs, that are used instead of new trainings.

    Yields
    ------
    Progress over the whole, Note, Epoch; at last Done with the ``Findings``, or with None if it was stopped early.

    Raises
    ------
    ValueError
        If the options do not fit the dataset, ``folder`` holds runs with other options, or another process is working
        in it.
    """
    with locked_folder(folder):
        sweep(folder, WRITTEN)
        for measured in (folder / "measured").glob("*"):
            sweep(measured, ["*"])
        try:
            findings = yield from _reproduce_in(dataset, options, training, folder, cancel, runs, data_root)
        except StoppedEarly:
            yield Done(None, complete=False)
            return
    yield Done(findings)


def _reproduce_in(
    dataset: Dataset,
    options: ReproduceOptions,
    training: dict[str, Any],
    folder: Path,
    cancel: Cancel | None,
    runs: Sequence[Path],
    data_root: Path | None,
) -> Generator[Event, None, Findings]:
    if len(dataset.split("test")) < _MAP_CLOUDS:
        raise ValueError(
            f"{dataset.card.name} has {len(dataset.split('test'))} test clouds, and the t-SNE maps need {_MAP_CLOUDS}."
        )
    entries = yield from planned(dataset, options, training, folder, runs)
    test, first = dataset.split("test"), entries[0].options
    attack = fgsm(first.direction, epsilon=first.epsilon)
    pgd = preset("pgd", epsilon=options.pgd_epsilon, steps=options.pgd_steps, restarts=0)
    evaluation = EvaluationOptions(
        points=min(first.points, test.points.shape[1]), clouds=options.subset, without_copies=options.without_copies
    )
    clouds = len(chosen_clouds(test, evaluation))
    shown = min(options.map_clouds, clouds)
    weights = [_training_work(entry, dataset) for entry in entries]
    total = (
        sum(weights) + len(entries) * measuring_work(clouds, shown, options.pgd_steps) + MAPPING * len(MAPPED) * shown
    )
    work = CheckpointedWork(folder, total)

    for entry, weight in zip(entries, weights, strict=True):
        if not entry.found:
            yield from _train_entry(entry, dataset, weight, work, cancel, data_root)
    models = {entry.name: load_model(resolve_model(entry.folder)) for entry in entries}
    measured: list[Measured] = []
    maps: dict[str, MeasuredMap] = {}
    for entry in entries:
        model = models[entry.name]
        simple = f"simple-seed{entry.options.seed}"
        simple = simple if simple in models else "simple-seed0"
        transferred = None
        if simple in models and simple != entry.name:
            source = next(each for each in entries if each.name == simple)
            transferred = yield from adversarial_set(
                source, models[simple], dataset, attack, evaluation, 0, work, cancel
            )
        each = yield from measure(
            entry,
            model,
            transferred,
            _history(entry),
            dataset,
            attack,
            pgd,
            evaluation,
            shown,
            work,
            cancel,
        )
        if entry.label in MAPPED and entry.label not in maps:
            maps[entry.label] = yield from measure_map(each, shown, work, cancel)
        measured.append(without_latents(each))
    findings = Findings(dataset, options, attack, pgd, evaluation, measured, maps)
    yield Note("writing the report")
    write_report(findings, folder)
    return findings


def _train_entry(
    entry: Entry, dataset: Dataset, weight: int, work: CheckpointedWork, cancel: Cancel | None, data_root: Path | None
) -> Generator[Event, None, None]:
    folder = entry.folder
    events = train(dataset, entry.options, folder, cancel, resume=run_exists(folder), data_root=data_root)
    yield from work.run_part(weight, entry.name, events)


def _training_work(entry: Entry, dataset: Dataset) -> int:
    """Cost of a training in forward passes; 0 if it is finished already."""
    if entry.found:
        return 0
    options, clouds = entry.options, len(dataset.split("train"))
    regime = REGIMES[options.regime]
    batch = _PASSES_PER_STEP * regime.passes + (3 * options.attack.steps if regime.robust else 0)
    return options.epochs * min(options.clouds or clouds, clouds) * batch


def _history(entry: Entry) -> tuple[list[dict[str, float]], int]:
    """The metrics of each epoch, and the gradient steps that Adam counted for the model."""
    card, _, state = load_training(entry.folder / LAST)
    if (steps := state.get("adam/0/0/step")) is None:
        raise ValueError(f"{readable(entry.folder / LAST)} has no state of the optimiser: restore it, or train anew.")
    return read_metrics(entry.folder, card.epochs or 0), int(steps)
