"""Locks between processes. The operating system releases them when their process ends, even if it is killed."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.runtime.files import readable

LOCK = ".lock"
"""Name of the lock file in a locked folder."""

_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""Errors of file systems without locks, where work goes on without one."""


class InUseError(ValueError):
    """Another process is working on a folder."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock ``folder`` against every other process and thread that locks it; a missing folder is made.

    Raises
    ------
    InUseError
        If it is locked already; the message names the folder and the process that holds the lock.
    ValueError
        If ``folder`` is a file.
    """
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"{readable(folder)} is a file, not a folder: choose another.") from None
    lock = Lock(folder / LOCK)
    if not lock.acquire():
        raise InUseError(
            f"{readable(folder)} is in use by {lock.holder}, so nothing was changed: wait until that has ended, or "
            "choose another folder."
        )
    try:
        yield
    finally:
        lock.release()
        if created:
            with suppress(OSError):
                folder.rmdir()  # if it is still empty


def is_locked(folder: Path) -> bool:
    """Whether a process works on ``folder`` now; one that was killed leaves the lock's file, but not the lock."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:  # without the file there is no lock; without permission nobody can know
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """A lock on the file ``path``, which exists while the lock is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free. Returns whether it was taken."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _try_some_times(descriptor):
                os.close(descriptor)
                return False
            if self._is_file(descriptor):
                break
            os.close(descriptor)  # the last holder has removed the file meanwhile: try again with a new file
        self._descriptor = descriptor
        with suppress(OSError):  # such as a full disk; the number is for messages only
            os.truncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        return True

    def release(self) -> None:
        """Give the lock back, and remove its file."""
        assert self._descriptor is not None
        if sys.platform == "win32":  # Windows cannot remove an open file
            os.close(self._descriptor)
        with suppress(OSError):
            self._path.unlink()
        if sys.platform != "win32":
            os.close(self._descriptor)

    def _is_file(self, descriptor: int) -> bool:
        """Whether the open file is the one that is at the path now."""
        try:
            return sys.platform == "win32" or os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    @property
    def holder(self) -> str:
        """The process that holds the lock, in words for a message."""
        try:
            number = int(self._path.read_text())
        except (OSError, ValueError):
            return "another process"
        return "another job of this program" if number == os.getpid() else f"another process (number {number})"


def _try_some_times(descriptor: int) -> bool:
    """Try for a while: ``is_locked`` may have the lock for an instant."""
    for pause in (0.01, 0.04, 0.1, 0.2):
        if _try_lock(descriptor):
            return True
        time.sleep(pause)
    return _try_lock(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # behind the content: a locked byte can't be read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _UNSUPPORTED
        return True
