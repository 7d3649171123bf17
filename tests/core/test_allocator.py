"""Each case in a process of its own, for what is set stays set."""

import os
import subprocess
import sys

import pytest

from core.runtime.allocator import SWITCH

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")

FAULTS = """
import resource
from core.runtime.allocator import give_back_freed_memory, keep_freed_memory
import ctypes, threading

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
SIZE = 48 << 20

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block = libc.malloc(SIZE)
        ctypes.memset(block, 1, SIZE)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

print(int(keep_freed_memory()))
found = []
thread = threading.Thread(target=lambda: found.append(faults()))
thread.start(); thread.join()
print(round(found[0] * resource.getpagesize() / SIZE))
held = resident()
give_back_freed_memory()
print(round((held - resident()) / SIZE))
"""


def run(**environment: str) -> tuple[int, int, int]:
    """Whether it was set, how often a block of a thread was mapped anew, and how many were given back at the end."""
    result = subprocess.run(
        [sys.executable, "-c", FAULTS], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    done, mapped, given_back = map(int, result.stdout.split())
    return done, mapped, given_back


def test_a_large_block_is_mapped_once_in_a_thread_too_and_given_back_on_request() -> None:
    done, mapped, given_back = run()
    if not done:
        pytest.skip("this Linux has another C library than glibc")
    assert given_back == 1
    assert mapped <= 2


def test_the_switch_leaves_the_c_library_alone() -> None:
    done, mapped, _ = run(**{SWITCH: "system"})
    assert done == 0
    assert mapped >= 8
