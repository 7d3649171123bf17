"""``pointward models``, and the other commands with models of other projects, as a person types them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.clouds.frames import Orientation, rotated
from core.commands import run
from core.datasets import Dataset
from core.datasets.shapes16 import CATEGORIES
from core.evaluation.accuracy import Rate
from core.evaluation.framing import FrameSearch, Trial, search_frame
from core.events import Cancel, Done, Progress, result
from core.models.framed import Frame
from core.models.importers.probing import probed
from core.models.importers.sources import sha256_of
from tests.core.foreign import Little, published_pointnet, save_script, save_yanx27, write_code
from tests.core.toys import CLASSES, toy_dataset, toy_split


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.npy"
    np.save(path, toy_split(1, 300).points[0])
    return path


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder dataset of the toys' classes, upright."""
    split = toy_split(24, 64, 2)
    for points, label, name in zip(split.points, split.labels, split.names, strict=True):
        folder = tmp_path / "shapes" / "test" / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name.replace(' ', '_')}.npy", points)
    return tmp_path / "shapes"


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code = run([*words, "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    printed: dict[str, Any] = json.loads(said.out)
    return printed


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) in (1, 2)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert said.out == ""
    return " ".join(said.err.split())


class TestAttack:
    """A model of each kind, attacked."""

    def attacked(
        self, capsys: pytest.CaptureFixture[str], cloud: Path, model: str, points: int = 256
    ) -> dict[str, Any]:
        words = ("attack", str(cloud), "--model", model, "--attack", "pgd", "--steps", "3", "--epsilon", "0.1")
        report = answer(capsys, *words, "--points", str(points))
        assert report["distances"]["linf"] == pytest.approx(0.1, abs=1e-6)
        assert report["points"] == points
        return report

    def test_weights_of_a_known_pointnet_bare_and_imported(
        self, tmp_path: Path, cloud: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = save_yanx27(published_pointnet(), tmp_path / "best_model.pth")
        bare = self.attacked(capsys, cloud, str(path))
        assert bare["model"] == "best_model"
        assert bare["clean"]["class"].startswith("class ")
        words = ("models", "import", str(path), "--name", "theirs", "--classes", ",".join(CATEGORIES))
        imported = answer(capsys, *words)
        assert (imported["classes"], imported["points"], imported["architecture"]) == (16, 1024, "pointnet")
        replaced = "It has replaced the model that was called theirs; --name keeps both."
        assert replaced not in imported["notes"]
        assert replaced in answer(capsys, *words)["notes"]
        report = self.attacked(capsys, cloud, "theirs")
        assert CATEGORIES.index(report["clean"]["class"]) == int(bare["clean"]["class"].split()[1])
        assert report["loss"] == pytest.approx(bare["loss"])
        assert report["clean"]["confidence"] > report["adversarial"]["confidence"] or report["fooled"]

    @pytest.mark.long
    def test_a_script_bare_and_imported(self, tmp_path: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = save_script(Little(), tmp_path / "little.pt")
        bare = self.attacked(capsys, cloud, str(path))
        answer(capsys, "models", "import", str(path), "--name", "little", "--points", "200")
        report = self.attacked(capsys, cloud, "little", 200)
        assert (report["model"], bare["model"]) == ("little", "little")
        assert report["provenance"]["weights"] == {"little": sha256_of(path)}

    def test_python_code_after_a_yes(self, tmp_path: Path, cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_code(tmp_path / "mine.py")
        source, sha256 = f"{path}:make", sha256_of(path)
        said = refused(capsys, "attack", str(cloud), "--model", source)
        assert (
            f"mine.py is code that can do whatever you can: read it, then import it with --trust-code {sha256}." in said
        )
        assert sha256 in refused(capsys, "models", "import", source)
        wrong = refused(capsys, "models", "import", source, "--trust-code", "0" * 64)
        assert f"is not the SHA-256 of mine.py, which is {sha256}" in wrong
        imported = answer(capsys, "models", "import", source, "--trust-code", sha256, "--name", "mine")
        assert (imported["layout"], imported["answer"], imported["deterministic"]) == ("BN3", "logits", True)
        assert self.attacked(capsys, cloud, "mine")["unlike_training_data"] is None
        assert self.attacked(capsys, cloud, source)["model"] == "mine"  # the yes is to the content of the file
        path.write_text(path.read_text() + "\n")
        assert "is another file than mine was imported from" in refused(capsys, "attack", str(cloud), "--model", "mine")

    def test_the_word_yes_is_enough(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_code(tmp_path / "mine.py")
        assert answer(capsys, "models", "import", f"{path}:Mine", "--trust-code", "yes")["name"] == "mine"

    def test_what_can_not_be_told_is_asked_with_the_option_to_say(
        self, tmp_path: Path, cloud: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "bare.pth"
        torch.save(published_pointnet().state_dict(), path)
        assert "--points 1024 or --points 2500" in refused(capsys, "attack", str(cloud), "--model", str(path))
        answer(capsys, "models", "import", str(path), "--points", "1024")
        self.attacked(capsys, cloud, "bare")


@pytest.mark.usefixtures("scripts_tried_here")
class TestList:
    def test_shipped_and_imported_models_and_what_is_wrong_with_one(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answer(capsys, "models", "import", str(save_script(Little(), tmp_path / "little.pt")), "--up=-y")
        kept = tmp_path / "XDG_DATA_HOME" / "pointward" / "models"
        (kept / "broken.pointward.json").write_text('{"name": "broken"}')
        listed = answer(capsys, "models")
        assert listed["pointnet-simple"]["dataset"] == "shapes16"
        assert (listed["little"]["up"], listed["little"]["architecture"]) == ("-y", "torchscript")
        assert listed["little"]["file"] == str(tmp_path / "little.pt")
        assert "is not the card of an imported model" in listed["broken"]["problem"]
        assert run(["models"]) == 0
        assert "architecture torchscript" in capsys.readouterr().out


class Proportions(nn.Module):
    """Balls, plates and cigars told apart by their spread along y over that along x, of clouds (B, 3, N) in a cube of
    side 1; whatever fills another cube is a ball to it. ``order`` says which output is which class."""

    def __init__(self, order: tuple[int, int, int] = (0, 1, 2)) -> None:
        super().__init__()
        self.register_buffer("centres", torch.tensor([0.0, -2.3, 2.3])[list(order)])
        self.register_buffer("balls", torch.tensor([9.0, 0.0, 0.0])[list(order)])

    def forward(self, clouds: Tensor) -> Tensor:
        spread = clouds.std(2)
        ratio = (spread[:, 1] / spread[:, 0]).log()[:, None]
        fits = ((clouds.abs().amax(2).amax(1) - 0.5).abs() < 0.01)[:, None]
        return torch.where(fits, -((ratio - self.centres) ** 2), self.balls.expand(len(clouds), 3))


@pytest.mark.usefixtures("scripts_tried_here")
class TestCheck:
    def searched(self, model: nn.Module, said: Frame, names: tuple[str, ...] | None) -> FrameSearch:
        search: FrameSearch = result(search_frame(probed(model, 64, "B3N").adapter, said, toy_dataset(), 64, names))
        return search

    def test_the_frame_that_a_model_was_made_for_is_found_and_proposed(self) -> None:
        search = self.searched(Proportions(), Frame(), CLASSES)
        assert search.best.frame == Frame(up="y", normalisation="cube", scale=0.5)
        assert search.best.accuracy.value == 1
        assert search.trials[0].frame == Frame()
        assert search.trials[0].accuracy.value == pytest.approx(1 / 3)
        assert search.proposal == "--up=y --normalisation=cube --scale=0.5"

    def test_nothing_is_proposed_where_what_was_said_is_best(self) -> None:
        search = self.searched(Proportions(), Frame(up="-y", normalisation="cube", scale=0.5), CLASSES)
        assert search.best is search.trials[0]
        assert search.proposal == ""

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
    def test_an_order_of_classes_is_proposed_where_outputs_have_no_names(self, order: tuple[int, int, int]) -> None:
        search = self.searched(Proportions(order), Frame(up="y", normalisation="cube", scale=0.5), None)
        assert search.best.accuracy.value == 1
        assert search.proposal == f"--classes {','.join(CLASSES[place] for place in order)}"

    def test_the_order_that_is_proposed_is_that_of_the_frame_it_is_proposed_with(self) -> None:
        given, other = Trial(Frame(), Rate(28, 48), (0, 1, 2)), Trial(Frame(up="y"), Rate(30, 48), (2, 0, 1))
        assert FrameSearch((given, other), CLASSES).proposal == f"--classes {','.join(CLASSES)}"
        clearly_better = replace(other, accuracy=Rate(47, 48))
        words = FrameSearch((given, clearly_better), CLASSES).proposal
        assert words == f"{clearly_better.frame.words()} --classes {CLASSES[2]},{CLASSES[0]},{CLASSES[1]}"

    def test_a_dataset_that_lies_on_its_side_is_put_upright_first(self) -> None:
        dataset = toy_dataset()
        turned = {
            name: replace(split, points=rotated(split.points, Orientation("z").rotation("x")))
            for name, split in dataset.splits.items()
        }
        lying = Dataset(dataset.card.model_copy(update={"up_axis": "x"}), turned)
        search: FrameSearch = result(
            search_frame(probed(Proportions(), 64, "B3N").adapter, Frame(), lying, 64, CLASSES)
        )
        assert search.best.frame.up == "y"

    def test_it_can_be_stopped(self) -> None:
        cancel = Cancel()
        events = search_frame(probed(Proportions(), 64, "B3N").adapter, Frame(), toy_dataset(), 64, CLASSES, cancel)
        first = next(events)
        assert isinstance(first, Progress)
        cancel.request()
        last = list(events)[-1]
        assert isinstance(last, Done)
        assert (last.value, last.complete) == (None, False)

    def test_it_is_part_of_an_import(self, tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = save_script(Proportions((2, 0, 1)), tmp_path / "theirs.pt")
        words = ("models", "import", str(path), "--points", "64", "--layout", "B3N", "--classes", "cigar,ball,plate")
        check = ("--check", "--dataset", "folder", "--data-root", str(shapes))
        report = answer(capsys, *words, *check)
        assert (report["best_accuracy"], report["clouds"], len(report["trials"])) == (1, 24, 37)
        assert report["proposal"] == "--up=y --normalisation=cube --scale=0.5"
        again = answer(capsys, *words, *report["proposal"].split(), *check)
        assert (again["accuracy"], again["proposal"]) == (1, "")
        evaluated = answer(
            capsys, "evaluate", "theirs", "--dataset", "folder", "--data-root", str(shapes), "--epsilon", "0.02"
        )
        assert evaluated["clean_accuracy"] == 1

    def test_too_few_points_or_another_number_of_classes_is_a_sentence(
        self, tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = save_script(Little(5), tmp_path / "five.pt")
        check = ("models", "import", str(path), "--check", "--dataset", "folder", "--data-root", str(shapes))
        assert "say --points" in refused(capsys, *check, "--points", "4096")
        assert "The model has 5 outputs, and folder 3 classes" in refused(capsys, *check, "--points", "64")
        assert "The model knows no class ball" in refused(capsys, *check, "--points", "64", "--classes", "a,b,c,d,e")


@pytest.mark.usefixtures("scripts_tried_here")
class TestEvaluate:
    def test_outputs_without_names_take_those_of_the_dataset_where_there_are_as_many(
        self, tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = save_script(Little(3), tmp_path / "little.pt")
        words = (str(path), "--dataset", "folder", "--data-root", str(shapes), "--points", "64")
        assert run(["evaluate", *words, "--json"]) == 0
        said = capsys.readouterr()
        sentence = "Nobody has named the 3 outputs of little: taken for ball, cigar, plate in that order."
        assert sentence in " ".join(said.err.split())
        assert json.loads(said.out)["n"] == 24
        assert "does not say what it was trained on: say with --dataset" in refused(capsys, "evaluate", str(path))
        assert "shows no latent" in refused(capsys, "tsne", *words, "--out", "map.pdf", "--clouds", "16")

    def test_another_number_of_outputs_is_asked_for_names(
        self, tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = save_script(Little(5), tmp_path / "five.pt")
        said = refused(capsys, "evaluate", str(path), "--dataset", "folder", "--data-root", str(shapes))
        assert "The model knows no class ball" in said
