"""Processes that are started, killed and looked for: what a killed one has left behind."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from core.runtime.processes import is_alive
from tests.chaos.subjects import Subject

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path("/dev/shm")
MARK = "POINTWARD_CHAOS"
GRACE = 5.0  # seconds that workers have to end after their parent was killed
HUNG = 600.0  # seconds after which a process that was not killed counts as hung


@dataclass
class Tally:
    """What became of a subject."""

    kills: int = 0
    ends: int = 0
    """Times that it came to its end after one kill or more."""
    different: int = 0
    """Ends with another result, or with an error."""
    left: list[str] = field(default_factory=list)
    """Files, folders, shared memory and processes that nobody removed."""
    said: list[str] = field(default_factory=list)
    """The last words of processes that failed."""


class Lives:
    """Starts and kills one subject in a folder of its own, again and again.

    Parameters
    ----------
    home : Path
        Its folder, emptied for each new start: working folder, caches, settings and temporary files are in there.
    display : str
        Of an X server.
    caches : Path
        Folder of what libraries keep for every process to come, such as Matplotlib's list of fonts.
    """

    def __init__(self, subject: Subject, home: Path, display: str, caches: Path) -> None:
        self._subject, self._home = subject, home
        self._environment = os.environ | {
            **{f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("cache", "data", "config")},
            "TMPDIR": str(home / "tmp"),
            "MPLCONFIGDIR": str(caches),
            "TORCHINDUCTOR_CACHE_DIR": str(caches),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "DISPLAY": display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            MARK: str(home),
        }
        self._shared = set(SHARED.iterdir()) if SHARED.is_dir() else set()
        self._started: set[int] = set()
        started = time.monotonic()
        self._renew()
        done = self._finish(self._start())
        if done.returncode:
            raise RuntimeError(f"{subject.name} fails without being killed:\n{done.stderr.decode(errors='replace')}")
        self._seconds = time.monotonic() - started
        self._result, self._files = subject.result(home), self._present()
        if left := self._left():
            raise RuntimeError(f"{subject.name} leaves behind what it should not without being killed: {left}")

    def lead(self, kills: int, source: random.Random) -> Tally:
        """Kill it so often at random moments, start it again each time, and see what it comes to."""
        tally = Tally()
        self._renew()
        while tally.kills < kills:
            process = self._start()
            try:
                done = self._finish(process, source.uniform(0.1, self._seconds))
            except subprocess.TimeoutExpired:
                # half the time with everything in its process group, such as what would tidy up after it
                self._kill(process, group=source.random() < 0.5)
                tally.kills += 1
                tally.left += self._processes()
            else:
                self._compare(done, tally)
                self._renew()
        self._compare(self._finish(self._start()), tally)
        return tally

    def _renew(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
        (self._home / "tmp").mkdir(parents=True)
        self._subject.prepare(self._home)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._command(),
            cwd=self._home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._started.add(process.pid)
        return process

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "tests.chaos.program", *self._subject.words.split()]

    def _finish(self, process: subprocess.Popen[bytes], seconds: float = HUNG) -> subprocess.CompletedProcess[bytes]:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            if seconds == HUNG:
                self._kill(process, group=True)
                raise RuntimeError(f"{self._subject.name} has not ended after {HUNG:.0f} s") from None
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stderr=said)

    def _kill(self, process: subprocess.Popen[bytes], *, group: bool) -> None:
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()

    def _compare(self, done: subprocess.CompletedProcess[bytes], tally: Tally) -> None:
        """See whether it has come to what the unbroken one came to, and left no more than that."""
        tally.ends += 1
        wrong = done.returncode != 0
        if not wrong:
            try:
                differences = _differences(self._result, self._subject.result(self._home))
                tally.said += differences
                wrong = bool(differences)
            except (OSError, ValueError) as error:
                tally.said.append(str(error))
                wrong = True
        if wrong:
            tally.different += 1
            tally.said.append(done.stderr.decode(errors="replace")[-2000:])
        tally.left += sorted(self._present() - self._files) + self._left()

    def _present(self) -> set[str]:
        """The files and folders of its home, but for temporary ones."""
        paths = {path.relative_to(self._home).as_posix() for path in self._home.rglob("*")}
        return {path for path in paths if not path.startswith("tmp/")}

    def _left(self) -> list[str]:
        """What nobody may leave, killed or not."""
        temporary = sorted(path.relative_to(self._home).as_posix() for path in (self._home / "tmp").rglob("*"))
        return temporary + self._processes() + self._in_shared_memory()

    def _processes(self) -> list[str]:
        """Processes of this subject that still run; they are ended, so that each is counted once."""
        deadline = time.monotonic() + GRACE
        while (found := list(self._running())) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, _ in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [f"process {words}" for _, words in found]

    def _running(self) -> Iterator[tuple[int, str]]:
        mark = f"{MARK}={self._home}".encode()
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (place / "environ").read_bytes().split(b"\0") and is_alive(int(place.name)):
                    yield int(place.name), (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100]

    def _in_shared_memory(self) -> list[str]:
        """Entries that are new, and named after a process of this subject or after none and used by none."""
        found = []
        for path in sorted(set(SHARED.iterdir()) - self._shared) if SHARED.is_dir() else []:
            numbers = {int(number) for number in re.findall(r"[-_](\d+)(?=[-_]|$)", path.name)}
            if numbers & self._started or not (numbers or _is_mapped(path)):
                found.append(f"shared memory {path.name}")
                self._shared.add(path)
        return found


def _differences(expected: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """A line for each part that is not the same, with the first lines of text that differ."""
    said = []
    for name in sorted(expected.keys() | found.keys()):
        old, new = expected.get(name, b""), found.get(name, b"")
        if old != new:
            pairs = zip_longest(old.splitlines(), new.splitlines(), fillvalue=b"")
            lines = [f"  {a[:300]!r} was expected, {b[:300]!r} found" for a, b in pairs if a != b]
            said.append("\n".join([f"{name} differs:", *lines[:5]]))
    return said


def _is_mapped(path: Path) -> bool:
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            if str(path) in maps.read_text():
                return True
    return False


@contextmanager
def x_server(size: str = "1600x1000") -> Iterator[str]:
    """The name of a display of an Xvfb of our own."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait()
