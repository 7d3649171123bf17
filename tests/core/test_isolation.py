"""Calls in a process of their own: what ends it is a sentence here."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.runtime import isolation
from core.runtime.isolation import FLAG, IsolatedCallError, call_isolated

ROOT = Path(__file__).resolve().parents[2]
MEMORY, SECONDS = 200_000_000, 2


def test_the_result_of_a_call_comes_back(capfd):
    assert call_isolated(bytes, [0, 10, 255], memory=MEMORY, seconds=SECONDS) == b"\0\n\xff"
    assert capfd.readouterr() == ("", "")


def test_a_call_that_crashes_or_fails_is_one_sentence(capfd):
    with pytest.raises(IsolatedCallError, match=r"^the library that reads it crashes$"):
        call_isolated(os.abort, memory=MEMORY, seconds=SECONDS)
    with pytest.raises(IsolatedCallError, match=r"^the library that reads it fails$"):
        call_isolated(bytes, "not bytes", memory=MEMORY, seconds=SECONDS)
    assert capfd.readouterr() == ("", "")


def test_a_call_that_needs_too_much_memory_is_one_sentence():
    assert len(call_isolated(bytes, MEMORY // 8, memory=MEMORY, seconds=SECONDS)) == MEMORY // 8
    with pytest.raises(IsolatedCallError, match=r"^it needs more than 190 MB of memory$"):
        call_isolated(bytes, 2 * MEMORY, memory=MEMORY, seconds=SECONDS)


def test_a_call_that_computes_too_long_is_one_sentence():
    with pytest.raises(IsolatedCallError, match=r"^it takes more than 2 seconds$"):
        call_isolated(math.factorial, 10**8, memory=MEMORY, seconds=SECONDS)


def test_a_call_that_waits_for_something_is_ended(monkeypatch):
    monkeypatch.setattr(isolation, "_STALLED", 1)
    with pytest.raises(IsolatedCallError, match=r"^it takes more than 1 seconds$"):
        call_isolated(time.sleep, 600, memory=MEMORY, seconds=SECONDS)


def test_a_bundled_program_makes_the_call_itself():
    question = json.dumps(["builtins", "bytes", [[7, 8]], MEMORY, SECONDS]).encode()
    command = [sys.executable, "main.py", FLAG]
    done = subprocess.run(command, cwd=ROOT, input=question, capture_output=True, check=True)
    assert done.stdout == b"\7\10"


def test_a_script_without_a_guard_may_read_what_needs_such_a_call(tmp_path):
    """``multiprocessing`` would run the script again in the new process."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from core.runtime.isolation import call_isolated\n"
        "print(call_isolated(bytes, [1], memory=10**8, seconds=9))\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("b'\\x01'\n", "")
