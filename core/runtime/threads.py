"""Who computes on which of the processor's cores: room to paint, and calls side by side."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import get_native_id
from typing import Any

import torch

CORES = frozenset(os.sched_getaffinity(0) if sys.platform == "linux" else range(os.cpu_count() or 1))
"""Those that this process may use."""


def limit_threads_beside_window() -> None:
    """One thread for PyTorch's own loops where there are at most two cores, for a process that also paints and trains.

    Two busy pools of two threads each on two cores wait for one another: a forward pass of 7 ms then takes 270 ms.
    """
    if len(CORES) <= 2:
        torch.set_num_threads(1)


def run_concurrently(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call returns; where PyTorch's own loops keep one thread, the other cores compute calls too.

    Elsewhere they run in turn, for each call has the cores already. A call starts no thread that outlives it: it would
    inherit the one core.
    """
    if torch.get_num_threads() > 1 or len(CORES) < 2:
        return [call() for call in calls]
    helpers = _helpers(len(CORES) - 1)
    with helpers.on_other_cores():
        waiting = [helpers.pool.submit(call) for call in calls]
        # this thread takes from the end what no helper has begun: it need not wake up first, never waits for its own
        own = {place: calls[place]() for place in reversed(range(len(calls))) if waiting[place].cancel()}
        return [own[place] if place in own else call.result() for place, call in enumerate(waiting)]


class _Helpers:
    """Threads that wait for calls."""

    def __init__(self, count: int) -> None:
        self._threads: list[int] = []
        # joblib's threads take 10 ms to start and gather four calls
        self.pool = ThreadPoolExecutor(count, "at once", initializer=self._begin)

    def _begin(self) -> None:
        _keep(0, CORES)
        self._threads.append(get_native_id())

    @contextmanager
    def on_other_cores(self) -> Iterator[None]:
        """The calling thread stays where it is meanwhile, and the helpers elsewhere. Linux only.

        In a virtual machine Linux takes a core that sleeps for one that is not to be had. It wakes a helper on the
        caller's core, or the caller on the helper's, and for milliseconds the two share it beside an idle one.
        """
        if sys.platform != "linux":
            yield
            return
        here, before = {ctypes.CDLL(None).sched_getcpu()}, os.sched_getaffinity(0)
        for thread in self._threads:
            if thread != get_native_id():
                _keep(thread, CORES - here)
        _keep(0, here)
        try:
            yield
        finally:
            _keep(0, before)


@cache
def _helpers(count: int) -> _Helpers:
    return _Helpers(count)


def _keep(thread: int, cores: frozenset[int] | set[int]) -> None:
    """Let a thread, 0 for this one, run on these cores only; wherever it likes if the system has taken them away."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setaffinity(thread, cores)
