"""A slice of ``make chaos``, and that it sees what is lost and left behind."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.lives import ROOT, Lives
from tests.chaos.subjects import SUBJECTS, Subject

LEAVE = """
import subprocess, sys
from pathlib import Path
for name in ("tmp/left", ".report-1-left"):
    Path(name).touch()
nobody = subprocess.DEVNULL
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], stdout=nobody, stderr=nobody)
"""


class Script(Lives):
    """Lives of a script instead of the program."""

    code = ""

    def _command(self) -> list[str]:
        return [sys.executable, "-c", self.code]


@pytest.mark.long
@pytest.mark.parametrize("subject", [subject.name for subject in SUBJECTS])
def test_what_is_killed_is_done_by_the_next_start_and_nothing_is_left(subject: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--kills", "1", "--only", subject],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kills, seed 0," in done.stdout
    assert done.stdout.rstrip().endswith("nothing lost or left behind.")


@pytest.mark.long
def test_files_and_processes_that_are_left_are_seen(tmp_path: Path) -> None:
    lives = Script(Subject("script", "", lambda _: None, lambda _: {}), tmp_path / "home", "", tmp_path)
    lives.code = LEAVE
    tally = lives.lead(0, random.Random(0))
    *files, process = tally.left
    assert files == [".report-1-left", "tmp/left"]
    assert "signal.pause" in process
    assert tally.different == 0


@pytest.mark.parametrize("code", ["", "raise SystemExit(1)"])
def test_another_result_or_an_error_is_seen(tmp_path: Path, code: str) -> None:
    results = iter(range(2))
    subject = Subject("script", "", lambda _: None, lambda _: {"table.csv": f"a\n{next(results)}\nb".encode()})
    lives = Script(subject, tmp_path / "home", "", tmp_path)
    lives.code = code
    tally = lives.lead(0, random.Random(0))
    assert (tally.ends, tally.different, tally.left) == (1, 1, [])
    assert code or "table.csv differs:\n  b'0' was expected, b'1' found" in tally.said
