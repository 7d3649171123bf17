"""A Ray cluster as a backend of joblib, which makes a task of each call, so that Ray finds a free worker for it.

Ray's own backend for joblib gives its workers calls in turn, also one that is busy while another is idle: of eight
calls on two workers, one of 3 s and seven of half a second, the last ended 4.5 s after the first began, here after 3.5.
"""

import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from joblib.parallel import ParallelBackendBase

from core.runtime.processes import WorkerError
from core.runtime.threads import allowed_threads

_PATIENCE = 10
"""Seconds in which the head of a cluster has to answer; Ray itself would try for minutes."""


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[None]:
    """A connection to the cluster at ``address``, or to one of this machine alone, which ends with the block.

    That of this machine has a CPU for each thread that may compute, and for each of ``workers``.

    Raises
    ------
    ValueError
        If Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it would report to its makers
    try:
        import ray
    except ImportError:
        raise ValueError("The engine ray needs Ray: install it with pip install 'pointward[cluster]'.") from None
    own = {} if address else {"num_cpus": max(allowed_threads(), workers or 1), "include_dashboard": False}
    try:
        if address:
            _require_answer(address)
        ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        where = f"no Ray cluster of your token at {address}" if address else "no way to start Ray on this machine"
        raise ValueError(f"There is {where}: {' '.join(str(error).split())[:150]}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise an error if nobody listens at an address HOST:PORT."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise ValueError("an address is HOST:PORT, as ray start --head prints it.")
    socket.create_connection((host, int(port)), _PATIENCE).close()


def cpus_of_cluster() -> int:
    """The number of CPUs of all machines."""
    return sum(_cpus())


def cpus_each(workers: int) -> int:
    """The CPUs that each of so many workers can have at a time, on one machine each; at least 1."""
    cpus = _cpus()
    return max((n for n in range(1, max(cpus) + 1) if sum(cpu // n for cpu in cpus) >= workers), default=1)


def _cpus() -> list[int]:
    import ray

    return [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def _gpus_each(workers: int) -> float:
    """The share of a GPU that each of so many workers can have: a whole one, a half, a third ...; 0 without GPUs."""
    import ray

    gpus = ray.cluster_resources().get("GPU", 0)
    return 1 / math.ceil(max(workers / gpus, 1)) if gpus else 0


class RayTasks(ParallelBackendBase):  # type: ignore[misc]
    """Calls as tasks of Ray, each with its share of the CPUs and GPUs, tried again if its worker or machine is lost."""

    supports_retrieve_callback = True

    def __init__(self, workers: int, cpus: int, tries: int) -> None:
        import ray

        super().__init__()
        task = ray.remote(num_cpus=cpus, num_gpus=_gpus_each(workers), max_retries=tries - 1)
        self._task = task(_call)
        self._running: dict[Any, Any] = {}

    def effective_n_jobs(self, n_jobs: int) -> int:
        return n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None]) -> Any:
        reference = self._task.remote(func)
        future = reference.future()
        self._running[future] = reference
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """The result of a future.

        Raises
        ------
        WorkerError
            If its worker was lost as often as it may be tried. An exception in the call is raised as it is.
        """
        import ray

        self._running.pop(out, None)
        try:
            return out.result()
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise WorkerError(str(error)) from error

    def abort_everything(self, ensure_ready: bool = True) -> None:
        import ray

        for reference in list(self._running.values()):
            ray.cancel(reference, force=True)


def _call(function: Callable[[], Any]) -> Any:
    return function()
