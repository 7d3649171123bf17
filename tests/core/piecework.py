"""What the pieces of ``test_pieces`` do. Workers import it, which those of Ray could not do with a module of tests."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.events import Done, Event, Progress
from core.runtime.files import atomic_path


def multiply(result: Path, number: int) -> Iterator[Event]:
    """Writes a product of random matrices, and the number of threads that computed it."""
    note_try(result)
    yield Progress(1, 2)
    with atomic_path(result) as part:
        np.savez(part, product=product(number), threads=torch.get_num_threads())
    yield Done()


def product(number: int) -> NDArray[np.float32]:
    matrix = torch.randn(300, 300, generator=torch.Generator().manual_seed(number))
    return (matrix @ matrix).numpy()


def write(result: Path) -> Iterator[Event]:
    note_try(result)
    with atomic_path(result) as part:
        part.touch()
    yield Done()


def write_and_die(result: Path, others: list[Path], deaths: int) -> Iterator[Event]:
    """Its process is killed in the first ``deaths`` tries, once the results of the others are there."""
    tries = note_try(result)
    while not all(path.exists() for path in others):
        time.sleep(0.01)
    if tries <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    with atomic_path(result) as part:
        part.touch()
    yield Done()


def fail(result: Path, error: type[Exception]) -> Iterator[Event]:
    note_try(result)
    yield Progress(0, 1)
    raise error("no such cloud")


def wait(result: Path) -> Iterator[Event]:
    """Never ends; ``RESULT.tries`` has the number of its process."""
    note_try(result)
    os.write(1, b"waiting\n")  # at once, as two workers print at the same time
    while True:
        time.sleep(3600)
        yield Progress(0, 1)


def note_try(result: Path) -> int:
    """How often a piece was begun, with this time."""
    with (log := result.with_suffix(".tries")).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(log.read_text().splitlines())
