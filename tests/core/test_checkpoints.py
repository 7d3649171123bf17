import errno
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from core.attacks import preset
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.auto import AutoAttack, auto_set
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.make import COLUMNS
from core.evaluation.set_folder import SetFolder, SetRecord
from core.events import result
from core.models import build, checkpoints
from core.models.checkpoints import (
    ModelCard,
    builtin_models,
    load_model,
    load_training,
    read_card,
    resolve_model,
    save_builtin,
    save_model,
)
from core.runtime.files import FormatError
from core.studies.transferability.zoo import member_file
from core.training.publish import install_auto, install_weights
from tests.core.toys import CLASSES, toy_batch, toy_dataset


def card(**changes: Any) -> ModelCard:
    values = {
        "name": "toy",
        "title": "A toy",
        "architecture": "pointnet",
        "classes": CLASSES,
        "regime": "simple",
        "points": 64,
        "dataset": "toys",
        "fingerprint": "0123456789abcdef",
        "up_axis": "z",
        "seed": 0,
        "epochs": 1,
    }
    return ModelCard.model_validate(values | changes)


@pytest.fixture
def model() -> nn.Module:
    """A PointNet whose running statistics are not the initial ones."""
    torch.manual_seed(0)
    module = build("pointnet", 3)
    for _ in range(20):
        module(toy_batch()[0])
    return module


@pytest.fixture
def weights(tmp_path: Path, model: nn.Module) -> Path:
    save_model(tmp_path / "toy.safetensors", model, card())
    return tmp_path / "toy.safetensors"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the built-in models."""
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path / "weights")
    return tmp_path / "weights"


def test_a_saved_model_comes_back_with_its_weights_and_its_card_in_eval_mode(weights: Path, model: nn.Module) -> None:
    loaded = load_model(weights)
    assert loaded.name == "toy"
    assert loaded.card == card(created=loaded.card.created)
    assert read_card(weights) == loaded.card
    assert not any(module.training for module in loaded.module.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[name], value)
    x, _ = toy_batch()
    assert torch.equal(loaded.module(x).logits, model.eval()(x).logits)


def test_half_precision_halves_the_file_and_changes_predictions_little(tmp_path: Path, model: nn.Module) -> None:
    half, full = tmp_path / "half.safetensors", tmp_path / "full.safetensors"
    save_model(half, model, card(), half=True)
    save_model(full, model, card())
    assert half.stat().st_size < 0.52 * full.stat().st_size
    loaded = load_model(half)
    assert loaded.card.dtype == "float16"
    assert {value.dtype for value in loaded.module.state_dict().values()} == {torch.float32, torch.int64}
    for name, value in model.named_buffers():
        assert torch.equal(loaded.module.get_buffer(name), value)
    x, _ = toy_batch()
    torch.testing.assert_close(loaded.module(x).logits, model.eval()(x).logits, rtol=0.01, atol=0.01)


def test_training_state_travels_in_the_same_file_and_does_not_disturb_the_model(
    tmp_path: Path, model: nn.Module
) -> None:
    path = tmp_path / "last.safetensors"
    save_model(path, model, card(), training={"adam/0/0/step": torch.tensor(7.0)})
    _, weights, state = load_training(path)
    assert state == {"adam/0/0/step": torch.tensor(7.0)}
    assert weights.keys() == model.state_dict().keys()
    assert load_model(path).card.epochs == 1


def test_a_failed_write_leaves_the_old_file(weights: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    before = weights.read_bytes()

    whole = Path.write_bytes

    def torn(path: Path, content: bytes) -> None:
        whole(path, content[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(OSError, match="No space left on device") as error:
        save_model(weights, model, card())
    assert error.value.filename == str(weights)
    assert weights.read_bytes() == before
    assert list(weights.parent.iterdir()) == [weights]


class TestDamagedFiles:
    def refused(self, path: Path) -> str:
        with pytest.raises(ValueError, match=path.name) as error:
            load_model(path)
        assert "\n" not in str(error.value)
        return str(error.value)

    def rewritten(self, weights: Path, meta: dict[str, Any] | None = None, **tensors: torch.Tensor | None) -> Path:
        changed = load_file(weights) | tensors
        header = {"card": json.dumps(json.loads(card().model_dump_json()) | (meta or {}))}
        save_file({name: value for name, value in changed.items() if value is not None}, weights, header)
        return weights

    def test_missing(self, tmp_path: Path) -> None:
        assert "there is no such file" in self.refused(tmp_path / "none.safetensors")

    @pytest.mark.parametrize("length", [0, 5, 200, -1])
    def test_truncated(self, weights: Path, length: int) -> None:
        weights.write_bytes(weights.read_bytes()[:length])
        assert "not a whole safetensors file" in self.refused(weights)

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        (tmp_path / "model.bin").write_bytes(b"PK\x03\x04" + bytes(100))
        assert "not a whole safetensors file" in self.refused(tmp_path / "model.bin")

    def test_a_header_that_claims_too_much(self, weights: Path) -> None:
        weights.write_bytes(struct.pack("<Q", 2**62) + weights.read_bytes()[8:])
        assert "not a whole safetensors file" in self.refused(weights)

    def test_weights_without_a_card(self, weights: Path) -> None:
        save_file(load_file(weights), weights)
        assert "carries no valid model card" in self.refused(weights)

    def test_a_card_with_a_wrong_field(self, weights: Path) -> None:
        assert "valid model card: epochs: input should be" in self.refused(self.rewritten(weights, {"epochs": -1}))

    def test_an_unknown_architecture_or_option(self, weights: Path) -> None:
        assert "There is no architecture 'resnet'" in self.refused(self.rewritten(weights, {"architecture": "resnet"}))
        assert "do not fit pointnet: dropout" in self.refused(self.rewritten(weights, {"options": {"dropout": 7}}))

    def test_another_number_of_classes(self, weights: Path) -> None:
        sentence = self.refused(self.rewritten(weights, {"classes": ["a", "b"]}))
        assert "classifier.7.bias is (3,), and a pointnet of 2 classes has (2,)" in sentence

    def test_a_missing_and_a_surplus_tensor(self, weights: Path) -> None:
        name = "first.linear.bias"
        assert f"{name} is absent, and a pointnet of 3 classes has (64,)" in self.refused(
            self.rewritten(weights, **{name: None})
        )
        self.rewritten(weights, **{name: torch.zeros(64), "extra": torch.zeros(2)})
        assert "extra is (2,), and a pointnet of 3 classes has absent" in self.refused(weights)

    @pytest.mark.parametrize(
        ("name", "tensor"),
        [
            ("first.linear.bias", torch.zeros(64, dtype=torch.complex64)),
            ("first.linear.bias", torch.zeros(64, dtype=torch.int32)),
            ("first.linear.bias", torch.zeros(64).to(torch.float8_e4m3fn)),
            ("first.norm.running_var", torch.full((64,), -1.0)),
        ],
    )
    def test_weights_that_no_model_can_have(self, weights: Path, name: str, tensor: torch.Tensor) -> None:
        self.rewritten(weights, **{name: tensor})
        assert f"{name} is {tensor.dtype} or holds what no pointnet can" in self.refused(weights)

    def test_weights_that_are_not_finite(self, weights: Path) -> None:
        self.rewritten(weights, **{"first.linear.bias": torch.full((64,), torch.nan)})
        assert "first.linear.bias holds values that are not finite" in self.refused(weights)


class TestBuiltinModels:
    def test_those_of_the_zoo_are_found_by_name_but_are_not_loaded_with_their_dataset(
        self, shipped: Path, model: nn.Module
    ) -> None:
        save_builtin(model, card(name="toys-pointnet"), zoo=True)
        path = save_builtin(model, card(name="toys-pointnet", title="measured again"))
        other = save_builtin(model, card(name="pointnet-toy"))
        assert builtin_models() == {"pointnet-toy": other}
        assert builtin_models(zoo=True) == {"toys-pointnet": path, "pointnet-toy": other}
        assert resolve_model("toys-pointnet") == path
        assert member_file("pointnet", "toys") == path
        assert member_file("dgcnn", "toys") is None

    def test_are_listed_by_name_and_verified_by_checksum(self, shipped: Path, model: nn.Module) -> None:
        assert builtin_models() == {}
        path = save_builtin(model, card(name="pointnet-toy"))
        assert builtin_models() == {"pointnet-toy": path}
        assert resolve_model("pointnet-toy") == path
        assert load_model(path).card.dtype == "float16"

        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match="its SHA-256 differs"):
            load_model(path)

    def test_a_stranger_among_them_is_not_trusted(self, shipped: Path, model: nn.Module) -> None:
        save_model(shipped / "stranger.safetensors", model, card())
        with pytest.raises(ValueError, match="is not the one in index"):
            load_model(shipped / "stranger.safetensors")

    def test_a_run_becomes_one_with_metrics_measured_after_rounding(
        self, shipped: Path, tmp_path: Path, model: nn.Module
    ) -> None:
        save_model(tmp_path / "run/best.safetensors", model, card(epochs=3))
        dataset = toy_dataset()
        path = result(install_weights(tmp_path / "run", dataset, "pointnet-toy", "PointNet of toys"))
        loaded = load_model(resolve_model("pointnet-toy"))
        report = result(evaluate_accuracy(loaded.module, dataset.split("test"), None, EvaluationOptions(points=64)))
        assert (loaded.card.title, loaded.card.epochs) == ("PointNet of toys", 3)
        assert loaded.card.metrics["test_clean"] == report.clean.accuracy.value
        assert loaded.card.metrics["test_clouds"] == 30
        assert {"test_fgsm_0.05", "test_fgsm_0.1", "test_pgd-20_0.05"} < loaded.card.metrics.keys()
        assert loaded.card.metrics["test_points"] == 64
        assert not any(name.endswith("without_copies") for name in loaded.card.metrics)
        assert "ball, plate, cigar" in path.with_suffix(".md").read_text()

    def test_one_measured_again_keeps_its_weights_and_is_measured_without_copies_too(
        self, shipped: Path, model: nn.Module
    ) -> None:
        first = load_model(save_builtin(model, card(name="pointnet-toy", title="PointNet of toys", points=32)))
        dataset = toy_dataset()
        object.__setattr__(dataset.split("test"), "copies", np.arange(3, 30))
        path = result(
            install_weights(shipped / "pointnet-toy.safetensors", dataset, "pointnet-toy", "PointNet of toys")
        )
        again = load_model(resolve_model("pointnet-toy"))
        for name, value in first.module.state_dict().items():
            assert torch.equal(again.module.state_dict()[name], value)
        assert again.card.created == first.card.created
        metrics, options = again.card.metrics, EvaluationOptions(points=64)
        assert metrics["test_points"] == 64  # as many as there are, though it was trained on 32
        assert metrics["test_copies_of_train"] == 27
        report = result(evaluate_accuracy(again.module, dataset.split("test"), preset("fgsm"), options))
        assert report.adversarial is not None
        for suffix, places in (("", slice(None)), ("_without_copies", slice(3))):
            assert metrics[f"test_clean{suffix}"] == report.clean.correct[places].mean()
            assert metrics[f"test_fgsm_0.1{suffix}"] == report.adversarial.correct[places].mean()
        assert "| Test copies of train | 27 |" in path.with_suffix(".md").read_text()

    def test_one_of_the_zoo_is_measured_on_as_many_points_as_it_was_trained_on(
        self, shipped: Path, tmp_path: Path, model: nn.Module
    ) -> None:
        save_model(tmp_path / "run/best.safetensors", model, card(points=32))
        path = result(install_weights(tmp_path / "run", toy_dataset(), "toys-pointnet", "PointNet of toys", zoo=True))
        assert load_model(path).card.metrics["test_points"] == 32
        assert builtin_models() == {}

    def test_what_auto_leaves_enters_its_card_from_sets_made_on_it_and_from_no_others(
        self, shipped: Path, tmp_path: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.evaluation.auto.STAGES", {"apgd-ce": {"steps": 10}})
        loaded = load_model(save_builtin(model, card(name="pointnet-toy", title="PointNet of toys")))
        dataset = toy_dataset(test=4)
        test = dataset.split("test")
        object.__setattr__(test, "copies", np.arange(2, 4))
        attacked = {}
        for epsilon in (0.05, 0.1):
            attack, folder = AutoAttack(epsilon=epsilon), SetFolder(tmp_path / f"{epsilon}", COLUMNS)
            options = EvaluationOptions(points=64)
            record = SetRecord(
                preset="auto", attack=attack.model_dump(), surrogate="pointnet-toy", weights=loaded.sha256,
                dataset="toys", fingerprint=dataset.card.fingerprint, evaluation=options.model_dump(),
            )  # fmt: skip
            folder.begin(record, {})
            attacked[epsilon] = result(auto_set(loaded.module, test, attack, options, parts=folder))
            if epsilon == 0.05:
                with pytest.raises(FormatError, match=r"no complete set of auto on pointnet-toy"):
                    install_auto("pointnet-toy", [folder.folder], dataset)
            folder.end()
        path = install_auto("pointnet-toy", [tmp_path / "0.05", tmp_path / "0.1"], dataset)
        again = load_model(path)
        for name, value in loaded.module.state_dict().items():
            assert torch.equal(again.module.state_dict()[name], value)
        for epsilon, made in attacked.items():
            assert again.card.metrics[f"test_auto_{epsilon:g}"] == 1 - made.success.mean()
            assert again.card.metrics[f"test_auto_{epsilon:g}_without_copies"] == 1 - made.success[:2].mean()
        assert "| Test auto 0.05 |" in path.with_suffix(".md").read_text()
        with pytest.raises(FormatError, match=r"no complete set of auto on pointnet-toy"):
            install_auto("pointnet-toy", [tmp_path / "0.05"], dataset)  # its file is another one now
        measured = load_model(result(install_weights(path, dataset, "pointnet-toy", "PointNet of toys")))
        assert measured.card.metrics["test_auto_0.1"] == again.card.metrics["test_auto_0.1"]

    def test_auto_of_another_number_of_points_than_the_cards_accuracies_is_refused(
        self, shipped: Path, tmp_path: Path, model: nn.Module
    ) -> None:
        loaded = load_model(save_builtin(model, card(name="pointnet-toy", metrics={"test_points": 32})))
        dataset, attack = toy_dataset(test=2), AutoAttack(epsilon=0.1)
        options, folder = EvaluationOptions(points=64), SetFolder(tmp_path / "set", COLUMNS)
        record = SetRecord(
            preset="auto", attack=attack.model_dump(), surrogate="pointnet-toy", weights=loaded.sha256,
            dataset="toys", fingerprint=dataset.card.fingerprint, evaluation=options.model_dump(),
        )  # fmt: skip
        folder.begin(record, {})
        result(auto_set(loaded.module, dataset.split("test"), attack, options, parts=folder))
        folder.end()
        with pytest.raises(FormatError, match=r"its clouds have 64 points, and the card's accuracies are of 32"):
            install_auto("pointnet-toy", [folder.folder], dataset)


class TestResolve:
    def test_accepts_a_file_and_a_runs_folder(self, tmp_path: Path, weights: Path, model: nn.Module) -> None:
        assert resolve_model(weights) == weights
        assert resolve_model(str(weights)) == weights
        save_model(tmp_path / "run/best.safetensors", model, card())
        assert resolve_model(tmp_path / "run") == tmp_path / "run/best.safetensors"

    def test_names_what_there_is_otherwise(self, shipped: Path, tmp_path: Path, model: nn.Module) -> None:
        save_builtin(model, card(name="pointnet-toy"))
        with pytest.raises(ValueError, match=r"no model 'pointnet-toi': give a built-in one \(pointnet-toy\)"):
            resolve_model("pointnet-toi")
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=r"it has no best\.safetensors"):
            resolve_model(tmp_path / "empty")
