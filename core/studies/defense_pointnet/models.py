"""The models a reproduction compares: those it trains and those it finds trained."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from core.datasets import Dataset
from core.events import Event, Note
from core.models.checkpoints import BEST
from core.runtime.files import readable
from core.studies.defense_pointnet.options import ReproduceOptions
from core.training import TrainOptions
from core.training.record import read_run, run_exists


@dataclass(frozen=True)
class Entry:
    """One training: of a regime, with a seed."""

    label: str
    """The regime, or the run's own name."""
    options: TrainOptions
    folder: Path
    """Folder of the run."""
    found: bool = False
    """Whether it is a run found under ``runs``, which is used as it is."""

    @property
    def name(self) -> str:
        return f"{self.label}-seed{self.options.seed}"


def planned(
    dataset: Dataset, options: ReproduceOptions, training: dict[str, Any], folder: Path, runs: Sequence[Path]
) -> Generator[Event, None, list[Entry]]:
    """The entries, seed by seed. A run found under ``runs`` replaces the training of its regime and seed. If there is
    none, it is added under its regime; if a run of that regime and seed was found already, under its own name.

    Yields Notes about runs that can't be used, and returns the entries.
    """
    entries: dict[tuple[str, int], Entry] = {}
    for seed in range(options.seeds):
        for regime in options.regimes:
            wanted = TrainOptions.model_validate(training | {"regime": regime, "seed": seed, "clouds": options.subset})
            chosen = TrainOptions.model_validate(wanted.model_dump())  # all are set, so a run with others is refused
            entries[regime, seed] = Entry(regime, chosen, folder / "runs" / f"{regime}-seed{seed}")
    for run in dict.fromkeys(run.resolve() for root in runs for run in _runs_under(root)):
        record, name = read_run(run), readable(run.name)
        chosen = record.options
        if record.dataset != dataset.card.fingerprint:
            yield Note(f"{readable(run)} was trained on another dataset and is left out.")
        elif not record.complete:
            yield Note(f"{readable(run)} is not finished and is left out; resume it with `pointward train --resume`.")
        else:
            names = chain((chosen.regime, name), (f"{name}-{number}" for number in count(2)))
            free = (name for name in names if (place := entries.get((name, chosen.seed))) is None or not place.found)
            label = next(free)
            entries[label, chosen.seed] = Entry(label, chosen, run, found=True)
    return list(entries.values())


def _runs_under(root: Path) -> list[Path]:
    """The run that ``root`` is, or those in it."""
    folders = [root] if run_exists(root) else sorted(path for path in root.glob("*") if run_exists(path))
    runs = [folder for folder in folders if (folder / BEST).is_file()]
    if not runs:
        raise ValueError(f"There is no training run with a finished epoch in {readable(root)}.")
    return runs
