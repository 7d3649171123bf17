"""How many threads compute, how they wait for one another, and how calls are run in parallel on the usable cores.

torch and joblib are imported inside functions, because OpenMP reads how its threads shall wait when it is loaded.
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
"""Numbers of the cores that this process may use."""

THREADS = "POINTWARD_THREADS"
"""Environment variable for the number of threads; ``--threads`` sets it too, for processes that are started later."""
MOST_THREADS = 1024

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_COUNTS = "OMP_NUM_THREADS"


def sleep_while_waiting() -> None:
    """Let OpenMP's threads sleep after a short wait for one another, unless the environment sets something else.

    By default they stay busy for milliseconds. If other processes use the same cores, a waiting thread then blocks the
    core that the thread it waits for needs: beside eleven busy processes on two cores, two threads took 3.7 s for a
    gradient of 32 clouds. If they sleep at once, it takes 0.6 s, but on idle cores 0.14 s, longer than one thread's
    0.09 s, for waking them takes time. Busy for 2,000 turns of a loop first, they take 0.08 s on idle cores and 0.8 s
    beside the eleven (``python -m tests.bench.threads``, two cores, x86-64). Call it before a library that brings
    OpenMP is loaded.
    """
    if not os.environ.keys() & set(_WAITING):
        os.environ.update(OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT="2000")  # the second is for GNU's OpenMP alone


def requested_threads() -> int | None:
    """The number of threads requested by ``--threads`` or the environment; None if none was.

    Raises
    ------
    ValueError
        If the environment variable is not a number from 1 to ``MOST_THREADS``.
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
    return requested_threads() or usable_cores()


def set_threads() -> None:
    """Let the libraries compute with the requested number of threads, by default one for each usable core.

    The number does not follow the load of the machine, because the last digits of results depend on it. If no number
    was requested, ``OMP_NUM_THREADS`` is respected.
    """
    import torch
    from threadpoolctl import threadpool_limits

    requested = requested_threads()
    if requested is None and os.environ.get(_COUNTS):
        return
    torch.set_num_threads(allowed_threads())
    threadpool_limits(allowed_threads())
    if requested is not None:
        os.environ[_COUNTS] = str(requested)  # for libraries that are loaded later


def limit_threads(count: int) -> None:
    """Let this process, and those that it starts, compute with so many threads from now on, also without torch yet."""
    os.environ[THREADS] = os.environ[_COUNTS] = str(count)
    if "torch" in sys.modules:
        set_threads()


def set_threads_beside_window() -> None:
    """``set_threads`` for a process that also paints a window; with two cores or fewer, PyTorch's loops get one thread.

    Two pools of two threads each on two cores wait for one another: a forward pass of 7 ms then takes 270 ms.
    """
    import torch

    set_threads()
    if requested_threads() is None and usable_cores() <= 2:
        torch.set_num_threads(1)


def describe_threads() -> dict[str, Any]:
    """How many threads compute, what decided that, and how they wait for one another."""
    import torch

    set_by = THREADS if requested_threads() is not None else _COUNTS if os.environ.get(_COUNTS) else "usable cores"
    waiting = {name: os.environ[name] for name in _WAITING if name in os.environ}
    return {
        "count": torch.get_num_threads(),
        "set_by": set_by,
        "usable_cores": usable_cores(),
        "waiting": ", ".join(f"{name}={value}" for name, value in waiting.items()) or "as the libraries do by default",
    }


def run_concurrently(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the calls, in parallel if PyTorch's own loops use one thread, and return what each returns, in order.

    If PyTorch uses several threads, each call uses all cores already; if one thread was requested, there is no second
    one. In both cases the calls run one after another. A call must start no thread that outlives it, because such a
    thread would be bound to the core of its call.
    """
    import torch

    side_by_side = min(allowed_threads(), len(CORES))
    if torch.get_num_threads() > 1 or side_by_side < 2:
        return [call() for call in calls]
    helpers = _helpers(side_by_side - 1)
    with helpers.on_other_cores():
        waiting = [helpers.pool.submit(call) for call in calls]
        # this thread runs the calls that no helper has started, from the last on: waking a helper takes time
        own = {place: calls[place]() for place in reversed(range(len(calls))) if waiting[place].cancel()}
        return [own[place] if place in own else call.result() for place, call in enumerate(waiting)]


class _Helpers:
    """A pool of threads for ``run_concurrently``, bound to cores."""

    def __init__(self, count: int) -> None:
        self._threads: list[int] = []
        # not joblib: its threads take 10 ms to start and gather four calls
        self.pool = ThreadPoolExecutor(count, "at once", initializer=self._register_thread)

    def _register_thread(self) -> None:
        """Run in each new thread."""
        _bind_to_cores(0, CORES)
        self._threads.append(get_native_id())

    @contextmanager
    def on_other_cores(self) -> Iterator[None]:
        """Bind the calling thread to its present core and the helpers to the others, inside the block. Linux only.

        In a virtual machine Linux takes a sleeping core for a busy one. Without this it wakes a helper on the caller's
        core, or the caller on the helper's, and for milliseconds both share that core while another is idle.
        """
        if sys.platform != "linux":
            yield
            return
        here, before = {ctypes.CDLL(None).sched_getcpu()}, os.sched_getaffinity(0)
        for thread in self._threads:
            if thread != get_native_id():
                _bind_to_cores(thread, CORES - here)
        _bind_to_cores(0, here)
        try:
            yield
        finally:
            _bind_to_cores(0, before)


@cache
def _helpers(count: int) -> _Helpers:
    return _Helpers(count)


def _bind_to_cores(thread: int, cores: frozenset[int] | set[int]) -> None:
    """Let a thread (0: this one) run on these cores only; not bound if the system has taken the cores away. Linux."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setaffinity(thread, cores)
