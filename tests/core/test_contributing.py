"""The worked examples of CONTRIBUTING.md: applied to a copy of the program, and run there as a person would."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.core.toys import CLASSES, toy_split

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (How to add .+)$", PAGE, re.MULTILINE)


class Block(NamedTuple):
    """Code between two fences: its language, the file that it is or that it changes ('' for none), and the text."""

    language: str
    file: str
    text: str


def blocks(title: str) -> list[Block]:
    """The blocks of code in one section of the page."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return [Block(*found) for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)]


def change(file: Path, diff: str) -> None:
    """Make the change that a diff without line numbers describes; its old lines are in the file exactly once."""
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] != other) for other in "+-")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"CONTRIBUTING.md changes lines that {file.name} does not have once:\n{old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


COMMANDS = """
import json, sys
from core.commands import run
sys.exit(next(filter(None, map(run, json.loads(sys.argv[1]))), 0))
"""
"""Runs command lines one after another up to the first that fails; each in a process would import PyTorch anew."""


def execute(words: Sequence[str], folder: Path, program: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(program), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A copy of the program that can be changed, with its compiled files: Python makes those anew that are changed."""
    folder = tmp_path / "program"
    shutil.copytree(ROOT / "core", folder / "core")
    (folder / "resources").symlink_to(ROOT / "resources")
    return folder


@pytest.fixture
def own_files(tmp_path: Path) -> Path:
    """What the page says a reader has: a mesh, and a folder of shapes for each of some classes."""
    folder = tmp_path / "own"
    folder.mkdir()
    corners = [f"{x} {y} {z}" for x in (0, 1) for y in (0, 1) for z in (0, 2)]
    faces = ["0 1 3 2", "4 6 7 5", "0 4 5 1", "2 3 7 6", "0 2 6 4", "1 5 7 3"]
    (folder / "chair.off").write_text("\n".join(["OFF", "8 6 0", *corners, *(f"4 {face}" for face in faces), ""]))
    split = toy_split(48, 128)
    for points, label, name in zip(split.points, split.labels, split.names, strict=True):
        file = folder / "shapes" / CLASSES[label] / f"{name.replace(' ', '_')}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, points)
    return folder


@pytest.mark.parametrize(
    "title", [pytest.param(title, marks=[pytest.mark.long] * ("optimiser" not in title)) for title in EXAMPLES]
)
def test_that_the_example_runs(title: str, program: Path, own_files: Path) -> None:
    for block in blocks(title):
        if block.language == "diff":
            change(program / block.file, block.text)
        elif block.language == "python" and block.file:
            assert not (ROOT / block.file).exists(), f"{block.file} is part of the program by now"
            (program / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            execute(["-c", block.text], own_files, program)
        else:
            assert block.language == "sh"
            lines = [shlex.split(line) for line in block.text.splitlines()]
            assert {command for command, *_ in lines} == {"pointward"}
            execute(["-c", COMMANDS, json.dumps([words for _, *words in lines])], own_files, program)


def test_that_each_kind_of_addition_is_shown() -> None:
    kinds = ["an attack", "an optimiser", "a model", "a dataset"]
    assert [title.removeprefix("How to add ") for title in EXAMPLES] == kinds
    for title in EXAMPLES:
        assert {block.language for block in blocks(title)} >= {"diff", "sh"}


def test_that_an_optimiser_is_at_most_thirty_lines() -> None:
    [example] = [block for block in blocks("How to add an optimiser") if block.language == "python"]
    assert len(example.text.splitlines()) <= 30


def test_that_every_room_is_described() -> None:
    for package in ("core", "app"):
        table = PAGE.split(f"| room of {package} |")[1].split("\n\n")[0]
        described = re.findall(r"^\| `([\w.]+)/?` \|", table, re.MULTILINE)
        entries = (ROOT / package).iterdir()
        rooms = {path.name for path in entries if path.suffix == ".py" or any(path.glob("*.py"))}
        assert set(described) == rooms - {"__init__.py"}
