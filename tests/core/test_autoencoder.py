"""The autoencoder: its loss, its training, its files, and AdvPC, which attacks through it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.spatial import cKDTree
from torch import Tensor, nn

from core.attacks import State, evaluate, preset
from core.attacks.reconstruction import ReconstructionAttack
from core.events import Cancel, Done, Epoch, Progress, result
from core.models import Output
from core.models.autoencoder import Autoencoder, AutoencoderOptions, chamfer_loss
from core.models.autoencoder_files import (
    AutoencoderCard,
    add_autoencoder,
    autoencoder_for,
    load_autoencoder,
    save_autoencoder,
)
from core.models.checkpoints import builtin_models, load_model
from core.models.port import give_training_data
from core.runtime.files import FormatError
from core.training.autoencoder import STATE, AutoencoderTraining, chamfer_of, train_autoencoder
from tests.core.toys import CLASSES, attacked, settled_pointnet, shapes16_split, toy_batch, toy_dataset, toy_split

N = 20
SMALL = AutoencoderOptions(points=48, latent=16, width=32)
OPTIONS = AutoencoderTraining(epochs=3, batch_size=16, points=32, model=SMALL)


def card(**changes: Any) -> AutoencoderCard:
    values = {"dataset": "toys", "fingerprint": "0", "classes": CLASSES, "up_axis": "z", "options": SMALL}
    values |= {"epochs": 3, "seed": 0, "command": "train", "created": "2026-01-01"}
    return AutoencoderCard.model_validate(values | changes)


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    torch.manual_seed(0)
    model = Autoencoder(SMALL)
    for seed in range(3):
        model(toy_batch(8, 64, seed)[0])
    return model.eval()


@pytest.fixture
def file(tmp_path: Path, trained: Autoencoder) -> Path:
    save_autoencoder(tmp_path / "toys.safetensors", trained, card())
    return tmp_path / "toys.safetensors"


class TestLoss:
    @pytest.mark.parametrize(("m", "n"), [(1, 7), (30, 20), (20, 20)])
    def test_is_the_chamfer_distance_of_a_tree(self, m: int, n: int) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(3, m, 3)), rng.normal(size=(3, n, 3))
        expected = [
            (cKDTree(b).query(a)[0] ** 2).mean() + (cKDTree(a).query(b)[0] ** 2).mean()
            for a, b in zip(x, y, strict=True)
        ]
        np.testing.assert_allclose(chamfer_loss(torch.from_numpy(x), torch.from_numpy(y)), expected)

    def test_its_gradient_is_right(self) -> None:
        x, y = (torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(k)).double() for k in range(2))
        assert torch.autograd.gradcheck(lambda each: chamfer_loss(each, y), x.requires_grad_())

    def test_a_reconstruction_does_not_depend_on_the_order_of_points(self, trained: Autoencoder) -> None:
        x, _ = toy_batch(3, 64)
        order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
        assert trained(x).shape == (3, 48, 3)
        torch.testing.assert_close(trained(x[:, order]), trained(x))


class TestTraining:
    def test_a_killed_one_goes_on_to_the_weights_of_an_unbroken_one(self, tmp_path: Path) -> None:
        dataset = toy_dataset()
        whole = list(train_autoencoder(dataset, OPTIONS, tmp_path / "whole"))
        epochs = [event.metrics for event in whole if isinstance(event, Epoch)]
        assert epochs[-1]["validation_chamfer"] < epochs[0]["validation_chamfer"]
        cancel = Cancel()
        for event in train_autoencoder(dataset, OPTIONS, tmp_path / "part", cancel):
            if isinstance(event, Epoch):
                cancel.request()
        assert isinstance(event, Done)
        assert not event.complete
        again = list(train_autoencoder(dataset, OPTIONS, tmp_path / "part"))
        assert [event.index for event in again if isinstance(event, Epoch)] == [2, 3]
        for name, value in result(iter(again)).state_dict().items():
            assert torch.equal(value, result(iter(whole)).state_dict()[name])
        finished = list(train_autoencoder(dataset, OPTIONS, tmp_path / "part"))
        assert not any(isinstance(event, Progress) for event in finished)

    def test_the_state_of_another_training_or_a_damaged_one_is_refused(self, tmp_path: Path) -> None:
        result(train_autoencoder(toy_dataset(), OPTIONS, tmp_path))
        with pytest.raises(FormatError, match="other options or data"):
            result(train_autoencoder(toy_dataset(), AutoencoderTraining(epochs=4, model=SMALL), tmp_path))
        (tmp_path / STATE).write_bytes(b"nothing")
        with pytest.raises(FormatError, match="damaged"):
            result(train_autoencoder(toy_dataset(), OPTIONS, tmp_path))

    def test_the_measure_is_the_mean_over_clouds(self, trained: Autoencoder) -> None:
        points = toy_split(70).points
        clouds = torch.from_numpy(np.array(points))
        with torch.no_grad():
            expected = chamfer_loss(trained(clouds[:, :32]), clouds).mean().item()
        assert chamfer_of(trained, points, np.arange(70), 32) == pytest.approx(expected)


class TestFiles:
    def test_comes_back_as_it_was_but_for_rounding(self, file: Path, trained: Autoencoder) -> None:
        model, found = load_autoencoder(file)
        assert found == card()
        x, _ = toy_batch(3, 64)
        torch.testing.assert_close(model(x), trained(x), rtol=0.01, atol=0.01)
        assert not any(weight.requires_grad for weight in model.parameters())

    def test_damaged_ones_are_one_sentence(self, file: Path, tmp_path: Path) -> None:
        whole = file.read_bytes()
        tensors = {name: value.clone() for name, value in load_file(file).items()}  # not of the file that is damaged
        for content, sentence in (
            (b"", "not a whole safetensors file"),
            (whole[:5000], "not a whole safetensors file"),
        ):
            file.write_bytes(content)
            with pytest.raises(ValueError, match=sentence):
                load_autoencoder(file)
        save_file(tensors, file)
        with pytest.raises(ValueError, match="no card of an autoencoder"):
            load_autoencoder(file)
        name = "decoder.0.bias"
        for wrong, sentence in (
            (torch.zeros(3), "not those of the autoencoder"),
            (torch.full((32,), torch.nan), "not finite"),
            (torch.zeros(32, dtype=torch.int64), "not of their type"),
        ):
            save_file(tensors | {name: wrong}, file, {"autoencoder": card().model_dump_json()})
            with pytest.raises(ValueError, match=sentence):
                load_autoencoder(file)
        huge = card().model_copy(update={"options": AutoencoderOptions(points=100_000, latent=4096, width=4096)})
        save_file(tensors, file, {"autoencoder": huge.model_dump_json()})
        with pytest.raises(ValueError, match="not those of the autoencoder"):  # before its 5 GB are allocated
            load_autoencoder(file)
        with pytest.raises(ValueError, match="there is no such file"):
            load_autoencoder(tmp_path / "nothing.safetensors")

    def test_a_stranger_among_those_of_the_program_is_not_trusted(
        self, tmp_path: Path, trained: Autoencoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.models.autoencoder_files.WEIGHTS", tmp_path)
        path = add_autoencoder("autoencoder-toys", trained, card())
        model = settled_pointnet(N)
        for dataset, classes in (("toys", ()), (None, CLASSES)):
            give_training_data(model, dataset, classes)
            assert isinstance(autoencoder_for(model, like=torch.zeros(1)), Autoencoder)
        give_training_data(model, "others", ("a", "b"))
        with pytest.raises(ValueError, match="none is installed for others"):
            autoencoder_for(model, like=torch.zeros(1))
        save_autoencoder(path, trained, card(epochs=4))
        with pytest.raises(ValueError, match="its SHA-256 differs"):
            load_autoencoder(path)

    @pytest.mark.parametrize("name", builtin_models())
    def test_every_shipped_model_has_one_that_reconstructs_its_shapes(self, name: str) -> None:
        loaded = load_model(builtin_models()[name])
        found = autoencoder_for(loaded.module, like=torch.zeros(1))
        assert autoencoder_for(loaded.module, like=torch.zeros(1)) is found
        if loaded.card.dataset == "shapes16":
            split = shapes16_split(16, 512)
            clouds = torch.from_numpy(np.array(split.points))
            assert (
                chamfer_loss(found(clouds), clouds).mean() < chamfer_loss(found(clouds.roll(1, 0)), clouds).mean() / 3
            )


class TestAdvPC:
    @pytest.fixture
    def model(self) -> nn.Module:
        return settled_pointnet(N)

    def test_the_objective_is_the_mean_over_the_cloud_and_its_reconstruction(
        self, model: nn.Module, file: Path
    ) -> None:
        x, y = toy_batch(4, N)
        x = x.double()
        attack = preset("advpc", autoencoder=str(file), reconstruction_share=0.4, steps=3)
        state = attack.start(model, x, y)
        autoencoder = load_autoencoder(file)[0].double()

        def margin(clouds: Tensor) -> Tensor:
            logits = model(clouds).logits
            own = logits.gather(1, y[:, None])[:, 0]
            return logits.masked_fill(nn.functional.one_hot(y, 3).bool(), -torch.inf).amax(1) - own

        points = x.clone().requires_grad_()
        value = 0.6 * margin(points) + 0.4 * margin(autoencoder(points))
        assert state.evaluation is not None
        torch.testing.assert_close(state.evaluation.objective, value.detach())
        torch.testing.assert_close(state.evaluation.gradient, torch.autograd.grad(value.sum(), points)[0])

    def test_without_a_share_it_is_the_attack_on_the_cloud_alone(self, model: nn.Module, file: Path) -> None:
        x, y = toy_batch(4, N)
        row = preset("advpc", autoencoder=str(file), reconstruction_share=0.0, steps=5)
        plain = preset("knn", regulariser_weight=0.0, steps=5)
        found, expected = (attacked(each, model, x.double(), y) for each in (row, plain))
        torch.testing.assert_close(found.adversarial, expected.adversarial)
        assert torch.equal(found.forwards, expected.forwards)

    def test_passes_of_both_clouds_are_counted(self, file: Path) -> None:
        asked = 0
        inner = settled_pointnet(N)

        def model(clouds: Tensor) -> Output:
            nonlocal asked
            asked += 1
            output: Output = inner(clouds)
            return output

        x, y = toy_batch(4, N)
        state: State = attacked(preset("advpc", autoencoder=str(file), steps=4), model, x.double(), y)
        assert state.forwards.tolist() == [asked - 1] * 4, "the start counts the clean cloud once"
        assert isinstance(preset("advpc"), ReconstructionAttack)
        assert preset("advpc").gradients_a_step == 2

    def test_without_an_autoencoder_one_sentence_says_so(self, model: nn.Module, tmp_path: Path) -> None:
        x, y = toy_batch(4, N)
        give_training_data(model, None, ("a", "b", "c"))
        with pytest.raises(ValueError, match="needs an autoencoder of the shapes"):
            attacked(preset("advpc"), model, x.double(), y)
        with pytest.raises(ValueError, match="there is no such file"):
            attacked(preset("advpc", autoencoder=str(tmp_path / "none")), model, x.double(), y)

    def test_of_a_shipped_model_the_reconstruction_is_fooled_more_often_than_without_it(self) -> None:
        loaded, split = load_model(builtin_models()["pointnet-simple"]), shapes16_split(16, 256)
        x, y = torch.from_numpy(np.array(split.points)), torch.from_numpy(split.labels)
        margins = []
        for share in (0.0, 0.9):
            attack = preset("advpc", reconstruction_share=share, steps=15, epsilon=0.1, keep="last")
            state = attacked(attack, loaded.module, x, y)
            other = autoencoder_for(loaded.module, like=x)(state.current)
            margins.append(evaluate(loaded.module, other, y, gradient=False).loss.mean())
        assert margins[1] > margins[0]
