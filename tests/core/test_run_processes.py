"""Runs under stress: two processes at once, a full disk, names that are not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.models.checkpoints import BEST, LAST, load_model, load_training, read_card
from core.results.records import read_json, read_jsonl
from core.training import TrainOptions, dataset_of_run, train
from tests.core.leftovers import leftover_name
from tests.core.toys import toy_dataset, toy_options, toy_run

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

TRAIN = """
import sys
from pathlib import Path
from core.training import train
from tests.core.toys import toy_dataset, toy_options
events = train(toy_dataset(), toy_options(), Path(sys.argv[1]), resume=sys.argv[2] == "resume")
next(events)
print("training", flush=True)
sys.stdin.read()
for _ in events:
    pass
"""


class TestTwoAtOnce:
    @pytest.mark.parametrize("how", ["fresh", "resume"])
    def test_the_second_is_told_and_the_first_ends_as_if_alone(self, tmp_path: Path, how: str) -> None:
        folder, alone = tmp_path / "run", tmp_path / "alone"
        toy_run(alone)
        if how == "resume":
            toy_run(folder, epochs=1)
            (folder / "options.json").write_text(
                json.dumps(read_json(folder / "options.json") | {"options": toy_options().model_dump(mode="json")})
            )
        words = [sys.executable, "-c", TRAIN, str(folder), how]
        with subprocess.Popen(
            words, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "training\n"
            for resume in (False, True):
                with pytest.raises(ValueError, match="in use by another process") as told:
                    toy_run(folder, resume=resume)
                assert str(first.pid) in str(told.value)
            first.communicate("")
        assert first.returncode == 0
        assert [line["epoch"] for line in read_jsonl(folder / "metrics.jsonl")] == [1, 2, 3]
        for tensors, others in zip(load_training(folder / LAST)[1:], load_training(alone / LAST)[1:], strict=True):
            assert all(torch.equal(tensors[name], others[name]) for name in others)
        assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.iterdir())

    def test_a_window_and_a_command_line_are_two_as_well(self, tmp_path: Path) -> None:
        events = train(toy_dataset(), toy_options(), tmp_path / "run")  # as a job of the window runs it
        next(events)
        with pytest.raises(ValueError, match="in use by"):
            toy_run(tmp_path / "run", resume=True)
        events.close()  # type: ignore[attr-defined]
        assert toy_run(tmp_path / "run", resume=True).epochs == 3

    def test_a_killed_training_does_not_keep_the_next_from_going_on(self, tmp_path: Path) -> None:
        words = [sys.executable, "-c", TRAIN, str(tmp_path / "run"), "fresh"]
        with subprocess.Popen(
            words, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        (tmp_path / "run" / leftover_name(LAST)).touch()
        assert toy_run(tmp_path / "run", resume=True).epochs == 3
        assert not list((tmp_path / "run").glob(".*"))


FULL = """
import resource, sys
from pathlib import Path
from core.commands import run
from core.training import train
from tests.core.toys import toy_dataset, toy_options
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    list(train(toy_dataset(), toy_options(epochs=2), Path(sys.argv[1]), resume=len(sys.argv) > 3))
except OSError as error:
    print(f"{error.filename}: {error.strerror}")
"""


class TestAFullDisk:
    """A limit on the size of files stands for it: writing beyond it fails in the same place."""

    def trained(self, folder: Path, limit: int, *resume: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", FULL, str(folder), str(limit), *resume],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def test_while_weights_are_saved_is_a_sentence_and_the_run_goes_on_to_the_same_end(self, tmp_path: Path) -> None:
        folder, alone = tmp_path / "run", tmp_path / "alone"
        toy_run(alone, epochs=2)
        size = (alone / BEST).stat().st_size
        assert self.trained(folder, size // 2) == f"{folder / LAST}: File too large"
        assert sorted(path.name for path in folder.iterdir()) == ["metrics.jsonl", "options.json"]
        assert self.trained(folder, size * 2, "resume") == f"{folder / LAST}: File too large", "which holds more"
        toy_run(folder, epochs=2, resume=True)
        assert [line["epoch"] for line in read_jsonl(folder / "metrics.jsonl")] == [1, 2]
        assert torch.equal(
            load_training(folder / LAST)[1]["first.linear.weight"],
            load_training(alone / LAST)[1]["first.linear.weight"],
        )
        assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.iterdir())

    def test_after_the_last_weights_are_saved_the_best_ones_are_made_by_the_next_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder, whole = tmp_path / "run", Path.write_bytes

        def full(path: Path, content: bytes) -> int:
            if path.name.startswith(".best"):
                raise OSError(28, "No space left on device")
            return whole(path, content)

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            toy_run(folder, epochs=1)
        monkeypatch.undo()
        assert read_card(folder / LAST).epochs == 1
        assert toy_run(folder, epochs=1, resume=True).best_epoch == 1
        assert load_model(folder / BEST).card.epochs == 1


class TestNamesThatAreNotUtf8:
    def test_a_run_in_such_a_folder_works_and_its_records_name_it_escaped(self, tmp_path: Path) -> None:
        folder = tmp_path / os.fsdecode(b"gr\xf6\xdfe")
        toy_run(folder, epochs=1)
        assert toy_run(folder, epochs=2, resume=True).epochs == 2
        assert load_model(folder / BEST).name == r"gr\xf6\xdfe"

    def test_where_the_data_are_is_remembered_in_such_a_folder_too(self, tmp_path: Path) -> None:
        root = tmp_path / os.fsdecode(b"m\xf6bel") / "a b%20c"
        root.mkdir(parents=True)
        list(train(toy_dataset(), toy_options(epochs=1), tmp_path / "run", data_root=root))
        assert (tmp_path / "run/options.json").read_text(encoding="utf-8")
        assert dataset_of_run(tmp_path / "run") == ("toys", root)
        list(train(toy_dataset(), TrainOptions(epochs=2), tmp_path / "run", resume=True))
        assert dataset_of_run(tmp_path / "run") == ("toys", root)
