"""How the benchmarks measure: ours and its peers in one process, in turn, round by round; ratios are taken per round.

What slows the machine down for a while then slows both. Nothing here asserts a time. The setting of the C library's
allocator is the process's, so a second process with ``POINTWARD_ALLOCATOR=system`` measures the other variant, and both
write into one file.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import pytest
import torch

from core.runtime.allocator import keep_freed_memory
from tests.bench.record import Comparison, Notes, compared, merge

FOUND = pytest.StashKey[list[Comparison]]()
ALLOCATOR = pytest.StashKey[str]()


class Record(Protocol):
    """Keeps samples that were measured in any way, by contender, the first of them ours: one of each in every round.

    It returns the notes kept beside them, other numbers by contender, to be filled by the caller.
    """

    def __call__(
        self,
        what: str,
        samples: Mapping[str, Sequence[float]],
        *,
        unit: str = "ms",
        bars: Mapping[str, str] | None = None,
    ) -> Notes: ...


class Compare(Protocol):
    """Times callables in turn, the first of them ours, and records that; returns the notes as ``Record`` does.

    Parameters
    ----------
    what : of which the times are, as the table shall say it.
    rounds, warmup : calls of each contender that count, and before them that do not.
    per : pieces of work in one call; times are given for one piece.
    bars : by contender, what its ratio, or for ours its time, should be.
    """

    def __call__(
        self,
        what: str,
        contenders: Mapping[str, Callable[[], Any]],
        *,
        rounds: int,
        warmup: int = 1,
        per: int = 1,
        bars: Mapping[str, str] | None = None,
    ) -> Notes: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "Pointward's benchmarks")
    group.addoption("--bench-json", type=Path, default=Path("bench.json"), help="File that the results are added to.")
    group.addoption("--bench-threads", type=int, default=2, help="Threads of PyTorch.")
    group.addoption(
        "--bench-device", default="cuda", help="Device of the column GPU; it is left out where there is none."
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ALLOCATOR] = "kept" if keep_freed_memory() else "system"
    config.stash[FOUND] = []
    torch.set_num_threads(config.getoption("--bench-threads"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if found := session.config.stash[FOUND]:
        merge(session.config.getoption("--bench-json"), found)


@pytest.fixture
def allocator(pytestconfig: pytest.Config) -> str:
    """What becomes of freed memory: "kept" by the process, or given back as the "system" likes."""
    return pytestconfig.stash[ALLOCATOR]


@pytest.fixture
def gpu(pytestconfig: pytest.Config) -> torch.device | None:
    """The device of the column GPU, or None where there is none."""
    device = torch.device(pytestconfig.getoption("--bench-device"))
    return device if device.type != "cuda" or torch.cuda.is_available() else None


@pytest.fixture
def record(pytestconfig: pytest.Config, allocator: str) -> Record:
    def keep(
        what: str,
        samples: Mapping[str, Sequence[float]],
        *,
        unit: str = "ms",
        bars: Mapping[str, str] | None = None,
    ) -> Notes:
        comparison = compared(what, samples, unit, allocator, bars or {})
        pytestconfig.stash[FOUND].append(comparison)
        notes: Notes = comparison["notes"]
        return notes

    return keep


@pytest.fixture
def compare(benchmark: Any, record: Record) -> Compare:
    def measure(
        what: str,
        contenders: Mapping[str, Callable[[], Any]],
        *,
        rounds: int,
        warmup: int = 1,
        per: int = 1,
        bars: Mapping[str, str] | None = None,
    ) -> Notes:
        (ours, first), *peers = contenders.items()
        times: dict[str, list[float]] = {name: [] for name, _ in peers}

        def the_others() -> None:
            for name, call in peers:
                start = perf_counter()
                call()
                times[name].append(perf_counter() - start)

        benchmark.pedantic(first, setup=the_others, rounds=rounds, warmup_rounds=warmup)
        if not benchmark.enabled:
            return {}
        seconds = {ours: benchmark.stats.stats.data} | {name: found[warmup:] for name, found in times.items()}
        samples = {name: [1000 * second / per for second in found] for name, found in seconds.items()}
        notes = record(what, samples, bars=bars)
        benchmark.extra_info.update(milliseconds=samples, notes=notes)
        return notes

    return measure
