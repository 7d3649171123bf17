"""Writing files completely or not at all, reading them safely, and the error for a file that cannot be used.

A file or folder that is being written is called ``.STEM-PID-TOKEN.SUFFIX``. The name says which process writes it, so
that the leftovers of a killed process are told from what another process is writing at this moment.
"""

import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from core.runtime.processes import is_alive
from core.runtime.text import MOST_CHARACTERS, printable, shortened

_HOST = f"{zlib.crc32(platform.node().encode(errors='replace')):08x}"
_PROCESS = secrets.token_hex(4)  # tells this process from an earlier one of the same number
_TEMPORARY = re.compile(
    r"\.(?P<stem>.+)-(?P<pid>[1-9]\d{0,9})-(?P<host>[0-9a-f]{8})(?P<process>[0-9a-f]{8})[0-9a-f]{4}(?P<suffix>\..*)?",
    re.DOTALL,
)
_REPLACED = ".replaced"
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class FormatError(ValueError):
    """A file cannot be used. The message names the file, what is wrong (with its line or field), and what is accepted.

    It is one sentence of at most ``MOST_CHARACTERS`` printable characters, whatever the file's name and content are.
    """

    def __init__(self, path: Path, wrong: str, accepted: str) -> None:
        self.wrong, self.accepted = wrong, accepted
        rest = shortened(printable(f": {wrong}; {accepted}"), 200) + "."
        place, room = printable(str(path)), MOST_CHARACTERS - len(rest)
        super().__init__((place if len(place) <= room else "…" + place[1 - room :]) + rest)


def readable(name: Path | str) -> str:
    r"""A path or name as text that can be shown and stored: a byte that is not UTF-8 is written as ``\xe9``.

    Python keeps such a byte as half of a surrogate pair, which neither UTF-8 files nor the screen can hold.
    """
    text = _NOT_UTF8.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", str(name))
    return text.encode("utf-8", "backslashreplace").decode()


def reason(error: Exception) -> str:
    """A library's error about a file, in brackets for the end of a ``FormatError``'s "what is wrong", or nothing."""
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, MemoryError):
        text = "there is not enough memory"
    return "" if text in ("", "()") or "pickle" in text else f" ({text})"


_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a named pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


def require_regular_file(path: Path, accepted: str) -> int:
    """Check that a path is a regular file, and return its size in bytes. Call it before opening a path from a person.

    Opening a named pipe would wait for ever, and reading a device may never end.

    Parameters
    ----------
    accepted
        What is accepted; the end of the error message.

    Raises
    ------
    FormatError
        If there is no such file, it is of another kind, or this process has no permission to look at it.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(path, "there is no such file", accepted) from None
    except OSError as error:
        raise FormatError(path, f"it cannot be opened ({error.strerror})", accepted) from None
    except ValueError:  # a null character
        raise FormatError(path, "no file can have this name", accepted) from None
    if not stat.S_ISREG(status.st_mode):
        wrong = next((text for is_kind, text in _KINDS if is_kind(status.st_mode)), "it is not a regular file")
        raise FormatError(path, wrong, accepted)
    return status.st_size


def read_whole(path: Path, most: int, accepted: str) -> bytes:
    """All bytes of a regular file, if there are no more than ``most``.

    Raises
    ------
    FormatError
        As ``require_regular_file``, or if the file is larger or cannot be read.
    """
    if (size := require_regular_file(path, accepted)) > most:
        raise FormatError(path, f"it has {size:,} bytes, more than {most:,}", accepted)
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise FormatError(path, f"it cannot be read ({error.strerror})", accepted) from None


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, to be written as a file or a folder.

    It replaces ``path`` when the block succeeds and is removed when the block fails, so that a reader sees the old
    content or the new, never a part. (A folder that replaces another is absent for an instant.) Missing parent folders
    are made, and leftovers of killed processes beside it are removed.

    Raises
    ------
    OSError
        If it cannot be written; its file name is ``path`` if the system named none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    # The suffix stays last: writers such as numpy and matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}-{_token()}{path.suffix}")
    try:
        with naming(path):
            yield temporary
        if temporary.is_dir() and path.is_dir():  # os.replace cannot replace a folder that is not empty
            old = path.with_name(f".{path.name}-{_token()}{_REPLACED}")
            os.replace(path, old)
            try:
                os.replace(temporary, path)
            except OSError:
                os.replace(old, path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add ``path`` as the file name to an ``OSError`` without one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def temporary_folder(name: str) -> "tempfile.TemporaryDirectory[str]":
    """A folder for temporary files, removed when the process ends; those of killed processes are removed now."""
    sweep(Path(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f".{name}-{_token()}.")


def sweep(folder: Path, locked: Sequence[str] = ()) -> None:
    """Remove the unfinished files and folders that processes left in ``folder`` when they were killed.

    A folder that was about to be replaced is put back. Only leftovers of this user's processes on this machine are
    touched.

    Parameters
    ----------
    locked
        Patterns of names without suffix whose lock the caller holds: of these, everything unfinished is removed,
        whichever process wrote it.
    """
    with suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name = _TEMPORARY.fullmatch(entry.name)
            if name is None or not (
                any(fnmatchcase(name["stem"], each) for each in locked) or _is_abandoned(entry, name)
            ):
                continue
            if name["suffix"] == _REPLACED and not (folder / name["stem"]).exists():
                with suppress(OSError):
                    os.replace(entry.path, folder / name["stem"])
            _remove(Path(entry.path))


def _token() -> str:
    return f"{os.getpid()}-{_HOST}{_PROCESS}{secrets.token_hex(2)}"


def _is_abandoned(entry: os.DirEntry[str], name: re.Match[str]) -> bool:
    """Whether this was written by a process of this user on this machine that has ended."""
    try:
        own = not hasattr(os, "geteuid") or entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False
    pid = int(name["pid"])
    ended = name["process"] != _PROCESS if pid == os.getpid() else not is_alive(pid)
    return own and name["host"] == _HOST and ended


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
