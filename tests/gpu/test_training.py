"""Trainings on the device: every regime of the first paper in each precision, and what becomes of their runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.events import Cancel, Epoch, result
from core.models.checkpoints import BEST, load_model, load_training
from core.models.predict import predict
from core.results.records import read_jsonl
from core.training import train
from core.training.runs import METRICS
from tests.core.toys import toy_dataset, toy_options, toy_split
from tests.gpu import DEVICE

REGIMES = ("simple", "adversarial", "defense")
PRECISIONS = {"32-true": 0.02, "tf32": 0.05, "bf16-mixed": 0.2}
"""And by how much, as a share, the first epoch's loss may differ from that of the CPU in single precision."""


@pytest.fixture(scope="module")
def first_losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """On clean clouds in the first epoch of each regime, on the CPU in single precision."""
    folder = tmp_path_factory.mktemp("cpu")
    return {regime: first_loss(folder / regime, regime=regime, epochs=1, device="cpu") for regime in REGIMES}


def first_loss(folder: Path, **changes: object) -> float:
    """Train without dropout, whose random numbers are the device's own; the loss on clean clouds of the first epoch."""
    options = toy_options(model_options={"dropout": 0.0}, **changes)
    result(train(toy_dataset(), options, folder))
    return float(read_jsonl(folder / METRICS)[0]["loss_clean"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("regime", REGIMES)
def test_a_regime_learns_in_each_precision(
    regime: str, precision: str, tmp_path: Path, first_losses: dict[str, float]
) -> None:
    loss = first_loss(tmp_path / "run", regime=regime, precision=precision, epochs=6, device=DEVICE)
    assert loss == pytest.approx(first_losses[regime], rel=PRECISIONS[precision])
    history = read_jsonl(tmp_path / "run" / METRICS)
    assert history[-1]["loss_clean"] < 0.7 * loss
    assert all(np.isfinite(value) for line in history for value in line.values())
    assert torch.get_float32_matmul_precision() == "highest", "tf32 is over with the step"

    here, there = (load_model(tmp_path / "run" / BEST, device) for device in ("cpu", DEVICE))
    assert {tensor.dtype for tensor in here.module.parameters()} == {torch.float32}
    points = toy_split(12, 32).points
    np.testing.assert_allclose(
        predict(there.module, points).logits, predict(here.module, points).logits, rtol=1e-2, atol=1e-2
    )


def test_a_training_that_was_stopped_goes_on_on_the_device(tmp_path: Path) -> None:
    options = {"regime": "defense", "epochs": 4, "averaging": 0.9, "device": DEVICE}
    result(train(toy_dataset(), toy_options(**options), tmp_path / "whole"))
    cancel = Cancel()
    for event in train(toy_dataset(), toy_options(**options), tmp_path / "halves", cancel):
        if isinstance(event, Epoch) and event.index == 2:
            cancel.request()
    result(train(toy_dataset(), toy_options(**options), tmp_path / "halves", resume=True))
    whole, halves = (load_training(tmp_path / name / "last.safetensors") for name in ("whole", "halves"))
    assert whole[0].epochs == halves[0].epochs == 4
    for name, tensor in whole[1].items():
        assert tensor.device.type == halves[1][name].device.type == "cpu"
        torch.testing.assert_close(halves[1][name], tensor, rtol=0.05, atol=0.05)
