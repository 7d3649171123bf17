import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from core.datasets import Dataset
from core.events import Cancel, Done, Epoch, Event, Progress
from core.models.checkpoints import load_model, load_training, read_card, resolve_model
from core.results.records import append_jsonl, read_json, read_jsonl, write_json
from core.training import TrainOptions, stored_options, train
from tests.core.leftovers import leftover_name
from tests.core.toys import toy_dataset, toy_options, toy_run

pytestmark = pytest.mark.usefixtures("one_thread")

TIMES = {"seconds", "clouds_per_second"}

EVERYTHING = {
    "regime": "defense-pgd",
    "feature_ramp": True,
    "averaging": 0.9,
    "weight_perturbation": 0.005,
    "epsilon_ramp": 2,
    "attack_steps": 2,
}
"""Options of a run with every kind of state that has to survive."""

CLOUDS = 36
"""Of which two batches are learned from, and the others validate."""


def few() -> Dataset:
    return toy_dataset(CLOUDS)


def closed_after(events: Iterator[Event], epochs: int, batches: int = 0) -> None:
    """Follow a training up to some batches into the epoch after ``epochs``, and close it there."""
    left = epochs
    for event in events:
        left -= isinstance(event, Epoch)
        batches -= isinstance(event, Progress) and left == 0
        if left == 0 and batches <= 0:
            break
    events.close()  # type: ignore[attr-defined]


def metrics_of(folder: Path) -> list[dict[str, float]]:
    lines = read_jsonl(folder / "metrics.jsonl")
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def assert_same_run(one: Path, other: Path) -> None:
    """Metrics, last weights, optimiser states and best weights are equal bit for bit."""
    assert metrics_of(one) == metrics_of(other)
    for name in ("last.safetensors", "best.safetensors"):
        for tensors, others in zip(load_training(one / name)[1:], load_training(other / name)[1:], strict=True):
            assert tensors.keys() == others.keys()
            assert all(torch.equal(tensors[key], others[key]) for key in tensors)


@pytest.fixture(scope="module")
def unbroken(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    toy_run(folder, few(), **EVERYTHING)
    return folder


class TestResume:
    @pytest.mark.parametrize(("epochs", "batches"), [(0, 2), (1, 0), pytest.param(2, 1, marks=pytest.mark.long)])
    def test_a_run_closed_anywhere_goes_on_to_the_same_end(
        self, tmp_path: Path, unbroken: Path, epochs: int, batches: int
    ) -> None:
        folder = tmp_path / "run"
        chosen = toy_options(**EVERYTHING)
        closed_after(train(few(), chosen, folder), epochs, batches)
        torch.manual_seed(99)
        events = list(train(few(), chosen, folder, resume=True))
        assert [event.index for event in events if isinstance(event, Epoch)] == list(range(epochs + 1, 4))
        assert_same_run(folder, unbroken)

    def test_a_run_with_concatenated_updates_goes_on_to_the_same_end(self, tmp_path: Path) -> None:
        chosen = {"regime": "defense", "updates": "concatenated", "epochs": 2}
        toy_run(tmp_path / "whole", **chosen)
        closed_after(train(toy_dataset(), toy_options(**chosen), tmp_path / "run"), 1, 1)
        toy_run(tmp_path / "run", resume=True, **chosen)
        assert_same_run(tmp_path / "run", tmp_path / "whole")
        assert stored_options(tmp_path / "run").updates == "concatenated"

    def test_a_run_killed_in_mid_epoch_goes_on_to_the_same_end(self, tmp_path: Path, unbroken: Path) -> None:
        folder = tmp_path / "run"
        script = f"""
import os, signal, sys
from pathlib import Path
import torch
from core.events import Epoch, Progress
from core.training import TrainOptions, train
from tests.core.toys import toy_dataset
torch.set_num_threads(1)
options = TrainOptions.model_validate_json({toy_options(**EVERYTHING).model_dump_json()!r})
epochs = batches = 0
for event in train(toy_dataset({CLOUDS}), options, Path({str(folder)!r})):
    epochs += isinstance(event, Epoch)
    batches += isinstance(event, Progress) and epochs == 1
    if batches == 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""
        root = Path(__file__).parents[2]
        killed = subprocess.run([sys.executable, "-c", script], cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
        assert killed.returncode == -signal.SIGKILL
        assert read_card(folder / "last.safetensors").epochs == 1
        toy_run(folder, few(), resume=True, **EVERYTHING)
        assert_same_run(folder, unbroken)

    def test_what_an_unfinished_epoch_left_behind_is_dropped(self, tmp_path: Path, unbroken: Path) -> None:
        folder = tmp_path / "run"
        closed_after(train(few(), toy_options(**EVERYTHING), folder), 1)
        append_jsonl(folder / "metrics.jsonl", {"epoch": 2, "validation_clean": 1.0, "validation_adversarial": 1.0})
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"epoch": 3, "loss_')
        (folder / leftover_name("last.safetensors")).write_bytes(b"half a file")
        toy_run(folder, few(), resume=True, **EVERYTHING)
        assert_same_run(folder, unbroken)
        assert {path.name for path in folder.iterdir()} == {path.name for path in unbroken.iterdir()}

    def test_a_run_killed_before_its_record_stood_is_begun(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / leftover_name("options.json")).write_text("{")
        assert toy_run(tmp_path / "run", epochs=1).epochs == 1

    def test_files_of_ones_own_are_never_swept_away(self, tmp_path: Path) -> None:
        names = {".stylelint-overview.json", ".venv-abcdefgh.d", ".best-0123abcd.json", ".last-0123abcg.safetensors"}
        for name in names:
            (tmp_path / name).write_text("mine")
        with pytest.raises(ValueError, match="exists already"):
            toy_run(tmp_path, epochs=1)
        assert {path.name for path in tmp_path.iterdir()} == names

    def test_opening_models_meanwhile_does_not_change_it(self, tmp_path: Path, unbroken: Path) -> None:
        ended = threading.Event()

        def open_models() -> None:
            while not ended.is_set():
                load_model(unbroken / "best.safetensors")

        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(open_models)
            try:
                toy_run(tmp_path / "run", few(), **EVERYTHING)
            finally:
                ended.set()
            opening.result()
        assert_same_run(tmp_path / "run", unbroken)

    @pytest.mark.long
    def test_two_trainings_at_once_are_each_as_if_alone(self, tmp_path: Path, unbroken: Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: toy_run(tmp_path / name, few(), **EVERYTHING), ("one", "other")))
        for name in ("one", "other"):
            assert_same_run(tmp_path / name, unbroken)

    def test_a_damaged_folder_is_refused_in_one_sentence(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        toy_run(folder, epochs=1)
        (folder / "metrics.jsonl").unlink()
        with pytest.raises(ValueError, match=r"metrics\.jsonl lacks some of the 1 finished epochs"):
            toy_run(folder, resume=True, epochs=2)

    def test_more_epochs_can_be_asked_for_and_options_not_given_are_the_runs_own(self, tmp_path: Path) -> None:
        whole, grown = tmp_path / "whole", tmp_path / "grown"
        toy_run(whole, epochs=2)
        toy_run(grown, epochs=1)
        events = list(train(toy_dataset(), TrainOptions(epochs=2), grown, resume=True))
        assert isinstance(events[-1], Done)
        assert events[-1].complete
        assert_same_run(whole, grown)
        assert stored_options(grown) == toy_options(epochs=2)

    @pytest.mark.parametrize(("regime", "attack"), [("pgd", "training"), ("defense", None)])
    def test_a_run_older_than_the_attack_of_validation_goes_on_as_it_was_begun(
        self, tmp_path: Path, regime: str, attack: str | None
    ) -> None:
        folder = tmp_path / "run"
        toy_run(folder, epochs=1, regime=regime)
        record = read_json(folder / "options.json")
        del record["options"]["validation_attack"]
        write_json(folder / "options.json", record)
        assert stored_options(folder).validation_attack == attack
        assert toy_run(folder, resume=True, epochs=2, regime=regime).epochs == 2

    def test_a_finished_run_is_left_as_it_is(self, tmp_path: Path) -> None:
        toy_run(tmp_path / "run", epochs=1)
        before = (tmp_path / "run/last.safetensors").read_bytes()
        done = list(train(toy_dataset(), TrainOptions(), tmp_path / "run", resume=True))[-1]
        assert isinstance(done, Done)
        assert (done.complete, done.value.epochs) == (True, 1)
        assert (tmp_path / "run/last.safetensors").read_bytes() == before

    def test_changed_options_another_dataset_or_no_run_are_refused_in_one_sentence(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        closed_after(train(toy_dataset(), toy_options(), folder), 0, 1)
        with pytest.raises(ValueError, match=r"has epsilon = 0\.05, so it can't go on with 0\.2"):
            toy_run(folder, resume=True, epsilon=0.2)
        other = toy_dataset()
        other = Dataset(other.card.model_copy(update={"fingerprint": "fedcba"}), other.splits)
        with pytest.raises(ValueError, match="trained on another toys than this one"):
            toy_run(folder, other, resume=True)
        with pytest.raises(ValueError, match=r"no run to resume in .*elsewhere: it has no options\.json"):
            toy_run(tmp_path / "elsewhere", resume=True)
        with pytest.raises(ValueError, match="exists already: choose another folder, or resume"):
            toy_run(folder)


class TestStopping:
    @staticmethod
    def stopped_after(folder: Path, events: int) -> Done:
        cancel = Cancel()
        stream = train(toy_dataset(), toy_options(), folder, cancel)
        for _ in range(events):
            next(stream)
        cancel.request()
        *_, last = stream
        assert isinstance(last, Done)
        return last

    def test_stop_keeps_the_finished_epochs_loadable_and_resumable(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        done = self.stopped_after(folder, 8)  # the note, 4 batches and a validation batch, the epoch, a batch
        assert (done.complete, done.value.epochs, done.value.best_epoch) == (False, 1, 1)
        assert load_model(resolve_model(folder)).card.metrics == done.value.metrics
        assert load_model(folder / "last.safetensors").card.epochs == 1
        assert read_json(folder / "options.json")["complete"] is False
        toy_run(folder, resume=True)
        toy_run(tmp_path / "whole")
        assert_same_run(folder, tmp_path / "whole")

    def test_stop_within_the_first_epoch_keeps_the_weights_as_they_are(self, tmp_path: Path) -> None:
        done = self.stopped_after(tmp_path / "run", 3)
        assert (done.value.epochs, done.value.best_epoch, done.value.metrics) == (0, 0, {})
        assert load_model(resolve_model(tmp_path / "run")).card.epochs == 0
        toy_run(tmp_path / "run", resume=True, epochs=1)
        toy_run(tmp_path / "whole", epochs=1)
        assert_same_run(tmp_path / "run", tmp_path / "whole")

    def test_stop_during_validation_keeps_that_epoch(self, tmp_path: Path) -> None:
        assert self.stopped_after(tmp_path / "run", 6).value.epochs == 1

    def test_patience_ends_a_run_that_no_longer_improves(self, tmp_path: Path) -> None:
        events = list(train(toy_dataset(), toy_options(epochs=50, learning_rate=1e-8, patience=2), tmp_path / "run"))
        done = events[-1]
        assert isinstance(done, Done)
        assert done.complete
        assert done.value.epochs == done.value.best_epoch + 2 < 50

    def test_a_loss_that_is_not_finite_ends_the_run_in_one_sentence(self, tmp_path: Path) -> None:
        dataset = toy_dataset()
        dataset.split("train").points[:] = np.nan
        with pytest.raises(
            ValueError, match="The training diverged, its numbers are no longer finite: lower the learning rate"
        ):
            toy_run(tmp_path / "run", dataset)
