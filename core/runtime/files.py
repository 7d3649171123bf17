"""Files that are whole or absent, and the one sentence for a file that is not as it should be."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FormatError(ValueError):
    """A file cannot be used: which, what is wrong (with its line or field), and what is accepted."""

    def __init__(self, path: Path, wrong: str, accepted: str) -> None:
        super().__init__(f"{path}: {wrong}; {accepted}.")


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
