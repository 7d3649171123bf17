"""``python -m tests.chaos --kills 40 --seed 0``: kill the program at random moments and see what is lost. Linux only.

Training, two caches, a reproduction, an evaluation and the window run as real processes on small data. Each is killed
with SIGKILL, half of the times with its whole process group, and started again with the same words. At its end its
result has to be that of an unbroken run, and its folder has to hold no other file; nothing may be left in temporary
folders, in shared memory or among the processes. The exit code is 1 if anything was lost or left behind.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tabulate import tabulate

from tests.chaos.lives import Lives, Tally, x_server
from tests.chaos.subjects import SUBJECTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=40, help="how many, over all subjects")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--only", action="append", choices=names, help="a subject; may be given more than once")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as the killed ones have it, or rounding would differ
    chosen = [subject for subject in SUBJECTS if given.only is None or subject.name in given.only]
    source, started = random.Random(given.seed), time.monotonic()
    tallies: dict[str, Tally] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointward-chaos-")))
        caches, words = folder / "caches", [sys.executable, "-c", "import matplotlib.font_manager"]
        if any(subject.name == "reproduction" for subject in chosen):
            subprocess.run(words, env=os.environ | {"MPLCONFIGDIR": str(caches)}, check=True)
        windows = any(subject.name == "window" for subject in chosen)
        display = stack.enter_context(x_server()) if windows else ""
        for place, subject in enumerate(chosen):
            kills = len(range(place, given.kills, len(chosen)))
            print(f"{subject.name}: {kills} kills", file=sys.stderr, flush=True)
            lives = Lives(subject, folder / "home", display, caches)
            tallies[subject.name] = lives.lead(kills, source)
    rows = [_row(name, tally) for name, tally in tallies.items()]
    columns = ["subject", "kills", "ended after them", "result of the unbroken one", "left behind"]
    print(tabulate(rows, columns, tablefmt="github"))
    for name, tally in tallies.items():
        for text in (*tally.left, *tally.said):
            print(f"\n{name}: {text}")
    lost = sum(tally.different + len(tally.left) for tally in tallies.values())
    print(
        f"\n{sum(tally.kills for tally in tallies.values())} kills, seed {given.seed}, "
        f"{time.monotonic() - started:.0f} s: {lost or 'nothing'} lost or left behind."
    )
    return int(lost > 0)


def _row(name: str, tally: Tally) -> list[object]:
    equal = tally.ends - tally.different
    return [name, tally.kills, tally.ends, f"{equal} of {tally.ends}", len(tally.left) or "nothing"]


if __name__ == "__main__":
    sys.exit(main())
