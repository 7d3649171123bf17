"""Runs cases in worker processes with limits, and counts how they end: a worker that dies or hangs is a result, too."""

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.fuzz.target import Refused, Target, case

MOST_MEMORY = 1_500
"""MB that a case may add to the resident memory of its process."""
MOST_SECONDS = 10.0
"""Of processor time that a case may take."""
READY = "ready"
"""The first message of a worker."""
LATE = "late"
"""The message of a worker that the time was up before all of its cases were run."""
_STALLED = 120.0
"""Seconds on the clock after which a case that computes nothing hangs."""
_ADDRESS_SPACE = 6 << 30
"""Bytes that a worker may reserve beyond what it has at its start, so that a blow-up does not end the machine."""

ENDS = ("fine", "refused", "crash", "hang", "blow-up", "other exception")
BAD = ENDS[2:]


Result = tuple[str, float, float, str]
"""How a case ended, its seconds, its MB, and what there is to say of it."""


@dataclass
class Tally:
    """How the cases of a target ended."""

    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Of processor time that the slowest case took."""
    memory: float = 0.0
    """MB that the largest case added."""
    spent: float = 0.0
    """Seconds of processor time of all cases."""
    bad: dict[str, list[int]] = field(default_factory=dict)
    """What went wrong, and the cases in which it did."""
    details: dict[str, str] = field(default_factory=dict)
    """More of what went wrong, from the first such case."""

    @property
    def cases(self) -> int:
        return self.ends.total()

    def add(self, result: Result, number: int) -> None:
        """Count the case ``number``."""
        end, seconds, memory, text = result
        self.ends[end] += 1
        self.spent += seconds
        self.seconds, self.memory = max(self.seconds, seconds), max(self.memory, memory)
        if end in BAD:
            text, _, detail = text.partition("\n")
            self.bad.setdefault(f"{end}: {text}", []).append(number)
            self.details.setdefault(f"{end}: {text}", detail)


@dataclass(frozen=True)
class Limits:
    """When a campaign ends: after so many cases of each target, a tenth of slow ones, or with the first case that ends
    after so many seconds."""

    cases: int | None = None
    seconds: float = 3600.0
    most_seconds: float = MOST_SECONDS
    most_memory: float = MOST_MEMORY


class _Worker:
    """A process that runs cases, and the case that it is at."""

    def __init__(
        self, get_targets: Callable[[], Sequence[Target]], seed: int, limits: Limits, deadline: float, folder: str
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # not a daemon, for it has children
        self.process = context.Process(target=_work, args=(theirs, get_targets, seed, limits, deadline, folder))
        self.process.start()
        theirs.close()
        self.limits = limits
        self.target, self.number, self.end = -1, 0, 0
        self.ready = False
        self._begin()

    @property
    def idle(self) -> bool:
        return self.number == self.end

    def give(self, target: int, number: int, end: int) -> None:
        """Let it run the cases from ``number`` to before ``end``."""
        self.target, self.number, self.end = target, number, end
        self.connection.send((target, number, end))
        self._begin()

    def results(self) -> Iterator[Result]:
        """How cases ended since the last call; after a crash or a hang it has ended, too."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                self._begin()
                if message == READY:
                    self.ready = True
                    continue
                if message == LATE:
                    self.end = self.number
                    continue
                yield message
                self.number += 1
        except (EOFError, OSError):
            self.process.join()
            yield "crash", 0.0, 0.0, f"exit code {self.process.exitcode}"
            self.number += 1
            return
        computed, waited = self._processor_time() - self._used, time.monotonic() - self._since
        if (self.ready and not self.idle and computed > 2 * self.limits.most_seconds) or waited > _STALLED:
            self.stop()
            yield "hang", computed, 0.0, "it did not end"
            self.number += 1

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()

    def _begin(self) -> None:
        self._since, self._used = time.monotonic(), self._processor_time()

    def _processor_time(self) -> float:
        """Seconds that the process and its ended children have computed."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def campaign(
    get_targets: Callable[[], Sequence[Target]], seed: int, limits: Limits, workers: int, save: Path
) -> dict[str, Tally]:
    """Fuzz the targets that ``get_targets``, a function of a module, returns; bad cases are saved in a folder."""
    targets = get_targets()
    tallies = {target.name: Tally() for target in targets}
    deadline = time.monotonic() + limits.seconds
    chunks = _chunks(targets, tallies, limits, deadline)
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
        start = partial(_Worker, get_targets, seed, limits, deadline, folder)
        pool = [start() for _ in range(workers)]
        try:
            while pool:
                for worker in list(pool):
                    if worker.idle and (chunk := next(chunks, None)) is not None:
                        worker.give(*chunk)
                    elif worker.idle:
                        worker.stop()
                        pool.remove(worker)
                wait([worker.connection for worker in pool], timeout=1)
                for worker in list(pool):
                    target = targets[worker.target]
                    for result in worker.results():
                        tallies[target.name].add(result, worker.number)
                        if result[0] in BAD:
                            save.mkdir(parents=True, exist_ok=True)
                            name = f"{target.name.replace(' ', '-').strip('.')}-{worker.number}"
                            (save / name).write_bytes(case(target, seed, worker.number)[0])
                    if not worker.process.is_alive():
                        pool.remove(worker)
                        pool.append(fresh := start())
                        if not worker.idle:
                            fresh.give(worker.target, worker.number, worker.end)
        finally:
            for worker in pool:
                worker.stop()
    return tallies


def _chunks(
    targets: Sequence[Target], tallies: dict[str, Tally], limits: Limits, deadline: float
) -> Iterator[tuple[int, int, int]]:
    """The next cases to run: target, first and end, of the target that had the least of its share of the time."""
    wanted = sys.maxsize if limits.cases is None else limits.cases
    left = [wanted // 10 if target.slow else wanted for target in targets]
    given = [0] * len(targets)

    def seconds(place: int) -> float:
        """Of an average case."""
        tally = tallies[targets[place].name]
        return max(tally.spent / tally.cases, 1e-4) if tally.cases else 0.05

    while time.monotonic() < deadline and any(left):
        open_ = [place for place, cases in enumerate(left) if cases]
        place = min(open_, key=lambda place: given[place] * seconds(place) / targets[place].share)
        count = min(max(1, round(0.5 / seconds(place))), 500, left[place])
        yield place, given[place], given[place] + count
        given[place] += count
        left[place] -= count


def _work(
    connection: Connection,
    get_targets: Callable[[], Sequence[Target]],
    seed: int,
    limits: Limits,
    deadline: float,
    folder: str,
) -> None:
    """What a worker does: run the cases that it is given until there are no more, or the time is up."""
    import resource

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE, used + _ADDRESS_SPACE))
    warnings.simplefilter("error")
    tempfile.tempdir = folder  # which is removed at the end, even if this process is killed
    targets = get_targets()
    connection.send(READY)
    with tempfile.TemporaryDirectory() as own:
        while True:
            try:
                place, first, end = connection.recv()
            except EOFError:
                return
            for number in range(first, end):
                if time.monotonic() > deadline:
                    connection.send(LATE)
                    break
                try:
                    result = run_case(targets[place], seed, number, Path(own) / "case", limits)
                except BaseException as error:
                    result = "other exception", 0.0, 0.0, _summary(error)
                connection.send(result)


def run_case(target: Target, seed: int, number: int, folder: Path, limits: Limits) -> Result:
    """How a case ends."""
    data, rng = case(target, seed, number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    before, started, children = _memory(reset=True), time.process_time(), _children()
    end, text = "fine", ""
    try:
        target.run(data, folder, rng)
    except Refused as refusal:
        end, text = "refused", str(refusal)
    except MemoryError:
        end, text = "blow-up", "a MemoryError"
    except BaseException as error:
        end, text = "other exception", _summary(error)
    seconds = time.process_time() - started + _children() - children
    memory = _memory() - before
    if memory > limits.most_memory:
        end, text = "blow-up", f"{memory:,.0f} MB"
    elif seconds > limits.most_seconds:
        end, text = "hang", f"{seconds:.1f} seconds"
    return end, seconds, memory, text


def _summary(error: BaseException) -> str:
    """An exception's kind, where it was raised, and the beginning of its message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}\n{str(error)[:250]!r}"


def _memory(*, reset: bool = False) -> float:
    """MB that were resident at most since the last reset, or that are now."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    wanted = "VmRSS" if reset else "VmHWM"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(wanted))


def _children() -> float:
    """Seconds of processor time of the children that have ended."""
    times = os.times()
    return times.children_user + times.children_system
