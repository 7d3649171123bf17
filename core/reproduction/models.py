"""The models a reproduction compares: those it trains and those it finds trained."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.checkpoints import BEST
from core.datasets import Dataset
from core.events import Event, Note
from core.records import read_json
from core.reproduction.options import ReproduceOptions
from core.training import TrainOptions
from core.training.runs import OPTIONS, begun, stored_options


@dataclass(frozen=True)
class Entry:
    """One training: of a regime, with a seed."""

    label: str
    """The regime; the run's own name where it is not one of those the reproduction asked for."""
    options: TrainOptions
    folder: Path
    """Of the run."""
    found: bool = False
    """Whether the run was there already and is used as it is."""

    @property
    def name(self) -> str:
        return f"{self.label}-seed{self.options.seed}"


def planned(
    dataset: Dataset, options: ReproduceOptions, training: dict[str, Any], folder: Path, runs: Sequence[Path]
) -> Generator[Event, None, list[Entry]]:
    """The entries, seed after seed; runs found under ``runs`` take the place of trainings of their regime and seed.

    Yields Notes about runs that can't be used, and returns the entries.
    """
    found: dict[tuple[str, int], Entry] = {}
    extra: list[Entry] = []
    for run in (run for root in runs for run in _runs_under(root)):
        record = read_json(run / OPTIONS)
        if record["dataset"] != dataset.card.fingerprint:
            yield Note(f"{run} was trained on another dataset and is left out.")
        elif not record["complete"]:
            yield Note(f"{run} is not finished and is left out; resume it with `pointward train --resume`.")
        else:
            chosen = stored_options(run)
            key = (chosen.regime, chosen.seed)
            if chosen.regime in options.regimes and chosen.seed < options.seeds and key not in found:
                found[key] = Entry(chosen.regime, chosen, run, found=True)
            else:
                extra.append(Entry(run.name, chosen, run, found=True))
    entries = []
    for seed in range(options.seeds):
        for regime in options.regimes:
            chosen = TrainOptions.model_validate(training | {"regime": regime, "seed": seed, "clouds": options.subset})
            own = Entry(regime, chosen, folder / "runs" / f"{regime}-seed{seed}")
            entries.append(found.get((regime, seed), own))
    return [*entries, *extra]


def _runs_under(root: Path) -> list[Path]:
    """The run that ``root`` is, or those in it."""
    folders = [root] if begun(root) else sorted(path for path in root.glob("*") if begun(path))
    runs = [folder for folder in folders if (folder / BEST).is_file()]
    if not runs:
        raise ValueError(f"There is no training run with a finished epoch in {root}.")
    return runs
