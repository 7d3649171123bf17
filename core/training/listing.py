"""The training runs of this machine: in which folders they are, and how far each of them is.

A run can be anywhere. The folders that hold runs are kept in ``run-folders.json`` among the program's data: each
command that trains adds the one that it trains in, and the studio adds its own.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from platformdirs import user_data_path

from core.models import ARCHITECTURES
from core.models.checkpoints import BEST
from core.results.records import read_as, read_jsonl, write_json
from core.runtime.files import readable
from core.runtime.locks import LOCK, is_locked
from core.training.record import METRICS, OPTIONS, best_epoch, read_metrics, read_run, run_exists

MOST_FOLDERS = 100
"""Most folders of runs that are remembered; the oldest is forgotten first."""


LONGEST_TITLE = 200
"""Most characters in the title of a run."""


class RunState(StrEnum):
    """How a run ended, or that it has not."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Ended before its last epoch by a person or an error."""
    INTERRUPTED = "interrupted"
    """Its process was killed."""
    DAMAGED = "damaged"
    QUEUED = "queued"
    """Not begun: it waits in the studio for another training to end."""


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs shows of one."""

    folder: Path
    state: RunState
    title: str
    """The name that a person gave it, or that of its folder."""
    problem: str = ""
    """Why its files cannot be read, if it is damaged; it has no other facts then."""
    dataset: str = ""
    regime: str = ""
    model: str = ""
    """Its architecture."""
    begun: datetime | None = None
    """None if its record does not say."""
    epochs: int = 0
    """Number of epochs that it is to have."""
    history: tuple[Mapping[str, float], ...] = ()
    """Metrics of each finished epoch; accuracies in 0..1, losses in nats."""
    best: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the best epoch; empty if none is finished."""
    has_model: bool = False
    """Whether there are weights to load; a run that was stopped in its first epoch has some too."""

    @property
    def of_clouds(self) -> bool:
        """Whether its model takes clouds; otherwise it takes images."""
        return self.model in ARCHITECTURES

    @property
    def can_go_on(self) -> bool:
        """Whether epochs are left, and no process is training it."""
        return self.state in (RunState.STOPPED, RunState.INTERRUPTED)


class RunReader:
    """Reads summaries, and reads a run's files again only if they have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, RunSummary]] = {}

    def read(self, folders: Iterable[Path]) -> tuple[RunSummary, ...]:
        """The runs directly in these folders, or that are these, those begun last first; what is gone is left out."""
        found = {run for folder in folders for run in _runs_in(folder)}
        known, self._known = self._known, {}
        for run in found:
            stamp = _stamp(run)
            at, summary = known.get(run, (None, None))
            self._known[run] = stamp, summary if summary is not None and at == stamp else summarise(run)
        summaries = [summary for _, summary in self._known.values()]
        return tuple(sorted(summaries, key=lambda run: (_seconds(run.begun), str(run.folder)), reverse=True))


def summarise(folder: Path) -> RunSummary:
    """The summary of the run in ``folder``; whatever is wrong with its files is a ``problem``, not an error."""
    try:
        record = read_run(folder)
        lines = len(read_jsonl(folder / METRICS)) if (folder / METRICS).is_file() else 0
        history = read_metrics(folder, lines)
    except (OSError, ValueError) as error:
        return RunSummary(folder, RunState.DAMAGED, readable(folder.name), str(error))
    best = best_epoch(history, record.options.regime)
    return RunSummary(
        folder,
        _state(folder, complete=record.complete),
        record.title or readable(folder.name),
        dataset=record.dataset_name,
        regime=record.options.regime,
        model=record.options.model,
        begun=_moment(record.time),
        epochs=record.options.epochs,
        history=tuple(history),
        best=history[best - 1] if best else {},
        has_model=(folder / BEST).is_file(),
    )


def run_title(path: Path) -> str:
    """What a model of a run is called among others: the run's title, or its regime, dataset and date.

    ``path`` is the folder of the run, or a file in it; the title is empty if that is none, or is damaged.
    """
    folder = path if path.is_dir() else path.parent
    run = summarise(folder) if run_exists(folder) else None
    if run is None or run.state is RunState.DAMAGED:
        return ""
    if run.title != readable(folder.name) or run.begun is None:
        return run.title
    return f"{run.regime} · {run.dataset} · {run.begun.astimezone():%d %b %H:%M}"


def rename_run(folder: Path, title: str) -> None:
    """Give the run in ``folder`` a title; an empty one takes it away. Its folder keeps its name.

    Raises
    ------
    ValueError
        If a process is training it, its record is damaged, or the title is too long.
    """
    title = title.strip()
    if len(title) > LONGEST_TITLE:
        raise ValueError(f"A name of {len(title):,} characters is too long: up to {LONGEST_TITLE} are accepted.")
    if is_locked(folder):
        raise ValueError(f"{readable(folder)} is being trained: rename it once that has ended.")
    write_json(folder / OPTIONS, read_run(folder).model_copy(update={"title": title}))


# --- the folders that hold runs ---


def run_folders() -> tuple[Path, ...]:
    """The folders that hold runs, the newest first; none if the file that lists them is damaged."""
    try:
        return tuple(Path(name) for name in read_as(_list_path(), list[str], "a list of folders"))
    except (OSError, ValueError):
        return ()


def remember_run_folder(folder: Path) -> None:
    """Put a folder that holds runs first in the list, so that the studio finds them.

    Nothing happens if the list cannot be read or written: a training must not fail by that.
    """
    name = str(folder.resolve())
    known = [str(each) for each in run_folders()]
    if not known and _list_path().exists():  # it is damaged, and somebody may mend it
        return
    if known[:1] != [name] and readable(name) == name:
        with suppress(OSError):
            write_json(_list_path(), [name, *(each for each in known if each != name)][:MOST_FOLDERS])


def _list_path() -> Path:
    return user_data_path("pointward") / "run-folders.json"


# --- internals ---


def _runs_in(folder: Path) -> list[Path]:
    if run_exists(folder):
        return [folder]
    try:
        return [folder / entry.name for entry in os.scandir(folder) if entry.is_dir() and run_exists(Path(entry))]
    except OSError:  # it is gone, or may not be read
        return []


def _stamp(folder: Path) -> object:
    """Changes whenever the summary of a run may change."""
    return *(_file_stamp(folder / name) for name in (OPTIONS, METRICS, BEST, LOCK)), is_locked(folder)


def _file_stamp(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


def _state(folder: Path, *, complete: bool) -> RunState:
    if is_locked(folder):
        return RunState.RUNNING
    if complete:
        return RunState.FINISHED
    return RunState.INTERRUPTED if (folder / LOCK).exists() else RunState.STOPPED  # only a killed process leaves it


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
