"""A call in a process of its own, with limits of memory and time: for libraries that a file's bytes can crash.

The process is started anew and not forked, for this one has threads, and not by ``multiprocessing``, which would run a
person's script a second time.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAG = "--isolated-call"
"""The word after which a bundled program makes such a call."""

_STALLED = 120
"""Seconds on the clock after which a process is ended that computes nothing, such as one that waits for a network."""
_NO_MEMORY = 77
"""Exit code of a call that ran out of memory."""
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import answer; sys.exit(answer())"


class IsolatedCallError(RuntimeError):
    """The call did not come to its end; the message says why in a few words."""


def call_isolated(function: Callable[..., bytes], *arguments: Any, memory: int, seconds: int) -> bytes:
    """What ``function(*arguments)`` returns in a new process that ends with the call.

    On Windows only the time is limited, and as time on the clock.

    Parameters
    ----------
    function, arguments
        A function of a module, and values of JSON. What it needs beyond them it imports itself.
    memory
        Bytes of address space beyond what the new process has.
    seconds
        Of processor time.

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
    """What the new process does: read the question from standard input, and write the result; the exit code."""
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
