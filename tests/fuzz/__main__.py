"""``python -m tests.fuzz``: damage files of every kind, see how they are read, and print a table. Linux only."""

import argparse
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from tests.fuzz.harness import BAD, ENDS, Limits, Tally, campaign, run_case
from tests.fuzz.target import case
from tests.fuzz.targets import targets


def main() -> int:
    """Run a campaign, or one case; the exit code is 1 if any case ended badly."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="on the clock")
    parser.add_argument("--cases", type=int, help="of each target, of slow ones a tenth; without it time counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", action="append", default=[], help="targets whose name contains this")
    parser.add_argument("--case", type=int, help="run this case of the one target, here, and show what comes of it")
    parser.add_argument("--save", type=Path, default=Path("build/fuzz"), help="folder for the cases that end badly")
    given = parser.parse_args()
    found = targets(given.only)
    if given.case is not None:
        return show(found[0].name, given.seed, given.case)
    started = time.monotonic()
    limits = Limits(given.cases, 60 * given.minutes)
    tallies = campaign(partial(targets, tuple(given.only)), given.seed, limits, given.workers, given.save)
    print(table(tallies))
    print()
    for name, tally in tallies.items():
        for text, numbers in tally.bad.items():
            print(f"{name}, {len(numbers)} times, such as case {numbers[0]}: {text} {tally.details[text]}")
    cases = sum(tally.cases for tally in tallies.values())
    bad = sum(tally.ends[end] for tally in tallies.values() for end in BAD)
    print(f"{cases:,} cases in {time.monotonic() - started:.0f} seconds, seed {given.seed}: {bad} ended badly.")
    if bad:
        print(f"They are in {given.save}; one is run again with --only TARGET --case NUMBER.")
    return 1 if bad else 0


def table(tallies: dict[str, Tally]) -> str:
    """How the cases ended, target by target."""
    heads = ("target", "cases", *ENDS, "worst s", "worst MB")
    rows = [
        (name, tally.cases, *(tally.ends[end] for end in ENDS), round(tally.seconds, 1), round(tally.memory))
        for name, tally in tallies.items()
    ]
    sums = [sum(row[place] for row in rows) for place in range(1, 2 + len(ENDS))]
    rows.append(("all", *sums, max(row[-2] for row in rows), max(row[-1] for row in rows)))
    return tabulate(rows, heads, tablefmt="github")


def show(name: str, seed: int, number: int) -> int:
    """One case, in this process."""
    (target,) = (target for target in targets() if target.name == name)
    data = case(target, seed, number)[0]
    print(f"{name}, case {number}: {len(data):,} bytes, {data[:500]!r}")
    try:
        with TemporaryDirectory() as folder:
            end, seconds, memory, text = run_case(target, seed, number, Path(folder) / "case", Limits())
    except BaseException:
        traceback.print_exc()
        return 1
    print(f"{end} after {seconds:.1f} seconds and {memory:,.0f} MB: {text}")
    return 1 if end in BAD else 0


if __name__ == "__main__":
    sys.exit(main())
