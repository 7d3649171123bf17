"""Files and classes that a stranger has named: no name steers the terminal or becomes a formula."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import xml.dom.minidom
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.commands import run
from core.runtime.text import printable
from tests.core.toys import toy_split

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("=1+1", "\x1b]0;owned\x07red", "a\nb", "[red]x:smile:", "left\u202eright")
FILE = "-cmd\x1b[2J"
CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]")
"""Bytes that a terminal obeys, in UTF-8; only the end of a line is allowed."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of such names, and a run trained on it while a terminal was watching."""
    home = tmp_path_factory.mktemp("home")
    for split, seed in (("train", 1), ("test", 2)):
        shapes = toy_split(12 * len(CLASSES), 64, seed)
        for place, points in enumerate(shapes.points):
            folder = home / "shapes" / split / CLASSES[place % len(CLASSES)]
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{FILE}{place}.npy", points * (1, 1, 1 + place % len(CLASSES)))
    return home


SETTINGS = {"POINTWARD_THREADS": "1", "OMP_NUM_THREADS": "1"}


def own_folders(home: Path) -> dict[str, str]:
    return {name: str(home / "own") for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "MPLCONFIGDIR")}


def start(home: Path, *words: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a command line in a real process."""
    command, environment = [sys.executable, str(ROOT / "main.py"), *words], os.environ | own_folders(home) | SETTINGS
    return subprocess.run(command, cwd=home, env=environment, check=False, timeout=300, **options)


def shown(home: Path, *words: str) -> tuple[bytes, bytes]:
    """What a command line that succeeds in this process prints, and what it says on the side."""
    out, said = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name, value in (own_folders(home) | SETTINGS).items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", said)
        code = run(list(words))
    printed = out.buffer.getvalue(), said.buffer.getvalue()
    assert code == 0, printed
    return printed


@pytest.fixture(scope="module")
def trained(home: Path) -> tuple[Path, bytes]:
    """The run's folder, and what a terminal was shown meanwhile."""
    ours, theirs = pty.openpty()
    words = ("train", "--dataset", "folder", "--data-root", "shapes", "--epochs", "2", "--points", "32")
    with open(home / "seen", "wb") as seen:
        reader = subprocess.Popen(["cat"], stdin=ours, stdout=seen, stderr=subprocess.DEVNULL)
        done = start(home, *words, "--batch-size", "8", "--out", "run", stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        reader.wait(timeout=60)
    os.close(ours)
    shown = (home / "seen").read_bytes()
    assert done.returncode == 0, shown
    return home / "run", shown


def test_a_terminal_that_shows_bars_and_epochs_gets_no_sequence_from_a_name(trained: tuple[Path, bytes]) -> None:
    _, shown = trained
    assert b"epoch 2/2" in shown
    assert b"\x1b]0;" not in shown
    assert b"\x07" not in shown
    assert FILE.encode() not in shown


ATTACK = ("attack", f"shapes/test/=1+1/{FILE}0.npy", "--model", "run")
EVALUATE = ("evaluate", "run", "--records", "records.csv")
SHEET = ("datasets", "folder", "--data-root", "shapes", "--sheet", "sheet.svg")
MAP = ("tsne", "run", "--clouds", "40", "--perplexity", "5", "--iterations", "20", "--out", "map.svg", "--coordinates",
       "map.csv")  # fmt: skip


@pytest.fixture(scope="module")
def printed(home: Path, trained: tuple[Path, bytes]) -> dict[str, bytes]:
    """What each command has printed, and its files in the home."""
    done = start(home, *ATTACK, capture_output=True)
    assert done.returncode == 0, done.stderr
    inside = {words[0]: b"".join(shown(home, *words)) for words in (EVALUATE, SHEET, MAP)}
    return {"attack": done.stdout + done.stderr, **inside}


@pytest.mark.parametrize("command", ["attack", "evaluate", "datasets", "tsne"])
def test_no_command_lets_a_name_steer_the_terminal(command: str, printed: dict[str, bytes]) -> None:
    assert not CONTROLS.search(printed[command])


def test_names_are_shown_escaped(printed: dict[str, bytes]) -> None:
    assert printable(FILE).encode() in printed["attack"]
    assert ", ".join(map(printable, sorted(CLASSES))).encode() in printed["datasets"]


WRONG = {
    "no class": (*ATTACK, "--target", "\x1b[2J"),
    "no file": ("attack", f"{FILE}.npy"),
    "no model": ("evaluate", FILE),
    "no folder": ("train", "--out", f"shapes/test/=1+1/{FILE}0.npy"),
    "no command": (FILE,),
    "no option": ("doctor", f"--{FILE}"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_no_error_lets_a_name_steer_the_terminal(
    words: tuple[str, ...],
    home: Path,
    trained: tuple[Path, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(home)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert run(list(words)) == 2
    said = capsysbinary.readouterr()
    assert said.out == b""
    assert rb"\x1b[2J" in said.err
    assert not CONTROLS.search(said.err)


def test_json_keeps_names_exactly(home: Path, trained: tuple[Path, bytes]) -> None:
    printed, _ = shown(home, *ATTACK, "--json")
    assert not CONTROLS.search(printed)
    report = json.loads(printed)
    assert report["file"] == ATTACK[1]
    assert report["label"] in CLASSES


@pytest.mark.long
def test_a_name_that_is_not_utf_8_is_shown_escaped_and_works(home: Path, trained: tuple[Path, bytes]) -> None:
    path = os.fsencode(home) + b"/caf\xe9.npy"
    with open(path, "wb") as file:
        np.save(file, toy_split(1).points[0])
    done = start(home, "attack", os.fsdecode(path), "--out", os.fsdecode(b"out\xff.ply"), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert rb"/caf\xe9.npy" in done.stdout
    assert rb"out\xff.ply" in done.stdout
    assert os.path.exists(os.fsencode(home) + b"/out\xff.ply")
    printed, _ = shown(home, "attack", os.fsdecode(path), "--json")
    assert json.loads(printed)["file"].endswith(r"/caf\xe9.npy")


@pytest.mark.long
def test_figures_and_tables_of_such_names_are_whole(home: Path, printed: dict[str, bytes]) -> None:
    for name in ("sheet.svg", "map.svg"):
        texts = xml.dom.minidom.parse(str(home / name)).getElementsByTagName("text")
        shown = {text.firstChild.data for text in texts}
        assert {r"\x1b]0;owned\x07red", "=1+1"} <= shown
    with (home / "map.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == {"'=1+1", *map(printable, CLASSES[1:])}
    assert all(float(row["x"]) == float(row["x"]) for row in rows)
