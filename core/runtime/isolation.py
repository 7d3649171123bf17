"""Calls a function in a separate process with limits on memory and time, because a malformed file can crash a library.

The process is not forked, because this one has threads, and not started by ``multiprocessing``, which would run the
script of a person who imports this package a second time.
"""

import importlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAG = "--isolated-call"
"""The argument with which a bundled program makes such a call and nothing else."""

_STALLED = 120
"""Seconds of real time after which the process is ended even if it computes nothing, as when it waits for a network."""
_NO_MEMORY = 77
"""Exit code of a call that ran out of memory."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import answer; sys.exit(answer())"


class IsolatedCallError(RuntimeError):
    """The call did not finish; the message says why in a few words."""


def call_isolated(function: Callable[..., bytes], *arguments: Any, memory: int, seconds: int) -> bytes:
    """Call ``function(*arguments)`` in a new process, and return its result.

    On Windows only the time is limited, as real time.

    Parameters
    ----------
    function, arguments
        A function at the top level of a module, and values that JSON can hold.
    memory
        Limit on the address space in bytes, beyond what the new process has at its start.
    seconds
        Limit on processor time, beyond what the new process has used at its start.

    Raises
    ------
    IsolatedCallError
        If it crashes, raises an exception, or exceeds a limit.
    """
    command = [sys.executable, "-c", _START.format(__name__), json.dumps(sys.path)]
    if getattr(sys, "frozen", False):
        command = [sys.executable, FLAG]
    question = json.dumps([function.__module__, function.__qualname__, arguments, memory, seconds])
    stalled = seconds if sys.platform == "win32" else _STALLED
    try:
        done = subprocess.run(
            command,
            input=question.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where a C library that aborts says so
            timeout=stalled,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        raise IsolatedCallError(f"it takes more than {stalled} seconds") from None
    if done.returncode == 0:
        return done.stdout
    if done.returncode == _NO_MEMORY:
        raise IsolatedCallError(f"it needs more than {memory >> 20:,} MB of memory")
    if sys.platform != "win32" and done.returncode == -signal.SIGXCPU:
        raise IsolatedCallError(f"it takes more than {seconds} seconds")
    raise IsolatedCallError(f"the library that reads it {'crashes' if done.returncode < 0 else 'fails'}")


def answer() -> int:
    """Run in the new process: read the call from standard input, and write its result. Returns the exit code."""
    module, name, arguments, memory, seconds = json.loads(sys.stdin.buffer.read())
    function = getattr(importlib.import_module(module), name)
    with os.fdopen(os.dup(1), "wb") as result:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing that a library prints may get into the result
        limit_resources(memory, seconds)
        try:
            result.write(function(*arguments))
        except MemoryError:
            return _NO_MEMORY
    return 0


def limit_resources(memory: int, seconds: int) -> None:
    """Limit this process to so many more bytes of address space and so many more seconds of processor time.

    Limits that the system does not offer are left out: both on Windows, memory on macOS.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (end, end + 1))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
