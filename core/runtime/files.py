"""Files that are whole or absent, and the one sentence for a file that is not as it should be."""

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.runtime.text import MOST_CHARACTERS, printable, shortened


class FormatError(ValueError):
    """A file cannot be used: which, what is wrong (with its line or field), and what is accepted.

    One sentence of at most ``MOST_CHARACTERS`` printable characters, whatever the file's name and content are.
    """

    def __init__(self, path: Path, wrong: str, accepted: str) -> None:
        self.wrong, self.accepted = wrong, accepted
        rest = shortened(printable(f": {wrong}; {accepted}"), 200) + "."
        place, room = printable(str(path)), MOST_CHARACTERS - len(rest)
        super().__init__((place if len(place) <= room else "…" + place[1 - room :]) + rest)


def reason(error: Exception) -> str:
    """What a library says of a file, as the end of a ``FormatError``'s "what is wrong"."""
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
    """The size in bytes of a regular file; to be called before a path from a person is opened.

    Opening a named pipe waits for ever, and reading a device may never end.

    Parameters
    ----------
    accepted
        The end of the sentence if it is none: what is accepted in its place.

    Raises
    ------
    FormatError
        If there is no such file, it is of another kind, or the system does not let this process look at it.
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
    """The content of a regular file of up to ``most`` bytes.

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

    It takes the place of ``path`` when the block ends well and is removed when it does not, so that a reader sees the
    old content or the new, never a part; a folder that replaces another is absent for an instant. Missing parent
    folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    # The suffix stays last: writers such as numpy and matplotlib choose the format by it.
    temporary = path.with_name(f".{path.stem}-{token}{path.suffix}")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():  # a folder cannot replace one that is not empty
            old = path.with_name(f".{path.name}-{token}.old")
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
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def leftovers(path: Path) -> list[Path]:
    """The temporary files of ``atomic_path`` that a kill kept from taking the place of ``path``."""
    ours = re.compile(rf"\.{re.escape(path.stem)}-[0-9a-f]{{8}}{re.escape(path.suffix)}")
    return [found for found in path.parent.glob(".*") if ours.fullmatch(found.name) and found.is_file()]
