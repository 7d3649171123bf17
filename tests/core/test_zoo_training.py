"""The zoo of the transfer study: one recipe for all, ended and gone on with at any time."""

from pathlib import Path

import pytest
import torch

from core.commands import run
from core.events import Cancel, Done, Epoch, Event, Progress
from core.models import ARCHITECTURES
from core.models.checkpoints import LAST, load_training, read_card
from core.studies.transferability.zoo import MEMBERS, RECIPE, train_zoo
from core.training import TrainOptions
from tests.core.test_cli import answer, private_cache, shapes
from tests.core.toys import toy_dataset

__all__ = ["private_cache", "shapes"]  # fixtures

SMALL = {"epochs": 2, "batch_size": 12, "points": 32, "device": "cpu", "seed": 3}
NAMES = ["pointnet-transform", "pointnet"]


def test_all_have_the_recipe_and_differ_in_the_model_and_the_regime_alone() -> None:
    plain = TrainOptions.model_validate(RECIPE)
    for member in MEMBERS.values():
        options = member.options({})
        assert options.model in ARCHITECTURES
        unlike = {name for name, value in options.model_dump().items() if value != getattr(plain, name)}
        attack = {"attack_steps", "attack_optimiser", "attack_random_start", "epsilon"}
        assert unlike <= {"model", "model_options"} | ({"regime"} | attack if options.regime != "simple" else set())
    assert sum(member.role == "surrogate" for member in MEMBERS.values()) == 4


@pytest.fixture(scope="module")
def unbroken(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, list(train_zoo(toy_dataset(), NAMES, SMALL, folder))


def test_the_cheapest_is_trained_first_with_what_the_person_changed(unbroken: tuple[Path, list[Event]]) -> None:
    _, events = unbroken
    done = events[-1]
    assert isinstance(done, Done)
    assert done.complete
    assert list(done.value) == ["pointnet", "pointnet-transform"]
    for name, found in done.value.items():
        card = read_card(found.folder / "best.safetensors")
        assert (card.seed, card.points) == (3, 32)
        assert card.options["feature_transform"] is (name == "pointnet-transform")
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    assert {step.text.split(":")[0] for step in steps} == set(NAMES)
    assert sum(isinstance(event, Epoch) for event in events) == 4


@pytest.mark.parametrize("epochs", [1, 3], ids=["in the first model", "in the second"])
def test_ended_and_called_again_it_ends_with_the_same_weights(
    tmp_path: Path, unbroken: tuple[Path, list[Event]], epochs: int
) -> None:
    cancel, seen = Cancel(), 0
    for event in train_zoo(toy_dataset(), NAMES, SMALL, tmp_path, cancel):
        seen += isinstance(event, Epoch)
        if seen == epochs:
            cancel.request()
    assert isinstance(event, Done)
    assert not event.complete
    again = list(train_zoo(toy_dataset(), NAMES, SMALL, tmp_path))
    assert sum(isinstance(each, Epoch) for each in again) == 4 - epochs
    for name in NAMES:
        whole, ended = (load_training(folder / name / LAST)[1] for folder in (unbroken[0], tmp_path))
        assert all(torch.equal(value, ended[key]) for key, value in whole.items())


def test_the_command_trains_what_is_named(
    shapes: Path, private_cache: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["zoo", "train", "--dataset", "folder", "--data-root", str(shapes), "--models", "pointnet", "--epochs", "1"]
    report = answer(capsys, *words, "--points", "32", "--batch-size", "8", "--out", str(tmp_path / "zoo"))
    assert report["complete"] is True
    assert report["pointnet"]["epochs"] == 1
    assert read_card(tmp_path / "zoo/pointnet/best.safetensors").epochs == 1


def test_the_command_lists_them_and_refuses_others(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    listed = answer(capsys, "zoo")
    assert listed.keys() >= MEMBERS.keys()
    assert run(["zoo", "train", "--models", "pointnet,vgg", "--out", str(tmp_path / "zoo")]) == 2
    assert "no model 'vgg' in the zoo; there are pointnet," in capsys.readouterr().err
    assert not (tmp_path / "zoo").exists()
