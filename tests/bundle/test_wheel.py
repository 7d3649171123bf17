"""Wheel and sdist: what is in them, and that the wheel works in an environment of its own, from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "core", "resources")
NOT_SOURCE = shutil.ignore_patterns(".*", "*.egg-info", "*.so", "__pycache__")

OPEN_AND_CLOSE = """
import app.shell.application as application
import main

make = application.make


def closing(*args):
    made, window = make(*args)
    window.ready.connect(lambda: (window.grab().save("window.png"), window.close()))
    return made, window


application.make = closing
main.main(["open", "chair.off", "--json"])
"""
"""Opens the studio as ``pointward open`` does, and closes its window once models and cloud are there."""


def execute(words: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """What a process prints that is called from ``folder`` and has nobody's settings, caches or import paths."""
    homes = {f"XDG_{kind}_HOME": str(folder.parent / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE")}
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(words, cwd=folder, env=clean | homes | environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of a clean copy of the source, and the wheel made from that sdist alone."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for package in (*PACKAGES, "tests", "packaging"):
        shutil.copytree(ROOT / package, source / package, ignore=NOT_SOURCE)
    for file in ROOT.glob("[!.]*"):
        if file.is_file():
            shutil.copy(file, source)
    execute([sys.executable, "-m", "build", "--no-isolation", "--outdir", out], source)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def linked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone, that finds the packages it depends on in the environment of the tests."""
    environment = tmp_path_factory.mktemp("linked")
    execute([sys.executable, "-m", "venv", "--without-pip", environment], environment)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    execute([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], environment)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return environment


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment into which pip has installed the wheel and all that it asks for."""
    environment = tmp_path_factory.mktemp("empty")
    execute([sys.executable, "-m", "venv", environment], environment)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    execute([*pip, "--constraint", ROOT / "packaging" / "constraints.txt", wheel], environment)
    return environment


@pytest.fixture(scope="module", params=["linked", "empty"])
def environment(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture
def chair(folder: Path) -> Path:
    """A chair of boxes as an .off file, the only file in the folder."""
    boxes = [((0, 0, 0.45), (0.5, 0.5, 0.06)), ((-0.24, 0, 0.75), (0.04, 0.5, 0.6))]
    boxes += [((x, y, 0.22), (0.05, 0.05, 0.44)) for x in (-0.22, 0.22) for y in (-0.22, 0.22)]
    signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    corners = [
        " ".join(str(middle + sign * size / 2) for middle, size, sign in zip(centre, sizes, corner, strict=True))
        for centre, sizes in boxes
        for corner in signs
    ]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = ["4 " + " ".join(str(8 * box + corner) for corner in side) for box in range(len(boxes)) for side in sides]
    file = folder / "chair.off"
    file.write_text("\n".join(["OFF", f"{len(corners)} {len(faces)} 0", *corners, *faces, ""]), encoding="utf-8")
    return file


def tracked(pattern: str) -> set[str]:
    """The source files of the packages that match, as they are named in an archive."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob(pattern))
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_the_sdist_has_all_sources_and_resources_and_the_licence(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "pyproject.toml", "main.py"}
    for pattern in ("*.py", "*.c", "*.h", "*.qss", "*.svg", "*.html", "*.safetensors", "*.json"):
        wanted |= tracked(pattern)
    assert len(wanted) > 100
    assert wanted <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_the_wheel_has_what_runs_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    for pattern in ("*.py", "*.qss", "*.svg", "*.html", "*.safetensors", "*.json"):
        assert tracked(pattern) <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {*PACKAGES, "main.py"}
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    compiled = [name for name in names if name.startswith("core/models/fast/_peaks")]
    assert len(compiled) == (1 if shutil.which("cc") or shutil.which("gcc") else 0)
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    exact = [line for line in required if "==" in line.partition(";")[0]]
    assert exact == ["Requires-Dist: PySide6-Essentials==6.10.3"], "only Qt is pinned, see pyproject.toml"


def test_the_doctor_finds_no_fault(environment: Path, folder: Path) -> None:
    report: dict[str, Any] = json.loads(execute([environment / "bin" / "pointward", "doctor", "--json"], folder))
    assert report["pointward"] == "0.1.0"
    assert report["problems"] == []
    shipped = json.loads((ROOT / "resources/weights/index.json").read_text(encoding="utf-8"))
    assert [f"{name}.safetensors" for name in report["models"]] == list(shipped)
    assert not list(folder.iterdir())


def test_an_attack_on_a_file(environment: Path, chair: Path) -> None:
    words = "attack chair.off --attack pgd --steps 5 --epsilon 0.05 --out adversarial.ply --json"
    report: dict[str, Any] = json.loads(execute([environment / "bin" / "pointward", *words.split()], chair.parent))
    assert 0 < report["distances"]["linf"] <= 0.05 + 1e-6
    written = sorted(path.name for path in chair.parent.iterdir())
    assert written == ["adversarial.ply", "adversarial.ply.json", "chair.off"]


def test_the_studio_opens_and_closes(environment: Path, chair: Path) -> None:
    printed = execute([environment / "bin" / "python", "-c", OPEN_AND_CLOSE], chair.parent)
    assert json.loads(printed) == {"opened": ["chair.off"], "exit_code": 0}
    assert (chair.parent / "window.png").stat().st_size > 10_000


def test_the_tour_in_an_empty_environment(empty: Path, folder: Path) -> None:
    execute([empty / "bin" / "pointward", "tour", "--out", "tour"], folder, DISPLAY="", WAYLAND_DISPLAY="")
    assert json.loads((folder / "tour" / "tour.json").read_text())["errors"] == []
