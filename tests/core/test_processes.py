"""Workers in other processes, which end with the one that started them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.runtime.processes import WorkerError, is_alive, map_in_processes
from tests.core.leftovers import ended_process

ROOT = Path(__file__).parents[2]


def square(number: int) -> int:
    return number**2


def refuse(number: int) -> None:
    raise ValueError(f"{number} can't be used")


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_task_is_answered_once(workers: int) -> None:
    answers = dict(map_in_processes(square, [(number,) for number in range(7)], workers))
    assert answers == {number: number**2 for number in range(7)}


def test_what_goes_wrong_in_a_worker_is_raised_here() -> None:
    with pytest.raises(ValueError, match="0 can't be used"):
        list(map_in_processes(refuse, [(0,), (0,)], 2))


def test_a_worker_that_was_killed_is_a_sentence() -> None:
    with pytest.raises(WorkerError, match="A worker process was ended from outside"):
        list(map_in_processes(die, [(0,), (0,)], 2))


def test_whether_a_process_lives() -> None:
    assert is_alive(os.getpid())
    assert is_alive(os.getppid())
    assert not is_alive(ended_process())


WORK = """
from core.runtime.processes import map_in_processes
from tests.core.test_processes import report_and_wait

if __name__ == "__main__":
    for _ in map_in_processes(report_and_wait, [()] * 4, 2):
        pass
"""


def report_and_wait() -> None:
    os.write(1, b"working\n")  # at once, as two workers print at the same time
    signal.pause()


@pytest.mark.parametrize("group", [False, True])
def test_a_killed_process_leaves_no_worker_no_semaphore_and_no_folder(tmp_path: Path, group: bool) -> None:
    """``group``: whether the whole process group is killed, with whatever would tidy up after the first process."""
    shared = Path("/dev/shm")
    before = set(shared.iterdir())
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", WORK],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(2)]
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)  # which ends when nobody has the pipe any more: when all workers have ended
    assert told == ["working\n"] * 2
    assert not list(tmp_path.iterdir())
    assert not {path for path in set(shared.iterdir()) - before if f"-{process.pid}-" in path.name}
