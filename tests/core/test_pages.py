"""The pages people read: their links lead somewhere, and the commands that they show can be typed."""

import re
import shlex
from pathlib import Path

import pytest

from core.commands import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "resources" / "studies").glob("*.md"))]
OF_THE_WINDOW = ("open", "tour")
"""Commands that main.py adds where there is Qt."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_that_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=name)
def test_that_commands_can_be_typed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options and their values are checked, as when they are typed where the files are that they name, and nothing is
    run. (What CONTRIBUTING.md shows is run by ``test_contributing``, with a program that was changed as it says.)"""
    monkeypatch.chdir(tmp_path)
    for file in ("chair.off", "mine.pth", "runs/mine/best.safetensors", "made/set.json", "DIR/file", "FURNITURE/file"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["pointward"] and words[1] not in OF_THE_WINDOW:
                stand_ins = {"ATTACK": "pgd", "EPS": "0.05", "MODEL": "pointnet-simple"}
                cli.parse_args([stand_ins.get(word, word) for word in words[1:]], exit_on_error=False)


def test_that_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130
