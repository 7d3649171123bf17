"""The versions that pyproject.toml allows, those that make installs, and the table of both in CONTRIBUTING.md agree."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


PINNED = {normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS, re.MULTILINE)}
EXTRAS = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_the_table_gives_the_lower_end_and_the_installed_version_of_every_dependency() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+)( only)? \| ([\d.]+) \|$", page, re.MULTILINE)
    table = {name: (low, "==" if only else ">=", installed) for name, low, only, installed in rows}
    asked = [re.match(r"([\w-]+)([>=]=)([\d.]+)", requirement) for requirement in PROJECT["dependencies"]]
    wanted = {found[1]: (found[3], found[2], PINNED[normal(found[1])]) for found in asked if found}
    assert len(wanted) == len(PROJECT["dependencies"])
    assert table == wanted


def test_what_make_installs_is_in_the_ranges() -> None:
    for requirement in [*PROJECT["dependencies"], *EXTRAS]:
        name = re.split(r"[\[<>=;]", requirement)[0]
        if name in ("pointward", "pre-commit", "setuptools"):  # the project itself, and what make does not pin
            continue
        version = numbers(PINNED[normal(name)])
        for sign, bound in re.findall(r"(==|>=|<)([\d.]+)", requirement.partition(";")[0]):
            lower, equal = version < numbers(bound), version[: len(numbers(bound))] == numbers(bound)
            assert {"==": equal, ">=": not lower or equal, "<": lower and not equal}[sign], requirement
