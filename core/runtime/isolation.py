"""A call in a process of its own, with limits of memory and time: for libraries that a file's bytes can crash."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_STALLED = 120
"""Seconds after which a process that neither answers nor computes is ended, such as one that waits for a network."""


class IsolatedCallError(RuntimeError):
    """The call did not come to its end; the message says why in a few words."""


def call_isolated(function: Callable[..., bytes], *arguments: Any, memory: int, seconds: int) -> bytes:
    """What ``function(*arguments)`` returns in a new process that ends with the call.

    Nothing that comes back is unpickled. On Windows only the time is limited, and as time on the clock.

    Parameters
    ----------
    function
        A function of a module; what it needs beyond the arguments it imports itself.
    memory
        Bytes of address space beyond those of the new process.
    seconds
        Of processor time.

    Raises
    ------
    IsolatedCallError
        If it crashes, raises an exception, or exceeds a limit.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sending, memory, seconds, function, arguments), daemon=True)
    process.start()
    sending.close()
    stalled = seconds if sys.platform == "win32" else _STALLED
    try:
        if not receiving.poll(stalled):
            raise IsolatedCallError(f"it takes more than {stalled} seconds")
        return receiving.recv_bytes(memory)
    except EOFError:
        process.join()
        raise IsolatedCallError(_reason(process.exitcode, memory, seconds)) from None
    finally:
        receiving.close()
        process.kill()
        process.join()
        process.close()


def limit_resources(memory: int, seconds: int) -> None:
    """Let this process have so many bytes of address space more than it has, and end it after so much processor time.

    What the system has no limit for is not limited.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


_NO_MEMORY = 77
"""Exit code of a call that ran out of memory."""


def _call(sending: Connection, memory: int, seconds: int, function: Callable[..., bytes], arguments: Any) -> None:
    """What the new process does."""
    with Path(os.devnull).open("w", encoding="ascii") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # a C library that aborts says so there
    limit_resources(memory, seconds)
    try:
        sending.send_bytes(function(*arguments))
    except MemoryError:
        sys.exit(_NO_MEMORY)


def _reason(code: int | None, memory: int, seconds: int) -> str:
    if code == _NO_MEMORY:
        return f"it needs more than {memory >> 20:,} MB of memory"
    if sys.platform != "win32" and code == -signal.SIGXCPU:
        return f"it takes more than {seconds} seconds"
    return "it crashes the library that reads it"
