"""Who computes on which of the processor's cores: how many threads, how they wait, and calls side by side.

torch and joblib are imported inside functions: a process says how its threads wait before either is loaded.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import get_native_id
from typing import Any

CORES = frozenset(os.sched_getaffinity(0) if sys.platform == "linux" else range(os.cpu_count() or 1))
"""Those that this process may use."""

THREADS = "POINTWARD_THREADS"
"""Environment variable for the number of threads; ``--threads`` sets it too, for processes that are started later."""
MOST_THREADS = 1024

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_COUNTS = "OMP_NUM_THREADS"


def sleep_while_waiting() -> None:
    """Let OpenMP's threads sleep while they wait for one another, unless the environment has a setting of its own.

    By default they stay busy for milliseconds. Where others compute on the same cores, a thread that waits then keeps
    its core from the one that it waits for: beside eleven busy processes on two cores, two threads took 52 s for a
    gradient of 32 clouds, and 1.5 s asleep (``python -m tests.bench.threads``). Call it before a library that brings
    OpenMP is loaded.
    """
    if not os.environ.keys() & set(_WAITING):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def asked_threads() -> int | None:
    """The number of threads that a person has asked for, by ``--threads`` or the environment; None if they have not.

    Raises
    ------
    ValueError
        If the environment variable is no number from 1 to ``MOST_THREADS``.
    """
    if not (text := os.environ.get(THREADS, "").strip()):
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_THREADS):
        raise ValueError(f"{THREADS} is {text!r}; give a whole number from 1 to {MOST_THREADS}.")
    return int(text)


@cache
def usable_cores() -> int:
    """How many cores this process may use, by its affinity and by the quota of its container."""
    from joblib import cpu_count

    return min(int(cpu_count()), len(CORES))


def allowed_threads() -> int:
    """How many threads or worker processes may compute at a time."""
    return asked_threads() or usable_cores()


def set_threads() -> None:
    """Give computing as many threads as were asked for, or else as there are usable cores.

    The number does not follow the load of the machine, for the last digits of results depend on it. Where nobody has
    asked, ``OMP_NUM_THREADS`` holds as usual.
    """
    import torch
    from threadpoolctl import threadpool_limits

    asked = asked_threads()
    if asked is None and os.environ.get(_COUNTS):
        return
    torch.set_num_threads(allowed_threads())
    threadpool_limits(allowed_threads())
    if asked is not None:
        os.environ[_COUNTS] = str(asked)  # for libraries that are loaded later


def set_threads_beside_window() -> None:
    """``set_threads`` for a process that also paints and trains: at most two cores give PyTorch's loops one thread.

    Two busy pools of two threads each on two cores wait for one another: a forward pass of 7 ms then takes 270 ms.
    """
    import torch

    set_threads()
    if asked_threads() is None and usable_cores() <= 2:
        torch.set_num_threads(1)


def describe_threads() -> dict[str, Any]:
    """How many threads compute, what decided that, and how they wait for one another."""
    import torch

    set_by = THREADS if asked_threads() is not None else _COUNTS if os.environ.get(_COUNTS) else "usable cores"
    waiting = {name: os.environ[name] for name in _WAITING if name in os.environ}
    return {
        "count": torch.get_num_threads(),
        "set_by": set_by,
        "usable_cores": usable_cores(),
        "waiting": ", ".join(f"{name}={value}" for name, value in waiting.items()) or "as the libraries do by default",
    }


def run_concurrently(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call returns; where PyTorch's own loops keep one thread, the other cores compute calls too.

    Elsewhere they run in turn, for each call has the cores already, or one thread is all that was asked for. A call
    starts no thread that outlives it: it would inherit the one core.
    """
    import torch

    side_by_side = min(allowed_threads(), len(CORES))
    if torch.get_num_threads() > 1 or side_by_side < 2:
        return [call() for call in calls]
    helpers = _helpers(side_by_side - 1)
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
