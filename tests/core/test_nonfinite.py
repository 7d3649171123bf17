"""Logits that are not numbers are an error that names the model, wherever a model is asked."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core import live
from core.attacks import evaluate, preset
from core.clouds import Cloud
from core.commands import run
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.comparison import ComparisonOptions, compare
from core.evaluation.judge import evaluate_accuracy, judge
from core.evaluation.latents import LatentOptions, latent_map
from core.evaluation.make import make_set
from core.evaluation.onestep import FGSM, one_step
from core.evaluation.probe import probe
from core.evaluation.sweep import sweep
from core.evaluation.tsne import TsneOptions
from core.events import Event, result
from core.models import NonFiniteError, build, require_finite
from core.models.checkpoints import BEST, LoadedModel, load_model
from core.models.port import Output
from core.models.predict import predict
from core.runtime.opening import open_path
from core.studies.defense_pointnet.options import ReproduceOptions
from core.studies.defense_pointnet.reproduction import reproduce
from core.training.publish import install_weights
from tests.core.overflowing import overflowing_model
from tests.core.toys import CLASSES, toy_batch, toy_dataset, toy_run, toy_split

DATASET = toy_dataset()
SPLIT = DATASET.split("test")
ATTACK = preset("pgd", epsilon=0.1, steps=3, restarts=0)
OPTIONS = EvaluationOptions(points=32, clouds=12)

SAID = r"The model burnt gives logits that are not finite numbers for \d+ of \d+ clouds?, because it overflows: use"


@pytest.fixture(scope="module")
def burnt(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    model = load_model(overflowing_model(tmp_path_factory.mktemp("weights") / "burnt.safetensors", CLASSES))
    assert all(value.isfinite().all() for value in model.module.state_dict().values())
    return model


def sound() -> LoadedModel:
    torch.manual_seed(0)
    module = build("pointnet", len(CLASSES)).eval()
    return LoadedModel(module, _card("sound"), "0")


def _card(name: str) -> Any:
    from tests.core.test_checkpoints import card

    return card(name=name)


MEASURES: dict[str, Callable[[LoadedModel], Iterator[Event]]] = {
    "clean accuracy": lambda model: evaluate_accuracy(model.module, SPLIT, None, OPTIONS),
    "adversarial accuracy": lambda model: evaluate_accuracy(model.module, SPLIT, ATTACK, OPTIONS),
    "transfer to it": lambda model: judge(
        model.module, SPLIT, result(make_set(sound().module, SPLIT, ATTACK, OPTIONS)), OPTIONS
    ),
    "transfer from it": lambda model: make_set(model.module, SPLIT, ATTACK, OPTIONS),
    "one step": lambda model: one_step(model.module, SPLIT, FGSM, [("sign", 0.1)], OPTIONS),
    "sweep": lambda model: sweep(model.module, SPLIT, ATTACK, [0.1, 0.2], OPTIONS),
    "comparison": lambda model: compare([sound(), model], DATASET, ATTACK, ComparisonOptions(points=32, clouds=12)),
    "discriminator": lambda model: probe(model.module, DATASET, ATTACK, OPTIONS, 8),
    "latent map": lambda model: latent_map(
        model.module, SPLIT, ATTACK, LatentOptions(clouds=30, points=32), TsneOptions(perplexity=5)
    ),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_no_measure_takes_them_for_predictions(burnt: LoadedModel, measure: str) -> None:
    with pytest.raises(NonFiniteError, match=SAID):
        result(MEASURES[measure](burnt))


def test_neither_does_a_prediction_or_a_gradient(burnt: LoadedModel) -> None:
    with pytest.raises(NonFiniteError, match="for 30 of 30 clouds"):
        predict(burnt.module, SPLIT.points, 30)
    with pytest.raises(NonFiniteError, match="for 6 of 6 clouds"):
        evaluate(burnt.module, *toy_batch(), gradient=True)


def test_the_clouds_are_counted_and_a_model_without_a_name_is_one_too() -> None:
    model = build("pointnet", 2)
    logits = torch.tensor([[1.0, 2.0], [torch.inf, 0.0], [0.0, torch.nan]])
    with pytest.raises(NonFiniteError, match="The model gives logits that are not finite numbers for 2 of 3 clouds"):
        require_finite(model, logits)
    for fine in (logits[:1], torch.tensor([[3e38, -3e38]])):
        assert require_finite(model, fine) is fine
    with pytest.raises(NonFiniteError, match="for 1 of 1 cloud, because"):
        require_finite(model, logits[1:2])


def test_a_model_that_overflows_at_adversarial_clouds_alone_does_not_pass_for_robust() -> None:
    network = nn.Linear(3, 3)

    def model(clouds: torch.Tensor) -> Output:
        logits = network(clouds.mean(1))
        far = clouds.abs().amax((1, 2)) > 1.0  # beyond the unit sphere, where no clean cloud has a point
        return Output(logits + torch.where(far, torch.inf, 0.0)[:, None], logits)

    assert len(result(evaluate_accuracy(model, SPLIT, None, OPTIONS)).row) == 12
    with pytest.raises(NonFiniteError, match="gives logits that are not finite"):
        result(evaluate_accuracy(model, SPLIT, ATTACK.at(0.5), OPTIONS))


def test_neither_does_one_whose_gradients_alone_overflow() -> None:
    network = nn.Linear(3, 3)

    def model(clouds: torch.Tensor) -> Output:
        logits = network(clouds.mean(1))
        return Output(torch.where(logits < torch.inf, logits, logits * torch.inf), logits)

    assert len(result(evaluate_accuracy(model, SPLIT, None, OPTIONS)).row) == 12
    with pytest.raises(NonFiniteError, match="gives gradients that are not finite"):
        result(evaluate_accuracy(model, SPLIT, ATTACK, OPTIONS))


class TestStudio:
    def setup(self, *models: LoadedModel) -> live.Setup:
        return live.Setup(models, 0, ATTACK, Cloud(SPLIT.points[0], "ball 0", 0, "ball"))

    def test_says_which_of_the_models_on_the_screen_it_is(self, burnt: LoadedModel) -> None:
        for setup in (self.setup(burnt), self.setup(sound(), burnt)):
            with pytest.raises(NonFiniteError, match=SAID):
                live.begin(setup)
        assert result(live.attack(self.setup(sound()), 0.1)) is not None

    def test_names_it_as_the_list_does(self, burnt: LoadedModel) -> None:
        renamed = LoadedModel(burnt.module, burnt.card.model_copy(update={"name": "burnt 2"}), "0")
        with pytest.raises(NonFiniteError, match="The model burnt 2 gives"):
            live.begin(self.setup(renamed))
        LoadedModel(burnt.module, burnt.card, "0")

    def test_does_not_open_it(self, burnt: LoadedModel) -> None:
        assert burnt.path is not None
        with pytest.raises(NonFiniteError, match=SAID):
            open_path(burnt.path)


class TestCommands:
    @pytest.fixture
    def shapes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder dataset."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        split = toy_split(90)
        for points, label, name in zip(split.points, split.labels, split.names, strict=True):
            (tmp_path / "shapes" / CLASSES[label]).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / "shapes" / CLASSES[label] / f"{name}.npy", points)
        return tmp_path / "shapes"

    @pytest.mark.parametrize("command", ["attack", "evaluate", "tsne"])
    def test_exit_with_1_and_the_sentence(
        self, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        model = str(overflowing_model(tmp_path / "burnt.safetensors", tuple(sorted(CLASSES))))
        of_dataset = ["--dataset", "folder", "--data-root", str(shapes)]
        words = {
            "attack": ["attack", str(next(shapes.glob("*/*.npy"))), "--model", model],
            "evaluate": ["evaluate", model, *of_dataset],
            "tsne": ["tsne", model, *of_dataset, "--clouds", "16", "--out", str(tmp_path / "map.svg")],
        }[command]
        assert run(words) == 1
        printed = capsys.readouterr()
        assert "The model burnt gives logits that are not finite" in " ".join(printed.err.split())
        assert printed.out == ""
        assert not (tmp_path / "map.svg").exists()


def test_a_reproduction_names_the_run(tmp_path: Path) -> None:
    dataset = toy_dataset(96, 60)
    options = ReproduceOptions.model_validate({"pgd_steps": 2, "map_clouds": 40, "regimes": ["simple"]})
    training = {"epochs": 1, "batch_size": 16, "points": 32, "device": "cpu"}
    run_folder = tmp_path / "found" / "mine"
    toy_run(run_folder, dataset, epochs=1)
    burnt = overflowing_model(tmp_path / "mine.safetensors", CLASSES, points=32)
    (run_folder / BEST).write_bytes(burnt.read_bytes())
    with pytest.raises(NonFiniteError, match="The model mine gives logits"):
        result(reproduce(dataset, options, training, tmp_path / "out", runs=[run_folder]))


def test_such_weights_do_not_become_a_model_that_comes_with_the_program(tmp_path: Path) -> None:
    path = overflowing_model(tmp_path / "mine.safetensors", CLASSES, points=32)
    with pytest.raises(NonFiniteError):
        result(install_weights(path, DATASET, "new", "New"))


@pytest.mark.parametrize("regime", ["simple", "trades"])
def test_a_training_that_diverges_says_so_and_keeps_the_epochs_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regime: str
) -> None:
    folder = tmp_path / "run"
    toy_run(folder, epochs=1, regime=regime)
    before = (folder / "last.safetensors").read_bytes()

    def burn(learner: Any, *_: object) -> None:
        with torch.no_grad():
            learner.model.classifier[-1].weight.fill_(3e38)

    monkeypatch.setattr("core.training.learner.Learner._gradient_step", burn)
    with pytest.raises(ValueError, match="The training diverged, its numbers are no longer finite: lower the learning"):
        toy_run(folder, resume=True, epochs=2, regime=regime)
    assert (folder / "last.safetensors").read_bytes() == before
    monkeypatch.undo()
    assert toy_run(folder, resume=True, epochs=2, regime=regime).epochs == 2
