import os
import sys
from functools import partial
from threading import Barrier, get_ident

import pytest
import torch

from core.runtime import threads
from core.runtime.threads import limit_threads_beside_window, run_concurrently


@pytest.mark.parametrize(("count", "threads"), [(1, 1), (2, 1), (8, 2)])
def test_a_process_that_paints_takes_one_thread_where_cores_are_few(
    monkeypatch: pytest.MonkeyPatch, count: int, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "CORES", frozenset(range(count)))
    limit_threads_beside_window()
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


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


@pytest.mark.parametrize(("count", "threads"), [(1, 1), (2, 2), (8, 4)])
def test_calls_run_in_turn_where_pytorch_has_the_cores(
    monkeypatch: pytest.MonkeyPatch, count: int, threads: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(threads, "CORES", frozenset(range(count)))
    assert run_concurrently([get_ident] * 3) == [get_ident()] * 3


@pytest.fixture
def one_thread_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(threads, "CORES", frozenset(sorted(threads.CORES | {0, 1})[:2]))


def _meet(meeting: Barrier) -> int:
    meeting.wait(timeout=60)
    return get_ident()


def _cores_at(meeting: Barrier) -> set[int]:
    meeting.wait(timeout=60)
    return os.sched_getaffinity(0)
