"""Long work in independent pieces: in this process, in worker processes of this machine, or on a cluster.

Each piece stores its own result, so that work that was ended early goes on with the pieces that have none. joblib hands
the pieces to the workers: loky's processes on this machine, or those of a Ray cluster (``core.runtime.cluster``).
"""

import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from core.events import Cancel, Done, Event, Note, Progress, forward
from core.runtime.allocator import keep_freed_memory
from core.runtime.processes import WorkerError, end_with_parent
from core.runtime.threads import allowed_threads, limit_threads

Engine = Literal["here", "joblib", "ray"]

TRIES = 3
"""How often a piece is run if its worker is lost each time."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a long work that needs no other part of it."""

    name: str
    operation: Callable[..., Iterator[Event]]
    """A function at the top level of a module; it and its arguments are pickled."""
    arguments: tuple[Any, ...]
    result: Path
    """File that the operation writes at its end, completely or not at all; a piece that has it is not run."""
    weight: int = 1
    """Share of the whole, in any unit."""


class PieceError(ValueError):
    """A piece can't be done; the message names it and says why."""


@dataclass(frozen=True)
class _Workers:
    """What joblib runs the pieces with."""

    backend: Any
    count: int
    threads: int
    """Of each worker."""
    tries: int
    """How often joblib is to run a piece whose worker is lost; Ray tries again by itself."""
    parent: int | None = None
    """The process with which the workers end, if they are its children."""


def run_pieces(
    pieces: Sequence[Piece],
    engine: Engine = "here",
    *,
    workers: int | None = None,
    address: str | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Run the pieces that have no result yet, begun in their order, as many at a time as there are workers.

    The workers share the threads that may compute (``allowed_threads``), or the CPUs of the cluster, evenly; each has
    at least one. All engines give the same results if a piece has as many threads in each: the last digits of sums
    depend on that.

    If a worker is killed, or lost with its machine, its piece is run again, up to ``TRIES`` times in all. On this
    machine loky then ends all workers, so that the pieces of the others are begun again too. Pieces that have ended
    are not.

    The workers end with this generator, and with this process, even if it is killed: on Linux at once, elsewhere after
    their current piece. (If all its process group is killed, joblib leaves some empty files in shared memory.)

    Parameters
    ----------
    engine : here, one after another in this process; joblib, in processes of this machine; ray, on a Ray cluster whose
        machines have this version of the program, and find the files of arguments and results under the same paths.
    workers : number of worker processes, by default one for each thread or CPU; a single one is this process.
    address : of the head of the cluster, HOST:PORT; without one Ray is started on this machine alone.
    cancel : ends the work at once. Of pieces that have not ended, what their operations have stored remains.

    Yields
    ------
    Progress at the end of each piece, in the order in which they end, in the unit of the weights and with the name of
    the piece; in this process also the events of its operation. A Note if pieces are run again. At last Done.

    Raises
    ------
    PieceError
        If an operation raises a ValueError or an OSError. Any other error becomes a RuntimeError, or a MemoryError,
        with the name of the piece before its message. The other workers are ended.
    WorkerError
        If a piece has lost its worker ``TRIES`` times.
    ValueError
        If the engine can't be used here, or there is no such cluster.
    """
    if address is not None and engine != "ray":
        raise ValueError(f"{address} is the address of a Ray cluster: choose the engine ray with it.")
    if engine != "here" and getattr(sys, "frozen", False):
        raise ValueError("The bundled program starts no workers: choose the engine here, or install it with pip.")
    if engine == "joblib":
        workers = workers or allowed_threads()
    left = [piece for piece in pieces if not piece.result.exists()]
    whole = _Whole(sum(piece.weight for piece in pieces))
    yield whole.end(*(piece for piece in pieces if piece not in left))
    if engine == "here" or workers == 1:
        yield from _run_here(left, whole, cancel)
    elif left:
        with _workers(engine, workers, address) as chosen:
            yield from _run_in_workers(left, chosen, whole, cancel)
    yield Done(complete=whole.done == whole.total)


@dataclass
class _Whole:
    """How much of the whole has ended, in the unit of the weights."""

    total: int
    done: int = 0

    def end(self, *pieces: Piece) -> Progress:
        """Count pieces that have ended."""
        self.done += sum(piece.weight for piece in pieces)
        return Progress(self.done, self.total, ", ".join(piece.name for piece in pieces[-1:]))


def _run_here(pieces: Sequence[Piece], whole: _Whole, cancel: Cancel | None) -> Iterator[Event]:
    for piece in pieces:
        with _named(piece):
            events = piece.operation(*piece.arguments)
            place = {"before": whole.done, "weight": piece.weight, "total": whole.total}
            for event in forward(events, **place, text=piece.name):
                if cancel and cancel.requested:
                    return
                yield event
        yield whole.end(piece)
        if cancel and cancel.requested:
            return


@contextmanager
def _workers(engine: Engine, count: int | None, address: str | None) -> Iterator[_Workers]:
    """Workers of ``joblib`` or ``ray``, which end with the block."""
    if engine == "ray":
        from core.runtime.cluster import RayTasks, connected, cpus_each, cpus_of_cluster

        with connected(address, count):
            count = count or max(2, cpus_of_cluster())  # joblib would run all calls of one in this process
            threads = cpus_each(count)
            yield _Workers(RayTasks(count, threads, TRIES), count, threads, tries=1)
    else:
        from joblib.externals.loky import get_reusable_executor

        assert count is not None
        try:
            yield _Workers("loky", count, max(1, allowed_threads() // count), TRIES, os.getpid())
        finally:
            get_reusable_executor(reuse=True).shutdown(kill_workers=True)  # joblib would keep them for minutes


def _run_in_workers(
    pieces: Sequence[Piece], workers: _Workers, whole: _Whole, cancel: Cancel | None
) -> Iterator[Event]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # loky warns when it replaces a worker that has grown by 300 MB, and joblib when it ends calls early
    warnings.filterwarnings("ignore", "A worker stopped while|.*have been cancelled|.*but not used", UserWarning)
    left, losses = dict(enumerate(pieces)), Counter[int]()
    while left:
        begun: list[int] = []
        ends = Parallel(
            workers.count,
            workers.backend,
            return_as="generator_unordered",
            timeout=_UntilCancelled(cancel),
            pre_dispatch="n_jobs",  # so that what is begun is what the workers are at
            batch_size=1,
            max_nbytes=None,
        )(delayed(_run)(*call, workers.threads, workers.parent) for call in _noted(left, begun))
        try:
            for place in ends:
                yield whole.end(left.pop(place))
                if cancel and cancel.requested:
                    return
        except Exception as error:
            if cancel and cancel.requested:  # also by Ctrl-C, which reaches workers that are being started too
                return
            if not isinstance(error, TerminatedWorkerError | WorkerError):
                raise
            for place in [place for place in begun if place in left and left[place].result.exists()]:
                yield whole.end(left.pop(place))  # joblib drops ends that nobody has asked for yet
            lost = [place for place in begun if place in left]
            losses.update(lost)
            often = [left[place].name for place in lost if losses[place] >= workers.tries]
            if often:
                raise WorkerError(
                    f"{' or '.join(often)}: the worker process was ended from outside {TRIES} times, perhaps for want "
                    "of memory; choose fewer workers."
                ) from error
            if lost:
                names = ", ".join(left[place].name for place in lost)
                yield Note(f"A worker process was ended from outside, perhaps for want of memory; run again: {names}.")
        finally:
            ends.close()


def _noted(pieces: dict[int, Piece], begun: list[int]) -> Iterator[tuple[int, Piece]]:
    """The pieces with their places, which are added to ``begun`` when a piece is taken."""
    for place, piece in list(pieces.items()):
        begun.append(place)
        yield place, piece


class _UntilCancelled:
    """A timeout of joblib, which compares it with the time it has waited for a call: over once ``cancel`` is requested.

    Thus joblib ends the calls at once, whatever they are at.
    """

    def __init__(self, cancel: Cancel | None) -> None:
        self._cancel = cancel

    def __lt__(self, waited: float) -> bool:
        return self._cancel is not None and self._cancel.requested


def _run(place: int, piece: Piece, threads: int, parent: int | None) -> int:
    """Run a piece in a worker; returns ``place``."""
    _become_worker(threads, parent)
    with _named(piece):
        for _ in piece.operation(*piece.arguments):
            pass
    return place


@cache
def _become_worker(threads: int, parent: int | None) -> None:
    """Set up this process as a worker, once."""
    if parent is not None:
        end_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the workers too, but only the parent reacts to it
    keep_freed_memory()
    limit_threads(threads)


@contextmanager
def _named(piece: Piece) -> Iterator[None]:
    """Put the name of the piece before the message of an error, which is of a type that can be pickled."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise PieceError(f"{piece.name}: {error}") from error
    except Exception as error:
        kind = MemoryError if isinstance(error, MemoryError) else RuntimeError
        raise kind(f"{piece.name}: {type(error).__name__}: {error}") from error
