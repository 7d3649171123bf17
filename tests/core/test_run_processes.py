"""Runs under stress: two processes at once, a full disk, names that are not UTF-8."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from core.events import Event, result
from core.models.checkpoints import BEST, LAST, load_model, load_training, read_card
from core.results.records import read_json, read_jsonl
from core.studies.defense_pointnet.options import ReproduceOptions
from core.studies.defense_pointnet.reproduction import reproduce
from core.training import TrainOptions, dataset_of_run, train
from tests.core.leftovers import leftover_name
from tests.core.toys import toy_dataset, toy_options, toy_run, toy_split

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POINTWARD_THREADS": "1"}

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
    @pytest.mark.parametrize(
        "how", [pytest.param("fresh", marks=pytest.mark.long), pytest.param("resume", marks=pytest.mark.long)]
    )
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

    @pytest.mark.long
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

    @pytest.mark.long
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
        assert dataset_of_run(tmp_path / "run")[:2] == ("toys", root)
        list(train(toy_dataset(), TrainOptions(epochs=2), tmp_path / "run", resume=True))
        assert dataset_of_run(tmp_path / "run")[:2] == ("toys", root)

    @pytest.mark.long
    def test_commands_take_them_and_print_them_escaped(self, tmp_path: Path) -> None:
        place = os.fsencode(tmp_path)
        root = tmp_path / os.fsdecode(b"m\xf6bel")
        split = toy_split(24)
        for points, label, name in zip(split.points, split.labels, split.names, strict=True):
            folder = root / os.fsdecode(b"st\xfchle" if label else b"cup")
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{name}.npy", points)

        def said(*words: bytes) -> str:
            done = subprocess.run(
                [sys.executable, "main.py", *words],
                cwd=ROOT,
                env=ENVIRONMENT | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout.decode("utf-8") + done.stderr.decode("utf-8")

        data = [b"--dataset", b"folder", b"--data-root", place + b"/m\xf6bel"]
        out = place + b"/gr\xf6\xdfe"
        training = [b"--epochs", b"1", b"--points", b"32", b"--batch-size", b"8"]
        assert r"gr\xf6\xdfe" in said(b"train", *data, *training, b"--out", out)
        assert said(b"train", b"--resume", b"--epochs", b"2", b"--out", out)
        report = said(b"evaluate", out, b"--records", place + b"/\xe9t\xe9.csv", b"--json")
        assert r"gr\\xf6\\xdfe" in report
        table = tmp_path / os.fsdecode(b"\xe9t\xe9.csv")
        assert table.read_text(encoding="utf-8").count("\n") > 1
        cloud = next((root / "cup").iterdir())
        assert said(b"attack", os.fsencode(cloud), b"--model", out, b"--out", place + b"/\xe9t\xe9.ply")
        assert (tmp_path / os.fsdecode(b"\xe9t\xe9.ply")).stat().st_size > 0


class TestReproductions:
    OPTIONS = ReproduceOptions.model_validate({"pgd_steps": 2, "map_clouds": 40, "regimes": ["simple"]})
    TRAINING: ClassVar = {"epochs": 1, "batch_size": 16, "points": 32, "device": "cpu"}

    def begun(self, folder: Path) -> Iterator[Event]:
        events = reproduce(toy_dataset(96, 60), self.OPTIONS, self.TRAINING, folder)
        next(events)
        return events

    def test_what_a_kill_left_of_one_is_removed_by_the_next_start(self, tmp_path: Path) -> None:
        for name in ("figures", "tables", "records"):
            (tmp_path / leftover_name(name)).mkdir()
            (tmp_path / leftover_name(name, host="00000000")).mkdir()  # of another machine, which had the lock
        (tmp_path / "figures").mkdir()
        (tmp_path / "measured" / "simple-seed0").mkdir(parents=True)
        (tmp_path / "measured" / "simple-seed0" / leftover_name("fgsm.npz")).touch()
        events = self.begun(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "figures", "measured", "runs"]
        assert not list((tmp_path / "measured" / "simple-seed0").iterdir())
        del events

    def test_two_at_once_in_one_folder_are_refused(self, tmp_path: Path) -> None:
        events = self.begun(tmp_path)
        with pytest.raises(ValueError, match="in use by another job of this program"):
            self.begun(tmp_path)
        del events
        self.begun(tmp_path)

    def test_a_found_run_without_its_optimisers_state_is_refused(self, tmp_path: Path) -> None:
        found = tmp_path / "found"
        toy_run(found, toy_dataset(96, 60), epochs=1)
        shutil.copy(found / BEST, found / LAST)
        with pytest.raises(ValueError, match=r"last\.safetensors has no state of the optimiser"):
            result(reproduce(toy_dataset(96, 60), self.OPTIONS, self.TRAINING, tmp_path / "out", runs=[found]))
