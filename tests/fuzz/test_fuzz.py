"""A seeded slice of the fuzzer, and that it sees what it is there to see."""

import os
import random
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.__main__ import table
from tests.fuzz.harness import Limits, Tally, campaign
from tests.fuzz.target import Refused, Target, case
from tests.fuzz.targets import targets

SLICE = (".", "modelnet40", "shapenetpart", "options", "command lines", "foreign weights")


def explained(tallies: dict[str, Tally]) -> str:
    return "\n".join(f"{name}: {tally.bad} {tally.details}" for name, tally in tallies.items() if tally.bad)


@pytest.mark.parametrize("cases", [20, pytest.param(40, marks=pytest.mark.long)])
def test_a_slice_of_the_fuzzer_ends_well(tmp_path, cases):
    tallies = campaign(partial(targets, SLICE), 0, Limits(cases), 2, tmp_path / "bad")
    assert not explained(tallies)
    assert {tally.cases for tally in tallies.values()} == {cases // 10, cases}
    assert sum(tally.ends["refused"] for tally in tallies.values()) > len(tallies)
    assert not (tmp_path / "bad").exists()


def test_a_case_is_the_same_in_every_process(tmp_path):
    for target in targets():
        assert case(target, 3, 7)[0] == case(target, 3, 7)[0], target.name
        assert case(target, 3, 7)[0] != case(target, 4, 7)[0] or case(target, 3, 8)[0] != case(target, 4, 8)[0]


def _bytes(rng: random.Random) -> bytes:
    return rng.randbytes(4)


def _fine(data: bytes, folder: Path, rng: random.Random) -> None:
    (folder / "file").write_bytes(data)


def _refused(data: bytes, folder: Path, rng: random.Random) -> None:
    raise Refused("the sentence")


def _crashes(data: bytes, folder: Path, rng: random.Random) -> None:
    os.abort()


def _hangs(data: bytes, folder: Path, rng: random.Random) -> None:
    begun = time.process_time()
    while time.process_time() < begun + 0.3:
        pass


def _never_ends(data: bytes, folder: Path, rng: random.Random) -> None:
    while True:
        pass


def _blows_up(data: bytes, folder: Path, rng: random.Random) -> None:
    np.ones(40_000_000, dtype=np.uint8)


def _raises(data: bytes, folder: Path, rng: random.Random) -> None:
    _ = {}["key"]


PLANTED = {
    "fine": _fine, "refused": _refused, "crash": _crashes, "hang": _hangs, "blow-up": _blows_up,
    "other exception": _raises, "endless": _never_ends,
}  # fmt: skip


def _planted() -> Sequence[Target]:
    return [Target(name, _bytes, run) for name, run in PLANTED.items()]


@pytest.mark.long
def test_every_way_to_end_badly_is_counted_and_its_case_is_saved(tmp_path):
    tallies = campaign(_planted, 0, Limits(1, most_seconds=0.2, most_memory=20), 2, tmp_path / "bad")
    for name, tally in tallies.items():
        assert dict(tally.ends) == {"hang" if name == "endless" else name: 1}, explained(tallies)
    saved = {path.name: path.read_bytes() for path in (tmp_path / "bad").iterdir()}
    assert len(saved) == 5
    (crash,) = (target for target in _planted() if target.name == "crash")
    assert saved["crash-0"] == case(crash, 0, 0)[0]
    assert "KeyError in test_fuzz.py" in str(tallies["other exception"].bad)
    assert table(tallies).splitlines()[-1].split("|")[2].strip() == "7"


def _rests(data: bytes, folder: Path, rng: random.Random) -> None:
    time.sleep(0.3)  # which is no processor time, so that many such cases are given at once


def _resting() -> Sequence[Target]:
    return [Target("resting", _bytes, _rests)]


@pytest.mark.long
def test_when_the_time_is_up_the_cases_that_were_not_begun_are_left(tmp_path):
    tally = campaign(_resting, 0, Limits(10_000, seconds=3), 1, tmp_path / "bad")["resting"]
    assert tally.cases == tally.ends["fine"] < 20, "ten thousand would take most of an hour"
