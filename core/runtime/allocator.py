"""Keeps freed memory in the process, which glibc by default hands back to the system at once if a block is large.

A training step frees and allocates the same large tensors again and again, and each new page costs a page fault: on
two cores that is half the time of a plain PointNet's step. The thresholds are those of ``man mallopt``. A single arena
is needed too, because further arenas, which serve threads, ignore the thresholds. Linux with glibc only; everywhere
else, and with ``POINTWARD_ALLOCATOR=system``, nothing is changed.
"""

import ctypes
import os
import sys

SWITCH = "POINTWARD_ALLOCATOR"

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of malloc.h
_SETTINGS = {_ARENA_MAX: 1, _MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1}


def keep_freed_memory() -> bool:
    """Let the process keep freed memory for reuse. Call it before any thread starts. Returns whether it was done."""
    if os.environ.get(SWITCH) == "system" or (libc := _glibc()) is None:
        return False
    return all(libc.mallopt(parameter, value) for parameter, value in _SETTINGS.items())


def give_back_freed_memory() -> None:
    """Hand freed memory back to the system, after work that needed much more than what comes next."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version") else None
