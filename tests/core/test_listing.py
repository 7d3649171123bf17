"""The list of training runs: where they are, in which state, and how good."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.commands import run
from core.events import Epoch
from core.training import (
    RunReader,
    RunState,
    TrainOptions,
    remember_run_folder,
    rename_run,
    run_folders,
    summarise,
    train,
)
from core.training.listing import MOST_FOLDERS
from core.training.record import METRICS, OPTIONS
from tests.core.toys import CLASSES, toy_dataset, toy_split

OPTIONS_OF_TOYS = TrainOptions(epochs=3, points=32, batch_size=8, regime="adversarial", seed=5)

TRAIN = """
import sys
from pathlib import Path
from core.events import Epoch
from core.training import TrainOptions, train
from tests.core.toys import CLASSES, toy_dataset, toy_split
for event in train(toy_dataset(), TrainOptions(epochs=1000, points=32, batch_size=8), Path(sys.argv[1])):
    if isinstance(event, Epoch):
        print(event.index, flush=True)
"""


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "finished"
    list(train(toy_dataset(), OPTIONS_OF_TOYS, folder))
    return folder


def stopped(folder: Path) -> Path:
    """A run that was ended after its first epoch."""
    events = train(toy_dataset(), OPTIONS_OF_TOYS, folder)
    next(event for event in events if isinstance(event, Epoch))
    events.close()
    return folder


class TestSummary:
    def test_a_finished_run_tells_what_it_was_and_its_best_epoch(self, finished: Path) -> None:
        found = summarise(finished)
        assert (found.state, found.title, found.dataset) == (RunState.FINISHED, "finished", toy_dataset().card.name)
        assert (found.regime, found.model, found.epochs, len(found.history)) == ("adversarial", "pointnet", 3, 3)
        assert found.begun is not None
        assert found.begun.tzinfo is not None
        assert not found.can_go_on
        means = [(line["validation_clean"] + line["validation_adversarial"]) / 2 for line in found.history]
        assert found.best == found.history[means.index(max(means))]

    def test_a_stopped_run_can_go_on(self, tmp_path: Path) -> None:
        found = summarise(stopped(tmp_path / "run"))
        assert (found.state, len(found.history), found.can_go_on) == (RunState.STOPPED, 1, True)

    def test_a_run_without_an_epoch_has_no_best_one(self, tmp_path: Path) -> None:
        events = train(toy_dataset(), OPTIONS_OF_TOYS, tmp_path / "run")
        next(events)
        found = summarise(tmp_path / "run")
        events.close()
        assert (found.state, found.history, found.best) == (RunState.RUNNING, (), {})

    @pytest.mark.long
    def test_another_process_is_seen_while_it_trains_and_after_it_was_killed(self, tmp_path: Path) -> None:
        reader, run_folder = RunReader(), tmp_path / "runs" / "killed"
        words = [sys.executable, "-c", TRAIN, str(run_folder)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "1\n"
            (live,) = reader.read([run_folder.parent])
            assert live.state is RunState.RUNNING
            assert process.stdout.readline() == "2\n"
            (later,) = reader.read([run_folder.parent])
            assert len(later.history) > len(live.history) > 0
            process.send_signal(signal.SIGKILL)
        (dead,) = reader.read([run_folder.parent])
        assert dead.state is RunState.INTERRUPTED
        assert dead.can_go_on
        count = len(dead.history)
        options = TrainOptions(epochs=count + 1)
        assert list(train(toy_dataset(), options, run_folder, resume=True))[-1].value.epochs in (count, count + 1)  # type: ignore[attr-defined]
        (resumed,) = reader.read([run_folder.parent])
        assert resumed.state is RunState.FINISHED

    @pytest.mark.parametrize(
        ("name", "text", "what"),
        [(OPTIONS, "{", "invalid JSON"), (OPTIONS, "[]", ""), (METRICS, '{"epoch": 7}\n', "line 1 is not the metrics")],
    )
    def test_a_damaged_run_is_listed_with_its_problem(self, tmp_path: Path, name: str, text: str, what: str) -> None:
        folder = stopped(tmp_path / "run")
        (folder / name).write_text(text)
        found = summarise(folder)
        assert found.state is RunState.DAMAGED
        assert what in found.problem
        assert "run" in found.problem
        assert not found.can_go_on


class TestReader:
    def test_runs_of_all_folders_are_there_the_newest_first(self, tmp_path: Path, finished: Path) -> None:
        newer = stopped(tmp_path / "runs" / "newer")
        record = json.loads((newer / OPTIONS).read_text()) | {"time": "2099-01-01T00:00:00+00:00"}
        (newer / OPTIONS).write_text(json.dumps(record))
        (newer.parent / "no run").mkdir()
        (newer.parent / "a file").touch()
        found = RunReader().read([finished.parent, newer.parent, newer.parent, tmp_path / "gone"])
        assert [each.folder for each in found] == [newer, finished]

    def test_what_has_not_changed_is_not_read_again(self, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = RunReader()
        before = reader.read([finished.parent])
        monkeypatch.setattr("core.training.listing.summarise", lambda _: pytest.fail("it was read again"))
        assert reader.read([finished.parent]) == before

    def test_a_run_of_an_older_version_without_a_time_is_last(self, tmp_path: Path, finished: Path) -> None:
        old = stopped(tmp_path / "old")
        record = json.loads((old / OPTIONS).read_text())
        del record["time"]
        (old / OPTIONS).write_text(json.dumps(record))
        assert RunReader().read([tmp_path, finished.parent])[-1].begun is None


class TestRename:
    def test_a_title_is_kept_and_taken_away(self, tmp_path: Path) -> None:
        folder = stopped(tmp_path / "run")
        rename_run(folder, " mine ")
        assert summarise(folder).title == "mine"
        list(train(toy_dataset(), TrainOptions(), folder, resume=True))
        assert (summarise(folder).title, summarise(folder).state) == ("mine", RunState.FINISHED)
        rename_run(folder, "")
        assert summarise(folder).title == "run"

    def test_a_title_that_is_too_long_is_refused(self, tmp_path: Path) -> None:
        folder = stopped(tmp_path / "run")
        with pytest.raises(ValueError, match="up to 200"):
            rename_run(folder, "x" * 10_001)
        assert summarise(folder).state is RunState.STOPPED

    def test_a_run_that_is_trained_keeps_its_title(self, tmp_path: Path) -> None:
        events = train(toy_dataset(), OPTIONS_OF_TOYS, tmp_path / "run")
        next(events)
        with pytest.raises(ValueError, match="is being trained"):
            rename_run(tmp_path / "run", "mine")
        events.close()


class TestFolders:
    def test_the_newest_is_first_and_none_is_there_twice(self, tmp_path: Path) -> None:
        for name in "aba":
            remember_run_folder(tmp_path / name)
        assert run_folders() == (tmp_path / "a", tmp_path / "b")

    def test_there_are_not_ever_more(self, tmp_path: Path) -> None:
        for number in range(MOST_FOLDERS + 1):
            remember_run_folder(tmp_path / str(number))
        assert run_folders()[:: MOST_FOLDERS - 1] == (tmp_path / str(MOST_FOLDERS), tmp_path / "1")

    def test_a_damaged_list_and_one_that_cannot_be_written_stop_nothing(self, tmp_path: Path) -> None:
        remember_run_folder(tmp_path)
        (tmp_path / "data" / "pointward" / "run-folders.json").write_text("{")
        assert run_folders() == ()
        remember_run_folder(tmp_path)
        assert (tmp_path / "data" / "pointward" / "run-folders.json").read_text() == "{", "somebody may mend it"
        (tmp_path / "data" / "pointward" / "run-folders.json").unlink()
        (tmp_path / "data" / "pointward" / "run-folders.json").mkdir()
        remember_run_folder(tmp_path)
        assert run_folders() == ()

    def test_a_name_that_is_not_utf8_is_left_out(self, tmp_path: Path) -> None:
        remember_run_folder(tmp_path / os.fsdecode(b"r\xff"))
        assert run_folders() == ()


class TestCommand:
    @pytest.fixture
    def class_folders(self, tmp_path: Path) -> Path:
        """A folder of three classes of eight clouds."""
        split = toy_split(24)
        for points, label, name in zip(split.points, split.labels, split.names, strict=True):
            folder = tmp_path / "shapes" / CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{name}.npy", points)
        return tmp_path / "shapes"

    def test_it_lists_what_a_training_has_made(
        self, tmp_path: Path, class_folders: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "my_runs" / "small"
        words = ["train", "--dataset", "folder", "--data-root", str(class_folders), "--epochs", "1", "--points", "32"]
        assert run([*words, "--out", str(folder)]) == 0
        capsys.readouterr()
        assert run(["runs", "--json"]) == 0
        ((path, facts),) = json.loads(capsys.readouterr().out).items()
        assert path == str(folder)
        assert (facts["state"], facts["epochs"], facts["dataset"]) == ("finished", "1/1", "folder")
        assert run(["runs"]) == 0
        assert str(folder) in capsys.readouterr().out, "with the underscore of its folder"
        (folder / METRICS).write_text("?\n")
        assert run(["runs", str(folder.parent), "--json"]) == 0
        assert "problem" in next(iter(json.loads(capsys.readouterr().out).values()))

    def test_a_run_itself_is_listed_and_a_folder_without_any_is_said(
        self, tmp_path: Path, finished: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(["runs", str(finished), "--json"]) == 0
        assert list(json.loads(capsys.readouterr().out)) == [str(finished)]
        assert run(["runs", str(tmp_path)]) == 0
        assert "no training run there" in capsys.readouterr().err

    def test_without_a_run_it_lists_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["runs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {}
