"""Whether a process still runs, and worker processes that end with the process that started them.

Workers are connected by pipes only. The pools of the standard library also need semaphores and folders in shared
memory, which stay for ever if the process is killed, and their workers go on waiting for minutes.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, cast


class WorkerError(ValueError):
    """A worker process ended before its work was done."""


def is_alive(pid: int) -> bool:
    """Whether a process with this number runs on this machine."""
    if sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return bool(kernel.GetLastError() == 5)  # ERROR_ACCESS_DENIED: it exists and belongs to another user
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == 259  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it belongs to another user
        return True
    try:
        return (
            Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
        )  # ended, but not waited for
    except (OSError, IndexError):
        return True


def end_with_parent(parent: int, signal_: signal.Signals = signal.SIGKILL) -> None:
    """Ask the system to send this process a signal when its parent process ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal_)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it has ended already
            os._exit(1)


def map_in_processes(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, Any]]:
    """Call a function with each of ``tasks`` in worker processes, or in this process if there is only one worker.

    Parameters
    ----------
    function : callable
        A function at the top level of a module; its arguments and result are pickled. A script that calls this needs
        the usual ``if __name__ == "__main__":``, because a worker imports it.
    tasks : sequence of tuples
        Arguments of each call.
    workers : int
        Number of processes, 1 or more. They end with this generator, and with this process, even if it is killed: on
        Linux at once, elsewhere after their current call.

    Yields
    ------
    Index of a task, and the result of its call, in the order in which the calls end.

    Raises
    ------
    WorkerError
        If a worker was killed. An exception in a call is raised here as it is.
    """
    if workers == 1:
        yield from ((place, function(*task)) for place, task in enumerate(tasks))
        return
    context = multiprocessing.get_context("spawn")
    left = iter(enumerate(tasks))
    processes: list[tuple[SpawnProcess, Connection]] = []
    busy: dict[Connection, int] = {}
    try:
        for place, task in islice(left, workers):
            connection, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, os.getpid(), function), daemon=True)
            process.start()
            theirs.close()
            processes.append((process, connection))
            connection.send(task)
            busy[connection] = place
        while busy:
            for connection in cast("list[Connection]", wait(list(busy))):
                done = busy.pop(connection)
                try:
                    returned, value = connection.recv()
                except (EOFError, ConnectionError):
                    raise WorkerError("A worker process was ended from outside, perhaps for want of memory.") from None
                if not returned:
                    raise value
                for place, task in islice(left, 1):
                    connection.send(task)
                    busy[connection] = place
                yield done, value
    finally:
        for process, connection in processes:
            connection.close()
            process.terminate()
        for process, _ in processes:
            process.join()


def _serve(connection: Connection, parent: int, function: Callable[..., Any]) -> None:
    """Run calls in a worker until the parent process closes the connection or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the workers too, but only the parent reacts to it
    end_with_parent(parent)
    with suppress(EOFError, ConnectionError):
        while True:
            task = connection.recv()
            try:
                answer = True, function(*task)
            except Exception as error:
                answer = False, error
            connection.send(answer)
