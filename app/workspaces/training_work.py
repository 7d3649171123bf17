"""Trainings that are to be begun or resumed: what their jobs do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.shell import settings
from core.events import Cancel, Event, forward

if TYPE_CHECKING:
    from core.datasets import Dataset
    from core.training import RunSummary, TrainOptions


@dataclass(frozen=True)
class Plan:
    """A training that is to be begun or resumed, and the folder of its run."""

    folder: Path
    options: TrainOptions
    dataset: str
    """Name of the dataset."""
    work: Callable[[Cancel], Iterator[Event]]

    @property
    def summary(self) -> RunSummary:
        """What the list of runs shows of it while it waits."""
        from core.training import RunState, RunSummary

        return RunSummary(
            self.folder,
            RunState.QUEUED,
            self.folder.name,
            dataset=self.dataset,
            regime=self.options.regime,
            model=self.options.model,
            epochs=self.options.epochs,
        )


def plan_new(folder: Path, options: TrainOptions, dataset: Dataset, root: Path | None) -> Plan:
    """A new training, in ``folder``, on a dataset that was opened from ``root``."""
    from core.training import train

    return Plan(
        folder, options, dataset.card.name, lambda cancel: train(dataset, options, folder, cancel, data_root=root)
    )


def plan_resume(folder: Path, opened: Dataset | None, root: Path | None) -> Plan:
    """The rest of the run in ``folder``; its dataset is opened again unless it is ``opened``, which is from ``root``.

    Raises
    ------
    OSError, ValueError
        If its record cannot be read, or is damaged.
    """
    from core.training import read_run

    record = read_run(folder)
    return Plan(folder, record.options, record.dataset_name, lambda cancel: _go_on(folder, opened, root, cancel))


def _go_on(
    folder: Path, opened: Dataset | None, opened_root: Path | None, cancel: Cancel
) -> Generator[Event, None, None]:
    """Resume the run in ``folder`` with its own options, on its own dataset."""
    from core.datasets import open_dataset
    from core.training import TrainOptions, dataset_of_run, read_run, train

    name, root, orientation = dataset_of_run(folder)
    if opened is None or opened.card.fingerprint != read_run(folder).dataset:
        opening = open_dataset(name, root, settings.cache_dir(), orientation=orientation)
        opened, opened_root = (yield from forward(opening)).value, root
    assert opened is not None
    yield from train(opened, TrainOptions(), folder, cancel, resume=True, data_root=opened_root)
