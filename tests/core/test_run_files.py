"""Files of a run that a person has edited, lost or mixed up: one sentence each, or mended, never silent."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.commands import run
from core.events import Note
from core.models import checkpoints
from core.models.checkpoints import BEST, LAST, load_model, load_training, read_card, save_model
from core.results.records import read_json, read_jsonl
from core.studies.defense_pointnet.models import planned
from core.studies.defense_pointnet.options import ReproduceOptions
from core.training import dataset_of_run, stored_options, train
from tests.core.test_checkpoints import card
from tests.core.toys import toy_dataset, toy_options, toy_run

pytestmark = pytest.mark.usefixtures("one_thread")

DEEP = "[" * 100_000 + "]" * 100_000
AVERAGED = {"averaging": 0.9}


@pytest.fixture(scope="module")
def finished(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    toy_run(folder, epochs=3, **AVERAGED)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run of three epochs, to be damaged."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def refused(folder: Path, **changes: Any) -> str:
    """The sentence with which going on with the run is refused; nothing in its folder is touched."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"\S") as error:
        toy_run(folder, resume=True, epochs=4, **AVERAGED, **changes)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    said = str(error.value)
    assert "\n" not in said
    assert len(said.replace(str(folder), "")) < 400
    return said


def replaced(folder: Path, **changes: Any) -> str:
    return json.dumps(read_json(folder / "options.json") | changes)


RECORDS: dict[str, Callable[[Path], str | bytes]] = {
    "empty": lambda _: "",
    "half": lambda folder: (folder / "options.json").read_text()[:200],
    "not text": lambda _: b"\xff\xfe\x00{",
    "a list": lambda _: "[]",
    "null": lambda _: "null",
    "nothing in it": lambda _: "{}",
    "nested": lambda _: DEEP,
    "nested options": lambda _: '{"options": ' + '{"a":' * 5000 + "1" + "}" * 5001,
    "no dataset": lambda folder: replaced(folder, dataset_name=None),
    "dataset is a number": lambda folder: replaced(folder, dataset_name=3),
    "dataset is a list": lambda folder: replaced(folder, dataset_name=["toys"]),
    "root is a number": lambda folder: replaced(folder, data_root=3),
    "root is a list": lambda folder: replaced(folder, data_root=[1]),
    "options are a list": lambda folder: replaced(folder, options=[1, 2]),
    "points are far too many": lambda folder: replaced(folder, options={"points": 10**18}),
    "points have thousands of digits": lambda _: '{"options": {"points": ' + "9" * 10_000 + "}}",
    "an option is text": lambda folder: replaced(folder, options={"epochs": "many"}),
    "an option is unknown": lambda folder: replaced(folder, options={"speed": 3}),
    "versions are a list": lambda folder: replaced(folder, versions=["torch"]),
    "versions are numbers": lambda folder: replaced(folder, versions={"torch": 2}),
    "fingerprint is a number": lambda folder: replaced(folder, dataset=5),
    "the checksum of the initial weights is endless": lambda folder: replaced(folder, weights="9" * 5000),
    "complete is text": lambda folder: replaced(folder, complete="perhaps"),
    "a million unknown options": lambda folder: replaced(folder, options={str(n): n for n in range(1_000_000)}),
}


@pytest.mark.parametrize("damage", RECORDS)
def test_an_edited_record_is_refused_wherever_it_is_read(folder: Path, damage: str) -> None:
    content = RECORDS[damage](folder)
    (folder / "options.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "options.json" in refused(folder)
    readers: list[Callable[[], Any]] = [
        lambda: dataset_of_run(folder),
        lambda: stored_options(folder),
        lambda: list(planned(toy_dataset(), ReproduceOptions(), {}, folder, [folder])),
    ]
    for reader in readers:
        with pytest.raises(ValueError, match=r"options\.json"):
            reader()


@pytest.mark.parametrize("words", [["train", "--resume", "--out"], ["evaluate"]])
def test_a_command_says_so_and_exits_with_1(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "options.json").write_text(replaced(folder, dataset_name=3))
    assert run([*words, str(folder)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "options.json: it is not the record of a training run of this version (dataset_name: input should" in said


def edited(folder: Path, line: int, **changes: Any) -> str:
    lines = [json.dumps(record) for record in read_jsonl(folder / "metrics.jsonl")]
    lines[line] = json.dumps(json.loads(lines[line]) | changes)
    return "\n".join(lines) + "\n"


METRICS: dict[str, Callable[[Path], str]] = {
    "a metric is null": lambda folder: edited(folder, 1, validation_clean=None),
    "a metric is text": lambda folder: edited(folder, 1, validation_clean="0.5"),
    "a loss is text": lambda folder: edited(folder, 1, loss_clean="low"),
    "a loss is a list": lambda folder: edited(folder, 1, loss_clean=[1]),
    "an accuracy is 50": lambda folder: edited(folder, 1, validation_adversarial=50),
    "seconds are infinite": lambda folder: edited(folder, 1, seconds="INF").replace('"INF"', "1e999"),
    "it is not a number": lambda folder: edited(folder, 1, loss_clean="NAN").replace('"NAN"', "NaN"),
    "the epoch is another": lambda folder: edited(folder, 1, epoch=7),
    "the epoch is text": lambda folder: edited(folder, 1, epoch="2"),
    "one metric more": lambda folder: edited(folder, 1, more=1.0),
    "a list": lambda folder: edited(folder, 1).splitlines()[0] + "\n[1]\n",
    "nested": lambda folder: edited(folder, 1).splitlines()[0] + "\n" + DEEP + "\n",
    "lines are missing": lambda folder: edited(folder, 1).splitlines()[0] + "\n",
    "empty": lambda folder: "",
}


@pytest.mark.parametrize("damage", METRICS)
def test_edited_metrics_are_refused(folder: Path, damage: str) -> None:
    (folder / "metrics.jsonl").write_text(METRICS[damage](folder))
    assert "metrics.jsonl" in refused(folder)


def test_metrics_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "metrics.jsonl").write_bytes(b"\xff\n\xff\n\xff\n")
    assert "metrics.jsonl" in refused(folder)


CARDS: dict[str, dict[str, Any]] = {
    "points": {"points": 10**18},
    "classes": {"classes": [f"class {number}" for number in range(1_000_000)]},
    "class names": {"classes": ["a" * 1_000_000, "b"]},
    "classes as numbers": {"classes": [1, 2, 3]},
    "a number with thousands of digits": {"seed": "DIGITS"},
    "metrics as text": {"metrics": {"test_clean": "good"}},
    "infinite metrics": {"metrics": {"test_clean": "INF"}},
    "as many metrics": {"metrics": {str(number): 1.0 for number in range(1_000_000)}},
    "more classes than are allowed": {"classes": [f"class {number}" for number in range(10_001)]},
    "null": {"name": None},
    "nested": {"options": "DEEP"},
}


@pytest.mark.parametrize("damage", CARDS)
def test_an_edited_card_is_refused(folder: Path, damage: str) -> None:
    text = json.dumps(json.loads(card().model_dump_json()) | CARDS[damage])
    text = text.replace('"INF"', "1e999").replace('"DIGITS"', "9" * 10_000).replace('"DEEP"', DEEP)
    save_file(load_file(folder / BEST), folder / BEST, {"card": text})
    with pytest.raises(ValueError, match=r"carries no valid model card|its model card is longer") as error:
        load_model(folder / BEST)
    assert len(str(error.value)) < 500


INDEXES = ["[]", "3", '{"a.safetensors": 3}', '{"a.safetensors": {"title": "A", "sha256": "0"}}', DEEP, "", "{"]


@pytest.mark.parametrize("content", INDEXES, ids=lambda content: content[:20] or "empty")
@pytest.mark.parametrize("command", ["attack", "doctor"])
def test_an_edited_index_of_the_models_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, command: str
) -> None:
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path)
    (tmp_path / "index.json").write_text(content)
    (tmp_path / "chair.xyz").write_text("0 0 1\n0 1 0\n1 0 0\n")
    assert run({"attack": ["attack", str(tmp_path / "chair.xyz")], "doctor": ["doctor"]}[command]) == 1
    assert "index.json: it is not an index of weights" in " ".join(capsys.readouterr().err.split())


class TestStateThatIsGone:
    def last_with(self, folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
        _, weights, state = load_training(folder / LAST)
        tensors = weights | {f"training/{name}": value for name, value in state.items()}
        change(tensors)
        save_file(tensors, folder / LAST, {"card": read_card(folder / LAST).model_dump_json()})

    def test_of_the_optimiser(self, folder: Path) -> None:
        def stripped(tensors: dict[str, torch.Tensor]) -> None:
            for name in [name for name in tensors if "/adam/" in name]:
                del tensors[name]

        self.last_with(folder, stripped)
        assert "last.safetensors: it lacks adam/0/0/exp_avg, so the run can't go on; restore" in refused(folder)

    def test_of_one_weight_of_it(self, folder: Path) -> None:
        self.last_with(folder, lambda tensors: tensors.pop("training/adam/0/3/step"))
        assert "it lacks adam/0/3/step" in refused(folder)

    def test_of_the_average(self, folder: Path) -> None:
        self.last_with(folder, lambda tensors: tensors.pop("training/average/first.linear.bias"))
        assert "it lacks average/first.linear.bias" in refused(folder)

    def test_of_another_shape_or_not_finite_or_foreign(self, folder: Path) -> None:
        name = "training/adam/0/1/exp_avg"
        self.last_with(folder, lambda tensors: tensors.update({name: torch.zeros(2)}))
        assert "adam/0/1/exp_avg is not a tensor that this run has" in refused(folder)
        self.last_with(folder, lambda tensors: tensors.update({name: torch.full((64,), torch.nan)}))
        assert "adam/0/1/exp_avg holds numbers that are not finite" in refused(folder)
        self.last_with(folder, lambda tensors: tensors.update({name: torch.zeros(64), "more": torch.zeros(1)}))
        assert "more is not a tensor that this run has" in refused(folder)

    def test_weights_without_any_such_state(self, folder: Path) -> None:
        shutil.copy(folder / BEST, folder / LAST)
        assert "last.safetensors" in refused(folder)

    def test_the_last_weights_of_another_run(self, folder: Path, tmp_path: Path) -> None:
        toy_run(tmp_path / "other", epochs=3, seed=1, **AVERAGED)
        shutil.copy(tmp_path / "other" / LAST, folder / LAST)
        assert "last.safetensors: it is of another run, with another seed" in refused(folder)

    def test_the_last_weights_are_gone_or_damaged(self, folder: Path) -> None:
        (folder / LAST).write_bytes((folder / LAST).read_bytes()[:5000])
        assert "last.safetensors: not a whole safetensors file" in refused(folder)
        (folder / LAST).unlink()
        assert "last.safetensors: it is gone, though epochs were finished" in refused(folder)


class TestBestWeightsThatAreGone:
    def run_whose_best_epoch_is(self, folder: Path, epoch: int) -> None:
        """Edit the metrics so that this is the best of three epochs."""
        lines = read_jsonl(folder / "metrics.jsonl")
        for line in lines:
            line["validation_clean"] = 0.9 if line["epoch"] == epoch else 0.1
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    @pytest.mark.parametrize("damage", ["gone", "damaged", "of another epoch"])
    def test_are_written_anew_where_they_are_those_of_the_last_epoch(self, folder: Path, damage: str) -> None:
        self.run_whose_best_epoch_is(folder, 3)
        if damage == "of another epoch":
            averaged = load_training(folder / LAST)[2]
            model = load_model(folder / BEST)
            model.module.load_state_dict(
                {
                    name.removeprefix("average/"): value
                    for name, value in averaged.items()
                    if name.startswith("average/")
                }
            )
            save_model(folder / BEST, model.module, model.card.model_copy(update={"epochs": 1}))
        else:
            (folder / BEST).write_bytes(b"damaged")
            if damage == "gone":
                (folder / BEST).unlink()
        first, *_ = train(toy_dataset(), toy_options(epochs=3, **AVERAGED), folder, resume=True)
        assert first == Note(
            "best.safetensors was not there or not whole, and was written anew: the last epoch is the best one."
        )
        best, average = load_model(folder / BEST), load_training(folder / LAST)[2]
        assert best.card.epochs == 3
        assert best.card.metrics["validation_clean"] == 0.9
        for name, value in best.module.state_dict().items():
            assert torch.equal(value, average[f"average/{name}"])

    def test_of_an_earlier_epoch_are_refused(self, folder: Path) -> None:
        self.run_whose_best_epoch_is(folder, 2)
        (folder / BEST).unlink()
        assert "best.safetensors: it does not hold the weights of the best epoch, 2, so the run can't go" in refused(
            folder
        )
