"""What killed processes leave, and the rights of an ordinary user, for tests of files."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from core.runtime import files


@cache
def ended_process() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def leftover_name(name: str, pid: int | None = None, host: str = files._HOST) -> str:
    """What a file or folder called ``name`` is called while a process writes it, by default one that has ended."""
    path = Path(name)
    return f".{path.stem}-{pid or ended_process()}-{host}0123abcd4567{path.suffix}"


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder of a user whom permissions bind: root may read everything, so it becomes nobody for the time."""
    with tempfile.TemporaryDirectory() as folder:
        path, root = Path(folder), os.geteuid() == 0
        path.chmod(0o777)
        if root:
            os.seteuid(65534)
        try:
            yield path
        finally:
            for place, folders, _ in os.walk(path):
                for name in folders:
                    Path(place, name).chmod(0o700)
            if root:
                os.seteuid(0)
