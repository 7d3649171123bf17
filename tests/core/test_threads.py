import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from core.datasets import shapes16
from core.runtime import threads
from core.runtime.threads import (
    THREADS,
    allowed_threads,
    requested_threads,
    run_concurrently,
    set_threads,
    set_threads_beside_window,
)

ROOT = Path(__file__).resolve().parents[2]
ACTIVE = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "active"}
SOON_ASLEEP = "OMP_WAIT_POLICY=passive, GOMP_SPINCOUNT=2000"


@pytest.fixture(autouse=True)
def threads_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test sets, and whatever is set outside."""
    for name in (THREADS, "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    before = torch.get_num_threads()
    with threadpool_limits(1):  # which sets back what was before
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "computing"), [(1, 1), (2, 1), (8, 8)])
def test_a_process_that_paints_takes_one_thread_where_cores_are_few(
    monkeypatch: pytest.MonkeyPatch, cores: int, computing: int
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    set_threads_beside_window()
    assert torch.get_num_threads() == computing


@pytest.mark.parametrize("beside_window", [False, True])
def test_what_a_person_asks_for_holds_everywhere(monkeypatch: pytest.MonkeyPatch, beside_window: bool) -> None:
    monkeypatch.setenv(THREADS, "3")
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    set_threads_beside_window() if beside_window else set_threads()
    assert torch.get_num_threads() == 3
    assert allowed_threads() == 3
    assert os.environ["OMP_NUM_THREADS"] == "3", "for scikit-learn, which is loaded later"


def test_without_being_asked_a_container_s_quota_holds_and_a_setting_of_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    torch.set_num_threads(2)
    set_threads()
    assert torch.get_num_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    set_threads()
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "1025", "9" * 40, "²"])
def test_a_wrong_number_of_threads_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(THREADS, text)
    with pytest.raises(ValueError, match=r"POINTWARD_THREADS is .*; give a whole number from 1 to 1024"):
        requested_threads()


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, " ")
    assert requested_threads() is None


@pytest.mark.parametrize(
    ("words", "environment", "count", "set_by", "waiting"),
    [
        (("--threads", "1"), {THREADS: "2"}, 1, THREADS, SOON_ASLEEP),
        pytest.param((), {THREADS: "2", "OMP_NUM_THREADS": "1"}, 2, THREADS, SOON_ASLEEP, marks=pytest.mark.long),
        pytest.param((), ACTIVE, 2, "OMP_NUM_THREADS", "OMP_WAIT_POLICY=active", marks=pytest.mark.long),
    ],
)
def test_the_doctor_says_how_many_threads_compute_and_how_they_wait(
    words: tuple[str, ...], environment: dict[str, str], count: int, set_by: str, waiting: str
) -> None:
    command = [sys.executable, "main.py", "doctor", "--json", *words]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["threads"]["count"] == count
    assert said["threads"]["set_by"] == set_by
    assert said["threads"]["waiting"] == waiting
    assert said["device"].startswith(("CPU · ", "NVIDIA", "Apple"))
    if said["device"].startswith("CPU"):
        assert said["device"] == f"CPU · {count} thread{'s' * (count > 1)}"


def test_shapes_are_made_in_this_process_where_one_thread_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    makers = []

    def make(seed: int, points: int, jobs: list[Any]) -> Any:
        makers.append(os.getpid())
        return np.zeros((len(jobs), points, 3), np.float32)

    monkeypatch.setenv(THREADS, "1")
    monkeypatch.setattr(shapes16, "_make", make)
    for _ in shapes16.generate(points=8):
        pass
    assert set(makers) == {os.getpid()}


def test_calls_run_in_turn_where_one_thread_was_asked_for(
    one_thread_of_two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS, "1")
    assert run_concurrently([get_ident] * 3) == [get_ident()] * 3


def test_calls_at_once_run_side_by_side_and_answer_in_their_order(one_thread_of_two: None) -> None:
    meeting = Barrier(2)  # passes only where two wait for one another, one on this thread
    threads = run_concurrently([partial(_meet, meeting)] * 2)
    assert len(set(threads)) == 2
    assert get_ident() in threads
    assert run_concurrently([partial(pow, 2, power) for power in range(20)]) == [2**power for power in range(20)]
    assert run_concurrently([]) == []


def test_calls_at_once_may_make_calls_at_once(one_thread_of_two: None) -> None:
    inner = partial(run_concurrently, [partial(pow, 3, power) for power in range(4)])
    assert run_concurrently([inner] * 6) == [[1, 3, 9, 27]] * 6


def test_what_goes_wrong_in_a_call_at_once_is_raised(one_thread_of_two: None) -> None:
    for place in range(3):
        calls = [partial(pow, 2, 1)] * 3
        calls[place] = partial(divmod, 1, 0)
        with pytest.raises(ZeroDivisionError):
            run_concurrently(calls)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread can't be kept on a core")
@pytest.mark.skipif(len(threads.CORES) < 2, reason="this machine has one core")
def test_calls_at_once_keep_off_one_another_s_core_until_they_are_done(one_thread_of_two: None) -> None:
    before = os.sched_getaffinity(0)
    run_concurrently([partial(_meet, Barrier(2))] * 2)  # the first one starts the helper
    first, second = run_concurrently([partial(_cores_at, Barrier(2))] * 2)
    assert len(first) == len(second) == 1
    assert first != second
    assert os.sched_getaffinity(0) == before
    with pytest.raises(ZeroDivisionError):
        run_concurrently([partial(divmod, 1, 0)] * 2)
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("cores", "computing"), [(1, 1), (2, 2), (8, 4)])
def test_calls_run_in_turn_where_pytorch_has_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, computing: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: computing)
    monkeypatch.setattr(threads, "CORES", frozenset(range(cores)))
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    assert run_concurrently([get_ident] * 3) == [get_ident()] * 3


@pytest.fixture
def one_thread_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(threads, "CORES", frozenset(sorted(threads.CORES | {0, 1})[:2]))
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)


def _meet(meeting: Barrier) -> int:
    meeting.wait(timeout=60)
    return get_ident()


def _cores_at(meeting: Barrier) -> set[int]:
    meeting.wait(timeout=60)
    return os.sched_getaffinity(0)
