"""One process at a time in a folder; a lock ends with its process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.runtime.locks import InUseError, Lock, is_locked, locked_folder

HOLD = """
import sys
from pathlib import Path
from core.runtime.locks import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of a folder until its input ends."""
    words = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_second_process_is_told_which_one_it_is_and_may_work_when_that_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holder(folder) as process, pytest.raises(InUseError, match="run is in use by another process") as told:
        locked_folder(folder).__enter__()
    assert f"(number {process.pid})" in str(told.value)
    with locked_folder(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / ".lock").exists()
    with locked_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_two_threads_of_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with locked_folder(tmp_path), pytest.raises(InUseError):
        locked_folder(tmp_path).__enter__()


def test_the_lock_of_a_file_that_was_removed_meanwhile_is_not_taken_for_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    opened = os.open

    def released_after_opening(path: Path, *how: int) -> int:
        monkeypatch.undo()
        descriptor = opened(path, *how)
        first.release()
        return descriptor

    monkeypatch.setattr(os, "open", released_after_opening)
    assert second.acquire()
    assert (tmp_path / "lock").exists()
    assert not Lock(tmp_path / "lock").acquire()
    second.release()


def test_a_full_disk_does_not_prevent_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    lock = Lock(tmp_path / "lock")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert lock.acquire()
    assert lock.holder == "another process"
    lock.release()


def test_a_file_in_its_place_is_a_sentence_and_a_folder_that_stays_empty_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file, not a folder: choose another"):
        locked_folder(tmp_path / "file").__enter__()
    with locked_folder(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()


def test_whether_a_folder_is_locked_is_told_without_a_change(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with holder(tmp_path) as process:
        assert is_locked(tmp_path)
        process.send_signal(signal.SIGKILL)
    assert not is_locked(tmp_path), "the file that a killed process leaves is no lock"
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_that_is_only_looked_at_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr("core.runtime.locks._try_lock", lambda _: next(answers))
    with locked_folder(tmp_path):
        pass
