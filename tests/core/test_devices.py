import os
from functools import partial
from threading import Barrier, get_ident

import pytest
import torch

from core.devices import at_once, available_devices, choose_device, describe_device, leave_room_to_paint


def test_auto_is_the_fastest_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    assert available_devices() == ["cpu"]


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"can't use the device 'cuda' here; choose auto or one of: .*cpu"):
        choose_device("cuda")


def test_devices_are_described_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert describe_device(torch.device("cpu")) == "CPU · 1 thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert describe_device(torch.device("cpu")) == "CPU · 8 threads"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (13 * 2**30, 16 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA X")
    assert describe_device(torch.device("cuda")) == "NVIDIA X · 13.0 GiB free"
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12 * 2**30)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2**30)
    assert describe_device(torch.device("mps")) == "Apple GPU · 11.0 GiB free"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 2)])
def test_a_process_that_paints_takes_one_thread_where_cores_are_few(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    leave_room_to_paint()
    assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_calls_at_once_run_side_by_side_and_answer_in_their_order(one_thread_of_two: None) -> None:
    meeting = Barrier(2)  # passes only where two wait for one another, one on this thread
    threads = at_once([partial(_meet, meeting)] * 2)
    assert len(set(threads)) == 2
    assert get_ident() in threads
    assert at_once([partial(pow, 2, power) for power in range(20)]) == [2**power for power in range(20)]
    assert at_once([]) == []


def test_calls_at_once_may_make_calls_at_once(one_thread_of_two: None) -> None:
    inner = partial(at_once, [partial(pow, 3, power) for power in range(4)])
    assert at_once([inner] * 6) == [[1, 3, 9, 27]] * 6


def test_what_goes_wrong_in_a_call_at_once_is_raised(one_thread_of_two: None) -> None:
    for place in range(3):
        calls = [partial(pow, 2, 1)] * 3
        calls[place] = partial(divmod, 1, 0)
        with pytest.raises(ZeroDivisionError):
            at_once(calls)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (8, 4)])
def test_calls_run_in_turn_where_pytorch_has_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert at_once([get_ident] * 3) == [get_ident()] * 3


@pytest.fixture
def one_thread_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def _meet(meeting: Barrier) -> int:
    meeting.wait(timeout=60)
    return get_ident()
