"""What processes leave of files they were writing, and names of files in messages."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.results.records import append_jsonl, read_jsonl, write_json
from core.runtime.files import atomic_path, readable, sweep, temporary_folder
from tests.core.leftovers import leftover_name

OWN = ["notes.txt", ".bashrc", ".venv-1234-0123456789abcdef", ".figures-0123abcd", ".a-12-0123456789abcdef01234567.csv"]
"""Names that a person may use; the last has one letter more than ours."""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestSweeping:
    def test_what_ended_processes_left_is_removed_by_the_next_write_beside_it(self, tmp_path: Path) -> None:
        for name in OWN:
            (tmp_path / name).touch()
        (tmp_path / leftover_name("report.html")).touch()
        (tmp_path / leftover_name("figures")).mkdir()
        (tmp_path / leftover_name("figures") / "one.pdf").touch()
        write_json(tmp_path / "other.json", {})
        assert names_in(tmp_path) == sorted([*OWN, "other.json"])

    def test_what_a_living_process_another_user_or_another_machine_writes_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [leftover_name("a.csv", pid=os.getppid()), leftover_name("a.csv", host="00000000")]
        for name in names:
            (tmp_path / name).touch()
        sweep(tmp_path)
        assert names_in(tmp_path) == sorted(names)
        (tmp_path / leftover_name("b.csv")).touch()
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        sweep(tmp_path)
        assert len(names_in(tmp_path)) == 3

    def test_what_an_earlier_process_of_the_same_number_left_is_removed_and_ones_own_is_not(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / leftover_name("a.csv", pid=os.getpid())).touch()
        with atomic_path(tmp_path / "a.csv") as part:
            part.touch()
            sweep(tmp_path)
            assert names_in(tmp_path) == [part.name]

    def test_under_a_lock_all_of_its_names_go(self, tmp_path: Path) -> None:
        for name in ("a.csv", "b.csv"):
            (tmp_path / leftover_name(name, host="00000000")).touch()
        sweep(tmp_path, ["a"])
        assert names_in(tmp_path) == [leftover_name("b.csv", host="00000000")]
        sweep(tmp_path, ["*"])
        assert names_in(tmp_path) == []

    def test_a_folder_whose_replacement_was_killed_half_way_is_put_back(self, tmp_path: Path) -> None:
        old, new = tmp_path / leftover_name("figures.replaced"), tmp_path / leftover_name("figures")
        for folder, text in ((old, "old"), (new, "new")):
            folder.mkdir()
            (folder / "file").write_text(text)
        sweep(tmp_path)
        assert names_in(tmp_path) == ["figures"]
        assert (tmp_path / "figures" / "file").read_text() == "old"

    def test_temporary_folders_of_killed_processes_are_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        code = "import os, signal; from core.runtime.files import temporary_folder\n"
        code += "kept = temporary_folder('pointward'); os.kill(os.getpid(), signal.SIGKILL)"
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}, check=False)
        (left,) = names_in(tmp_path)
        assert left.startswith(".pointward-")
        with temporary_folder("pointward") as own:
            assert names_in(tmp_path) == [Path(own).name]
        assert names_in(tmp_path) == []


class TestAFullDisk:
    def test_names_the_file(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No space") as error, atomic_path(tmp_path / "a.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert error.value.filename == str(tmp_path / "a.csv")

    @pytest.mark.parametrize("kept", [0, 5])
    def test_a_line_that_could_not_be_appended_is_dropped_by_the_next(self, tmp_path: Path, kept: int) -> None:
        path = tmp_path / "metrics.jsonl"
        append_jsonl(path, {"epoch": 1})
        code = f"""
import resource
from pathlib import Path
from core.results.records import append_jsonl
path = Path({str(path)!r})
size = path.stat().st_size + {kept}
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    append_jsonl(path, {{"epoch": 2}})
except OSError as error:
    print(error.filename)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(path)
        append_jsonl(path, {"epoch": 3})
        assert read_jsonl(path) == [{"epoch": 1}, {"epoch": 3}]


def test_a_name_that_is_not_utf8_is_readable() -> None:
    assert readable(Path("chaise.ply")) == "chaise.ply"
    assert readable("Stühle") == "Stühle"
    assert readable(os.fsdecode(b"st\xfchle")) == r"st\xfchle"
    assert readable("\ud800") == r"\ud800"


def test_records_hold_such_names_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"st\xfchle")
    write_json(tmp_path / "a.json", {"folder": tmp_path / name, name: name})
    assert r"st\\xfchle" in (tmp_path / "a.json").read_text(encoding="utf-8")
