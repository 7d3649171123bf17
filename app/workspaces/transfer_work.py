"""What the jobs of the Transfer workspace do, and which experiment is in a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.events import Cancel, Done, Event, Progress, Step
from core.runtime.files import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from core.studies.transferability.experiment import DatasetPlace, Experiment

READ_SECONDS = 0.25
"""Time between two looks at what an experiment has stored while it runs."""


def run(experiment: Experiment, fingerprint: str, cancel: Cancel) -> Iterator[Event]:
    """Run an experiment on the dataset with this fingerprint; now and then a ``Step`` has what it has found so far."""
    from core.studies.transferability.stored import Stored
    from core.studies.transferability.sweep import run_transfer

    if experiment.dataset.open().card.fingerprint != fingerprint:
        raise ValueError(f"The files of {experiment.dataset.name} have changed: open it again in the library.")
    stored, read_at = Stored(experiment), 0.0
    for event in run_transfer(experiment, cancel):
        yield event
        if isinstance(event, Progress) and time.monotonic() - read_at > READ_SECONDS:
            read_at = time.monotonic()
            yield Step(event.done, event.total, stored.findings())


def read(experiment: Experiment) -> Iterator[Event]:
    """``Done`` with what an experiment has found."""
    from core.studies.transferability.stored import Stored

    yield Done(Stored(experiment).findings())


def report(experiment: Experiment) -> Iterator[Event]:
    """``Done`` with the page of the report on everything in the folder of an experiment."""
    from core.studies.transferability.folder_report import report_folder

    yield Progress(0, 0, "drawing its figures")
    yield Done(report_folder(experiment)[0])


def experiment_in(
    folder: Path, place: DatasetPlace, fingerprint: str, files: Mapping[str, Path], protocol: str
) -> Experiment | None:
    """The experiment in a folder, under this protocol if it was run; None if the folder is empty.

    Parameters
    ----------
    place, fingerprint : of the open dataset.
    files : those of the known models, by name; the experiment has those of its models that are among them.

    Raises
    ------
    ValueError
        If the folder holds something else, or an experiment on another dataset.
    """
    from core.studies.transferability.experiment import Experiment
    from core.studies.transferability.folder_report import experiments_there
    from core.studies.transferability.options import TransferOptions
    from core.studies.transferability.records import ExperimentRecord

    record = ExperimentRecord.of(folder)
    if record is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise ValueError(f"{readable(folder)} holds other files: choose an experiment, or an empty folder.")
        return None
    if record.fingerprint != fingerprint:
        raise ValueError(f"{readable(folder)} is an experiment on {record.dataset}: open that dataset first.")
    base = Experiment(folder, TransferOptions(), place, {}, (), (), ())
    there = {str(key): each for key, each in experiments_there(base).items()}
    if not there:
        raise ValueError(f"The experiment in {readable(folder)} was never begun: choose another folder.")
    found = there.get(protocol) or next(iter(there.values()))
    return replace(found, models={name: files[name] for name in found.all_models if name in files})


def write_figure(path: Path, figure: Figure, experiment: Experiment, attack: str, complete: bool) -> None:
    """Write the map of an attack, or of all, with how it was made."""
    from core.figures import save
    from core.results.records import provenance
    from core.studies.transferability.records import ExperimentRecord

    options = experiment.options
    record = ExperimentRecord.of(experiment.folder)
    assert record is not None
    made_with = provenance(
        options, seed=options.seed, dataset=record.fingerprint, weights=record.weights, complete=complete
    )
    save(figure, path, made_with, f"Success rate of transfer attacks, {attack}, protocol {options.protocol}")
